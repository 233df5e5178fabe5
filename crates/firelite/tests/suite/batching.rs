use gcloud_sdk::google::firestore::v1::{
    BatchWriteRequest, BatchWriteResponse, Write, precondition::ConditionType,
};
use tonic::{Code, Status};

use super::support::*;

#[tokio::test]
async fn each_write_of_a_batch_has_a_status_of_its_own() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    commit(&mut client, vec![set("c/taken", &[]), set("c/gone", &[])]).await.unwrap();
    let half = text(&"x".repeat(600_000));
    let writes = vec![
        set("c/a", &[("n", int(1))]),
        provided(ConditionType::Exists(false), set("c/taken", &[])),
        provided(ConditionType::Exists(true), delete("c/missing")),
        delete("c/gone"),
        set("c/large", &[("a", half.clone()), ("b", half)]),
        set("c/z", &[]),
    ];
    let reply = batch(&mut client, writes).await.unwrap();
    let codes: Vec<Code> = reply.status.iter().map(|status| Code::from(status.code)).collect();
    let (ok, invalid) = (Code::Ok, Code::InvalidArgument);
    assert_eq!(codes, [ok, Code::AlreadyExists, Code::NotFound, ok, invalid, ok]);
    let updated: Vec<bool> =
        reply.write_results.iter().map(|result| result.update_time.is_some()).collect();
    assert_eq!(updated, [true, false, false, false, false, true]);
    for (path, exists) in
        [("c/a", true), ("c/taken", true), ("c/gone", false), ("c/large", false), ("c/z", true)]
    {
        assert_eq!(get(&mut client, path).await.is_some(), exists, "{path}");
    }
    // Each is a commit of its own.
    let times: Vec<i64> = [0, 5].map(|n: usize| micros(reply.write_results[n].update_time)).into();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[tokio::test]
async fn a_batch_that_is_no_batch_is_refused_as_a_whole() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client().await;
    let good = || set("c/a", &[]);
    let twice = vec![good(), set("c/b", &[]), delete("c/a")];
    let (code, message) = refusal(batch(&mut client, twice).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.starts_with("the same document cannot be written"), "{message}");
    for bad in [Write::default(), set("c", &[]), set("c/__x__", &[])] {
        let refused = batch(&mut client, vec![good(), bad]).await;
        assert_eq!(refusal(refused).0, Code::InvalidArgument);
    }
    assert_eq!(get(&mut client, "c/a").await, None);
    assert!(batch(&mut client, Vec::new()).await.unwrap().status.is_empty());
}

async fn batch(client: &mut Client, writes: Vec<Write>) -> Result<BatchWriteResponse, Status> {
    let request =
        BatchWriteRequest { database: DATABASE.into(), writes, ..BatchWriteRequest::default() };
    client.batch_write(request).await.map(tonic::Response::into_inner)
}
