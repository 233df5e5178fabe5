//! Field paths: dot-separated names, those that are not identifiers in backticks.

use std::{collections::HashMap, fmt};

use gcloud_sdk::google::firestore::v1::{MapValue, Value, value::ValueType};

use crate::limits::{FIELD_NAME_BYTES_MAX, VALUE_DEPTH_MAX};

/// The pseudo field that stands for a document's name in queries.
pub(crate) const NAME_FIELD: &str = "__name__";

/// Why a field path is refused; the texts follow Google's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldPathError {
    /// No text at all.
    #[error("Invalid empty property path string.")]
    Empty,
    /// Not of the grammar.
    #[error(
        "Invalid property path \"{0}\". Unquoted property paths must match regex \
         ([a-zA-Z_][a-zA-Z_0-9]*), and quoted property paths must match regex \
         (`(?:[^`\\\\]|(?:\\\\.))+`)"
    )]
    Grammar(String),
    /// A segment is of the form `__…__`.
    #[error("field name {0} is reserved")]
    Reserved(String),
    /// A segment is too long.
    #[error("The property.name is longer than {FIELD_NAME_BYTES_MAX} bytes.")]
    TooLong,
    /// More segments than a value can have levels.
    #[error("Property path \"{0}\" has more than {VALUE_DEPTH_MAX} nested names.")]
    TooDeep(String),
}

/// A non-empty list of field names, from the document inwards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FieldPath(Vec<String>);

impl FieldPath {
    /// Reads a path of a mask or a transform; a reserved name is refused.
    pub(crate) fn parse(text: &str) -> Result<Self, FieldPathError> {
        let path = Self::parse_any(text)?;
        path.0.iter().try_for_each(|name| check_name(name))?;
        Ok(path)
    }

    /// Reads a path of a query, where `__name__` is the document's name.
    pub(crate) fn parse_for_query(text: &str) -> Result<Self, FieldPathError> {
        if text == NAME_FIELD { Ok(Self::name()) } else { Self::parse(text) }
    }

    /// `__name__`.
    pub(crate) fn name() -> Self {
        Self(vec![NAME_FIELD.into()])
    }

    /// Whether this is `__name__`.
    pub(crate) fn is_name(&self) -> bool {
        matches!(self.0.as_slice(), [only] if only == NAME_FIELD)
    }

    /// Whether this path is `outer` or leads further inwards.
    pub(crate) fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// The value at this path.
    pub(crate) fn get<'a>(&self, fields: &'a HashMap<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(fields.get(first)?, |value, name| match &value.value_type {
            Some(ValueType::MapValue(map)) => map.fields.get(name),
            _not_a_map => None,
        })
    }

    /// Puts `value` at this path; what is not a map on the way becomes one.
    pub(crate) fn set(&self, fields: &mut HashMap<String, Value>, value: Value) {
        set_at(&self.0, fields, value);
    }

    /// Takes away what is at this path; nothing else changes.
    pub(crate) fn remove(&self, fields: &mut HashMap<String, Value>) {
        let Some((last, outer)) = self.0.split_last() else { return };
        let mut map = fields;
        for name in outer {
            match map.get_mut(name).and_then(|value| value.value_type.as_mut()) {
                Some(ValueType::MapValue(inner)) => map = &mut inner.fields,
                _not_a_map => return,
            }
        }
        map.remove(last);
    }

    /// The grammar alone, by hand: the pattern in Google's message, without a regex engine.
    fn parse_any(text: &str) -> Result<Self, FieldPathError> {
        if text.is_empty() {
            return Err(FieldPathError::Empty);
        }
        let mut names = Vec::new();
        let mut rest = text;
        loop {
            let (name, tail) =
                segment(rest).ok_or_else(|| FieldPathError::Grammar(text.to_owned()))?;
            names.push(name);
            if tail.is_empty() {
                break;
            }
            if names.len() >= VALUE_DEPTH_MAX {
                return Err(FieldPathError::TooDeep(text.into()));
            }
            rest =
                tail.strip_prefix('.').ok_or_else(|| FieldPathError::Grammar(text.to_owned()))?;
        }
        Ok(Self(names))
    }
}

