use gcloud_sdk::google::firestore::v1::{
    ListenRequest, ListenResponse, StructuredQuery, Target, TargetChange,
    listen_request::TargetChange as Change,
    listen_response::ResponseType,
    structured_query::field_filter::Operator,
    target::{DocumentsTarget, QueryTarget, ResumeType, TargetType, query_target::QueryType},
    target_change::TargetChangeType,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::support::*;

#[tokio::test]
async fn a_query_target_hears_of_each_change_once() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let is_live = |id: &str, live| set(&format!("requests/{id}"), &[("live", boolean(live))]);
    commit(&mut client, vec![is_live("a", true), is_live("b", true), is_live("c", false)])
        .await
        .unwrap();
    let mut listener = Listener::start(&fixture).await;
    listener.add(query(42, live())).await;
    assert_eq!(listener.until_end().await, "ADD[42] CHANGE a[42] CHANGE b[42] CURRENT[42] END");

    // A new one, a changed one, one that leaves, one that is deleted.
    commit(&mut client, vec![is_live("d", true)]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE d[42] END");
    commit(&mut client, vec![update("requests/a", &["x"], &[("x", int(1))])]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE a[42] END");
    commit(&mut client, vec![is_live("b", false)]).await.unwrap();
    assert_eq!(listener.until_end().await, "REMOVE b[42] END");
    commit(&mut client, vec![delete("requests/d")]).await.unwrap();
    assert_eq!(listener.until_end().await, "DELETE d[42] END");

    // What does not concern the target is not heard of, nor is a write without effect.
    commit(&mut client, vec![is_live("c", false), set("outbox/x", &[])]).await.unwrap();
    commit(&mut client, vec![delete("requests/c")]).await.unwrap();
    commit(&mut client, vec![is_live("e", true), is_live("f", true)]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE e[42] CHANGE f[42] END");
}

#[tokio::test]
async fn several_targets_share_a_stream_and_its_events() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("requests/a", &[("live", boolean(true))])]).await.unwrap();
    let mut listener = Listener::start(&fixture).await;
    listener.add(query(1, live())).await;
    assert_eq!(listener.until_end().await, "ADD[1] CHANGE a[1] CURRENT[1] END");
    listener.add(documents(2, &["requests/a", "requests/z"])).await;
    assert_eq!(listener.until_end().await, "ADD[2] CHANGE a[2] CURRENT[2] END");

    commit(&mut client, vec![set("requests/a", &[("live", boolean(false))])]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE a[2]-[1] END");
    commit(&mut client, vec![set("requests/z", &[("live", boolean(true))])]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE z[1, 2] END");
    commit(&mut client, vec![delete("requests/z")]).await.unwrap();
    assert_eq!(listener.until_end().await, "DELETE z[1, 2] END");

    listener.send(Change::RemoveTarget(1)).await;
    assert_eq!(listener.heard(1).await, "GONE[1]");
    commit(&mut client, vec![set("requests/q", &[("live", boolean(true))])]).await.unwrap();
    commit(&mut client, vec![delete("requests/a")]).await.unwrap();
    assert_eq!(listener.until_end().await, "DELETE a[2] END");
}

#[tokio::test]
async fn a_resumed_target_hears_only_what_it_missed() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let write =
        |id: &str, n| set(&format!("requests/{id}"), &[("live", boolean(true)), ("n", int(n))]);
    commit(&mut client, vec![write("a", 1), write("b", 1), write("c", 1)]).await.unwrap();
    let mut first = Listener::start(&fixture).await;
    first.add(query(7, live())).await;
    first.until_end().await;
    let seen = first.last.clone();
    drop(first);

    commit(&mut client, vec![write("d", 1), delete("requests/b")]).await.unwrap();
    commit(&mut client, vec![write("a", 2), write("e", 1)]).await.unwrap();
    commit(&mut client, vec![delete("requests/e")]).await.unwrap();
    let resumes =
        [ResumeType::ResumeToken(seen.resume_token), ResumeType::ReadTime(seen.read_time.unwrap())];
    for resume in resumes {
        let mut listener = Listener::start(&fixture).await;
        listener.add(Target { resume_type: Some(resume), ..query(7, live()) }).await;
        assert_eq!(
            listener.until_end().await,
            "ADD[7] CHANGE d[7] DELETE b[7] CHANGE a[7] FILTER[7]=3 CURRENT[7] END"
        );
        // The new token leads to here: nothing is missed from now on.
        let resume = Some(ResumeType::ResumeToken(listener.last.resume_token.clone()));
        let mut again = Listener::start(&fixture).await;
        again.add(Target { resume_type: resume, ..query(7, live()) }).await;
        assert_eq!(again.until_end().await, "ADD[7] FILTER[7]=3 CURRENT[7] END");
    }
}

#[tokio::test]
async fn a_token_survives_a_restart_of_the_server() {
    let mut fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("requests/a", &[("live", boolean(true))])]).await.unwrap();
    let mut listener = Listener::start(&fixture).await;
    listener.add(query(7, live())).await;
    listener.until_end().await;
    let token = listener.last.resume_token.clone();
    fixture.stop().await;
    assert_eq!(listener.end().await.code(), Code::Unavailable);
    fixture.start_again().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![delete("requests/a")]).await.unwrap();
    let mut listener = Listener::start(&fixture).await;
    let resume_type = Some(ResumeType::ResumeToken(token));
    listener.add(Target { resume_type, ..query(7, live()) }).await;
    assert_eq!(listener.until_end().await, "ADD[7] DELETE a[7] FILTER[7]=0 CURRENT[7] END");
}

