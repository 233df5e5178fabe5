//! Conditions grown from a grammar, with the verdict that follows from how they were grown.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "markers and conjunctions are looked for, among whatever else there is"
)]

use curfew_core::condition::{Activation, LOGICAL_OPERATORS_MAX};

use super::syntax;
use crate::choices::Choices;

/// A condition before it is text.
#[derive(Debug, Clone)]
pub(super) enum Grown {
    /// Text that binds more tightly than any logical operator.
    Atom(&'static str),
    /// A marker, in some case.
    Marker(&'static str, Activation),
    /// A conjunction.
    And(Vec<Grown>),
    /// A disjunction.
    Or(Vec<Grown>),
    /// `!(…)`
    Not(Box<Grown>),
    /// `test ? yes : no`
    Choice(Box<[Grown; 3]>),
    /// The condition inside of something else: before, after.
    Inside(&'static str, Box<Grown>, &'static str),
}

/// What must come of a grown condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// Eligible, with these clauses.
    Eligible(Activation, Vec<syntax::Expr>),
    /// Not eligible.
    Nothing,
}

const ATOMS: &[&str] = &[
    "a",
    "true",
    "resource.name.startsWith(\"projects/p/\")",
    "resource.name == 'projects/p/i'",
    "resource.type == r\"x\"",
    "resource.service != 'x && y || z'",
    "request.time < timestamp('2026-06-01T00:00:00Z')",
    "request.time.getHours(\"Europe/Berlin\") >= 9",
    "b.c['d'].e(1)",
    "f(a, b) in ['x', \"has({}.jitAccessConstraint)\"]",
    "s == 'it\\'s // no comment'",
    "t == \"\"\"x\" && 'y\"\"\"",
    "u == r'\\'",
    "v != b'\\x00)'",
    "1.5 < n.m",
    "-n + 2 * k == 0x1F",
    "{'k': a}.k == b",
    "[a, b][0]",
    "false",
    "jitAccessConstraint2",
];

/// Atoms that make a condition not eligible beside a marker.
const REFUSED_ATOMS: &[&str] = &[
    "has(a.b)",
    "HAS({}.reviewerPrivilege)",
    "has({}.jitAccessConstraint.topic)",
    "a.jitAccessConstraint",
    "has({'x': 1}.multiPartyApprovalConstraint)",
    "has(({}).jitAccessConstraint)",
];

const MARKERS: &[(&str, Activation)] = &[
    ("jitAccessConstraint", Activation::SelfApproval),
    ("multiPartyApprovalConstraint", Activation::PeerApproval),
    ("JITACCESSCONSTRAINT", Activation::SelfApproval),
    ("MultipARTYapproVALConstraint", Activation::PeerApproval),
];

/// Something that a condition can stand in.
const AROUND: &[(&str, &str)] =
    &[("f(", ")"), ("[", "][0]"), ("{'k': ", "}['k']"), ("g(1, ", ").h()"), ("(", ") == true")];

/// White space and comments; the first is the least.
const GAPS: &[&str] = &[
    "",
    " ",
    "\n",
    "\r\n",
    "\t",
    "  ",
    " // && ( ' \"\n",
    "\n// has({}.jitAccessConstraint)\r\n",
    " // || true )\n \n",
];

/// Grows a condition.
pub(super) fn grow(choices: &mut Choices<'_>) -> Grown {
    grow_within(choices, 4)
}

fn grow_within(choices: &mut Choices<'_>, depth: usize) -> Grown {
    let kind = if depth == 0 { choices.below(8) } else { choices.below(16) };
    let below = |choices: &mut Choices<'_>| grow_within(choices, depth.saturating_sub(1));
    let several = |choices: &mut Choices<'_>| {
        (0..choices.below(3) + 2).map(|_| below(choices)).collect::<Vec<_>>()
    };
    match kind {
        4..=6 => {
            let (name, activation) = choices.of(MARKERS);
            Grown::Marker(name, activation)
        }
        7 if choices.once_in(4) => Grown::Atom(choices.of(REFUSED_ATOMS)),
        0..=3 | 7 => Grown::Atom(choices.of(ATOMS)),
        8..=12 => Grown::And(several(choices)),
        13 => Grown::Or(several(choices)),
        14 if choices.once_in(2) => {
            Grown::Choice(Box::new([below(choices), below(choices), below(choices)]))
        }
        14 => Grown::Not(Box::new(below(choices))),
        _ => {
            let (before, after) = choices.of(AROUND);
            Grown::Inside(before, Box::new(below(choices)), after)
        }
    }
}