/// Refuses a name that no field may have.
pub(crate) fn check_name(name: &str) -> Result<(), FieldPathError> {
    if name.len() > FIELD_NAME_BYTES_MAX {
        return Err(FieldPathError::TooLong);
    }
    if name.len() >= 4 && name.starts_with("__") && name.ends_with("__") {
        return Err(FieldPathError::Reserved(name.into()));
    }
    Ok(())
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, name) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(".")?;
            }
            if is_identifier(name) {
                f.write_str(name)?;
            } else {
                write!(f, "`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))?;
            }
        }
        Ok(())
    }
}

fn set_at(path: &[String], fields: &mut HashMap<String, Value>, value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        fields.insert(first.clone(), value);
        return;
    }
    let mut inner = match fields.remove(first).and_then(|value| value.value_type) {
        Some(ValueType::MapValue(map)) => map,
        _not_a_map => MapValue::default(),
    };
    set_at(rest, &mut inner.fields, value);
    let inner = Value { value_type: Some(ValueType::MapValue(inner)) };
    fields.insert(first.clone(), inner);
}

/// The first name of a path and what follows it.
fn segment(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('`') {
        return quoted_segment(quoted);
    }
    let end = text.find('.').unwrap_or(text.len());
    let (name, tail) = text.split_at_checked(end)?;
    is_identifier(name).then(|| (name.to_owned(), tail))
}

fn quoted_segment(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '`' if name.is_empty() => return None,
            '`' => return Some((name, chars.as_str())),
            '\\' => name.push(chars.next()?),
            plain => name.push(plain),
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quoted_names_may_hold_anything() {
        let path = FieldPath::parse("entries.`0123456789abcdefghjkmnpqrs`.`a.b\\`c\\\\d`").unwrap();
        let names = ["entries", "0123456789abcdefghjkmnpqrs", "a.b`c\\d"];
        assert_eq!(path, FieldPath(names.map(String::from).to_vec()));
    }

    #[test]
    fn what_is_not_of_the_grammar_is_refused() {
        for text in ["0a", "a.", ".a", "a..b", "`a", "``", "`a`b", "a b", "a.`", "`a\\", "é"] {
            let grammar = Err(FieldPathError::Grammar(text.into()));
            assert_eq!(FieldPath::parse(text), grammar, "{text}");
        }
        assert_eq!(FieldPath::parse(""), Err(FieldPathError::Empty));
    }

    #[test]
    fn reserved_names_are_refused_except_the_name_in_queries() {
        let reserved = FieldPathError::Reserved(NAME_FIELD.into());
        assert_eq!(FieldPath::parse("__name__"), Err(reserved));
        assert!(FieldPath::parse_for_query("__name__").unwrap().is_name());
    }

    #[test]
    fn set_get_and_remove_reach_nested_fields() {
        let path = FieldPath::parse("a.b").unwrap();
        let mut fields = HashMap::new();
        let value = Value { value_type: Some(ValueType::IntegerValue(7)) };
        path.set(&mut fields, value.clone());
        assert_eq!(path.get(&fields), Some(&value));
        path.remove(&mut fields);
        assert_eq!(path.get(&fields), None);
        assert!(fields.contains_key("a"));
    }

    proptest! {
        #[test]
        fn printing_and_reading_a_path_gives_it_back(
            names in prop::collection::vec("[a-z`\\\\. é0-9]{1,6}", 1..5)
        ) {
            let path = FieldPath(names);
            prop_assert_eq!(FieldPath::parse(&path.to_string()), Ok(path));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}") {
            let _outcome: Result<_, _> = FieldPath::parse(&text);
        }
    }
}
