//! Store values: what a document's fields natively are.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use prost_reflect::ReflectMessage;

use crate::walk::{self, FieldError, Form, Leaf, LeafKind};

/// A value of a document, as Firestore knows them.
#[derive(Debug, Clone, PartialEq)]
pub enum Native {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer; also a duration in whole seconds.
    Int(i64),
    /// A floating-point number. No message of the contract writes one.
    Double(f64),
    /// Text; also the name of an enum's value.
    Text(String),
    /// Bytes. No message of the contract writes them.
    Bytes(Vec<u8>),
    /// A time, to the microsecond.
    Time(DateTime<Utc>),
    /// A list.
    List(Vec<Native>),
    /// Values by name.
    Map(BTreeMap<String, Native>),
}

/// Why store values are no message.
pub type NativeError = FieldError;

/// The store values of a message, by lowerCamelCase names: optional fields and messages that are unset are absent,
/// all other fields are there. Times are cut to microseconds, durations to whole seconds.
pub fn to_native<M: ReflectMessage>(message: &M) -> Native {
    walk::write(&message.transcode_to_dynamic())
}

/// Reads a message. Unknown fields are skipped, as a newer version may have written them; a known field of another
/// type is an error.
pub fn from_native<M: ReflectMessage + Default>(value: &Native) -> Result<M, NativeError> {
    walk::read(value)
}

/// Reads what can be read, and says what could not: a faulty field stays unset, a faulty item of a list or map is
/// empty, so that items keep their places. For documents that anybody may have written.
pub fn salvage_native<M: ReflectMessage + Default>(value: &Native) -> (M, Vec<NativeError>) {
    walk::salvage(value)
}

impl Form for Native {
    const REFUSES_UNKNOWN_FIELDS: bool = false;
    const NULL_UNSETS_EVERY_FIELD: bool = false;

    fn object(fields: Vec<(String, Self)>) -> Self {
        Self::Map(fields.into_iter().collect())
    }

    fn list(items: Vec<Self>) -> Self {
        Self::List(items)
    }

    fn leaf(leaf: Leaf) -> Self {
        match leaf {
            Leaf::Bool(value) => Self::Bool(value),
            Leaf::Int(number) | Leaf::Long(number) | Leaf::Span(number) => Self::Int(number),
            Leaf::Text(text) => Self::Text(text),
            Leaf::Time(at) => Self::Time(at.trunc_subsecs(6)),
        }
    }

    fn as_object(&self) -> Option<impl Iterator<Item = (&str, &Self)>> {
        let Self::Map(map) = self else { return None };
        Some(map.iter().map(|(key, value)| (key.as_str(), value)))
    }

    fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    fn as_leaf(&self, kind: LeafKind) -> Result<Leaf, &'static str> {
        match (kind, self) {
            (LeafKind::Bool, Self::Bool(value)) => Ok(Leaf::Bool(*value)),
            (LeafKind::Int, Self::Int(number)) => Ok(Leaf::Int(*number)),
            (LeafKind::Long, Self::Int(number)) => Ok(Leaf::Long(*number)),
            (LeafKind::Span, Self::Int(seconds)) => Ok(Leaf::Span(*seconds)),
            (LeafKind::Text, Self::Text(text)) => Ok(Leaf::Text(text.clone())),
            (LeafKind::Time, Self::Time(at)) => Ok(Leaf::Time(at.trunc_subsecs(6))),
            (LeafKind::Bool, _) => Err("must be a boolean"),
            (LeafKind::Int | LeafKind::Long, _) => Err("must be an integer"),
            (LeafKind::Span, _) => Err("must be an integer of seconds"),
            (LeafKind::Text, _) => Err("must be a string"),
            (LeafKind::Time, _) => Err("must be a timestamp"),
        }
    }
}

#[cfg(test)]
mod tests;