#[tokio::test]
async fn a_token_that_is_not_ours_or_too_old_resets_the_target() {
    let fixture = Fixture::start().await;
    let other = Fixture::start().await;
    let mut tokens = vec![b"bogus".to_vec(), vec![0; 33]];
    for server in [&other, &fixture] {
        let mut client = server.client().await;
        commit(&mut client, vec![set("requests/a", &[("live", boolean(true))])]).await.unwrap();
        let mut listener = Listener::start(server).await;
        listener.add(query(7, live())).await;
        listener.until_end().await;
        tokens.push(listener.last.resume_token.clone());
    }
    // Rewriting a large document often drives the last token's row out of the change log.
    let mut client = fixture.client().await;
    for n in 0..80 {
        let large = [("n", int(n)), ("pad", text(&"x".repeat(1_000_000)))];
        commit(&mut client, vec![set("outbox/large", &large)]).await.unwrap();
    }
    for token in tokens {
        let mut listener = Listener::start(&fixture).await;
        let resume_type = Some(ResumeType::ResumeToken(token.clone()));
        listener.add(Target { resume_type, ..query(7, live()) }).await;
        let heard = listener.until_end().await;
        assert_eq!(heard, "ADD[7] RESET[7] CHANGE a[7] CURRENT[7] END", "{token:?}");
    }
    let mut listener = Listener::start(&fixture).await;
    let resume_type = Some(ResumeType::ReadTime(timestamp(1_000_000)));
    listener.add(Target { resume_type, ..query(7, live()) }).await;
    assert_eq!(listener.until_end().await, "ADD[7] RESET[7] CHANGE a[7] CURRENT[7] END");
}

