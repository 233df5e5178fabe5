use proptest::prelude::*;
use prost_reflect::prost_types::Timestamp;

use super::*;
use crate::DESCRIPTOR_POOL;

#[test]
fn the_contract_uses_only_kinds_that_can_be_read_and_written() {
    let mut kinds = 0;
    for field in messages().iter().flat_map(|message| message.fields().collect::<Vec<_>>()) {
        let kind = map_kind(&field).unwrap_or_else(|| field.kind());
        if let Some(entry) = field.kind().as_message().filter(|_| field.is_map()) {
            assert_eq!(entry.map_entry_key_field().kind(), Kind::String, "{}", field.full_name());
        }
        let known =
            matches!(&kind, Kind::Message(message) if message.package_name() == "curfew.v1");
        assert!(known || LeafKind::of(&kind).is_some(), "{} is {kind:?}", field.full_name());
        kinds += 1;
    }
    assert!(kinds > 100);
}

#[test]
fn no_message_contains_itself() {
    fn depth(message: &MessageDescriptor, path: &mut Vec<String>) {
        assert!(!path.contains(&message.full_name().to_owned()), "{path:?}");
        path.push(message.full_name().to_owned());
        for field in message.fields() {
            if let Kind::Message(below) = field.kind() {
                depth(&below, path);
            }
        }
        path.pop();
    }
    for message in messages() {
        depth(&message, &mut Vec::new());
    }
}

#[test]
fn every_field_of_the_contract_is_documented() {
    for file in DESCRIPTOR_POOL.files().filter(|file| file.package_name() == "curfew.v1") {
        let source = file.file_descriptor_proto().source_code_info.clone().unwrap();
        let commented: Vec<&[i32]> = source
            .location
            .iter()
            .filter(|location| location.leading_comments.is_some())
            .map(|location| location.path.as_slice())
            .collect();
        for message in file.messages() {
            assert!(commented.contains(&message.path()), "{}", message.full_name());
            for field in message.fields() {
                assert!(commented.contains(&field.path()), "{}", field.full_name());
            }
        }
    }
}

#[test]
fn the_http_annotations_survive_in_the_embedded_descriptors() {
    let http = DESCRIPTOR_POOL.get_extension_by_name("google.api.http").unwrap();
    let service = DESCRIPTOR_POOL.get_service_by_name("curfew.v1.Intake").unwrap();
    for method in service.methods() {
        let options = method.options();
        let rule = options.get_extension(&http);
        let rule = rule.as_message().unwrap();
        let bound = ["get", "post"].iter().any(|verb| rule.has_field_by_name(verb));
        assert!(bound, "{}", method.full_name());
    }
}

#[test]
fn a_time_out_of_range_is_moved_to_the_next_that_can_be_said() {
    let late = Timestamp { seconds: i64::MAX, nanos: -1 };
    let at = time_of(&dynamic(&late));
    assert_eq!(at.to_rfc3339(), "9999-12-31T23:59:59+00:00");
    let early = Timestamp { seconds: i64::MIN, nanos: i32::MAX };
    assert_eq!(time_of(&dynamic(&early)).to_rfc3339(), "0001-01-01T00:00:00.999999999+00:00");
}

#[test]
fn a_long_path_is_cut() {
    let error = FieldError::new(&"é".repeat(PATH_LENGTH_MAX + 1), "is wrong");
    assert_eq!(error.field.chars().count(), PATH_LENGTH_MAX + 1);
    assert!(error.field.ends_with('…'));
}

#[test]
fn an_error_about_the_whole_says_so() {
    assert_eq!(FieldError::new("", "must be an object").to_string(), "body: must be an object");
    assert_eq!(
        FieldError::new("roles[0].role", "must be a string").to_string(),
        "roles[0].role: must be a string"
    );
}

/// Every message of the contract.
pub(crate) fn messages() -> Vec<MessageDescriptor> {
    let ours = |message: &MessageDescriptor| {
        message.package_name() == "curfew.v1" && !message.is_map_entry()
    };
    DESCRIPTOR_POOL.all_messages().filter(ours).collect()
}

