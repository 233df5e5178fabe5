//! The one walker over the descriptors: between messages and any tree of objects, lists and single values.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};

/// The longest field path in an error, in characters: a hostile key must not fill a log line.
const PATH_LENGTH_MAX: usize = 200;

/// What protobuf lets a `google.protobuf.Timestamp` say, in seconds: 0001-01-01T00:00:00Z.
const TIME_SECONDS_MIN: i64 = -62_135_596_800;

/// 9999-12-31T23:59:59Z, as [`TIME_SECONDS_MIN`].
const TIME_SECONDS_MAX: i64 = 253_402_300_799;

/// What protobuf lets a `google.protobuf.Duration` say, in seconds: 10,000 years.
const SPAN_SECONDS_MAX: i64 = 315_576_000_000;

const TIMESTAMP: &str = "google.protobuf.Timestamp";
const DURATION: &str = "google.protobuf.Duration";

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if field.is_empty() { "body" } else { field })]
pub struct FieldError {
    /// The path of the field, such as `roles[0].role`; empty for the whole.
    pub field: String,
    /// What is wrong with it, for people.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(path: &str, message: impl Into<String>) -> Self {
        let mut field: String = path.chars().take(PATH_LENGTH_MAX).collect();
        if field.len() < path.len() {
            field.push('…');
        }
        Self { field, message: message.into() }
    }
}

/// A single value, in the words that every form shares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leaf {
    Bool(bool),
    /// An integer of 32 bits.
    Int(i64),
    /// An integer of 64 bits.
    Long(i64),
    Text(String),
    Time(DateTime<Utc>),
    /// Whole seconds.
    Span(i64),
}

/// Which kind of single value a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeafKind {
    Bool,
    Int,
    Long,
    Text,
    Time,
    Span,
}

/// A tree of objects, lists and single values that messages are written to and read from.
pub(crate) trait Form: Sized {
    /// Whether a field that the message does not have is an error; else it is skipped.
    const REFUSES_UNKNOWN_FIELDS: bool;

    /// Whether null says of every field that it is left out; else only of those that know of being unset.
    const NULL_UNSETS_EVERY_FIELD: bool;

    fn object(fields: Vec<(String, Self)>) -> Self;
    fn list(items: Vec<Self>) -> Self;
    fn leaf(leaf: Leaf) -> Self;

    fn as_object(&self) -> Option<impl Iterator<Item = (&str, &Self)>>;
    fn as_list(&self) -> Option<&[Self]>;
    fn is_null(&self) -> bool;
    /// The error says what the value must be.
    fn as_leaf(&self, kind: LeafKind) -> Result<Leaf, &'static str>;
}

/// Writes a message: unset fields that know of being unset are left out, every other field is there.
pub(crate) fn write<F: Form>(message: &DynamicMessage) -> F {
    let descriptor = message.descriptor();
    let present =
        descriptor.fields().filter(|field| !field.supports_presence() || message.has_field(field));
    let fields = present.filter_map(|field| {
        let value = write_field(&field, &message.get_field(&field))?;
        Some((field.json_name().to_owned(), value))
    });
    F::object(fields.collect())
}

/// Reads a message; of several faults it tells the first.
pub(crate) fn read<F: Form, M: ReflectMessage + Default>(node: &F) -> Result<M, FieldError> {
    let (message, errors) = salvage(node);
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(message),
    }
}

/// Reads what can be read: a faulty field stays unset, a faulty item of a list or map is empty.
pub(crate) fn salvage<F: Form, M: ReflectMessage + Default>(node: &F) -> (M, Vec<FieldError>) {
    let (dynamic, mut errors) = salvage_dynamic(&M::default().descriptor(), node);
    let message = dynamic.transcode_to().unwrap_or_else(|error| {
        errors.push(FieldError::new("", error.to_string()));
        M::default()
    });
    (message, errors)
}

pub(crate) fn salvage_dynamic<F: Form>(
    descriptor: &MessageDescriptor,
    node: &F,
) -> (DynamicMessage, Vec<FieldError>) {
    let mut reader = Reader::default();
    let message =
        reader.message(descriptor, node).unwrap_or_else(|| DynamicMessage::new(descriptor.clone()));
    (message, reader.errors)
}

