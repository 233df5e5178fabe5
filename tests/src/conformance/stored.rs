//! What values a document can hold.

use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::write::Operation;
use gcloud_sdk::google::firestore::v1::{Value, Write};
use gcloud_sdk::prost_types::Timestamp;
use serde_json::{Value as Json, json};
use tonic::Code;

use super::backend::{Backend, refused};
use super::values::{micros, value};

/// 9999-12-31T23:59:59Z, the last second of a timestamp.
const LAST_SECOND: i64 = 253_402_300_799;

pub(super) async fn integers_keep_all_their_bits(on: &Backend) {
    keeps(on, json!({"least": i64::MIN, "most": i64::MAX, "odd": 9_007_199_254_740_993_i64})).await;
}

pub(super) async fn doubles_stay_doubles(on: &Backend) {
    keeps(on, json!({"whole": 1.0, "small": 5e-324, "large": 1.7e308, "tenth": 0.1})).await;
}

pub(super) async fn nan_and_the_infinities_are_kept(on: &Backend) {
    let nan = json!({"$double": "NaN"});
    keeps(on, json!({"nan": nan, "up": {"$double": "inf"}, "down": {"$double": "-inf"}})).await;
}

pub(super) async fn strings_keep_every_character(on: &Backend) {
    keeps(on, json!({"text": "ä \u{0} \u{ffff} 🦀 \n", "empty": ""})).await;
}

pub(super) async fn bytes_points_and_references_are_kept(on: &Backend) {
    let bytes = json!({"$bytes": "a\u{0}b"});
    let point = json!({"$point": [-90.0, 180.0]});
    keeps(on, json!({"bytes": bytes, "point": point, "reference": on.reference("x/y")})).await;
}

pub(super) async fn empty_maps_and_arrays_are_kept(on: &Backend) {
    keeps(on, json!({"map": {}, "array": [], "deep": {"map": {}, "array": [{}]}})).await;
}

pub(super) async fn times_are_cut_to_microseconds(on: &Backend) {
    let time = |seconds, nanos| {
        let time = Timestamp { seconds, nanos };
        Value { value_type: Some(ValueType::TimestampValue(time)) }
    };
    for (seconds, nanos, kept) in [
        (1, 123_456_789, 1_123_456),
        (-1, 999_999_999, -1),
        (LAST_SECOND, 999_999_000, LAST_SECOND * 1_000_000 + 999_999),
    ] {
        on.write(with(on, time(seconds, nanos))).await;
        let read = on.get("things/a").await.unwrap();
        let Some(ValueType::TimestampValue(read)) = read.fields["value"].value_type else {
            panic!("{read:?}")
        };
        assert_eq!(micros(read), kept);
    }
}

pub(super) async fn times_outside_of_the_calendar_are_refused(on: &Backend) {
    for (seconds, nanos) in
        [(LAST_SECOND + 1, 0), (-62_135_596_801, 0), (0, -1), (0, 1_000_000_000)]
    {
        let time = ValueType::TimestampValue(Timestamp { seconds, nanos });
        let write = with(on, Value { value_type: Some(time) });
        assert_eq!(
            refused(on.commit(vec![write]).await),
            Code::InvalidArgument,
            "{seconds} {nanos}"
        );
    }
}

pub(super) async fn points_off_the_globe_are_refused(on: &Backend) {
    for point in
        [json!([90.1, 0.0]), json!([-90.1, 0.0]), json!([0.0, 180.1]), json!([0.0, -180.1])]
    {
        let write = with(on, value(&json!({"$point": point})));
        assert_eq!(refused(on.commit(vec![write]).await), Code::InvalidArgument, "{point}");
    }
}

pub(super) async fn an_array_directly_in_an_array_is_refused(on: &Backend) {
    let write = on.set("things/a", &json!({"array": [1, [2]]}));
    assert_eq!(refused(on.commit(vec![write]).await), Code::InvalidArgument);
    on.put("things/a", json!({"array": [1, {"array": [2]}]})).await;
}

pub(super) async fn a_value_without_a_type_is_refused(on: &Backend) {
    let write = with(on, Value { value_type: None });
    assert_eq!(refused(on.commit(vec![write]).await), Code::InvalidArgument);
}

pub(super) async fn a_reference_must_be_the_name_of_a_document(on: &Backend) {
    for name in ["", "things/a", &on.name("things"), &on.database] {
        let write = with(on, value(&json!({"$reference": name})));
        assert_eq!(refused(on.commit(vec![write]).await), Code::InvalidArgument, "{name}");
    }
}

pub(super) async fn an_equal_number_of_the_other_type_is_a_change(on: &Backend) {
    let first = on.put("things/a", json!({"n": 1})).await;
    assert_ne!(on.put("things/a", json!({"n": 1.0})).await, first);
    assert_eq!(on.read("things/a").await, json!({"n": 1.0}));
}

async fn keeps(on: &Backend, document: Json) {
    on.put("things/a", document.clone()).await;
    assert_eq!(on.read("things/a").await, document);
}

/// A document that holds this value.
fn with(on: &Backend, value: Value) -> Write {
    let mut write = on.set("things/a", &json!({}));
    if let Some(Operation::Update(document)) = &mut write.operation {
        document.fields.insert("value".into(), value);
    }
    write
}
