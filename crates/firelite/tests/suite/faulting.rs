use std::time::{Duration, Instant};

use curfew_firelite::{Fault, Method};
use tonic::Code;

use super::{listening::Listener, support::*};

#[tokio::test]
async fn as_many_calls_fail_as_were_asked_to() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let faults = fixture.faults();
    faults.inject(Method::Commit, Fault::Aborted, 2);
    faults.inject(Method::Commit, Fault::Unavailable, 1);
    for expected in [Code::Aborted, Code::Aborted, Code::Unavailable] {
        let refused = commit(&mut client, vec![set("c/d", &[])]).await;
        assert_eq!(refusal(refused).0, expected);
        // Others go through, and nothing was done.
        assert_eq!(get(&mut client, "c/d").await, None);
    }
    commit(&mut client, vec![set("c/d", &[])]).await.unwrap();
    assert_eq!((faults.struck(Method::Commit), faults.pending(Method::Commit)), (3, 0));
    faults.inject(Method::RunQuery, Fault::Unavailable, 1);
    let refused = run_query(&mut client, collection("c")).await;
    assert_eq!(refusal(refused).0, Code::Unavailable);
    faults.inject(Method::RunQuery, Fault::Unavailable, 5);
    faults.clear();
    assert_eq!(ids(&mut client, collection("c")).await, ["d"]);
}

#[tokio::test]
async fn a_lost_reply_is_of_a_write_that_stands() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    fixture.faults().inject(Method::Commit, Fault::ReplyLost, 1);
    let lost = commit(&mut client, vec![set("c/d", &[("n", int(1))])]).await;
    assert_eq!(refusal(lost).0, Code::Unavailable);
    assert_eq!(get(&mut client, "c/d").await.unwrap().fields["n"], int(1));
}

#[tokio::test]
async fn a_delayed_call_is_served_later() {
    const DELAY: Duration = Duration::from_millis(50);
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    fixture.faults().inject(Method::GetDocument, Fault::Delay(DELAY), 1);
    #[expect(clippy::disallowed_methods, reason = "the delay is real")]
    let begun = Instant::now();
    assert_eq!(get(&mut client, "c/d").await, None);
    assert!(begun.elapsed() >= DELAY);
}

#[tokio::test]
async fn listeners_are_reset_and_dropped_on_demand() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("requests/a", &[("live", boolean(true))])]).await.unwrap();
    let mut listener = Listener::start(&fixture).await;
    assert_eq!(listener.watch(7, live()).await, "ADD[7] CHANGE a[7] CURRENT[7] END");
    assert_eq!(fixture.faults().reset_listeners(), 1);
    assert_eq!(listener.until_end().await, "RESET[7] CHANGE a[7] CURRENT[7] END");
    commit(&mut client, vec![delete("requests/a")]).await.unwrap();
    assert_eq!(listener.until_end().await, "DELETE a[7] END");
    assert_eq!(fixture.faults().drop_listeners(), 1);
    assert_eq!(listener.end().await.code(), Code::Unavailable);
    fixture.faults().inject(Method::Listen, Fault::Unavailable, 1);
    let mut refused = Listener::start(&fixture).await;
    assert_eq!(refused.end().await.code(), Code::Unavailable);
}