fn write_field<F: Form>(field: &FieldDescriptor, value: &Value) -> Option<F> {
    if let Some(items) = value.as_list() {
        return Some(F::list(
            items.iter().filter_map(|item| write_single(&field.kind(), item)).collect(),
        ));
    }
    if let (Some(entries), Some(kind)) = (value.as_map(), map_kind(field)) {
        let entries = entries
            .iter()
            .filter_map(|(key, item)| Some((key.as_str()?.to_owned(), write_single(&kind, item)?)));
        return Some(F::object(entries.collect()));
    }
    write_single(&field.kind(), value)
}

/// What the values of a map are; `None` for a field that is no map.
fn map_kind(field: &FieldDescriptor) -> Option<Kind> {
    let kind = field.kind();
    let entry = kind.as_message().filter(|_| field.is_map())?;
    Some(entry.map_entry_value_field().kind())
}

/// `None` for what has no name in the contract: the unspecified value of an enum, or one that is not listed.
fn write_single<F: Form>(kind: &Kind, value: &Value) -> Option<F> {
    if let (Kind::Enum(descriptor), Some(number)) = (kind, value.as_enum_number()) {
        let named = descriptor.get_value(number).filter(|value| value.number() != 0)?;
        return Some(F::leaf(Leaf::Text(named.name().to_owned())));
    }
    if let Some(message) = value.as_message() {
        return Some(match LeafKind::of(kind) {
            Some(LeafKind::Time) => F::leaf(Leaf::Time(time_of(message))),
            Some(LeafKind::Span) => F::leaf(Leaf::Span(seconds_of(message))),
            _ => write(message),
        });
    }
    let leaf = None
        .or_else(|| value.as_bool().map(Leaf::Bool))
        .or_else(|| value.as_i32().map(|n| Leaf::Int(n.into())))
        .or_else(|| value.as_u32().map(|n| Leaf::Int(n.into())))
        .or_else(|| value.as_i64().map(Leaf::Long))
        .or_else(|| value.as_str().map(|text| Leaf::Text(text.to_owned())))?;
    Some(F::leaf(leaf))
}

impl LeafKind {
    /// `None` for messages, and for kinds that the contract does not use (a test looks).
    pub(crate) fn of(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::Bool => Some(Self::Bool),
            Kind::Int32 | Kind::Uint32 => Some(Self::Int),
            Kind::Int64 => Some(Self::Long),
            Kind::String | Kind::Enum(_) => Some(Self::Text),
            Kind::Message(message) if message.full_name() == TIMESTAMP => Some(Self::Time),
            Kind::Message(message) if message.full_name() == DURATION => Some(Self::Span),
            Kind::Message(_)
            | Kind::Double
            | Kind::Float
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Fixed32
            | Kind::Fixed64
            | Kind::Sfixed32
            | Kind::Sfixed64
            | Kind::Bytes => None,
        }
    }
}

/// Goes one name down; the empty name is written so that it is seen.
pub(crate) fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(if name.is_empty() { "\"\"" } else { name });
}

#[derive(Default)]
struct Reader {
    path: String,
    errors: Vec<FieldError>,
}

impl Reader {
    fn refuse<T>(&mut self, message: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::new(&self.path, message));
        None
    }

    /// Runs `read` one step down, so that its errors name the place.
    fn below<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if step.starts_with('[') {
            self.path.push_str(step);
        } else {
            push_name(&mut self.path, step);
        }
        let value = read(self);
        self.path.truncate(length);
        value
    }

    fn message<F: Form>(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &F,
    ) -> Option<DynamicMessage> {
        let Some(fields) = node.as_object() else { return self.refuse("must be an object") };
        let mut message = DynamicMessage::new(descriptor.clone());
        for (name, node) in fields {
            self.below(name, |reader| reader.set(&mut message, name, node));
        }
        Some(message)
    }

    fn set<F: Form>(&mut self, message: &mut DynamicMessage, name: &str, node: &F) {
        let Some(field) = message.descriptor().get_field_by_json_name(name) else {
            if F::REFUSES_UNKNOWN_FIELDS {
                self.refuse::<()>("is not a known field");
            }
            return;
        };
        if node.is_null() && (F::NULL_UNSETS_EVERY_FIELD || field.supports_presence()) {
            return;
        }
        if let Some(value) = self.field(&field, node)
            && let Err(error) = message.try_set_field(&field, value)
        {
            self.refuse::<()>(error.to_string());
        }
    }

    fn field<F: Form>(&mut self, field: &FieldDescriptor, node: &F) -> Option<Value> {
        if let Some(kind) = map_kind(field) {
            self.map(&kind, node)
        } else if field.is_list() {
            self.list(&field.kind(), node)
        } else {
            self.single(&field.kind(), node)
        }
    }

    fn map<F: Form>(&mut self, kind: &Kind, node: &F) -> Option<Value> {
        let Some(entries) = node.as_object() else { return self.refuse("must be an object") };
        let mut map = HashMap::new();
        for (key, node) in entries {
            let value = self.below(key, |reader| reader.single(kind, node));
            map.insert(
                MapKey::String(key.to_owned()),
                value.unwrap_or_else(|| Value::default_value(kind)),
            );
        }
        Some(Value::Map(map))
    }

    fn list<F: Form>(&mut self, kind: &Kind, node: &F) -> Option<Value> {
        let Some(nodes) = node.as_list() else { return self.refuse("must be a list") };
        let mut list = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let value = self.below(&format!("[{index}]"), |reader| reader.single(kind, node));
            list.push(value.unwrap_or_else(|| Value::default_value(kind)));
        }
        Some(Value::List(list))
    }

    fn single<F: Form>(&mut self, kind: &Kind, node: &F) -> Option<Value> {
        match (LeafKind::of(kind), kind) {
            (Some(leaf), _) => match node.as_leaf(leaf).and_then(|leaf| value_of(kind, leaf)) {
                Ok(value) => Some(value),
                Err(message) => self.refuse(message),
            },
            (None, Kind::Message(descriptor)) => self.message(descriptor, node).map(Value::Message),
            (None, _) => self.refuse("is of a kind that cannot be read"),
        }
    }
}

