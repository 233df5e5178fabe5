//! Whether this machine's clock is right, by the clocks of those whom it works with.

use chrono::{DateTime, TimeDelta, Utc};

use super::report::Finding;

/// Beyond this a controller is not ready and acts on nothing.
const SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// A foreign clock, read between two looks at ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) asked: DateTime<Utc>,
    pub(crate) answered: DateTime<Utc>,
    /// What the other side told; it is cut to whole units of `unit`.
    pub(crate) told: DateTime<Utc>,
    pub(crate) unit: TimeDelta,
}

impl Reading {
    /// How far ours is ahead (negative: behind) at least; zero if the two can be the same.
    fn skew(&self) -> TimeDelta {
        let latest = self.told.checked_add_signed(self.unit).unwrap_or(self.told);
        if self.asked > latest {
            self.asked.signed_duration_since(latest)
        } else if self.answered < self.told {
            self.answered.signed_duration_since(self.told)
        } else {
            TimeDelta::zero()
        }
    }
}

/// Judges by every clock that told the time; `whose` names each.
pub(crate) fn judge(readings: &[(&str, Result<Reading, String>)]) -> Finding {
    let mut said = Vec::new();
    let mut is_known = false;
    let mut is_off = false;
    for (whose, reading) in readings {
        match reading {
            Ok(reading) => {
                is_known = true;
                let skew = reading.skew();
                is_off |= skew.abs() > SKEW_MAX;
                said.push(difference(whose, skew));
            }
            Err(why) => said.push(format!("{whose}: {why}")),
        }
    }
    let said = said.join("; ");
    match (is_known, is_off) {
        (_, true) => Finding::failed(format!("{said}: a controller acts on nothing beyond 2 s"))
            .mend("timedatectl set-ntp true")
            .mend("chronyc makestep"),
        (true, false) => Finding::passed(said),
        (false, false) => Finding::skipped(said),
    }
}

fn difference(whose: &str, skew: TimeDelta) -> String {
    let tenths = skew.num_milliseconds().abs() / 100;
    let amount = format!("{}.{} s", tenths / 10, tenths % 10);
    match skew {
        skew if skew.abs() < TimeDelta::milliseconds(100) => format!("as {whose}"),
        skew if skew > TimeDelta::zero() => format!("{amount} ahead of {whose}"),
        _ => format!("{amount} behind {whose}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + ms).unwrap()
    }

    fn judged(asked: i64, answered: i64, told: i64, unit: i64) -> Finding {
        let reading = Reading {
            asked: at(asked),
            answered: at(answered),
            told: at(told),
            unit: TimeDelta::milliseconds(unit),
        };
        judge(&[("the store", Ok(reading))])
    }

    #[test]
    fn a_difference_counts_only_beyond_what_the_journey_and_the_unit_explain() {
        for (asked, answered, told, unit, outcome) in [
            (0, 10, 5, 0, Outcome::Passed),
            (0, 10, -2_000, 0, Outcome::Passed),
            (0, 10, -2_001, 0, Outcome::Failed),
            (0, 10, 2_010, 0, Outcome::Passed),
            (0, 10, 2_011, 0, Outcome::Failed),
            (0, 10, -3_000, 1_000, Outcome::Passed),
            (0, 10, -3_001, 1_000, Outcome::Failed),
            (0, 5_000, 6_900, 0, Outcome::Passed),
        ] {
            let finding = judged(asked, answered, told, unit);
            assert_eq!(finding.outcome, outcome, "{asked} {answered} {told} {unit}: {finding:?}");
        }
    }

    #[test]
    fn it_says_which_way_and_how_far() {
        assert!(judged(0, 10, -90_000, 0).message.starts_with("90.0 s ahead of the store"));
        assert!(judged(0, 10, 90_050, 0).message.starts_with("90.0 s behind the store"));
        assert_eq!(judged(0, 10, 5, 0).message, "as the store");
    }

    #[test]
    fn one_clock_that_tells_is_enough_and_none_is_not() {
        let told =
            |ms| Reading { asked: at(0), answered: at(0), told: at(ms), unit: TimeDelta::zero() };
        let silent = || Err("no answer".to_owned());
        let judged = |one, two| judge(&[("a", one), ("b", two)]).outcome;
        assert_eq!(judged(silent(), silent()), Outcome::Skipped);
        assert_eq!(judged(silent(), Ok(told(0))), Outcome::Passed);
        assert_eq!(judged(Ok(told(0)), Ok(told(9_000))), Outcome::Failed);
    }
}
