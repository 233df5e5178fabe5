//! Conditions of eligible bindings: whatever the text, what is granted means what the binding says less its markers.

mod generator;
mod meaning;
mod syntax;

use chrono::DateTime;
use curfew_core::condition::{
    Activation, Carried, Granted, NotEligible, Verdict, eligibility, granted_expression,
    jit_access_activation, read_granted,
};

use self::generator::{Expected, Grown, grow};
use self::meaning::{Situation, holds};
use self::syntax::{Expr, read};
use crate::choices::{Choices, damage};

/// In how many situations two conditions must mean the same.
const SITUATIONS: u64 = 24;

/// Pieces that damaged conditions are damaged with.
const FRAGMENTS: &[&str] = &[
    "&&",
    "||",
    "!",
    "?",
    ":",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "'''",
    "\"\"\"",
    "\\",
    "r'",
    "b\"",
    "//",
    "\n",
    "\r",
    "\t",
    " ",
    ".",
    ",",
    "==",
    "a",
    "1",
    "0x",
    "1.5",
    "-",
    "has(",
    "has({}.jitAccessConstraint)",
    " && has({}.multiPartyApprovalConstraint)",
    "true",
    " in ",
    "[1].exists(x, x)",
    "\0",
    "\u{2028}",
    "\u{202e}",
    "é",
    "&",
    "|",
    "`",
    "u",
    "e5",
    "// x\n",
];

/// What a run has seen, so that a test can tell that it was not in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// An eligible condition.
    Eligible,
    /// One that is not, though it bears a marker.
    Refused,
    /// No marker.
    Ordinary,
}

/// A condition from the grammar, sometimes damaged, or the bytes themselves as text.
pub fn check(data: &[u8]) -> Seen {
    let mut choices = Choices::new(data);
    match choices.below(4) {
        0 => check_text(&String::from_utf8_lossy(choices.rest())),
        1 => {
            let text = grow(&mut choices).text(&mut choices);
            check_text(&damage(&text, FRAGMENTS, 4, &mut choices))
        }
        _ => {
            let grown = grow(&mut choices);
            let text = grown.text(&mut choices);
            check_grown(&grown, &text)
        }
    }
}

/// The verdict is the one that follows from how the condition was grown.
fn check_grown(grown: &Grown, text: &str) -> Seen {
    let found = match eligibility(text) {
        Verdict::Eligible { activation, resource_condition } => {
            let clauses = resource_condition.clauses().iter().map(|clause| parsed(clause));
            Expected::Eligible(activation, clauses.collect())
        }
        Verdict::NotEligible(_) => Expected::Nothing,
    };
    assert_eq!(found, grown.expected(), "{text:?} is {:?}", eligibility(text));
    check_text(text)
}

/// What must hold of any text at all.
pub fn check_text(text: &str) -> Seen {
    drop(read_granted(text));
    drop(jit_access_activation("JIT access activation", text));
    match eligibility(text) {
        Verdict::Eligible { activation, resource_condition } => {
            check_eligible(text, activation, &resource_condition);
            Seen::Eligible
        }
        Verdict::NotEligible(NotEligible::Empty | NotEligible::NoMarker) => Seen::Ordinary,
        Verdict::NotEligible(why) => {
            assert!(!why.to_string().is_empty(), "refused without a reason: {text:?}");
            Seen::Refused
        }
    }
}

fn check_eligible(text: &str, activation: Activation, carried: &Carried) {
    let whole = parsed(text);
    let rest = if carried.is_empty() { parsed("true") } else { parsed(&carried.to_string()) };
    assert_eq!(Carried::parse(&carried.to_string()).as_ref(), Ok(carried), "of {text:?}");
    let granted = Grant::of(carried);
    for seed in 0..SITUATIONS {
        let situation = situation(seed);
        let with = |markers| holds(&whole, &Situation { markers, ..situation.clone() });
        let both = [Activation::SelfApproval, Activation::PeerApproval];
        let rest = holds(&rest, &situation);
        assert_eq!(with(&both), rest, "{text:?} carries {:?} ({seed})", carried.to_string());
        // At Google every marker is false: the eligible binding itself gives nothing.
        assert_eq!(with(&[]), Some(false), "{text:?} gives access as it stands ({seed})");
        let others = both.map(|one| if one == activation { None } else { Some(one) });
        let others: Vec<_> = others.into_iter().flatten().collect();
        assert_eq!(with(&others), Some(false), "{text:?} does not rest on {activation:?} ({seed})");
        granted.check(&situation, rest);
    }
}

/// The granted binding of a resource condition, for one hour.
struct Grant {
    text: String,
    read: Expr,
    starts_at: i64,
    ends_at: i64,
}

