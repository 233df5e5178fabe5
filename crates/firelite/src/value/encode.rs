//! Bytes whose order is the order of values.
//!
//! Every encoding ends by itself (no encoding is a prefix of another), so encodings can be put one
//! behind the other, and inverting the bytes of one turns its order around.

use gcloud_sdk::google::firestore::v1::{Value, value::ValueType};

use super::{
    Class, class,
    order::{Number, number, sorted},
};

/// Ends arrays, maps and references; below every tag.
const END: u8 = 0x00;
/// A zero byte inside a text is written as [`END`] and this.
const ZERO: u8 = 0xFF;
/// Ends a text: [`END`] and this, below an escaped zero.
const STOP: u8 = 0x01;
/// Tags of the two forms of ids; numeric ids come first.
const NUMERIC_ID: u8 = 0x01;
const TEXT_ID: u8 = 0x02;

/// Appends the encoding of one value.
pub(crate) fn value(out: &mut Vec<u8>, value: &Value) {
    out.push(class_tag(class(value)));
    if let Some(number) = number(value) {
        return encode_number(out, number);
    }
    match &value.value_type {
        Some(ValueType::BooleanValue(boolean)) => out.push(u8::from(*boolean)),
        Some(ValueType::TimestampValue(timestamp)) => {
            out.extend(ascending(timestamp.seconds));
            out.extend(ascending(i64::from(timestamp.nanos)));
        }
        Some(ValueType::StringValue(text)) => encode_text(out, text.as_bytes()),
        Some(ValueType::BytesValue(bytes)) => encode_text(out, bytes),
        Some(ValueType::ReferenceValue(name)) => {
            name.split('/').for_each(|id| document_id(out, id));
            out.push(END);
        }
        Some(ValueType::GeoPointValue(point)) => {
            out.extend(ascending_double(point.latitude + 0.0));
            out.extend(ascending_double(point.longitude + 0.0));
        }
        Some(ValueType::ArrayValue(array)) => {
            array.values.iter().for_each(|element| self::value(out, element));
            out.push(END);
        }
        Some(ValueType::MapValue(map)) => {
            for (key, entry) in sorted(&map.fields) {
                out.push(class_tag(Class::String));
                encode_text(out, key.as_bytes());
                self::value(out, entry);
            }
            out.push(END);
        }
        _null => {}
    }
}

/// The first byte of every value of a class.
pub(crate) fn class_tag(class: Class) -> u8 {
    class as u8
}

/// Appends the encoding of one document or collection id.
pub(crate) fn document_id(out: &mut Vec<u8>, id: &str) {
    if let Some(number) = numeric_id(id) {
        out.push(NUMERIC_ID);
        out.extend(ascending(number));
    } else {
        out.push(TEXT_ID);
        encode_text(out, id.as_bytes());
    }
}

/// The number in an id of the form `__id7__`, which Firestore keeps for integer keys of
/// Datastore. Only the canonical spelling counts, so that two ids never share an encoding.
pub(crate) fn numeric_id(id: &str) -> Option<i64> {
    let digits = id.strip_prefix("__id")?.strip_suffix("__")?;
    let number: i64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// Turns the order of the bytes from `start` on around.
pub(crate) fn invert(bytes: &mut [u8], start: usize) {
    bytes.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
}

/// The smallest bytes above everything that starts with `prefix`; `None` when there are none.
pub(crate) fn prefix_end(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

fn encode_number(out: &mut Vec<u8>, Number(number): Number) {
    // All zeros is below the encoding of negative infinity.
    let (floor, above) =
        number.map_or(([0; 8], 0), |(floor, above)| (ascending_double(floor), above));
    out.extend(floor);
    out.extend(above.to_be_bytes());
}

fn encode_text(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        out.push(byte);
        if byte == END {
            out.push(ZERO);
        }
    }
    out.extend([END, STOP]);
}

fn ascending(integer: i64) -> [u8; 8] {
    (integer.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn ascending_double(double: f64) -> [u8; 8] {
    let bits = double.to_bits();
    let flipped = if double.is_sign_negative() { !bits } else { bits | (1 << 63) };
    flipped.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{compare, strategies::*},
        *,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn byte_order_is_value_order(a in any_value(), b in any_value()) {
            prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), compare(&a, &b));
        }

        #[test]
        fn byte_order_is_value_order_for_near_numbers(
            base in any::<i64>(), step in -3_i64..3, double in any::<bool>()
        ) {
            let near = base.saturating_add(step);
            #[expect(clippy::cast_precision_loss, reason = "the loss is the point")]
            let other = if double { float(near as f64) } else { int(near) };
            prop_assert_eq!(encoded(&int(base)).cmp(&encoded(&other)), compare(&int(base), &other));
        }

        #[test]
        fn inverted_byte_order_is_descending_order(a in any_value(), b in any_value()) {
            let (mut a_bytes, mut b_bytes) = (encoded(&a), encoded(&b));
            invert(&mut a_bytes, 0);
            invert(&mut b_bytes, 0);
            prop_assert_eq!(b_bytes.cmp(&a_bytes), compare(&a, &b));
        }

        #[test]
        fn no_encoding_is_a_prefix_of_another(a in any_value(), b in any_value()) {
            let (a_bytes, b_bytes) = (encoded(&a), encoded(&b));
            prop_assert!(a_bytes == b_bytes || !b_bytes.starts_with(&a_bytes));
        }

        #[test]
        fn a_prefix_ends_above_all_that_starts_with_it(
            prefix in prop::collection::vec(any::<u8>(), 1..4),
            tail in prop::collection::vec(any::<u8>(), 0..4)
        ) {
            let whole: Vec<u8> = prefix.iter().chain(&tail).copied().collect();
            match prefix_end(prefix.clone()) {
                Some(end) => prop_assert!(whole < end && prefix < end),
                None => prop_assert!(prefix.iter().all(|byte| *byte == u8::MAX)),
            }
        }

        #[test]
        fn id_order_is_name_order(a in any_id(), b in any_id()) {
            let encoded = |id: &str| { let mut out = Vec::new(); document_id(&mut out, id); out };
            let names = compare(&super::super::reference(&a), &super::super::reference(&b));
            prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), names);
        }
    }

    fn encoded(of: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value(&mut out, of);
        out
    }
}
