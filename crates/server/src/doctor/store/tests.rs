//! What is made of the store's answers.

use super::super::report::Outcome;
use super::*;

const COMPOSITE: &[&str] = &["status.phase", "specView.requestedAt"];

#[test]
fn every_missing_index_is_named_with_the_command_that_makes_it() {
    let store = googles();
    let head = "gcloud firestore indexes";
    let flags = "--project=access-1 '--database=(default)' --collection-group=requests";
    let after = "--field-config=field-path=specView.requestedAt,order=descending";
    for (fields, mend) in [
        (
            &["specView.requester.subject", "specView.requestedAt"][..],
            format!(
                "{head} composite create {flags} --query-scope=collection --field-config=field-path=specView.requester.subject,order=ascending {after}"
            ),
        ),
        (
            &["specView.resource", "specView.requestedAt"],
            format!(
                "{head} composite create {flags} --query-scope=collection --field-config=field-path=specView.resource,order=ascending {after}"
            ),
        ),
        (
            COMPOSITE,
            format!(
                "{head} composite create {flags} --query-scope=collection --field-config=field-path=status.phase,order=ascending {after}"
            ),
        ),
        (&["live"], format!("{head} fields update live {flags} --index=order=ascending")),
        (
            &["specView.requestedAt"],
            format!("{head} fields update specView.requestedAt {flags} --index=order=descending"),
        ),
    ] {
        let queries = [query(fields, Err(no_index())), query(&[], Ok(()))];
        let finding = judge_indexes(place(&store), &queries);
        assert_eq!(finding.outcome, Outcome::Failed);
        assert!(finding.message.contains(&fields.join(", ")), "{finding:?}");
        assert_eq!(finding.mend, [mend]);
        assert_eq!(judge_reads(place(&store), &queries).outcome, Outcome::Passed);
    }
    let served = [query(COMPOSITE, Ok(())), query(&[], Ok(()))];
    assert_eq!(judge_indexes(place(&store), &served).outcome, Outcome::Passed);
}

#[test]
fn a_store_that_refuses_names_what_lets_this_account_in() {
    let store = googles();
    let denied = || PortError::new(RetryClass::Denied, "list: PermissionDenied: no");
    let finding = judge_reads(place(&store), &[query(&[], Err(denied()))]);
    assert_eq!(finding.outcome, Outcome::Failed);
    assert!(finding.mend[0].contains("--role=roles/datastore.user"), "{finding:?}");
    assert!(finding.mend[0].contains("--member=serviceAccount:a@access-1.iam"), "{finding:?}");
    assert_eq!(judge_writes(place(&store), &Err(denied())).mend, finding.mend);
    assert_eq!(judge_writes(place(&store), &Ok(())).outcome, Outcome::Passed);
    assert_eq!(
        judge_indexes(place(&store), &[query(COMPOSITE, Err(denied()))]).outcome,
        Outcome::Skipped
    );

    let absent = PortError::new(RetryClass::NotFound, "list: NotFound: the database");
    let finding = judge_reads(place(&store), &[query(&[], Err(absent))]);
    assert!(finding.mend[0].starts_with("gcloud firestore databases create"), "{finding:?}");

    let said = "Cloud Firestore API has not been used in project 1 before or it is disabled.";
    let off = PortError::new(RetryClass::Denied, format!("list: PermissionDenied: {said}"));
    let finding = judge_reads(place(&store), &[query(&[], Err(off))]);
    let enable = "gcloud services enable firestore.googleapis.com --project=access-1";
    assert_eq!(finding.mend, [enable]);
}

#[test]
fn another_kind_of_database_is_refused() {
    let store = googles();
    let of = |mode: &str| Ok(Database { mode: mode.into(), location_id: "eur3".into() });
    let judged = |seen: Probed<Database>| judge_database(place(&store), &seen);
    assert_eq!(judged(of("FIRESTORE_NATIVE")).outcome, Outcome::Passed);
    let finding = judged(of("DATASTORE_MODE"));
    assert_eq!((finding.outcome, finding.mend.len()), (Outcome::Failed, 2));
    assert_eq!(judged(Err(ProbeError::NotFound("404".into()))).outcome, Outcome::Failed);
    assert_eq!(judged(Err(ProbeError::Denied("403".into()))).outcome, Outcome::Skipped);
}

#[test]
fn a_store_that_is_not_reached_says_how_to_look() {
    let (googles, local) =
        (googles(), store(StoreKind::Loopback("http://127.0.0.1:1".into(), "t".into())));
    for (store, mend) in
        [(&googles, "gcloud firestore databases list"), (&local, "curfew firestore-local")]
    {
        let finding = judge_connection(place(store), &Err("no answer".into()));
        assert_eq!(finding.outcome, Outcome::Failed);
        assert!(finding.mend[0].starts_with(mend), "{finding:?}");
        assert_eq!(judge_connection(place(store), &Ok(())).outcome, Outcome::Passed);
    }
}

fn googles() -> Store {
    store(StoreKind::Google)
}

fn store(kind: StoreKind) -> Store {
    Store { kind, project: "access-1".into(), database: "(default)".into() }
}

fn place(store: &Store) -> Place<'_> {
    Place { store, account: Some("a@access-1.iam.gserviceaccount.com") }
}

fn query(fields: &'static [&'static str], answer: Result<(), PortError>) -> ProbedQuery {
    ProbedQuery { what: "requests", fields, answer }
}

fn no_index() -> PortError {
    let said = "The query requires an index. You can create it here: https://console.firebase.google.com/x";
    PortError::new(RetryClass::Invalid, format!("list requests: FailedPrecondition: {said}"))
}
