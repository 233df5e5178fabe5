//! Between Firestore's values and the store values of the contract.

use std::collections::{BTreeMap, HashMap};

use curfew_proto::native::Native;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{ArrayValue, MapValue, Value};

use crate::answer;

/// Items of one list or map that are looked at; a longer one is nothing. No document that we write can come near: the
/// smallest envelope or fact with its mac or signature has more than 64 bytes, and a document 1 MiB. A hostile one
/// could hold a million items, each costing us many times its own size.
const ITEMS_MAX: usize = 16 * 1024;

/// The fields of a document or map.
pub(crate) type Fields = HashMap<String, Value>;

/// A store value as Firestore takes it.
pub(crate) fn to_firestore(native: Native) -> Value {
    let value = match native {
        Native::Null => ValueType::NullValue(0),
        Native::Bool(value) => ValueType::BooleanValue(value),
        Native::Int(number) => ValueType::IntegerValue(number),
        Native::Double(number) => ValueType::DoubleValue(number),
        Native::Text(text) => ValueType::StringValue(text),
        Native::Bytes(bytes) => ValueType::BytesValue(bytes),
        Native::Time(time) => ValueType::TimestampValue(answer::timestamp(time)),
        Native::List(items) => ValueType::ArrayValue(ArrayValue {
            values: items.into_iter().map(to_firestore).collect(),
        }),
        Native::Map(map) => ValueType::MapValue(MapValue { fields: fields(map) }),
    };
    Value { value_type: Some(value) }
}

/// A message's store values as the fields of a document.
pub(crate) fn to_fields(native: Native) -> Fields {
    if let Native::Map(map) = native { fields(map) } else { Fields::new() }
}

/// A map of one value, as a field.
pub(crate) fn map_of(key: impl Into<String>, value: Value) -> Value {
    let fields = Fields::from([(key.into(), value)]);
    Value { value_type: Some(ValueType::MapValue(MapValue { fields })) }
}

/// A value of a document that anybody may have written. What the contract has no word for is nothing.
pub(crate) fn from_firestore(value: Value) -> Native {
    match value.value_type {
        Some(ValueType::BooleanValue(value)) => Native::Bool(value),
        Some(ValueType::IntegerValue(number)) => Native::Int(number),
        Some(ValueType::DoubleValue(number)) => Native::Double(number),
        Some(ValueType::StringValue(text)) => Native::Text(text),
        Some(ValueType::BytesValue(bytes)) => Native::Bytes(bytes),
        Some(ValueType::TimestampValue(at)) => answer::time(&at).map_or(Native::Null, Native::Time),
        Some(ValueType::ArrayValue(array)) if array.values.len() <= ITEMS_MAX => {
            Native::List(array.values.into_iter().map(from_firestore).collect())
        }
        Some(ValueType::MapValue(map)) => from_fields(map.fields),
        Some(
            ValueType::NullValue(_)
            | ValueType::ReferenceValue(_)
            | ValueType::GeoPointValue(_)
            | ValueType::ArrayValue(_)
            | ValueType::FieldReferenceValue(_)
            | ValueType::VariableReferenceValue(_)
            | ValueType::FunctionValue(_)
            | ValueType::PipelineValue(_),
        )
        | None => Native::Null,
    }
}

/// The fields of a document or map that anybody may have written.
pub(crate) fn from_fields(fields: Fields) -> Native {
    if fields.len() > ITEMS_MAX {
        return Native::Null;
    }
    let values = fields.into_iter().map(|(name, value)| (name, from_firestore(value)));
    Native::Map(values.collect())
}

/// The text at a path of field names.
pub(crate) fn text_at<'a>(fields: &'a Fields, path: &str) -> Option<&'a str> {
    if let ValueType::StringValue(text) = value_at(fields, path)? { Some(text) } else { None }
}

/// The value at a path of field names, none of which needs quoting.
pub(crate) fn value_at<'a>(fields: &'a Fields, path: &str) -> Option<&'a ValueType> {
    let (first, rest) =
        path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = fields.get(first)?.value_type.as_ref()?;
    match (rest, value) {
        (None, value) => Some(value),
        (Some(rest), ValueType::MapValue(map)) => value_at(&map.fields, rest),
        (Some(_), _) => None,
    }
}

fn fields(map: BTreeMap<String, Native>) -> Fields {
    map.into_iter().map(|(name, value)| (name, to_firestore(value))).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use gcloud_sdk::prost_types::Timestamp;

    use super::*;

    #[test]
    fn every_store_value_survives_the_way_there_and_back() {
        let time = DateTime::from_timestamp_micros(1_795_332_569_591_892).unwrap();
        let natives = [
            Native::Null,
            Native::Bool(true),
            Native::Int(i64::MIN),
            Native::Double(0.5),
            Native::Text("é".into()),
            Native::Bytes(vec![0, 255]),
            Native::Time(time),
            Native::List(vec![Native::Int(1), Native::Null]),
            Native::Map(BTreeMap::from([("a.`b".into(), Native::Bool(false))])),
        ];
        for native in natives {
            assert_eq!(from_firestore(to_firestore(native.clone())), native);
        }
    }

    #[test]
    fn what_the_contract_has_no_word_for_is_nothing() {
        let out_of_range = Timestamp { seconds: i64::MAX, nanos: 0 };
        let values = [
            ValueType::ReferenceValue("a".into()),
            ValueType::TimestampValue(out_of_range),
            ValueType::ArrayValue(ArrayValue { values: vec![Value::default(); ITEMS_MAX + 1] }),
        ];
        for value in values {
            assert_eq!(from_firestore(Value { value_type: Some(value) }), Native::Null);
        }
        assert_eq!(from_firestore(Value::default()), Native::Null);
    }

    #[test]
    fn a_path_leads_through_maps_only() {
        let fields =
            Fields::from([("a".to_owned(), map_of("b", to_firestore(Native::Text("c".into()))))]);
        assert_eq!(text_at(&fields, "a.b"), Some("c"));
        for path in ["", "a", "a.b.c", "b", "a.c"] {
            assert_eq!(text_at(&fields, path), None, "{path:?}");
        }
    }
}