/// Any value of any message of the contract; times are multiples of `nanos_step` nanoseconds.
pub(crate) fn any_message(nanos_step: i32) -> impl Strategy<Value = DynamicMessage> {
    proptest::sample::select(messages())
        .prop_flat_map(move |message| arbitrary(message, nanos_step))
}

/// Any value of this message.
pub(crate) fn any_of<M: ReflectMessage + Default + std::fmt::Debug>(
    nanos_step: i32,
) -> impl Strategy<Value = M> {
    arbitrary(M::default().descriptor(), nanos_step)
        .prop_map(|message| message.transcode_to().unwrap())
}

fn arbitrary(descriptor: MessageDescriptor, nanos_step: i32) -> BoxedStrategy<DynamicMessage> {
    let fields: Vec<_> =
        descriptor.fields().map(|field| arbitrary_field(&field, nanos_step)).collect();
    fields
        .prop_map(move |values| {
            let mut message = DynamicMessage::new(descriptor.clone());
            for (field, value) in descriptor.fields().zip(values) {
                // As a reading leaves it: what cannot be unset is set, but for an enum that says nothing.
                let always = !field.supports_presence() && !matches!(field.kind(), Kind::Enum(_));
                let default = always.then(|| Value::default_value_for_field(&field));
                if let Some(value) = value.or(default) {
                    message.set_field(&field, value);
                }
            }
            message
        })
        .boxed()
}

fn arbitrary_field(field: &FieldDescriptor, nanos_step: i32) -> BoxedStrategy<Option<Value>> {
    let kind = map_kind(field).unwrap_or_else(|| field.kind());
    let single = arbitrary_single(&kind, nanos_step);
    let value = if field.is_map() {
        let key = any::<String>().prop_map(MapKey::String);
        proptest::collection::hash_map(key, single, 0..3).prop_map(Value::Map).boxed()
    } else if field.is_list() {
        proptest::collection::vec(single, 0..3).prop_map(Value::List).boxed()
    } else {
        single
    };
    proptest::option::of(value).boxed()
}

fn arbitrary_single(kind: &Kind, nanos_step: i32) -> BoxedStrategy<Value> {
    if let Kind::Enum(descriptor) = kind {
        let numbers: Vec<i32> =
            descriptor.values().map(|value| value.number()).filter(|n| *n != 0).collect();
        return proptest::sample::select(numbers).prop_map(Value::EnumNumber).boxed();
    }
    match LeafKind::of(kind) {
        Some(LeafKind::Bool) => any::<bool>().prop_map(Value::Bool).boxed(),
        Some(LeafKind::Int) if *kind == Kind::Uint32 => any::<u32>().prop_map(Value::U32).boxed(),
        Some(LeafKind::Int) => any::<i32>().prop_map(Value::I32).boxed(),
        Some(LeafKind::Long) => any::<i64>().prop_map(Value::I64).boxed(),
        Some(LeafKind::Text) => any::<String>().prop_map(Value::String).boxed(),
        Some(leaf @ (LeafKind::Time | LeafKind::Span)) => {
            let Kind::Message(message) = kind.clone() else { unreachable!("{kind:?}") };
            let time = (TIME_SECONDS_MIN..=TIME_SECONDS_MAX, 0..1_000_000_000 / nanos_step);
            let span = (-SPAN_SECONDS_MAX..=SPAN_SECONDS_MAX, Just(0));
            let pairs = if leaf == LeafKind::Time { time.boxed() } else { span.boxed() };
            pairs
                .prop_map(move |(seconds, steps)| pair(&message, seconds, steps * nanos_step))
                .boxed()
        }
        None => {
            let Kind::Message(message) = kind else { unreachable!("{kind:?}") };
            arbitrary(message.clone(), nanos_step).prop_map(Value::Message).boxed()
        }
    }
}

/// As a message of the contract's own pool, which the well-known types' reflection does not use.
fn dynamic<M: ReflectMessage>(message: &M) -> DynamicMessage {
    let descriptor = DESCRIPTOR_POOL.get_message_by_name(message.descriptor().full_name()).unwrap();
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message).unwrap();
    dynamic
}
