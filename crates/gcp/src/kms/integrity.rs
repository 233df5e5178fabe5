//! Checksums, bytes and signatures as Cloud KMS writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use curfew_ports::{PortError, SIGNATURE_BYTES};
use der::asn1::UintRef;
use der::{Decode as _, Reader as _, SliceReader};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::caller::Call;

/// A CRC-32C. On the wire it is an `Int64Value`: a number as a text, since JSON's own numbers are doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checksum(u32);

impl Checksum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(crc32c::crc32c(bytes))
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// An error that says what is wrong with the answer, unless `holds`.
pub(super) fn require(call: &Call, holds: bool, wrong: &str) -> Result<(), PortError> {
    if holds { Ok(()) } else { Err(call.undecodable(wrong)) }
}

/// Whether the bytes are those that the answer's checksum is of. No checksum is a wrong one.
pub(super) fn checked(
    call: &Call,
    field: &str,
    bytes: &[u8],
    sum: Option<Checksum>,
) -> Result<(), PortError> {
    let wrong = format!("{field} does not have its checksum");
    require(call, sum == Some(Checksum::of(bytes)), &wrong)
}

/// A field of type `bytes`.
pub(super) fn bytes_of(call: &Call, field: &str, text: &str) -> Result<Vec<u8>, PortError> {
    STANDARD.decode(text).map_err(|_| call.undecodable(&format!("{field} is no base64")))
}

/// `Ecdsa-Sig-Value` (RFC 3279 §2.2.3) as r‖s, each filled up to 32 bytes; `None` if it is not exactly one, or of
/// integers that no signature on P-256 has.
pub(super) fn fixed_signature(der: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut reader = SliceReader::new(der).ok()?;
    let [mut r, mut s] = [[0; SIGNATURE_BYTES / 2]; 2];
    let (found_r, found_s) = reader.sequence(two_numbers).ok()?;
    reader.finish().ok()?;
    for (half, found) in [(&mut r, found_r), (&mut s, found_s)] {
        let digits = found.as_bytes();
        let at = half.len().checked_sub(digits.len())?;
        half.get_mut(at..)?.copy_from_slice(digits);
    }
    <[u8; SIGNATURE_BYTES]>::try_from([r, s].concat()).ok()
}

fn two_numbers<'a>(reader: &mut SliceReader<'a>) -> der::Result<(UintRef<'a>, UintRef<'a>)> {
    Ok((UintRef::decode(reader)?, UintRef::decode(reader)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_a_number_as_a_text() {
        // The check value of CRC-32C (RFC 3720 appendix B.4).
        let sum = Checksum::of(&[0; 32]);
        assert_eq!(serde_json::to_string(&sum).unwrap(), "\"2324772522\"");
        assert_eq!(serde_json::from_str::<Checksum>("\"2324772522\"").unwrap(), sum);
        for wrong in ["\"\"", "\"-1\"", "\"4294967296\"", "\"1.0\"", "true", "[]"] {
            assert!(serde_json::from_str::<Checksum>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_signature_becomes_two_numbers_of_32_bytes() {
        let expected = |r: &[u8], s: &[u8]| {
            let mut fixed = [0; SIGNATURE_BYTES];
            fixed[32 - r.len()..32].copy_from_slice(r);
            fixed[64 - s.len()..].copy_from_slice(s);
            Some(fixed)
        };
        assert_eq!(fixed_signature(&[0x30, 6, 2, 1, 1, 2, 1, 2]), expected(&[1], &[2]));
        // A leading zero keeps a number positive.
        assert_eq!(fixed_signature(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 2]), expected(&[0x80], &[2]));
        let whole = [&[0x30, 70, 2, 33, 0][..], &[0xff; 32], &[2, 33, 0], &[0xfe; 32]].concat();
        assert_eq!(fixed_signature(&whole), expected(&[0xff; 32], &[0xfe; 32]));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        let too_long = [&[0x30, 38, 2, 33, 1][..], &[0xff; 32], &[2, 1, 2]].concat();
        for wrong in [
            &[][..],
            &[0x30],
            &[0x30, 0],
            &[0x30, 3, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 2, 1],
            &[0x30, 6, 2, 1, 1, 2, 1, 2, 0],
            &[0x30, 7, 2, 1, 1, 2, 1, 2, 0],
            &[0x30, 9, 2, 1, 1, 2, 1, 2, 2, 1, 3],
            &[0x30, 6, 2, 1, 0x81, 2, 1, 2],
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 2],
            &[0x30, 5, 2, 0, 2, 1, 2],
            &[0x31, 6, 2, 1, 1, 2, 1, 2],
            &[0x30, 6, 4, 1, 1, 2, 1, 2],
            &[0x30, 0x80, 2, 1, 1, 2, 1, 2, 0, 0],
            &too_long,
            &[7; 64],
        ] {
            assert_eq!(fixed_signature(wrong), None, "{wrong:?}");
        }
    }
}
