//! Durations as people write them.

use chrono::TimeDelta;

/// The longest text that can be a duration: the parser need not look at more.
const TEXT_LENGTH_MAX: usize = 32;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form.
    #[error("must be a duration such as \"3600s\", \"45m\" or \"1h30m\"")]
    Form,
    /// More seconds than a signed request can carry (int32).
    #[error("must be at most 2147483647 seconds")]
    TooLong,
}

/// Reads whole hours, minutes and seconds, in that order, each at most once: `3600s`, `1h30m`, `90m`.
///
/// Neither signs nor fractions; zero is a duration. At most 2,147,483,647 seconds.
pub fn parse_duration(text: &str) -> Result<TimeDelta, DurationError> {
    if text.is_empty() || text.len() > TEXT_LENGTH_MAX {
        return Err(DurationError::Form);
    }
    let mut rest = text;
    let mut seconds: i64 = 0;
    for (unit, unit_seconds) in [('h', 3_600), ('m', 60), ('s', 1)] {
        let Some((count, after)) = rest.split_once(unit) else { continue };
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DurationError::Form);
        }
        let count: i64 = count.parse().map_err(|_| DurationError::TooLong)?;
        let add = count.checked_mul(unit_seconds).ok_or(DurationError::TooLong)?;
        seconds = seconds.checked_add(add).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    if !rest.is_empty() {
        return Err(DurationError::Form);
    }
    i32::try_from(seconds)
        .map(|seconds| TimeDelta::seconds(seconds.into()))
        .map_err(|_| DurationError::TooLong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hours_minutes_and_seconds_are_read() {
        for (text, seconds) in [
            ("3600s", 3_600),
            ("1h30m", 5_400),
            ("90m", 5_400),
            ("1h", 3_600),
            ("0s", 0),
            ("1h0m5s", 3_605),
            ("2147483647s", 2_147_483_647),
        ] {
            assert_eq!(parse_duration(text), Ok(TimeDelta::seconds(seconds)), "{text:?}");
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in [
            "", "1", "s", "h", "1.5h", "-1s", "+1s", "1h 30m", "30m1h", "1h1h", "1s1s", "1d", "1H",
            " 1h", "1h\n", "1ms", "１h", "0x1s", "1e3s", "PT1H",
        ] {
            assert_eq!(parse_duration(text), Err(DurationError::Form), "{text:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_too_long() {
        for text in [
            "2147483648s",
            "596524h",
            "9223372036854775807h",
            "99999999999999999999s",
            "2147483647s".replace('s', "m").as_str(),
        ] {
            assert_eq!(parse_duration(text), Err(DurationError::TooLong), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_text_of_any_duration_is_read_back(seconds in 0..=i32::MAX) {
            prop_assert_eq!(parse_duration(&format!("{seconds}s")), Ok(TimeDelta::seconds(seconds.into())));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[0-9hms]{0,33}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert!((0..=i32::MAX.into()).contains(&duration.num_seconds()));
            }
        }
    }
}
