//! What a document may hold, how large it is, and the form in which it is stored.

use gcloud_sdk::google::firestore::v1::{Document, Value, value::ValueType};
use prost_types::Timestamp;

use crate::{
    field_path::{FieldPathError, check_name},
    limits::{DOCUMENT_BYTES_MAX, VALUE_BYTES_MAX, VALUE_DEPTH_MAX},
    name::{DocumentName, NameError, counted_bytes},
    time::Micros,
};

/// Bytes that Firestore adds for each document and each map.
const OVERHEAD_BYTES: usize = 32;
/// The range of timestamps: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Why a document is refused; the texts follow Google's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    /// The whole document is too large.
    #[error(
        "Document \"{name}\" cannot be written because its size ({bytes} bytes) exceeds the \
         maximum allowed size of {DOCUMENT_BYTES_MAX} bytes."
    )]
    DocumentTooLarge { name: String, bytes: usize },
    /// One text is too large.
    #[error("The value of property \"{0}\" is longer than {VALUE_BYTES_MAX} bytes.")]
    ValueTooLarge(String),
    /// Maps and arrays nested too deeply.
    #[error(
        "Property {0} contains an invalid nested entity. Maps nest at most {VALUE_DEPTH_MAX} levels."
    )]
    TooDeep(String),
    /// An array directly in an array.
    #[error("Cannot convert an array value in an array value.")]
    NestedArray,
    /// An empty field name.
    #[error("The property.name is the empty string.")]
    EmptyName,
    /// A field name that no field may have.
    #[error(transparent)]
    Name(#[from] FieldPathError),
    /// A timestamp outside of its range.
    #[error("The timestamp in property \"{0}\" is not between year 1 and year 9999.")]
    Timestamp(String),
    /// Coordinates outside of their range.
    #[error("The geo point in property \"{0}\" is not on the globe.")]
    GeoPoint(String),
    /// A reference to something that is not a document.
    #[error(transparent)]
    Reference(#[from] NameError),
    /// A value that is none.
    #[error("Cannot convert firestore.v1.Value with type unset.")]
    NoType,
    /// A value that only pipelines may hold.
    #[error("Property \"{0}\" has a type that documents cannot hold.")]
    Type(String),
}

/// Checks a document against every limit and brings it into its stored form (timestamps cut to
/// microseconds).
pub(crate) fn check_document(document: &mut Document) -> Result<(), ValueError> {
    let bytes = measure(document)?;
    if bytes > DOCUMENT_BYTES_MAX {
        return Err(ValueError::DocumentTooLarge { name: document.name.clone(), bytes });
    }
    Ok(())
}

/// The counted bytes of a document whose every value is within its own limits. Source:
/// <https://cloud.google.com/firestore/docs/storage-size>.
fn measure(document: &mut Document) -> Result<usize, ValueError> {
    let start = counted_bytes(&document.name).saturating_add(OVERHEAD_BYTES);
    document.fields.iter_mut().try_fold(start, |sum, (field, value)| {
        check_field_name(field)?;
        let size = Check { field }.value(value, 0)?;
        Ok(sum.saturating_add(field.len()).saturating_add(1).saturating_add(size))
    })
}

/// The check of one top-level field, which the messages name.
struct Check<'a> {
    field: &'a str,
}

impl Check<'_> {
    /// Checks one value below `depth` maps and arrays; returns its counted bytes.
    fn value(&self, value: &mut Value, depth: usize) -> Result<usize, ValueError> {
        match value.value_type.as_mut().ok_or(ValueError::NoType)? {
            ValueType::NullValue(_) | ValueType::BooleanValue(_) => Ok(1),
            ValueType::IntegerValue(_) | ValueType::DoubleValue(_) => Ok(8),
            ValueType::TimestampValue(timestamp) => self.timestamp(timestamp),
            ValueType::StringValue(text) => self.text(text.len()).map(|len| len.saturating_add(1)),
            ValueType::BytesValue(bytes) => self.text(bytes.len()),
            ValueType::ReferenceValue(name) => {
                DocumentName::parse(name)?;
                Ok(counted_bytes(name))
            }
            ValueType::GeoPointValue(point) => {
                let on_globe = (-90.0..=90.0).contains(&point.latitude)
                    && (-180.0..=180.0).contains(&point.longitude);
                if on_globe { Ok(16) } else { Err(ValueError::GeoPoint(self.field.into())) }
            }
            ValueType::ArrayValue(array) => self.array(&mut array.values, depth),
            ValueType::MapValue(map) => {
                let depth = self.deeper(depth)?;
                map.fields.iter_mut().try_fold(OVERHEAD_BYTES, |sum, (key, value)| {
                    check_field_name(key)?;
                    let size = self.value(value, depth)?;
                    Ok(sum.saturating_add(key.len()).saturating_add(1).saturating_add(size))
                })
            }
            ValueType::FieldReferenceValue(_)
            | ValueType::VariableReferenceValue(_)
            | ValueType::FunctionValue(_)
            | ValueType::PipelineValue(_) => Err(ValueError::Type(self.field.into())),
        }
    }

    fn array(&self, values: &mut [Value], depth: usize) -> Result<usize, ValueError> {
        let depth = self.deeper(depth)?;
        values.iter_mut().try_fold(0_usize, |sum, value| {
            if matches!(value.value_type, Some(ValueType::ArrayValue(_))) {
                return Err(ValueError::NestedArray);
            }
            Ok(sum.saturating_add(self.value(value, depth)?))
        })
    }

    fn deeper(&self, depth: usize) -> Result<usize, ValueError> {
        let deeper = depth.saturating_add(1);
        if deeper > VALUE_DEPTH_MAX {
            Err(ValueError::TooDeep(self.field.into()))
        } else {
            Ok(deeper)
        }
    }

    fn text(&self, len: usize) -> Result<usize, ValueError> {
        if len > VALUE_BYTES_MAX {
            Err(ValueError::ValueTooLarge(self.field.into()))
        } else {
            Ok(len)
        }
    }

    fn timestamp(&self, timestamp: &mut Timestamp) -> Result<usize, ValueError> {
        let in_range =
            SECONDS.contains(&timestamp.seconds) && (0..1_000_000_000).contains(&timestamp.nanos);
        if !in_range {
            return Err(ValueError::Timestamp(self.field.into()));
        }
        *timestamp = Micros::from(*timestamp).into();
        Ok(8)
    }
}

