//! Durations as people write them.

use curfew_proto::parse_duration;

use crate::choices::{Choices, damage};

const SAMPLES: &[&str] = &["3600s", "1h30m", "45m", "0s", "1h0m5s", "2147483647s", "596523h14m7s"];

const FRAGMENTS: &[&str] =
    &["h", "m", "s", "0", "9", "1", ".", "-", "+", " ", "e", "ms", "１", "PT", "99999999999"];

/// A damaged duration, or the bytes themselves as text.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.once_in(4) {
        return check_text(&String::from_utf8_lossy(choices.rest()));
    }
    let sample = choices.of(SAMPLES);
    check_text(&damage(sample, FRAGMENTS, 3, &mut choices));
}

fn check_text(text: &str) {
    let read = parse_duration(text).ok().map(|duration| duration.num_seconds());
    assert_eq!(read, seconds(text), "{text:?}");
    if let Some(seconds) = read {
        let again = parse_duration(&format!("{seconds}s")).map(|duration| duration.num_seconds());
        assert_eq!(again, Ok(seconds), "{text:?}");
    }
}

/// The same, digit by digit: each unit at most once and in order, each with a number before it.
fn seconds(text: &str) -> Option<i64> {
    let (mut total, mut number, mut units): (i128, Option<i128>, &[_]) =
        (0, None, &['h', 'm', 's']);
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    for sign in text.chars() {
        if let Some(digit) = sign.to_digit(10) {
            number = Some(number.unwrap_or(0) * 10 + i128::from(digit));
            continue;
        }
        let at = units.iter().position(|unit| *unit == sign)?;
        units = &units[at + 1..];
        let seconds = match sign {
            'h' => 3_600,
            'm' => 60,
            _ => 1,
        };
        total += number.take()? * seconds;
    }
    let is_whole = number.is_none() && total <= i128::from(i32::MAX);
    is_whole.then(|| i64::try_from(total).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{corpus, seeded};

    #[test]
    fn durations_are_read_as_they_are_written() {
        for data in seeded(0xd0_7a, 60_000, 40) {
            check(&data);
        }
        for data in corpus("duration") {
            check(&data);
        }
        assert!(SAMPLES.iter().all(|sample| seconds(sample).is_some()));
    }
}
