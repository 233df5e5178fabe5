//! Former states: what the change log gives back is what was there.

use std::{collections::BTreeMap, ops::ControlFlow};

use gcloud_sdk::google::firestore::v1::{
    StructuredQuery, structured_query::field_filter::Operator, value::ValueType, write::Operation,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    tests::{delete, mutation, open, set},
    *,
};
use crate::{
    name::DocumentName,
    query::{
        Query,
        tests::{all, document, field, filtered, order, parse},
    },
    value::strategies::{int, text},
};

/// The number of each document, by id.
type State = BTreeMap<String, i64>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_former_state_is_as_it_was(
        commits in prop::collection::vec(
            prop::collection::vec((0_u8..5, prop::option::of(0_i64..4)), 1..4),
            1..12,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(commits));
    }
}

#[tokio::test]
async fn a_state_that_the_log_has_forgotten_is_none() {
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open(&directory, &["a ASC"], Micros::now);
    store.commit(vec![set("x", int(1))]).await.unwrap();
    let position = |snapshot: &Snapshot<'_>| Ok((snapshot.position(), snapshot.read_time()));
    let (old, time) = store.read(position).await.unwrap();
    // The log keeps 64 MiB of former bodies.
    for n in 0..80 {
        let large = [("pad", text(&format!("{n}{}", "x".repeat(900_000))))];
        let write = mutation(Operation::Update(document("y", &large)));
        store.commit(vec![write]).await.unwrap();
    }
    let look = move |snapshot: &Snapshot<'_>| {
        let by_position = snapshot.as_of(old, time)?.is_some();
        Ok((by_position, snapshot.position_at(time)?.is_some()))
    };
    assert_eq!(store.read(look).await.unwrap(), (false, false));
}

/// Commits, remembering each state; then compares each with what is read of it.
async fn check(commits: Vec<Vec<(u8, Option<i64>)>>) {
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open(&directory, &["a ASC", "a DESC"], Micros::now);
    let mut state = State::new();
    let mut states = Vec::new();
    for commit in commits {
        let mut mutations = Vec::new();
        for (id, value) in commit {
            let id = format!("d{id}");
            mutations.push(value.map_or_else(|| delete(&id), |value| set(&id, int(value))));
            match value {
                Some(value) => drop(state.insert(id, value)),
                None => drop(state.remove(&id)),
            }
        }
        let time = store.commit(mutations).await.unwrap().time;
        states.push((time, state.clone()));
    }
    for (time, expected) in states {
        store.read(move |newest| compare(newest, time, &expected)).await.unwrap();
    }
}

fn compare(newest: &Snapshot<'_>, time: Micros, expected: &State) -> Result<(), Refusal> {
    let position = newest.position_at(time)?.unwrap();
    let then = newest.as_of(position, time)?.unwrap();
    for id in ["d0", "d1", "d2", "d3", "d4"] {
        let name = DocumentName::parse(&document(id, &[]).name)?;
        let found = then.get(&name)?.map(|document| number(&document));
        assert_eq!(found.as_ref(), expected.get(id));
    }
    let whole: Vec<_> = expected.keys().cloned().collect();
    assert_eq!(ids(&then, &parse(all())?)?, whole);
    let equal = parse(filtered(field("a", Operator::Equal, int(2))))?;
    let twos = expected.iter().filter(|(_, value)| **value == 2);
    assert_eq!(ids(&then, &equal)?, twos.map(|(id, _)| id.clone()).collect::<Vec<_>>());
    let downwards = StructuredQuery { order_by: vec![order("a", true)], limit: Some(2), ..all() };
    let mut sorted: Vec<_> = expected.iter().map(|(id, value)| (*value, id.clone())).collect();
    sorted.sort_by(|a, b| b.cmp(a));
    let first: Vec<_> = sorted.into_iter().take(2).map(|(_, id)| id).collect();
    assert_eq!(ids(&then, &parse(downwards)?)?, first);
    Ok(())
}

fn ids(snapshot: &Snapshot<'_>, query: &Query) -> Result<Vec<String>, Refusal> {
    let mut ids = Vec::new();
    snapshot.run(query, |document| {
        ids.push(document.name.rsplit('/').next().unwrap_or_default().to_owned());
        ControlFlow::Continue(())
    })?;
    Ok(ids)
}

fn number(document: &Document) -> i64 {
    match document.fields["a"].value_type {
        Some(ValueType::IntegerValue(number)) => number,
        ref other => panic!("{other:?}"),
    }
}