#[tokio::test]
async fn a_limited_query_hears_of_what_moves_into_its_window() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let at = |id: &str, seconds: i64| {
        let view = map(&[("requestedAt", instant(seconds * 1_000_000))]);
        set(&format!("requests/{id}"), &[("specView", view)])
    };
    commit(&mut client, vec![at("a", 1), at("b", 2), at("c", 3)]).await.unwrap();
    let newest = StructuredQuery {
        order_by: vec![descending("specView.requestedAt")],
        limit: Some(2),
        ..collection("requests")
    };
    let mut listener = Listener::start(&fixture).await;
    listener.add(query(1, newest.clone())).await;
    assert_eq!(listener.until_end().await, "ADD[1] CHANGE c[1] CHANGE b[1] CURRENT[1] END");
    commit(&mut client, vec![at("d", 4)]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE d[1] REMOVE b[1] END");
    commit(&mut client, vec![delete("requests/d")]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE b[1] DELETE d[1] END");

    let resume_type = Some(ResumeType::ResumeToken(listener.last.resume_token.clone()));
    let mut resumed = Listener::start(&fixture).await;
    resumed.add(Target { resume_type: resume_type.clone(), ..query(1, newest.clone()) }).await;
    assert_eq!(resumed.until_end().await, "ADD[1] FILTER[1]=2 CURRENT[1] END");
    commit(&mut client, vec![delete("requests/c")]).await.unwrap();
    let mut reset = Listener::start(&fixture).await;
    reset.add(Target { resume_type, ..query(1, newest) }).await;
    let heard = reset.until_end().await;
    assert_eq!(heard, "ADD[1] RESET[1] CHANGE b[1] CHANGE a[1] CURRENT[1] END");
}

#[tokio::test]
async fn a_bad_target_ends_alone() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let mut listener = Listener::start(&fixture).await;
    listener.add(query(1, live())).await;
    listener.until_end().await;
    listener.add(query(2, requests(field("purgeAt", Operator::Equal, int(1))))).await;
    assert_eq!(listener.heard(2).await, "ADD[2] GONE[2]");
    let cause = listener.last.cause.clone().unwrap();
    assert_eq!(Code::from(cause.code), Code::FailedPrecondition);
    listener.add(Target { target_id: 3, ..Target::default() }).await;
    assert_eq!(listener.heard(1).await, "GONE[3]");
    commit(&mut client, vec![set("requests/a", &[("live", boolean(true))])]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE a[1] END");

    listener.add(query(1, live())).await;
    assert_eq!(listener.end().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_target_wanted_once_ends_when_it_is_current() {
    let fixture = Fixture::start().await;
    let mut listener = Listener::start(&fixture).await;
    listener.add(Target { once: true, ..query(5, live()) }).await;
    assert_eq!(listener.heard(4).await, "ADD[5] CURRENT[5] END GONE[5]");
    listener.add(query(0, live())).await;
    assert_eq!(listener.until_end().await, "ADD[1] CURRENT[1] END");
}

#[tokio::test]
async fn a_collection_group_is_watched_in_every_collection() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("c/a", &[]), set("x/1/c/b", &[]), set("d/no", &[])])
        .await
        .unwrap();
    let mut listener = Listener::start(&fixture).await;
    let first = listener.watch(1, group("c")).await;
    assert_eq!(first, "ADD[1] CHANGE a[1] CHANGE b[1] CURRENT[1] END");
    let seen = listener.last.resume_token.clone();
    commit(&mut client, vec![set("y/2/c/new", &[]), set("y/2/d/no", &[])]).await.unwrap();
    assert_eq!(listener.until_end().await, "CHANGE new[1] END");
    commit(&mut client, vec![delete("x/1/c/b")]).await.unwrap();
    assert_eq!(listener.until_end().await, "DELETE b[1] END");
    let resume_type = Some(ResumeType::ResumeToken(seen));
    let mut again = Listener::start(&fixture).await;
    again.add(Target { resume_type, ..query(1, group("c")) }).await;
    let missed = "ADD[1] CHANGE new[1] DELETE b[1] FILTER[1]=2 CURRENT[1] END";
    assert_eq!(again.until_end().await, missed);
}

/// One stream, with the last target change that it brought.
pub(crate) struct Listener {
    requests: mpsc::Sender<ListenRequest>,
    replies: Streaming<ListenResponse>,
    last: TargetChange,
}

