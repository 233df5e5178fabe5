//! The order of values, compared directly.

use std::{cmp::Ordering, collections::HashMap};

use gcloud_sdk::google::firestore::v1::{Value, value::ValueType};

use super::{class, encode::numeric_id};

/// An exact number: every integer and every double maps to one, in numeric order.
///
/// `floor` is the greatest double that is not above the number and `above` what is missing, so
/// integers that no double can hold keep their place. `None` is NaN, which is before all.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Number(pub(crate) Option<(f64, u16)>);

/// The numeric value of an integer or a double.
pub(crate) fn number(value: &Value) -> Option<Number> {
    match &value.value_type {
        Some(ValueType::IntegerValue(integer)) => Some(Number(Some(floor(*integer)))),
        Some(ValueType::DoubleValue(double)) if double.is_nan() => Some(Number(None)),
        // Adding zero turns -0.0 into 0.0: they are one number.
        Some(ValueType::DoubleValue(double)) => Some(Number(Some((double + 0.0, 0)))),
        _not_a_number => None,
    }
}

impl Number {
    /// A total order; NaN equals itself.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        match (self.0, other.0) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the loss is computed and kept beside the double"
)]
fn floor(integer: i64) -> (f64, u16) {
    let nearest = integer as f64;
    // Doubles next to an i64 are integers, so the comparison in i128 is exact.
    let floor = if nearest as i128 > i128::from(integer) { nearest.next_down() } else { nearest };
    let above = i128::from(integer).saturating_sub(floor as i128);
    // Doubles near 2^63 are at most 1,024 apart.
    (floor, u16::try_from(above).unwrap_or(u16::MAX))
}

/// Compares two values in Firestore's order. Numbers compare across integer and double.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    class(a).cmp(&class(b)).then_with(|| compare_within(a, b))
}

/// Compares values of one class; of different classes it says `Equal`.
fn compare_within(a: &Value, b: &Value) -> Ordering {
    use ValueType as V;
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.compare(b);
    }
    match (&a.value_type, &b.value_type) {
        (Some(V::BooleanValue(a)), Some(V::BooleanValue(b))) => a.cmp(b),
        (Some(V::TimestampValue(a)), Some(V::TimestampValue(b))) => {
            a.seconds.cmp(&b.seconds).then(a.nanos.cmp(&b.nanos))
        }
        (Some(V::StringValue(a)), Some(V::StringValue(b))) => a.cmp(b),
        (Some(V::BytesValue(a)), Some(V::BytesValue(b))) => a.cmp(b),
        (Some(V::ReferenceValue(a)), Some(V::ReferenceValue(b))) => compare_names(a, b),
        (Some(V::GeoPointValue(a)), Some(V::GeoPointValue(b))) => {
            let axis = |a: f64, b: f64| (a + 0.0).total_cmp(&(b + 0.0));
            axis(a.latitude, b.latitude).then(axis(a.longitude, b.longitude))
        }
        (Some(V::ArrayValue(a)), Some(V::ArrayValue(b))) => a
            .values
            .iter()
            .zip(&b.values)
            .fold(Ordering::Equal, |order, (a, b)| order.then_with(|| compare(a, b)))
            .then(a.values.len().cmp(&b.values.len())),
        (Some(V::MapValue(a)), Some(V::MapValue(b))) => compare_maps(&a.fields, &b.fields),
        _both_null => Ordering::Equal,
    }
}

fn compare_maps(a: &HashMap<String, Value>, b: &HashMap<String, Value>) -> Ordering {
    let (a, b) = (sorted(a), sorted(b));
    a.iter()
        .zip(&b)
        .fold(Ordering::Equal, |order, ((a_key, a_value), (b_key, b_value))| {
            order.then_with(|| a_key.cmp(b_key)).then_with(|| compare(a_value, b_value))
        })
        .then(a.len().cmp(&b.len()))
}