impl Grant {
    fn of(carried: &Carried) -> Self {
        let (starts_at, ends_at) = (1_770_000_000, 1_770_003_600);
        let time = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time of this century");
        let granted = Granted {
            starts_at: time(starts_at),
            ends_at: time(ends_at),
            resource_condition: carried.clone(),
        };
        let text = granted_expression(granted.starts_at, granted.ends_at, carried)
            .expect("what is carried can be granted");
        assert_eq!(read_granted(&text), Some(granted), "{text:?} is not read back");
        Self { read: parsed(&text), text, starts_at, ends_at }
    }

    /// It holds inside of its hour where the resource condition does, and at no other time whatever that says.
    fn check(&self, situation: &Situation<'_>, rest: Option<bool>) {
        let at = |time| holds(&self.read, &Situation { time, ..situation.clone() });
        for outside in [self.starts_at - 1, self.ends_at, i64::from(i32::MAX)] {
            assert_eq!(at(outside), Some(false), "{:?} holds at {outside}", self.text);
        }
        if (self.starts_at..self.ends_at).contains(&situation.time) {
            assert_eq!(at(situation.time), rest, "{:?} at {}", self.text, situation.time);
        }
    }
}

/// Some inside of the hour of [`Grant`], some outside.
fn situation(seed: u64) -> Situation<'static> {
    let pick = |all: &[&'static str], salt: u64| {
        let at = (seed / salt) % 3;
        all[usize::try_from(at).expect("below three")]
    };
    let time = 1_770_000_000 + i64::try_from(seed % 4).expect("below four") * 3_599 - 3_599;
    Situation {
        name: pick(&["projects/p/i", "projects/p", "projects/q/i"], 1),
        kind: pick(&["x", "y", "z"], 3),
        service: pick(&["x && y || z", "y", "compute.googleapis.com"], 2),
        time,
        seed,
        markers: &[],
    }
}

/// Reads what the product has read; where this reader cannot, one of the two is wrong.
fn parsed(text: &str) -> Expr {
    read(text).unwrap_or_else(|| unreadable(text))
}

#[expect(clippy::panic, reason = "this is how a fuzz target says what it found")]
fn unreadable(text: &str) -> ! {
    panic!("accepted, and no CEL by another reading: {text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{corpus, seeded};

    #[test]
    fn verdicts_are_those_that_the_grammar_and_another_evaluator_give() {
        let mut seen = [0_usize; 3];
        for data in seeded(0xc0de, 6_000, 400) {
            seen[check(&data) as usize] += 1;
        }
        for data in corpus("condition") {
            check(&data);
        }
        let [eligible, refused, _] = seen;
        assert!(eligible > 400 && refused > 400, "{seen:?}");
    }

    #[test]
    fn the_evaluator_knows_what_differs() {
        let differ = |one: &str, other: &str| {
            let (one, other) = (read(one).unwrap(), read(other).unwrap());
            (0..SITUATIONS).any(|seed| {
                let here = Situation { markers: &[Activation::SelfApproval], ..situation(seed) };
                holds(&one, &here) != holds(&other, &here)
            })
        };
        let marked = "a || b && has({}.jitAccessConstraint)";
        for (one, other) in [
            // What Google's JIT Access would carry for `marked`.
            (marked, "(a || b) && !has({}.jitAccessConstraint)"),
            ("a && b", "a || b"),
            ("a && b || c", "a && (b || c)"),
            ("a ? b : c && d", "(a ? b : c) && d"),
            ("!a && b", "!(a && b)"),
            ("s == 'x'", "s == 'y'"),
            ("f(a)", "f(b)"),
            ("resource.name.startsWith('projects/p/')", "resource.name.startsWith('projects/')"),
        ] {
            assert!(differ(one, other), "{one} and {other}");
        }
        for (one, other) in [("a && b", "b && a"), ("(a)", "a"), ("a && (b && c)", "a && b && c")] {
            assert!(!differ(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn a_wrong_verdict_is_caught() {
        let carried = |text: &str| Carried::from_written(text).unwrap();
        let wrong: [(&str, Activation, &str); 5] = [
            ("a || b && has({}.jitAccessConstraint)", Activation::SelfApproval, "a || b"),
            ("has({}.jitAccessConstraint) && a && b", Activation::SelfApproval, "a"),
            ("has({}.multiPartyApprovalConstraint) && a", Activation::SelfApproval, "a"),
            ("has({}.jitAccessConstraint) && s == 'x'", Activation::SelfApproval, "s == 'y'"),
            ("!has({}.jitAccessConstraint) && a", Activation::SelfApproval, "a"),
        ];
        for (text, activation, rest) in wrong {
            let rest = carried(rest);
            let caught = std::panic::catch_unwind(|| check_eligible(text, activation, &rest));
            assert!(caught.is_err(), "{text} with {rest}");
        }
        check_eligible("has({}.jitAccessConstraint) && a", Activation::SelfApproval, &carried("a"));
    }
}
