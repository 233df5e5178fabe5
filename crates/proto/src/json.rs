//! Proto3 JSON, strictly.
//!
//! Reading refuses unknown fields and any other spelling of a known one, duplicate keys, wrong types, numbers that do
//! not fit, nesting beyond [`NESTING_MAX`], and whatever is no JSON text; every error names its field. `null` says of any
//! known field that it is left out, and is refused in lists. The size of the text is the caller's to bound.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use prost_reflect::ReflectMessage;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::walk::{self, FieldError, Form, Leaf, LeafKind};

/// How deep objects and lists may nest; the contract's own messages need less than half of it.
pub const NESTING_MAX: usize = 16;

/// Why a text is not the JSON of a message.
pub type JsonError = FieldError;

/// The JSON of a message: optional fields and messages that are unset are left out, all other fields are there.
pub fn to_json<M: ReflectMessage>(message: &M) -> Value {
    walk::write(&message.transcode_to_dynamic())
}

/// Reads the JSON of a message. A field that is left out has its default.
pub fn from_json<M: ReflectMessage + Default>(bytes: &[u8]) -> Result<M, JsonError> {
    from_value(&parse(bytes)?)
}

pub(crate) fn from_value<M: ReflectMessage + Default>(value: &Value) -> Result<M, JsonError> {
    walk::read(value)
}

/// Parses a JSON text, refusing duplicate keys and deep nesting.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut path = String::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Strict { path: &mut path, depth: 0 }.deserialize(&mut deserializer);
    match parsed.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) => Err(FieldError::new(&path, error.to_string())),
    }
}

/// Builds a [`Value`]; `path` is where the reading stands, and stays there on an error.
struct Strict<'a> {
    path: &'a mut String,
    depth: usize,
}

impl Strict<'_> {
    fn below(&mut self) -> Strict<'_> {
        Strict { path: self.path, depth: self.depth + 1 }
    }

    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth < NESTING_MAX {
            Ok(())
        } else {
            Err(E::custom(format_args!("nests deeper than {NESTING_MAX} levels")))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("must be a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut list = Vec::new();
        let length = self.path.len();
        loop {
            let index = list.len().to_string();
            self.path.extend(["[", &index, "]"]);
            let Some(item) = items.next_element_seed(self.below())? else { break };
            self.path.truncate(length);
            list.push(item);
        }
        self.path.truncate(length);
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut object = Map::new();
        let length = self.path.len();
        while let Some(key) = entries.next_key::<String>()? {
            walk::push_name(self.path, &key);
            if object.contains_key(&key) {
                return Err(A::Error::custom("occurs twice"));
            }
            let value = entries.next_value_seed(self.below())?;
            self.path.truncate(length);
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

impl Form for Value {
    const REFUSES_UNKNOWN_FIELDS: bool = true;

    /// As proto3 JSON has it (<https://protobuf.dev/programming-guides/json/>).
    const NULL_UNSETS_EVERY_FIELD: bool = true;

    fn object(fields: Vec<(String, Self)>) -> Self {
        Self::Object(fields.into_iter().collect())
    }

    fn list(items: Vec<Self>) -> Self {
        Self::Array(items)
    }

    fn leaf(leaf: Leaf) -> Self {
        match leaf {
            Leaf::Bool(value) => Self::Bool(value),
            Leaf::Int(number) => Self::from(number),
            // Programs that read numbers as doubles would lose the last digits.
            Leaf::Long(number) => Self::String(number.to_string()),
            Leaf::Text(text) => Self::String(text),
            Leaf::Time(at) => Self::String(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Leaf::Span(seconds) => Self::String(format!("{seconds}s")),
        }
    }

    fn as_object(&self) -> Option<impl Iterator<Item = (&str, &Self)>> {
        Value::as_object(self).map(|object| object.iter().map(|(key, value)| (key.as_str(), value)))
    }

    fn as_list(&self) -> Option<&[Self]> {
        self.as_array().map(Vec::as_slice)
    }

    fn is_null(&self) -> bool {
        Value::is_null(self)
    }

    fn as_leaf(&self, kind: LeafKind) -> Result<Leaf, &'static str> {
        match kind {
            LeafKind::Bool => self.as_bool().map(Leaf::Bool).ok_or("must be true or false"),
            LeafKind::Int => self.as_i64().map(Leaf::Int).ok_or("must be an integer"),
            LeafKind::Long => self
                .as_str()
                .and_then(integer)
                .map(Leaf::Long)
                .ok_or("must be an integer in a string"),
            LeafKind::Text => {
                self.as_str().map(|text| Leaf::Text(text.to_owned())).ok_or("must be a string")
            }
            LeafKind::Time => self
                .as_str()
                .and_then(rfc3339)
                .map(Leaf::Time)
                .ok_or("must be an RFC 3339 time such as \"2026-01-31T09:00:00Z\""),
            LeafKind::Span => self
                .as_str()
                .and_then(|text| integer(text.strip_suffix('s')?))
                .map(Leaf::Span)
                .ok_or("must be whole seconds such as \"3600s\""),
        }
    }
}

/// An integer in its one decimal form.
fn integer(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

fn rfc3339(text: &str) -> Option<DateTime<Utc>> {
    // `chrono` also takes a space where RFC 3339 has its `T`.
    let shaped = matches!(text.as_bytes().get(10), Some(b'T'));
    DateTime::parse_from_rfc3339(text).ok().filter(|_| shaped).map(|at| at.to_utc())
}

#[cfg(test)]
mod tests;
