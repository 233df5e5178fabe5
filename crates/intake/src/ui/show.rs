//! Times, durations and phases in words.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use curfew_core::phase::Phase;

use crate::view::Seen;

/// A phase as a badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PhaseBadge {
    pub(super) label: &'static str,
    /// A class of the style sheet; the label says the same in words.
    pub(super) tone: &'static str,
}

pub(super) fn badge(seen: &Seen, now: DateTime<Utc>) -> PhaseBadge {
    let outcome = seen
        .status()
        .and_then(|status| status.outcome.as_ref())
        .map(|outcome| outcome.reason.as_str());
    let (label, tone) = match seen.phase(now) {
        Phase::Pending => ("Pending", "wait"),
        Phase::AwaitingApproval => ("Awaiting approval", "wait"),
        Phase::Scheduled => ("Scheduled", "wait"),
        Phase::Activating => ("Activating", "wait"),
        Phase::Active => ("Active", "good"),
        Phase::Ending => ("Ending", "wait"),
        Phase::Ended => outcome.map_or(("Ended", "quiet"), ended),
    };
    PhaseBadge { label, tone }
}

/// How an ended request is called; what a newer version calls otherwise is just ended.
fn ended(reason: &str) -> (&'static str, &'static str) {
    match reason {
        "WITHDRAWN" => ("Withdrawn", "quiet"),
        "REVOKED" => ("Revoked", "bad"),
        "DENIED" => ("Denied", "bad"),
        "INELIGIBLE" | "NO_LONGER_ELIGIBLE" => ("Not eligible", "bad"),
        "INVALID" => ("Invalid", "bad"),
        "TAMPERED" => ("Tampered with", "bad"),
        "EXTERNALLY_REMOVED" => ("Removed by others", "bad"),
        "APPROVAL_TIMED_OUT" => ("Not approved in time", "bad"),
        "ACTIVATION_FAILED" => ("Activation failed", "bad"),
        _ => ("Ended", "quiet"),
    }
}

/// What to say where JIT Access gave `who` (such as `You have`) the access that is asked for.
pub(super) fn prior(who: &str, until: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!(
        "{who} this access already, until {} ({}): JIT Access, the tool in use here before, gave it. It ends by itself, and nothing here changes it; a request is needed only for longer.",
        utc(until),
        relative(until, now)
    )
}

/// `2026-01-31 09:00:05`, for people who were told that all times are in UTC.
pub(super) fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// For the attribute `datetime`.
pub(super) fn machine(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `in 5 min`, `3 h ago`, `just now`.
pub(super) fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let ahead = at.signed_duration_since(now);
    match ahead.num_seconds() {
        -9..=9 => "just now".into(),
        seconds if seconds > 0 => format!("in {}", rough(ahead)),
        _ => format!("{} ago", rough(ahead.abs())),
    }
}

/// The largest unit, rounded down.
fn rough(span: TimeDelta) -> String {
    match span.num_seconds() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// `1 h 30 min`, `45 s`: exact to the second below an hour, to the minute above.
pub(super) fn span(span: TimeDelta) -> String {
    let (hours, minutes, seconds) =
        (span.num_hours(), span.num_minutes() % 60, span.num_seconds() % 60);
    let parts = [(hours, "h"), (minutes, "min"), (if hours > 0 { 0 } else { seconds }, "s")];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if shown.is_empty() { "0 s".into() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_say_them() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (5_430, "1 h 30 min"),
            (7_200, "2 h"),
        ] {
            assert_eq!(span(TimeDelta::seconds(seconds)), text);
        }
    }

    #[test]
    fn hints_are_relative_to_now() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for (seconds, text) in [
            (0, "just now"),
            (-9, "just now"),
            (45, "in 45 s"),
            (-125, "2 min ago"),
            (7_300, "in 2 h"),
            (-400_000, "4 days ago"),
        ] {
            assert_eq!(relative(now + TimeDelta::seconds(seconds), now), text);
        }
    }
}
