//! What was found, for programs and for people.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

/// The longest line of a foreign text that is shown; a cause says what it has to say in less.
const TEXT_CHARS_MAX: usize = 1_000;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Outcome {
    /// In order.
    Passed,
    /// Could not be looked at; the message says why.
    Skipped,
    /// Works, and should be otherwise.
    Warning,
    /// Does not work, or is unsafe.
    Failed,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Passed, Self::Warning, Self::Failed, Self::Skipped];

    /// The name in reports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Skipped => "SKIPPED",
            Self::Warning => "WARNING",
            Self::Failed => "FAILED",
        }
    }

    /// SGR parameters (ECMA-48 §8.3.117).
    fn colour(self) -> &'static str {
        match self {
            Self::Passed => "32",
            Self::Skipped => "2",
            Self::Warning => "33",
            Self::Failed => "1;31",
        }
    }
}

/// What one look found: the judgement, what was seen, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) outcome: Outcome,
    pub(crate) message: String,
    /// Commands and steps, one after the other.
    pub(crate) mend: Vec<String>,
}

impl Finding {
    pub(crate) fn passed(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Passed, message: message.into(), mend: Vec::new() }
    }

    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warning, ..Self::passed(message) }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, ..Self::passed(message) }
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, ..Self::passed(why) }
    }

    /// One more step that mends it.
    pub(crate) fn mend(mut self, step: impl Into<String>) -> Self {
        self.mend.push(step.into());
        self
    }

    /// More such steps.
    pub(crate) fn mends(mut self, steps: impl IntoIterator<Item = String>) -> Self {
        self.mend.extend(steps);
        self
    }

    /// The worse of the two judgements, and the words of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            outcome: self.outcome.max(other.outcome),
            message: format!("{}; {}", self.message, other.message),
            mend: self.mend.into_iter().chain(other.mend).collect(),
        }
    }
}

/// A named look with its finding and the time that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) finding: Finding,
    pub(crate) took: Duration,
}

/// Everything that was found, in the order in which it is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) part: &'static str,
    /// What was looked at, for people.
    pub(crate) about: String,
    pub(crate) checks: Vec<Check>,
}

impl Report {
    /// FAILED if anything failed, else WARNING if anything is to be heeded, else PASSED.
    pub(crate) fn outcome(&self) -> Outcome {
        let worst = self.checks.iter().map(|check| check.finding.outcome).max();
        worst.filter(|worst| *worst > Outcome::Skipped).unwrap_or(Outcome::Passed)
    }

    /// For programs; the shape is documented in `docs/doctor.md`.
    pub(crate) fn to_json(&self) -> String {
        let checks: Vec<Value> = self.checks.iter().map(json_of).collect();
        let report =
            json!({"part": self.part, "result": self.outcome().as_str(), "checks": checks});
        format!("{report:#}\n")
    }

    /// For people, with colours where those are shown.
    pub(crate) fn to_text(&self, with_colours: bool) -> String {
        let width = self.checks.iter().map(|check| check.name.chars().count()).max();
        let width = width.unwrap_or_default();
        let mut text = format!("curfew doctor: {}\n", plain(&self.about));
        for check in &self.checks {
            write_check(&mut text, check, width, with_colours);
        }
        let counts = Outcome::ALL.map(|outcome| {
            let n = self.checks.iter().filter(|check| check.finding.outcome == outcome).count();
            format!("{n} {}", outcome.as_str().to_ascii_lowercase())
        });
        text.push_str(&counts.join(", "));
        text.push('\n');
        text
    }
}

fn json_of(check: &Check) -> Value {
    let mut value = json!({
        "name": check.name,
        "result": check.finding.outcome.as_str(),
        "message": check.finding.message,
        "took": format!("{:.3}s", check.took.as_secs_f64()),
    });
    if !check.finding.mend.is_empty() {
        value["mend"] = json!(check.finding.mend);
    }
    value
}

fn write_check(text: &mut String, check: &Check, width: usize, with_colours: bool) {
    let Finding { outcome, message, mend } = &check.finding;
    let word = format!("{:<7}", outcome.as_str());
    let word =
        if with_colours { format!("\u{1b}[{}m{word}\u{1b}[0m", outcome.colour()) } else { word };
    let name = format!("{:<width$}", plain(&check.name));
    line(text, &format!("{word}  {name}  {}", plain(message)));
    for step in mend.iter().flat_map(|step| step.lines()) {
        line(text, &format!("           mend: {}", plain(step)));
    }
}

fn line(text: &mut String, content: &str) {
    if writeln!(text, "{content}").is_err() {
        text.push('\n');
    }
}

/// One line without anything that moves the cursor, and not without end.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for (position, letter) in text.chars().enumerate() {
        if position == TEXT_CHARS_MAX {
            shown.push('…');
            break;
        }
        if letter.is_control() || reorders(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Marks that reorder or break a line (Unicode Standard Annex 9).
fn reorders(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: impl IntoIterator<Item = Finding>) -> Report {
        let check = |(n, finding)| Check {
            name: format!("check{}", "s".repeat(n)),
            finding,
            took: Duration::from_millis(12),
        };
        let checks = findings.into_iter().enumerate().map(check).collect();
        Report { part: "intake", about: "intake of prod".into(), checks }
    }

    #[test]
    fn the_worst_finding_decides_and_a_skipped_one_does_not() {
        let passed = || Finding::passed("fine");
        let of = |more: Finding| report([passed(), more]).outcome();
        assert_eq!(of(passed()), Outcome::Passed);
        assert_eq!(of(Finding::skipped("why")), Outcome::Passed);
        assert_eq!(of(Finding::warning("hm")), Outcome::Warning);
        assert_eq!(of(Finding::failed("no")), Outcome::Failed);
        let all = [Finding::failed("no"), Finding::warning("hm"), Finding::skipped("why")];
        assert_eq!(report(all).outcome(), Outcome::Failed);
    }

    #[test]
    fn programs_read_a_stable_shape() {
        let report = report([Finding::passed("fine"), Finding::failed("no").mend("gcloud x")]);
        let read: Value = serde_json::from_str(&report.to_json()).unwrap();
        let expected = json!({
            "part": "intake",
            "result": "FAILED",
            "checks": [
                {"name": "check", "result": "PASSED", "message": "fine", "took": "0.012s"},
                {"name": "checks", "result": "FAILED", "message": "no", "took": "0.012s", "mend": ["gcloud x"]},
            ],
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn people_read_aligned_lines_and_no_control_character_gets_through() {
        let hostile = Finding::warning("a\u{1b}[2Jb\r\nc\u{202e}").mend("first\nsecond\u{7}");
        let text = report([Finding::passed("fine"), hostile]).to_text(false);
        let expected = "curfew doctor: intake of prod
PASSED   check   fine
WARNING  checks  a\\u{1b}[2Jb\\r\\nc\\u{202e}
           mend: first
           mend: second\\u{7}
1 passed, 1 warning, 0 failed, 0 skipped
";
        assert_eq!(text, expected);
    }

    #[test]
    fn colours_are_there_only_where_they_are_asked_for() {
        let report = report([Finding::failed("no")]);
        assert!(report.to_text(true).contains("\u{1b}[1;31mFAILED \u{1b}[0m"));
        assert!(!report.to_text(false).contains('\u{1b}'));
    }
}
