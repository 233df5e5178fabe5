//! Values as JSON, so that a case reads as data. What JSON lacks is an object with one key that begins with `$`:
//! `{"$time": microseconds}`, `{"$bytes": text}`, `{"$reference": name}`, `{"$point": [latitude, longitude]}` and
//! `{"$double": "NaN" | "inf" | "-inf"}`.

use std::collections::HashMap;

use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{ArrayValue, MapValue, Value};
use gcloud_sdk::google::r#type::LatLng;
use gcloud_sdk::prost_types::Timestamp;
use serde_json::{Map, Value as Json, json};

/// The value that a JSON text stands for. A number with a point is a double.
pub(super) fn value(json: &Json) -> Value {
    let value_type = match json {
        Json::Null => ValueType::NullValue(0),
        Json::Bool(boolean) => ValueType::BooleanValue(*boolean),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => ValueType::IntegerValue(integer),
            None => ValueType::DoubleValue(number.as_f64().unwrap()),
        },
        Json::String(text) => ValueType::StringValue(text.clone()),
        Json::Array(items) => ValueType::ArrayValue(array(items)),
        Json::Object(entries) => special(entries)
            .unwrap_or_else(|| ValueType::MapValue(MapValue { fields: fields(json) })),
    };
    Value { value_type: Some(value_type) }
}

/// The fields that a JSON object stands for.
pub(super) fn fields(json: &Json) -> HashMap<String, Value> {
    let entries = json.as_object().expect("fields are an object");
    entries.iter().map(|(name, json)| (name.clone(), value(json))).collect()
}

pub(super) fn array(items: &[Json]) -> ArrayValue {
    ArrayValue { values: items.iter().map(value).collect() }
}

fn special(entries: &Map<String, Json>) -> Option<ValueType> {
    let (key, json) = entries.iter().next().filter(|_| entries.len() == 1)?;
    let special = match key.as_str() {
        "$time" => ValueType::TimestampValue(timestamp(json.as_i64()?)),
        "$bytes" => ValueType::BytesValue(json.as_str()?.into()),
        "$reference" => ValueType::ReferenceValue(json.as_str()?.into()),
        "$double" => ValueType::DoubleValue(json.as_str()?.parse().ok()?),
        "$point" => ValueType::GeoPointValue(LatLng {
            latitude: json[0].as_f64()?,
            longitude: json[1].as_f64()?,
        }),
        _ => return None,
    };
    Some(special)
}

/// The other way.
pub(super) fn json(value: &Value) -> Json {
    let Some(value_type) = &value.value_type else { return json!("no type") };
    match value_type {
        ValueType::NullValue(_) => Json::Null,
        ValueType::BooleanValue(boolean) => json!(boolean),
        ValueType::IntegerValue(integer) => json!(integer),
        ValueType::DoubleValue(double) if double.is_finite() => json!(double),
        ValueType::DoubleValue(double) => json!({"$double": double.to_string()}),
        ValueType::StringValue(text) => json!(text),
        ValueType::TimestampValue(time) => json!({"$time": micros(*time)}),
        ValueType::BytesValue(bytes) => json!({"$bytes": String::from_utf8_lossy(bytes)}),
        ValueType::ReferenceValue(name) => json!({"$reference": name}),
        ValueType::GeoPointValue(point) => json!({"$point": [point.latitude, point.longitude]}),
        ValueType::ArrayValue(array) => array.values.iter().map(self::json).collect(),
        ValueType::MapValue(map) => shown(&map.fields),
        ValueType::FieldReferenceValue(_)
        | ValueType::VariableReferenceValue(_)
        | ValueType::FunctionValue(_)
        | ValueType::PipelineValue(_) => json!("no value of a document"),
    }
}

/// Fields as a JSON object.
pub(super) fn shown(fields: &HashMap<String, Value>) -> Json {
    fields.iter().map(|(name, value)| (name.clone(), json(value))).collect()
}

pub(super) fn timestamp(micros: i64) -> Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000)).unwrap() * 1_000;
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// Microseconds since the epoch; Firestore's times have no finer part.
#[track_caller]
pub(super) fn micros(time: Timestamp) -> i64 {
    assert_eq!(time.nanos % 1_000, 0, "finer than a microsecond: {time:?}");
    time.seconds * 1_000_000 + i64::from(time.nanos / 1_000)
}

#[test]
fn every_kind_of_value_survives_the_way_through_json() {
    let all = json!({
        "null": null, "boolean": true, "integer": i64::MIN, "double": -1.5, "text": "ä",
        "nan": {"$double": "NaN"}, "small": {"$double": "-inf"}, "time": {"$time": -1},
        "bytes": {"$bytes": "b"}, "reference": {"$reference": "r"}, "point": {"$point": [1.0, -2.0]},
        "list": [1, {"a": 2.0}], "map": {"$other": 1},
    });
    assert_eq!(shown(&fields(&all)), all);
}