fn check_field_name(name: &str) -> Result<(), ValueError> {
    if name.is_empty() {
        return Err(ValueError::EmptyName);
    }
    Ok(check_name(name)?)
}

#[cfg(test)]
mod tests {
    use super::{super::strategies::*, *};

    #[test]
    fn twenty_levels_are_stored_and_twenty_one_are_refused() {
        assert_eq!(check_document(&mut document("a", nested(20))), Ok(()));
        let refused = check_document(&mut document("a", nested(21)));
        assert_eq!(refused, Err(ValueError::TooDeep("a".into())));
    }

    #[test]
    fn an_array_in_an_array_is_refused_but_not_one_in_a_map_in_an_array() {
        let direct = array(vec![array(vec![])]);
        assert_eq!(check_document(&mut document("a", direct)), Err(ValueError::NestedArray));
        let through_map = array(vec![map(&[("b", array(vec![]))])]);
        assert_eq!(check_document(&mut document("a", through_map)), Ok(()));
    }

    #[test]
    fn the_size_of_the_example_in_the_reference_is_as_documented() {
        // cloud.google.com/firestore/docs/storage-size: 147 bytes at users/jeff/tasks/my_task_id.
        let mut small = Document {
            name: "projects/p/databases/d/documents/users/jeff/tasks/my_task_id".into(),
            ..Document::default()
        };
        let fields = [("type", text("Personal")), ("done", boolean(false)), ("priority", int(1))];
        small.fields.extend(fields.map(|(key, value)| (key.to_owned(), value)));
        small.fields.insert("description".into(), text("Learn Cloud Firestore"));
        assert_eq!(measure(&mut small), Ok(147));
    }

    #[test]
    fn timestamps_are_cut_to_microseconds_and_bounded() {
        let mut stored = document("a", timestamp(1, 1_999));
        assert_eq!(check_document(&mut stored), Ok(()));
        assert_eq!(stored.fields["a"], timestamp(1, 1_000));
        for out_of_range in [timestamp(i64::MAX, 0), timestamp(0, -1), timestamp(0, 1_000_000_000)]
        {
            let refused = check_document(&mut document("a", out_of_range));
            assert_eq!(refused, Err(ValueError::Timestamp("a".into())));
        }
    }

    #[test]
    fn a_document_of_exactly_the_limit_is_stored() {
        let name = "projects/p/databases/d/documents/c/d";
        let rest = DOCUMENT_BYTES_MAX - (3 + 17) - OVERHEAD_BYTES - 2 * (1 + 1 + 1);
        let sized = |len: usize| {
            let half = rest / 2;
            let mut document = document("a", text(&"x".repeat(half)));
            document.name = name.into();
            document.fields.insert("b".into(), text(&"x".repeat(len - half)));
            check_document(&mut document)
        };
        assert_eq!(sized(rest), Ok(()));
        let bytes = DOCUMENT_BYTES_MAX + 1;
        assert_eq!(sized(rest + 1), Err(ValueError::DocumentTooLarge { name: name.into(), bytes }));
    }

    #[test]
    fn field_names_are_checked_at_every_level() {
        let empty = check_document(&mut document("a", map(&[("", int(1))])));
        assert_eq!(empty, Err(ValueError::EmptyName));
        let reserved = check_document(&mut document("a", map(&[("__x__", int(1))])));
        assert!(matches!(reserved, Err(ValueError::Name(FieldPathError::Reserved(_)))));
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(int(1), |inner, _| map(&[("a", inner)]))
    }

    fn document(field: &str, value: Value) -> Document {
        Document { fields: [(field.to_owned(), value)].into(), ..Document::default() }
    }
}