/// The entries of a map by key.
pub(super) fn sorted(map: &HashMap<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

/// Compares names segment by segment; numeric ids come first, by number.
pub(crate) fn compare_names(a: &str, b: &str) -> Ordering {
    let segments = |name: &'_ str| -> Vec<(Option<i64>, String)> {
        name.split('/').map(|id| (numeric_id(id), id.to_owned())).collect()
    };
    let by_segment = |a: &(Option<i64>, String), b: &(Option<i64>, String)| match (a.0, b.0) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.1.cmp(&b.1),
    };
    let (a, b) = (segments(a), segments(b));
    a.iter()
        .zip(&b)
        .fold(Ordering::Equal, |order, (a, b)| order.then_with(|| by_segment(a, b)))
        .then(a.len().cmp(&b.len()))
}

/// Whether two values are the same in type and content, bit for bit: what makes a write a no-op.
/// Unlike in [`compare`], `1` is not `1.0` here, and NaN is itself.
pub(crate) fn is_identical(a: &Value, b: &Value) -> bool {
    use ValueType as V;
    match (&a.value_type, &b.value_type) {
        (Some(V::DoubleValue(a)), Some(V::DoubleValue(b))) => a.to_bits() == b.to_bits(),
        (Some(V::ArrayValue(a)), Some(V::ArrayValue(b))) => {
            a.values.len() == b.values.len()
                && a.values.iter().zip(&b.values).all(|(a, b)| is_identical(a, b))
        }
        (Some(V::MapValue(a)), Some(V::MapValue(b))) => {
            a.fields.len() == b.fields.len()
                && a.fields
                    .iter()
                    .all(|(key, a)| b.fields.get(key).is_some_and(|b| is_identical(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::strategies::*, *};

    #[test]
    fn integers_beyond_the_doubles_keep_their_place() {
        let double = 9_007_199_254_740_992.0; // 2^53
        assert_eq!(compare(&int((1 << 53) + 1), &float(double)), Ordering::Greater);
        assert_eq!(compare(&int(1 << 53), &float(double)), Ordering::Equal);
        assert_eq!(compare(&int(i64::MAX), &float(9_223_372_036_854_775_808.0)), Ordering::Less);
        assert_eq!(compare(&int(i64::MAX - 1), &int(i64::MAX)), Ordering::Less);
        assert_eq!(compare(&int(i64::MIN), &float(-9_223_372_036_854_775_808.0)), Ordering::Equal);
    }

    #[test]
    fn types_follow_the_documented_order() {
        let ascending = [
            super::super::null(),
            boolean(false),
            boolean(true),
            float(f64::NAN),
            float(f64::NEG_INFINITY),
            int(-1),
            float(-0.5),
            int(0),
            int(1),
            float(f64::INFINITY),
            timestamp(-1, 0),
            timestamp(5, 1_000),
            text(""),
            text("a"),
            text("a\0"),
            text("b"),
            text("é"),
            bytes(&[]),
            bytes(&[0]),
            super::super::reference("projects/p/databases/d/documents/c/__id9__"),
            super::super::reference("projects/p/databases/d/documents/c/__id10__"),
            super::super::reference("projects/p/databases/d/documents/c/a"),
            super::super::reference("projects/p/databases/d/documents/c/a/b/c"),
            geo(-1.0, 5.0),
            geo(1.0, -5.0),
            array(vec![]),
            array(vec![int(1)]),
            array(vec![int(1), int(1)]),
            array(vec![int(2)]),
            map(&[]),
            map(&[("a", int(1))]),
            map(&[("a", int(1)), ("b", int(0))]),
            map(&[("a", int(2))]),
            map(&[("b", int(0))]),
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(&pair[1], &pair[0]), Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn an_integer_is_not_identical_to_the_equal_double() {
        assert_eq!(compare(&int(1), &float(1.0)), Ordering::Equal);
        assert!(!is_identical(&int(1), &float(1.0)));
        assert!(is_identical(&float(f64::NAN), &float(f64::NAN)));
    }

    proptest! {
        #[test]
        fn identical_values_compare_equal(value in any_value()) {
            prop_assert!(is_identical(&value, &value.clone()));
            prop_assert_eq!(compare(&value, &value.clone()), Ordering::Equal);
        }
    }
}
