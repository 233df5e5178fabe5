//! Instants as Firestore keeps them: whole microseconds since the Unix epoch.

use prost_types::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;
const NANOS_PER_MICRO: i32 = 1_000;

/// Microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Micros(pub(crate) i64);

impl Micros {
    /// The wall clock; a clock before 1970 reads as 1970.
    pub(crate) fn now() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the server's one look at the wall clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// The smallest later instant.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// This instant cut to whole milliseconds, the precision of Firestore's server timestamps.
    pub(crate) fn cut_to_millis(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1_000)))
    }
}

impl From<Micros> for Timestamp {
    fn from(Micros(micros): Micros) -> Self {
        let nanos = i32::try_from(micros.rem_euclid(MICROS_PER_SECOND)).unwrap_or(0);
        Self {
            seconds: micros.div_euclid(MICROS_PER_SECOND),
            nanos: nanos.saturating_mul(NANOS_PER_MICRO),
        }
    }
}

/// The microseconds of a timestamp, saturating; what is finer is cut off.
impl From<Timestamp> for Micros {
    fn from(timestamp: Timestamp) -> Self {
        Self(
            timestamp
                .seconds
                .saturating_mul(MICROS_PER_SECOND)
                .saturating_add(i64::from(timestamp.nanos.div_euclid(NANOS_PER_MICRO))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_before_the_epoch_survive_the_round_trip() {
        for micros in [-1, -1_000_001, 0, 1, 999_999, 1_795_332_569_591_892] {
            assert_eq!(Micros::from(Timestamp::from(Micros(micros))), Micros(micros));
        }
    }

    #[test]
    fn server_timestamps_have_milliseconds() {
        assert_eq!(Micros(1_234_567).cut_to_millis(), Micros(1_234_000));
    }
}
