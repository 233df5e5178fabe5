//! JSON that is kept and not understood: objects whose fields stay as the text that came.
//!
//! A generic JSON value would read numbers as 64-bit and change those that do not fit; here every number stays the
//! digits it was. (`serde_json`'s `arbitrary_precision` would too, but a feature holds for the whole program.)

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// How deep unread fields may nest. IAM's nest a handful deep; the walk below uses the stack.
const DEPTH_MAX: usize = 32;

/// An object: its fields sorted by name, each the text of its value. A name that occurs twice is an error, for one of
/// the two would be lost.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Fields(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate field {name:?}")));
            }
            fields.insert(name, value);
        }
        Ok(Fields(fields))
    }
}

impl Fields {
    /// Takes a field out; its default if it is absent, as in every JSON of Google's.
    pub(crate) fn take<T: DeserializeOwned + Default>(
        &mut self,
        name: &str,
    ) -> Result<T, serde_json::Error> {
        self.0
            .remove(name)
            .map_or_else(|| Ok(T::default()), |value| serde_json::from_str(value.get()))
    }

    /// Puts a field in.
    pub(crate) fn put(
        &mut self,
        name: &str,
        value: &impl Serialize,
    ) -> Result<(), serde_json::Error> {
        self.0.insert(name.to_owned(), to_raw_value(value)?);
        Ok(())
    }

    /// Puts a text in, unless it is empty: Google's JSON leaves empty fields out.
    pub(crate) fn put_text(&mut self, name: &str, text: &str) -> Result<(), serde_json::Error> {
        if text.is_empty() { Ok(()) } else { self.put(name, &text) }
    }

    /// What is left, as canonical text: names sorted by their UTF-8 bytes at every level, no white space, numbers as
    /// they came, strings in their shortest escapes.
    pub(crate) fn canonical(&self) -> Result<String, serde_json::Error> {
        let mut text = String::new();
        write_object(self, &mut text, DEPTH_MAX)?;
        Ok(text)
    }

    /// The fields of a canonical text.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

fn write_value(value: &RawValue, text: &mut String, depth: usize) -> Result<(), serde_json::Error> {
    let raw = value.get();
    match raw.as_bytes().first() {
        Some(b'{') => write_object(&serde_json::from_str(raw)?, text, deeper(depth)?),
        Some(b'[') => {
            write_array(&serde_json::from_str::<Vec<Box<RawValue>>>(raw)?, text, deeper(depth)?)
        }
        Some(b'"') => {
            text.push_str(&serde_json::to_string(&serde_json::from_str::<String>(raw)?)?);
            Ok(())
        }
        _ => {
            text.push_str(raw);
            Ok(())
        }
    }
}

fn write_object(fields: &Fields, text: &mut String, depth: usize) -> Result<(), serde_json::Error> {
    text.push('{');
    for (position, (name, value)) in fields.0.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(name)?);
        text.push(':');
        write_value(value, text, depth)?;
    }
    text.push('}');
    Ok(())
}

fn write_array(
    values: &[Box<RawValue>],
    text: &mut String,
    depth: usize,
) -> Result<(), serde_json::Error> {
    text.push('[');
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write_value(value, text, depth)?;
    }
    text.push(']');
    Ok(())
}

fn deeper(depth: usize) -> Result<usize, serde_json::Error> {
    depth
        .checked_sub(1)
        .ok_or_else(|| serde_json::Error::custom(format!("nests deeper than {DEPTH_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, serde_json::Error> {
        Fields::parse(text)?.canonical()
    }

    #[test]
    fn names_are_sorted_and_numbers_stay_as_they_came() {
        let text = r#" { "b" : [ 1.50, -0, 1E400, 123456789012345678901234567890 , {"z":null,"a":true} ], "a" : "\u00e9\/\n" } "#;
        let expected = r#"{"a":"é/\n","b":[1.50,-0,1E400,123456789012345678901234567890,{"a":true,"z":null}]}"#;
        assert_eq!(canonical(text).unwrap(), expected);
        assert_eq!(canonical(expected).unwrap(), expected);
    }

    #[test]
    fn a_name_that_occurs_twice_is_an_error_at_every_level() {
        assert!(canonical(r#"{"a":1,"a":1}"#).is_err());
        assert!(canonical(r#"{"a":{"b":1,"\u0062":2}}"#).is_err());
        assert!(canonical(r#"{"a":[{"b":1,"b":2}]}"#).is_err());
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        let nested =
            |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(canonical(&nested(DEPTH_MAX)).is_ok());
        assert!(canonical(&nested(DEPTH_MAX + 1)).is_err());
        assert!(canonical(&nested(50_000)).is_err());
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["", "[]", "1", "null", "{", r#"{"a":"\ud800"}"#, r#"{"a":01}"#, "{}x"] {
            assert!(canonical(text).is_err(), "{text:?}");
        }
    }
}
