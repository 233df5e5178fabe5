//! Field values: their order, their byte encoding for indexes, their limits.
//!
//! [`compare`] and [`encode`] are two forms of one order, tied together by property tests:
//! `encode(a) < encode(b)` exactly when `compare(a, b)` is `Less`. Source of the order:
//! <https://cloud.google.com/firestore/docs/concepts/data-types#value_type_ordering>.

mod check;
mod encode;
mod order;
#[cfg(test)]
pub(crate) mod strategies;

pub(crate) use check::{ValueError, check_document};
pub(crate) use encode::{class_tag, document_id, invert, numeric_id, prefix_end, value as encode};
pub(crate) use order::{compare, is_identical, number};

use gcloud_sdk::google::firestore::v1::{Value, value::ValueType};

/// The classes of values in their order; values of different classes never compare by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Class {
    /// Null, and the value without a type that old clients send for it.
    Null = 0x10,
    /// False before true.
    Boolean = 0x20,
    /// Integers and doubles together; NaN first.
    Number = 0x30,
    /// By instant.
    Timestamp = 0x40,
    /// By UTF-8 bytes.
    String = 0x50,
    /// By bytes.
    Bytes = 0x60,
    /// By path, segment by segment.
    Reference = 0x70,
    /// By latitude, then longitude.
    GeoPoint = 0x80,
    /// Element by element; the shorter first.
    Array = 0x90,
    /// By sorted key and its value, pair by pair; the shorter first.
    Map = 0xA0,
}

/// The class of a value. What only pipelines may hold never gets past [`check_document`]; it
/// counts as null here.
pub(crate) fn class(value: &Value) -> Class {
    match &value.value_type {
        Some(ValueType::BooleanValue(_)) => Class::Boolean,
        Some(ValueType::IntegerValue(_) | ValueType::DoubleValue(_)) => Class::Number,
        Some(ValueType::TimestampValue(_)) => Class::Timestamp,
        Some(ValueType::StringValue(_)) => Class::String,
        Some(ValueType::BytesValue(_)) => Class::Bytes,
        Some(ValueType::ReferenceValue(_)) => Class::Reference,
        Some(ValueType::GeoPointValue(_)) => Class::GeoPoint,
        Some(ValueType::ArrayValue(_)) => Class::Array,
        Some(ValueType::MapValue(_)) => Class::Map,
        None
        | Some(
            ValueType::NullValue(_)
            | ValueType::FieldReferenceValue(_)
            | ValueType::VariableReferenceValue(_)
            | ValueType::FunctionValue(_)
            | ValueType::PipelineValue(_),
        ) => Class::Null,
    }
}

/// Null.
pub(crate) fn null() -> Value {
    Value { value_type: Some(ValueType::NullValue(0)) }
}

/// A reference to a document by its full name.
pub(crate) fn reference(name: impl Into<String>) -> Value {
    Value { value_type: Some(ValueType::ReferenceValue(name.into())) }
}

/// Whether a value is the double NaN.
pub(crate) fn is_nan(value: &Value) -> bool {
    matches!(value.value_type, Some(ValueType::DoubleValue(double)) if double.is_nan())
}