impl Grown {
    /// The text, in a layout of the chooser's liking.
    pub(super) fn text(&self, choices: &mut Choices<'_>) -> String {
        self.write(0, choices)
    }

    /// The text in the plainest layout.
    pub(super) fn plain(&self) -> String {
        self.text(&mut Choices::new(&[]))
    }

    /// What must come of it.
    pub(super) fn expected(&self) -> Expected {
        let mut clauses = Vec::new();
        self.flatten(&mut clauses);
        let activations = clauses.iter().filter_map(|clause| match clause {
            Self::Marker(_, activation) => Some(*activation),
            _ => None,
        });
        let Some(activation) = activations.min() else { return Expected::Nothing };
        let others: Vec<_> =
            clauses.iter().filter(|clause| !matches!(clause, Self::Marker(..))).collect();
        // The time clause holds one operator, and one more joins each other clause.
        let operators: usize = others.iter().map(|clause| clause.operators() + 1).sum();
        if others.iter().any(|clause| clause.is_refused()) || operators + 1 > LOGICAL_OPERATORS_MAX
        {
            return Expected::Nothing;
        }
        let read = |clause: &Self| super::parsed(&clause.plain());
        Expected::Eligible(activation, others.iter().map(|clause| read(clause)).collect())
    }

    fn flatten<'a>(&'a self, clauses: &mut Vec<&'a Self>) {
        match self {
            Self::And(all) => all.iter().for_each(|one| one.flatten(clauses)),
            other => clauses.push(other),
        }
    }

    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Atom(_) | Self::Marker(..) => Vec::new(),
            Self::And(all) | Self::Or(all) => all.iter().collect(),
            Self::Not(inner) | Self::Inside(_, inner, _) => vec![inner],
            Self::Choice(choice) => choice.iter().collect(),
        }
    }

    fn is_refused(&self) -> bool {
        match self {
            Self::Marker(..) => true,
            Self::Atom(text) => REFUSED_ATOMS.contains(text),
            _ => self.parts().iter().any(|part| part.is_refused()),
        }
    }

    fn operators(&self) -> usize {
        let own = match self {
            Self::And(all) | Self::Or(all) => all.len().saturating_sub(1),
            Self::Not(_) => 1,
            Self::Atom(_) | Self::Marker(..) | Self::Choice(_) | Self::Inside(..) => 0,
        };
        own + self.parts().iter().map(|part| part.operators()).sum::<usize>()
    }

    /// How loosely it binds: `?:` 0, `||` 1, `&&` 2, everything else 3.
    fn looseness(&self) -> u8 {
        match self {
            Self::Choice(_) => 0,
            Self::Or(_) => 1,
            Self::And(_) => 2,
            Self::Atom(_) | Self::Marker(..) | Self::Not(_) | Self::Inside(..) => 3,
        }
    }

    /// The text where only what binds at least so tightly may stand without parentheses.
    fn write(&self, tightness: u8, choices: &mut Choices<'_>) -> String {
        let parentheses =
            usize::from(self.looseness() < tightness) + usize::from(choices.once_in(6));
        let gap = |choices: &mut Choices<'_>| choices.of(GAPS);
        let inner = match self {
            Self::Atom(text) => (*text).to_owned(),
            Self::Marker(name, _) => {
                let has = if choices.once_in(4) { "HAS" } else { "has" };
                let pieces = [has, "(", "{", "}", ".", name, ")"];
                pieces.map(|piece| format!("{piece}{}", gap(choices))).concat()
            }
            Self::And(all) => join(all, "&&", 3, choices),
            Self::Or(all) => join(all, "||", 2, choices),
            // Two signs in a row cancel each other out in some readers; in parentheses they never do.
            Self::Not(operand) => format!("!{}({})", gap(choices), operand.write(0, choices)),
            Self::Choice(choice) => {
                let [test, yes, no] = &**choice;
                let (test, yes) = (test.write(1, choices), yes.write(1, choices));
                format!("{test} ?{}{yes} :{}{}", gap(choices), gap(choices), no.write(1, choices))
            }
            Self::Inside(before, inner, after) => {
                format!("{before}{}{after}", inner.write(0, choices))
            }
        };
        let open = format!("({}", gap(choices)).repeat(parentheses);
        format!("{}{open}{inner}{}{}", gap(choices), ")".repeat(parentheses), gap(choices))
    }
}

fn join(all: &[Grown], operator: &str, tightness: u8, choices: &mut Choices<'_>) -> String {
    let parts = all.iter().map(|one| one.write(tightness, choices)).collect::<Vec<_>>();
    parts.join(operator)
}