impl Listener {
    pub(crate) async fn start(fixture: &Fixture) -> Self {
        let (requests, receiver) = mpsc::channel(8);
        let mut client = fixture.client().await;
        let replies = client.listen(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self { requests, replies, last: TargetChange::default() }
    }

    /// Adds a query and waits for its first snapshot.
    pub(crate) async fn watch(&mut self, target_id: i32, watched: StructuredQuery) -> String {
        self.add(query(target_id, watched)).await;
        self.until_end().await
    }

    async fn add(&self, target: Target) {
        self.send(Change::AddTarget(target)).await;
    }

    async fn send(&self, change: Change) {
        let request = ListenRequest {
            database: DATABASE.into(),
            target_change: Some(change),
            ..ListenRequest::default()
        };
        self.requests.send(request).await.unwrap();
    }

    /// The next `n` messages.
    async fn heard(&mut self, n: usize) -> String {
        let mut words = Vec::new();
        for _ in 0..n {
            words.push(self.next().await);
        }
        words.join(" ")
    }

    /// The messages up to the end of the next snapshot.
    pub(crate) async fn until_end(&mut self) -> String {
        let mut words = vec![self.next().await];
        while words.last().is_some_and(|word| word != "END") {
            words.push(self.next().await);
        }
        words.join(" ")
    }

    async fn next(&mut self) -> String {
        let reply = tokio::time::timeout(PATIENCE, self.replies.message()).await;
        let reply = reply.expect("a message in time").unwrap().expect("an open stream");
        self.in_words(reply.response_type.unwrap())
    }

    /// The status with which the stream ends.
    pub(crate) async fn end(&mut self) -> Status {
        let ended = async {
            loop {
                match self.replies.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::ok(""),
                    Err(status) => return status,
                }
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("an end in time")
    }

    fn in_words(&mut self, response: ResponseType) -> String {
        let id = |name: &str| name.rsplit('/').next().unwrap().to_owned();
        match response {
            ResponseType::TargetChange(change) => {
                let kind = change.target_change_type();
                let ids = change.target_ids.clone();
                if !change.resume_token.is_empty() {
                    assert!(change.read_time.is_some());
                }
                self.last = change;
                match kind {
                    TargetChangeType::NoChange => "END".into(),
                    TargetChangeType::Add => format!("ADD{ids:?}"),
                    TargetChangeType::Remove => format!("GONE{ids:?}"),
                    TargetChangeType::Current => format!("CURRENT{ids:?}"),
                    TargetChangeType::Reset => format!("RESET{ids:?}"),
                }
            }
            ResponseType::DocumentChange(change) => {
                let document = change.document.unwrap();
                let removed = match change.removed_target_ids.as_slice() {
                    [] => String::new(),
                    removed => format!("-{removed:?}"),
                };
                format!("CHANGE {}{:?}{removed}", id(&document.name), change.target_ids)
            }
            ResponseType::DocumentDelete(delete) => {
                format!("DELETE {}{:?}", id(&delete.document), delete.removed_target_ids)
            }
            ResponseType::DocumentRemove(remove) => {
                format!("REMOVE {}{:?}", id(&remove.document), remove.removed_target_ids)
            }
            ResponseType::Filter(filter) => {
                format!("FILTER[{}]={}", filter.target_id, filter.count)
            }
        }
    }
}

fn query(target_id: i32, query: StructuredQuery) -> Target {
    let query_type = Some(QueryType::StructuredQuery(query));
    let target = QueryTarget { parent: ROOT.into(), query_type };
    Target { target_id, target_type: Some(TargetType::Query(target)), ..Target::default() }
}

fn documents(target_id: i32, paths: &[&str]) -> Target {
    let documents = paths.iter().map(|path| name(path)).collect();
    let target_type = Some(TargetType::Documents(DocumentsTarget { documents }));
    Target { target_id, target_type, ..Target::default() }
}