fn value_of(kind: &Kind, leaf: Leaf) -> Result<Value, &'static str> {
    match (leaf, kind) {
        (Leaf::Int(number), Kind::Uint32) => {
            u32::try_from(number).map(Value::U32).map_err(|_| "must lie between 0 and 4294967295")
        }
        (Leaf::Int(number), _) => i32::try_from(number)
            .map(Value::I32)
            .map_err(|_| "must lie between -2147483648 and 2147483647"),
        (Leaf::Text(name), Kind::Enum(descriptor)) => descriptor
            .get_value_by_name(&name)
            .map(|value| Value::EnumNumber(value.number()))
            .ok_or("is not one of the known names"),
        (Leaf::Time(at), Kind::Message(descriptor)) => {
            let seconds = at.timestamp();
            // A leap second has a nanosecond part beyond one second, which a Timestamp cannot say.
            let nanos = i32::try_from(at.timestamp_subsec_nanos())
                .ok()
                .filter(|nanos| *nanos < 1_000_000_000);
            match nanos {
                Some(nanos) if (TIME_SECONDS_MIN..=TIME_SECONDS_MAX).contains(&seconds) => {
                    Ok(pair(descriptor, seconds, nanos))
                }
                _ => Err("must be a time between the years 1 and 9999, and no leap second"),
            }
        }
        (Leaf::Span(seconds), Kind::Message(descriptor)) => {
            if (-SPAN_SECONDS_MAX..=SPAN_SECONDS_MAX).contains(&seconds) {
                Ok(pair(descriptor, seconds, 0))
            } else {
                Err("must be at most 315576000000 seconds")
            }
        }
        (Leaf::Bool(value), _) => Ok(Value::Bool(value)),
        (Leaf::Long(number), _) => Ok(Value::I64(number)),
        (Leaf::Text(text), _) => Ok(Value::String(text)),
        (Leaf::Time(_) | Leaf::Span(_), _) => Err("is of a kind that cannot be read"),
    }
}

fn pair(descriptor: &MessageDescriptor, seconds: i64, nanos: i32) -> Value {
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field_by_name("seconds", Value::I64(seconds));
    message.set_field_by_name("nanos", Value::I32(nanos));
    Value::Message(message)
}

fn seconds_of(message: &DynamicMessage) -> i64 {
    message.get_field_by_name("seconds").and_then(|value| value.as_i64()).unwrap_or_default()
}

/// The time of a Timestamp; one out of range is moved to the next that can be said.
fn time_of(message: &DynamicMessage) -> DateTime<Utc> {
    let seconds = seconds_of(message).clamp(TIME_SECONDS_MIN, TIME_SECONDS_MAX);
    let nanos =
        message.get_field_by_name("nanos").and_then(|value| value.as_i32()).unwrap_or_default();
    let nanos = u32::try_from(nanos.clamp(0, 999_999_999)).unwrap_or_default();
    DateTime::from_timestamp(seconds, nanos).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
