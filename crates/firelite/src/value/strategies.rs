//! Values for tests: short constructors and random values that often collide.

use gcloud_sdk::google::{
    firestore::v1::{ArrayValue, MapValue, Value, value::ValueType},
    r#type::LatLng,
};
use proptest::prelude::*;

pub(crate) fn int(integer: i64) -> Value {
    Value { value_type: Some(ValueType::IntegerValue(integer)) }
}

pub(crate) fn float(double: f64) -> Value {
    Value { value_type: Some(ValueType::DoubleValue(double)) }
}

pub(crate) fn boolean(boolean: bool) -> Value {
    Value { value_type: Some(ValueType::BooleanValue(boolean)) }
}

pub(crate) fn text(text: &str) -> Value {
    Value { value_type: Some(ValueType::StringValue(text.into())) }
}

pub(crate) fn bytes(bytes: &[u8]) -> Value {
    Value { value_type: Some(ValueType::BytesValue(bytes.into())) }
}

pub(crate) fn timestamp(seconds: i64, nanos: i32) -> Value {
    Value { value_type: Some(ValueType::TimestampValue(prost_types::Timestamp { seconds, nanos })) }
}

pub(crate) fn geo(latitude: f64, longitude: f64) -> Value {
    Value { value_type: Some(ValueType::GeoPointValue(LatLng { latitude, longitude })) }
}

pub(crate) fn array(values: Vec<Value>) -> Value {
    Value { value_type: Some(ValueType::ArrayValue(ArrayValue { values })) }
}

pub(crate) fn map(entries: &[(&str, Value)]) -> Value {
    let fields = entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect();
    Value { value_type: Some(ValueType::MapValue(MapValue { fields })) }
}

pub(crate) fn any_id() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,3}", "__id-?[0-9]{1,3}__", "[\u{0}\u{1}é]{1,2}"]
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(super::null()),
        any::<bool>().prop_map(boolean),
        prop_oneof![any::<i64>(), -3_i64..3].prop_map(int),
        prop_oneof![any::<f64>(), (-3_i8..3).prop_map(f64::from), Just(-0.0), Just(f64::NAN)]
            .prop_map(float),
        (-2_i64..2, 0_i32..3).prop_map(|(seconds, nanos)| timestamp(seconds, nanos * 1_000)),
        "[a\u{0}\u{1}\u{ff}é]{0,3}".prop_map(|s| text(&s)),
        prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4)
            .prop_map(|b| bytes(&b)),
        prop::collection::vec(any_id(), 1..4).prop_map(|ids| super::reference(ids.join("/"))),
        (-2_i8..2, -2_i8..2).prop_map(|(lat, lng)| geo(f64::from(lat), f64::from(lng))),
    ]
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    any_scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(array),
            prop::collection::hash_map("[ab\u{0}]{0,2}", inner, 0..3).prop_map(|fields| Value {
                value_type: Some(ValueType::MapValue(MapValue { fields }))
            }),
        ]
    })
}
