//! A hundred thousand damaged conditions: none panics, and none that is still eligible carries anything
//! but its own clauses.

use super::super::{Verdict, eligibility, jit_access_activation, read_granted};
use super::check_carries_all_but_markers;

const MUTATIONS: usize = 100_000;

const SEED: u64 = 0x6a69_7420_6163_6365;

const CORPUS: &[&str] = &[
    "has({}.jitAccessConstraint)",
    "HAS({}.multiPartyApprovalConstraint) && a",
    "a || b && has({}.jitAccessConstraint)",
    "((has({}.jitAccessConstraint) && (a && (b || c))))",
    "has({}.jitAccessConstraint) && resource.name.startsWith(\"projects/p/\") // why\n && !(x == r'\\')",
    "// Require\nhas({}.multiPartyApprovalConstraint) &&\n// only\nresource.type == '''a && \"b\"'''",
    "has({}.jitAccessConstraint) && (a ? b : c) && [1, 2][0] == 1 && {'k': \"v\"}.k == b'\\x00'",
    "(request.time >= timestamp(\"2026-03-01T10:00:00Z\") && request.time < timestamp(\"2026-03-01T10:05:00Z\")) && (a) && (b || c)",
];

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
    "has(",
    "has({}.jitAccessConstraint)",
    " && has({}.multiPartyApprovalConstraint)",
    "true",
    "in",
    "[1].exists(x, x)",
    "\0",
    "\u{2028}",
    "\u{202e}",
    "é",
    "&",
    "|",
    "`",
    "@",
];

#[test]
fn damaged_conditions_never_panic_and_never_carry_another_meaning() {
    let mut random = XorShift(SEED);
    let mut eligible = 0;
    for round in 0..MUTATIONS {
        let mut condition = CORPUS[round % CORPUS.len()].to_owned();
        for _ in 0..=random.below(4) {
            mutate(&mut condition, &mut random);
        }
        if let Verdict::Eligible { resource_condition, .. } = eligibility(&condition) {
            eligible += 1;
            check_carries_all_but_markers(&condition, &resource_condition);
        }
        let _ = read_granted(&condition);
        let _ = jit_access_activation("JIT access activation", &condition);
    }
    assert!(eligible > 1_000, "the mutations are too destructive: {eligible}");
}

fn mutate(condition: &mut String, random: &mut XorShift) {
    let (start, end) = (boundary(condition, random), boundary(condition, random));
    let range = start.min(end)..start.max(end).min(start.min(end) + 12).min(condition.len());
    let range =
        if condition.is_char_boundary(range.end) { range } else { range.start..range.start };
    match random.below(4) {
        0 => condition.replace_range(range, ""),
        1 => condition.insert_str(start, FRAGMENTS[random.below(FRAGMENTS.len())]),
        2 => condition.replace_range(range, FRAGMENTS[random.below(FRAGMENTS.len())]),
        _ => {
            let copy = condition[range].to_owned();
            condition.insert_str(start, &copy);
        }
    }
}

fn boundary(text: &str, random: &mut XorShift) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

struct XorShift(u64);

impl XorShift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
