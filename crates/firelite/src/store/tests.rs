use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicI64, Ordering},
};

use gcloud_sdk::google::firestore::v1::{
    Cursor, DocumentMask, StructuredQuery, Write,
    structured_query::{composite_filter, field_filter::Operator},
    write::Operation,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    limits::INDEX_ENTRY_BYTES_MAX,
    name::DocumentName,
    query::{
        Plan, Query, plan,
        tests::{
            all, and, composite, document, field, filtered, indexes_json, order, parse, served,
        },
    },
    value::strategies::*,
};

pub(crate) const INDEXES: &[&str] =
    &["a ASC", "a DESC", "a ASC, b DESC", "b ASC, a ASC", "tags CONTAINS"];

#[tokio::test]
async fn commit_times_increase_while_the_clock_stands_or_steps_back() {
    static NOW: AtomicI64 = AtomicI64::new(1_000_000);
    let directory = TempDir::new().unwrap();
    let clock = || Micros(NOW.load(Ordering::Relaxed));
    let mut times = Vec::new();
    for step in [0, 0, -500_000, 7] {
        let now = NOW.fetch_add(step, Ordering::Relaxed) + step;
        let (store, writer) = open(&directory, INDEXES, clock);
        for value in 0..3 {
            times.push(store.commit(vec![set("d", int(value))]).await.unwrap().time);
        }
        assert!(times.last().unwrap().0 >= now);
        drop(store);
        writer.stop().await.unwrap();
    }
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[tokio::test]
async fn a_refused_commit_leaves_no_trace_and_does_not_hurt_its_neighbours() {
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open(&directory, INDEXES, Micros::now);
    let commits = (0..200).map(|n| {
        let store = store.clone();
        async move {
            let id = format!("d{n}");
            let mut mutations = vec![set(&id, int(n))];
            if n % 3 == 0 {
                mutations.push(create("taken"));
                mutations.push(create("taken"));
            }
            (id, store.commit(mutations).await.is_ok(), n % 3 != 0)
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    commits.for_each(|commit| drop(tasks.spawn(commit)));
    for (id, acknowledged, expected) in tasks.join_all().await {
        assert_eq!(acknowledged, expected, "{id}");
        assert_eq!(get(&store, &id).await.is_some(), expected, "{id}");
    }
    assert_eq!(get(&store, "taken").await, None);
    let before = *store.revision().borrow();
    let alone = [create("d1"), set("d1", text(&"x".repeat(INDEX_ENTRY_BYTES_MAX)))];
    for refused in alone {
        assert!(store.commit(vec![refused]).await.is_err());
    }
    assert_eq!(*store.revision().borrow(), before);
    assert_eq!(get(&store, "d1").await.unwrap().fields["a"], int(1));
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_the_store_lives_on() {
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open_limited(&directory, 60);
    let mut stored = 0;
    let refused = loop {
        let large = text(&"x".repeat(20_000));
        match store.commit(vec![set(&format!("d{stored}"), large)]).await {
            Ok(_) => stored += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refused, Refusal::Store(StoreError::Full(_))), "{refused:?}");
    assert!(stored > 0);
    for n in 0..stored {
        assert!(get(&store, &format!("d{n}")).await.is_some());
    }
    store.commit(vec![delete("d0")]).await.unwrap();
    assert_eq!(get(&store, "d0").await, None);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open(&directory, INDEXES, Micros::now);
    store.commit(vec![set("d", int(1))]).await.unwrap();
    for file in ["firelite.db", "firelite.db-wal", "firelite.db-shm"] {
        let mode = std::fs::metadata(directory.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_ends() {
    let directory = TempDir::new().unwrap();
    let (store, writer) = open(&directory, INDEXES, Micros::now);
    let second =
        Store::open(&file(&directory), &Indexes::default(), Micros::now, &metrics()).err().unwrap();
    assert!(matches!(second, OpenError::InUse(_)), "{second:?}");
    drop(store);
    writer.stop().await.unwrap();
    assert!(Store::open(&file(&directory), &Indexes::default(), Micros::now, &metrics()).is_ok());
}

#[tokio::test]
async fn a_stopped_store_is_one_file() {
    let directory = TempDir::new().unwrap();
    let (store, writer) = open(&directory, INDEXES, Micros::now);
    store.commit(vec![set("d", int(1))]).await.unwrap();
    // A reader keeps its connection.
    assert!(get(&store, "d").await.is_some());
    writer.stop().await.unwrap();
    let log = directory.path().join("firelite.db-wal");
    assert_eq!(std::fs::metadata(log).map_or(0, |log| log.len()), 0);

    let copy = TempDir::new().unwrap();
    std::fs::copy(file(&directory), file(&copy)).unwrap();
    let (store, _writer) = open(&copy, INDEXES, Micros::now);
    assert!(get(&store, "d").await.is_some());
}

#[tokio::test]
async fn a_changed_index_file_is_filled_from_what_is_stored() {
    let directory = TempDir::new().unwrap();
    let (store, writer) = open(&directory, &["b ASC"], Micros::now);
    for n in 0..20 {
        store.commit(vec![set(&format!("d{n:02}"), int(n % 4))]).await.unwrap();
    }
    let by_a = || filtered(field("a", Operator::Equal, int(3)));
    assert!(run(&store, by_a()).await.is_err());
    drop(store);
    writer.stop().await.unwrap();

    let (store, writer) = open(&directory, &["a ASC"], Micros::now);
    assert_eq!(run(&store, by_a()).await.unwrap().0, ["d03", "d07", "d11", "d15", "d19"]);
    store.commit(vec![delete("d07")]).await.unwrap();
    assert_eq!(run(&store, by_a()).await.unwrap().0, ["d03", "d11", "d15", "d19"]);
    drop(store);
    writer.stop().await.unwrap();

    let (store, _writer) = open(&directory, &[], Micros::now);
    assert!(run(&store, by_a()).await.is_err());
    let entries = Connection::open(file(&directory)).unwrap().query_row(
        "SELECT count(*) FROM index_entry",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(entries.unwrap(), 0);
    assert_eq!(run(&store, all()).await.unwrap().0.len(), 19);
}

#[tokio::test]
async fn a_query_looks_only_at_what_it_returns() {
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open(&directory, INDEXES, Micros::now);
    let write = |n: i64| {
        let fields = [("a", int(n % 100)), ("b", int(n)), ("tags", array(vec![int(n % 50)]))];
        mutation(Operation::Update(document(&format!("d{n:05}"), &fields)))
    };
    for chunk in 0..10 {
        store.commit((chunk * 500..(chunk + 1) * 500).map(write).collect()).await.unwrap();
    }
    let a_is_7 = || field("a", Operator::Equal, int(7));
    let by_b = || StructuredQuery { order_by: vec![order("b", true)], ..filtered(a_is_7()) };
    let cases = [
        (filtered(a_is_7()), 50, 50),
        (StructuredQuery { limit: Some(5), ..by_b() }, 5, 5),
        (
            StructuredQuery {
                start_at: Some(Cursor { values: vec![int(1_000)], before: true }),
                ..by_b()
            },
            10,
            10,
        ),
        (filtered(field("tags", Operator::ArrayContains, int(3))), 100, 100),
        (filtered(field("a", Operator::In, array(vec![int(1), int(2), int(2)]))), 100, 100),
        (
            StructuredQuery {
                order_by: vec![order("b", true)],
                ..filtered(and(vec![a_is_7(), field("b", Operator::LessThan, int(1_000))]))
            },
            10,
            10,
        ),
        (StructuredQuery { limit: Some(3), ..all() }, 3, 3),
        (filtered(field("a", Operator::GreaterThan, int(97))), 100, 100),
    ];
    for (query, results, visited_max) in cases {
        let shown = format!("{query:?}");
        let (ids, visited) = run(&store, query).await.unwrap();
        assert_eq!(ids.len(), results, "{shown}");
        // Each walk may have read one document ahead.
        assert!(visited <= visited_max + 2, "{visited} visited for {shown}");
    }
}

#[tokio::test]
async fn every_statement_of_a_scan_is_a_plain_range_of_a_tree() {
    let directory = TempDir::new().unwrap();
    let (_store, _writer) = open(&directory, INDEXES, Micros::now);
    let connection = Connection::open(file(&directory)).unwrap();
    let indexes = Indexes::parse(&indexes_json("c", INDEXES)).unwrap();
    let queries = [
        all(),
        filtered(field("a", Operator::Equal, int(7))),
        StructuredQuery { order_by: vec![order("a", true)], ..all() },
    ];
    for query in queries {
        let query = parse(query).unwrap();
        let Plan::Walks(scans) = plan(&query, &served(&indexes)).unwrap() else {
            panic!("no walks for {query:?}");
        };
        for scan in scans {
            let sql = format!("EXPLAIN QUERY PLAN {}", results::sql(&scan));
            let mut statement = connection.prepare(&sql).unwrap();
            let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
            let plan: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(nulls), |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let plan = plan.join("; ");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
            assert!(
                plan.contains("(collection=? AND id>?") || plan.contains("AND key>?"),
                "{plan}"
            );
        }
    }
}

#[tokio::test]
async fn the_change_log_is_bounded_and_old_positions_are_noticed() {
    let directory = TempDir::new().unwrap();
    let (store, writer) = open(&directory, &[], Micros::now);
    store.commit(vec![set("d", int(0))]).await.unwrap();
    let first = store.read(|snapshot| Ok(snapshot.position())).await.unwrap();
    assert!(resumable(&store, first).await && resumable(&store, Position::START).await);
    let large = |n: i64| set("d", text(&format!("{n}{}", "x".repeat(900_000))));
    for n in 0..80 {
        store.commit(vec![large(n)]).await.unwrap();
    }
    let last = store.read(|snapshot| Ok(snapshot.position())).await.unwrap();
    assert!(!resumable(&store, first).await && !resumable(&store, Position::START).await);
    assert!(resumable(&store, last).await);
    let forged = Position { committed: last.committed.next(), ..last };
    assert!(!resumable(&store, forged).await);
    drop(store);
    writer.stop().await.unwrap();

    let log = Connection::open(file(&directory))
        .unwrap()
        .query_row("SELECT count(*), sum(length(before)) FROM change", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .unwrap();
    assert!(log.0 < 80 && log.1 <= 64 * 1_048_576, "{log:?}");

    // Revisions go on where they were.
    let (store, _writer) = open(&directory, &[], Micros::now);
    assert_eq!(store.read(|snapshot| Ok(snapshot.position())).await.unwrap(), last);
    store.commit(vec![set("e", int(0))]).await.unwrap();
    let next = store.read(|snapshot| Ok(snapshot.position())).await.unwrap();
    assert_eq!(next.revision, last.revision + 1);
}

#[tokio::test]
async fn an_index_entry_has_a_largest_size() {
    let directory = TempDir::new().unwrap();
    let (store, _writer) = open(&directory, &["a ASC"], Micros::now);
    let refused = store.commit(vec![set("d", text(&"x".repeat(8_000)))]).await.unwrap_err();
    assert!(matches!(refused, Refusal::Entry(EntryError::TooLarge(_))), "{refused:?}");
    store.commit(vec![set("d", text(&"x".repeat(7_000)))]).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_index_finds_what_a_scan_of_everything_finds(
        documents in prop::collection::vec((any_field(), any_field(), any_field()), 1..24),
        queries in prop::collection::vec(any_query(), 12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let directory = TempDir::new().unwrap();
            let (store, _writer) = open(&directory, INDEXES, Micros::now);
            let documents: Vec<Document> = documents
                .iter()
                .enumerate()
                .map(|(n, (a, b, tags))| {
                    let tags = tags.clone().map(|tag| array(vec![tag, int(1)]));
                    let fields = [("a", a.clone()), ("b", b.clone()), ("tags", tags)];
                    let present: Vec<_> = fields
                        .into_iter()
                        .filter_map(|(name, value)| value.map(|value| (name, value)))
                        .collect();
                    document(&format!("d{n}"), &present)
                })
                .collect();
            let writes = documents.iter().cloned().map(|d| mutation(Operation::Update(d)));
            // Twice, so that entries are also replaced.
            store.commit(writes.clone().map(|write| emptied(&write)).collect()).await.unwrap();
            store.commit(writes.collect()).await.unwrap();
            for query in queries {
                let expected = evaluate(&parse(query.clone()).unwrap(), &documents);
                match run(&store, query.clone()).await {
                    Ok((found, _)) => assert_eq!(found, expected, "{query:?}"),
                    Err(Refusal::Query(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
}

/// What a query means, without an index: filter, sort, cut.
fn evaluate(query: &Query, documents: &[Document]) -> Vec<String> {
    let mut results: Vec<_> = documents
        .iter()
        .filter_map(|document| Some((query.result_key(document)?, id_of(document))))
        .collect();
    results.sort();
    let limit = query.limit.unwrap_or(usize::MAX);
    results.into_iter().map(|(_, id)| id).skip(query.offset).take(limit).collect()
}

fn any_field() -> impl Strategy<Value = Option<Value>> {
    prop::option::weighted(
        0.9,
        prop_oneof![
            (0_i64..4).prop_map(int),
            (0_i8..4).prop_map(|n| float(f64::from(n))),
            Just(float(f64::NAN)),
            Just(crate::value::null()),
            "[ab]{0,2}".prop_map(|s| text(&s)),
        ],
    )
}

/// Queries near the shapes of [`INDEXES`], so that most are served.
fn any_query() -> BoxedStrategy<StructuredQuery> {
    // Boxed throughout: unboxed, the nested strategies overflow a test thread's stack.
    let value = || any_field().prop_map(|value| value.unwrap_or_else(|| int(1))).boxed();
    let one = || {
        prop_oneof![
            (value(), value()).prop_map(|(a, b)| field("a", Operator::In, array(vec![a, b]))),
            value().prop_map(|v| field("a", Operator::Equal, v)),
            value().prop_map(|v| field("a", Operator::NotEqual, v)),
            (value(), value()).prop_map(|(a, b)| field("a", Operator::NotIn, array(vec![a, b]))),
            value().prop_map(|v| field("a", Operator::LessThan, v)),
            value().prop_map(|v| field("a", Operator::LessThanOrEqual, v)),
            value().prop_map(|v| field("a", Operator::GreaterThan, v)),
            value().prop_map(|v| field("a", Operator::GreaterThanOrEqual, v)),
            value().prop_map(|v| field("tags", Operator::ArrayContains, v)),
        ]
        .boxed()
    };
    let filter = prop_oneof![
        one().prop_map(Some),
        (value(), one())
            .prop_map(|(v, other)| Some(and(vec![field("b", Operator::Equal, v), other]))),
        (value(), value()).prop_map(|(a, b)| Some(and(vec![
            field("a", Operator::GreaterThan, a),
            field("a", Operator::LessThan, b)
        ]))),
        (value(), value()).prop_map(|(a, b)| Some(composite(
            composite_filter::Operator::Or,
            vec![field("a", Operator::Equal, a), field("a", Operator::Equal, b)]
        ))),
        Just(None),
    ]
    .boxed();
    let ordering = prop_oneof![
        Just(vec![]),
        any::<bool>().prop_map(|descending| vec![order("a", descending)]),
        any::<bool>().prop_map(|descending| vec![order("b", descending)]),
        Just(vec![order("a", false), order("b", true)]),
    ]
    .boxed();
    let cursor = || {
        prop::option::weighted(
            0.3,
            (value(), any::<bool>()).prop_map(|(v, before)| Cursor { values: vec![v], before }),
        )
    };
    (filter, ordering, cursor(), cursor(), prop::option::of(0_i32..6), 0_i32..3)
        .prop_map(|(filter, order_by, start_at, end_at, limit, offset)| {
            // Without an order of its own, a cursor would have to be a name.
            let cut = |cursor: Option<Cursor>| cursor.filter(|_| !order_by.is_empty());
            let (start_at, end_at) = (cut(start_at), cut(end_at));
            StructuredQuery { r#where: filter, order_by, start_at, end_at, limit, offset, ..all() }
        })
        .boxed()
}

pub(crate) async fn run(
    store: &Store,
    query: StructuredQuery,
) -> Result<(Vec<String>, usize), Refusal> {
    let query = parse(query)?;
    let collect = move |snapshot: &Snapshot<'_>| {
        let mut ids = Vec::new();
        let ran = snapshot.run(&query, |document| {
            ids.push(id_of(&document));
            ControlFlow::Continue(())
        })?;
        Ok((ids, ran.visited))
    };
    store.read(collect).await
}

pub(crate) async fn get(store: &Store, id: &str) -> Option<Document> {
    let name = DocumentName::parse(&document(id, &[]).name).unwrap();
    store.read(move |snapshot| Ok(snapshot.get(&name)?)).await.unwrap()
}

async fn resumable(store: &Store, position: Position) -> bool {
    store.read(move |snapshot| Ok(snapshot.is_resumable(position)?)).await.unwrap()
}

fn id_of(document: &Document) -> String {
    document.name.rsplit('/').next().unwrap().to_owned()
}

pub(crate) fn set(id: &str, a: Value) -> Mutation {
    mutation(Operation::Update(document(id, &[("a", a)])))
}

pub(crate) fn delete(id: &str) -> Mutation {
    mutation(Operation::Delete(document(id, &[]).name))
}

fn create(id: &str) -> Mutation {
    use gcloud_sdk::google::firestore::v1::{Precondition, precondition::ConditionType};
    let condition = Precondition { condition_type: Some(ConditionType::Exists(false)) };
    Mutation::parse(Write {
        operation: Some(Operation::Update(document(id, &[]))),
        current_document: Some(condition),
        ..Write::default()
    })
    .unwrap()
}

/// The same document with other fields.
fn emptied(of: &Mutation) -> Mutation {
    let write = Write {
        operation: Some(Operation::Update(document(of.name.id(), &[("a", int(99))]))),
        update_mask: Some(DocumentMask { field_paths: vec!["a".into()] }),
        ..Write::default()
    };
    Mutation::parse(write).unwrap()
}

pub(crate) fn mutation(operation: Operation) -> Mutation {
    Mutation::parse(Write { operation: Some(operation), ..Write::default() }).unwrap()
}

pub(crate) fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("firelite.db")
}

pub(crate) fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

pub(crate) fn open(
    directory: &TempDir,
    indexes: &[&str],
    clock: fn() -> Micros,
) -> (Store, WriterThread) {
    let indexes = Indexes::parse(&indexes_json("c", indexes)).unwrap();
    Store::open(&file(directory), &indexes, clock, &metrics()).unwrap()
}

/// A store whose file may not grow beyond some pages: to SQLite, a full disk.
fn open_limited(directory: &TempDir, pages: i64) -> (Store, WriterThread) {
    let opened = open::open(&file(directory), &Indexes::default()).unwrap();
    opened.connection.pragma_update(None, "max_page_count", pages).unwrap();
    Store::start(&file(directory), opened, Micros::now, &metrics()).unwrap()
}
