//! Field transforms: what the server computes from a field's former value.

use std::{cmp::Ordering, collections::BTreeSet};

use gcloud_sdk::google::firestore::v1::{
    ArrayValue, Document, Value,
    document_transform::{
        FieldTransform,
        field_transform::{ServerValue, TransformType},
    },
    value::ValueType,
};

use crate::{
    field_path::{FieldPath, FieldPathError},
    limits::TRANSFORMS_MAX,
    time::Micros,
    value::{compare, is_nan, null, number},
};

/// Why transforms are refused; the texts follow Google's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransformError {
    /// The path is not one.
    #[error(transparent)]
    Path(#[from] FieldPathError),
    /// No operation is named, or one that this server does not know.
    #[error("The transform of field \"{0}\" names no operation.")]
    NoOperation(FieldPath),
    /// A write that is only transforms, and has none.
    #[error("The list of FieldTransform must not be empty.")]
    None,
    /// A number is needed.
    #[error("Input must be int64 or double.")]
    NotANumber,
    /// One within what another makes.
    #[error("Cannot transform property {0} and its nested property at the same time.")]
    Nested(FieldPath),
    /// Too many in one write.
    #[error("A write has more than {TRANSFORMS_MAX} field transforms.")]
    TooMany,
}

/// One checked transform.
#[derive(Clone, Debug)]
pub(crate) struct Transform {
    path: FieldPath,
    operation: Operation,
}

#[derive(Clone, Debug)]
enum Operation {
    ServerTime,
    Increment(Value),
    Maximum(Value),
    Minimum(Value),
    Append(ArrayValue),
    Remove(ArrayValue),
}

/// Checks the transforms of one write.
pub(crate) fn parse(transforms: Vec<FieldTransform>) -> Result<Vec<Transform>, TransformError> {
    if transforms.len() > TRANSFORMS_MAX {
        return Err(TransformError::TooMany);
    }
    let transforms = transforms.into_iter().map(Transform::parse).collect::<Result<Vec<_>, _>>()?;
    let paths: BTreeSet<&FieldPath> = transforms.iter().map(|transform| &transform.path).collect();
    // In this order, what is within a path comes right behind it.
    let nested = paths.iter().zip(paths.iter().skip(1)).find(|(outer, path)| path.is_within(outer));
    match nested {
        Some((outer, _)) => Err(TransformError::Nested((*outer).clone())),
        None => Ok(transforms),
    }
}

impl Transform {
    fn parse(transform: FieldTransform) -> Result<Self, TransformError> {
        use TransformType as T;
        let path = FieldPath::parse(&transform.field_path)?;
        let numeric = |value: Value| match number(&value) {
            Some(_) => Ok(value),
            None => Err(TransformError::NotANumber),
        };
        let operation = match transform.transform_type {
            Some(T::SetToServerValue(kind)) if kind == ServerValue::RequestTime as i32 => {
                Operation::ServerTime
            }
            Some(T::Increment(by)) => Operation::Increment(numeric(by)?),
            Some(T::Maximum(with)) => Operation::Maximum(numeric(with)?),
            Some(T::Minimum(with)) => Operation::Minimum(numeric(with)?),
            Some(T::AppendMissingElements(elements)) => Operation::Append(elements),
            Some(T::RemoveAllFromArray(elements)) => Operation::Remove(elements),
            Some(T::SetToServerValue(_)) | None => return Err(TransformError::NoOperation(path)),
        };
        Ok(Self { path, operation })
    }

    /// Applies the transform; returns what the write's result reports for it.
    pub(crate) fn apply(&self, document: &mut Document, commit: Micros) -> Value {
        let before = self.path.get(&document.fields);
        let (after, reported) = self.operation.evaluate(before, commit);
        self.path.set(&mut document.fields, after);
        reported
    }
}

impl Operation {
    /// The new value and the reported one.
    fn evaluate(&self, before: Option<&Value>, commit: Micros) -> (Value, Value) {
        let shown = |value: Value| (value.clone(), value);
        match self {
            Self::ServerTime => shown(Value {
                value_type: Some(ValueType::TimestampValue(commit.cut_to_millis().into())),
            }),
            Self::Increment(by) => {
                shown(before.and_then(|value| sum(value, by)).unwrap_or_else(|| by.clone()))
            }
            Self::Maximum(with) => shown(extreme(before, with, Ordering::Greater)),
            Self::Minimum(with) => shown(extreme(before, with, Ordering::Less)),
            Self::Append(elements) => (appended(before, elements), null()),
            Self::Remove(elements) => (removed(before, elements), null()),
        }
    }
}

/// The sum of two numbers: integers saturate, a double makes a double; `None` when the stored
/// value is not a number.
fn sum(stored: &Value, by: &Value) -> Option<Value> {
    use ValueType as V;
    #[expect(clippy::cast_precision_loss, reason = "as Firestore adds an integer to a double")]
    let value_type = match (stored.value_type.as_ref()?, by.value_type.as_ref()?) {
        (V::IntegerValue(a), V::IntegerValue(b)) => V::IntegerValue(a.saturating_add(*b)),
        (V::IntegerValue(a), V::DoubleValue(b)) => V::DoubleValue(*a as f64 + b),
        (V::DoubleValue(a), V::IntegerValue(b)) => V::DoubleValue(a + *b as f64),
        (V::DoubleValue(a), V::DoubleValue(b)) => V::DoubleValue(a + b),
        _not_two_numbers => return None,
    };
    Some(Value { value_type: Some(value_type) })
}

/// The stored number, or `with` where that lies on the `wins` side of it. Equal numbers keep the
/// stored one; NaN on either side gives NaN; what is not a number is replaced.
fn extreme(before: Option<&Value>, with: &Value, wins: Ordering) -> Value {
    match before {
        Some(stored) if number(stored).is_none() => with.clone(),
        Some(stored) if is_nan(stored) => stored.clone(),
        Some(_) if is_nan(with) => with.clone(),
        Some(stored) if compare(with, stored) != wins => stored.clone(),
        Some(_) | None => with.clone(),
    }
}

fn appended(before: Option<&Value>, elements: &ArrayValue) -> Value {
    let mut values = elements_of(before);
    for element in &elements.values {
        if !contains(&values, element) {
            values.push(element.clone());
        }
    }
    Value { value_type: Some(ValueType::ArrayValue(ArrayValue { values })) }
}

fn removed(before: Option<&Value>, elements: &ArrayValue) -> Value {
    let mut values = elements_of(before);
    values.retain(|value| !contains(&elements.values, value));
    Value { value_type: Some(ValueType::ArrayValue(ArrayValue { values })) }
}

fn elements_of(value: Option<&Value>) -> Vec<Value> {
    match value.and_then(|value| value.value_type.as_ref()) {
        Some(ValueType::ArrayValue(array)) => array.values.clone(),
        _not_an_array => Vec::new(),
    }
}

fn contains(values: &[Value], element: &Value) -> bool {
    values.iter().any(|value| compare(value, element).is_eq())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::strategies::*;

    #[test]
    fn increments_saturate_and_mix_types() {
        let cases = [
            (Some(int(1)), int(2), int(3)),
            (Some(int(i64::MAX)), int(1), int(i64::MAX)),
            (Some(int(i64::MIN)), int(-1), int(i64::MIN)),
            (Some(int(1)), float(0.5), float(1.5)),
            (Some(float(1.0)), int(1), float(2.0)),
            (Some(text("x")), int(2), int(2)),
            (None, int(2), int(2)),
        ];
        for (before, by, after) in cases {
            let transform = TransformType::Increment(by);
            assert_eq!(applied(before.as_ref(), transform), (after.clone(), after));
        }
    }

    #[test]
    fn extremes_keep_the_stored_one_of_equals() {
        let maximum = |before, with| applied(Some(&before), TransformType::Maximum(with)).0;
        let minimum = |before, with| applied(Some(&before), TransformType::Minimum(with)).0;
        assert_eq!(maximum(float(3.0), int(3)), float(3.0));
        assert_eq!(maximum(int(3), float(3.5)), float(3.5));
        assert_eq!(minimum(int(3), float(3.0)), int(3));
        assert_eq!(minimum(int(3), int(2)), int(2));
        assert_eq!(minimum(text("x"), int(2)), int(2));
        assert!(is_nan(&maximum(float(f64::NAN), int(3))));
        assert!(is_nan(&minimum(int(3), float(f64::NAN))));
    }

    #[test]
    fn unions_add_each_missing_element_once() {
        let elements = ArrayValue { values: vec![int(1), float(1.0), int(2), int(2)] };
        let union =
            applied(Some(&array(vec![int(1)])), TransformType::AppendMissingElements(elements));
        assert_eq!(union, (array(vec![int(1), int(2)]), null()));
    }

    #[test]
    fn removals_take_every_equal_element() {
        let elements = ArrayValue { values: vec![float(1.0)] };
        let stored = array(vec![int(1), int(2), int(1)]);
        let left = applied(Some(&stored), TransformType::RemoveAllFromArray(elements.clone()));
        assert_eq!(left, (array(vec![int(2)]), null()));
        let missing = applied(None, TransformType::RemoveAllFromArray(elements));
        assert_eq!(missing.0, array(vec![]));
    }

    #[test]
    fn what_is_not_a_number_cannot_be_added() {
        let transform = FieldTransform {
            field_path: "a".into(),
            transform_type: Some(TransformType::Increment(text("x"))),
        };
        assert_eq!(parse(vec![transform]).err(), Some(TransformError::NotANumber));
    }

    fn applied(before: Option<&Value>, transform_type: TransformType) -> (Value, Value) {
        let mut document = Document::default();
        if let Some(before) = before {
            document.fields.insert("a".into(), before.clone());
        }
        let transform =
            FieldTransform { field_path: "a".into(), transform_type: Some(transform_type) };
        let reported = parse(vec![transform]).unwrap()[0].apply(&mut document, Micros(0));
        (document.fields["a"].clone(), reported)
    }
}
