//! Conditions that Google's JIT Access 1.x reads otherwise than CEL does, and how they are read here.
//!
//! [`peer_reading`] is a model of what JIT Access documents and of how it behaves: it splits text, not a tree. The
//! table says where that differs, and in whose favour; the model makes sure that the table tells the truth about both.

use super::super::Activation;
use super::verdict;

/// What JIT Access makes of a condition.
#[derive(Debug, PartialEq, Eq)]
enum Peer {
    /// Eligible, with the clauses that are carried.
    Offers(Activation, &'static [&'static str]),
    /// Not eligible.
    Nothing,
}

use Activation::{PeerApproval, SelfApproval};
use Peer::{Nothing, Offers};

/// A condition, what JIT Access makes of it, and the verdict here: what is carried, or a part of the reason.
type Row = (&'static str, Peer, Result<(Activation, &'static str), &'static str>);

const MISREAD: &[Row] = &[
    // Wider than the binding: the marker stands under something that binds more loosely than `&&`.
    (
        "a || b && has({}.jitAccessConstraint)",
        Offers(SelfApproval, &["a || b"]),
        Err("whole `&&` clause"),
    ),
    (
        "has({}.jitAccessConstraint) && a || b",
        Offers(SelfApproval, &["a || b"]),
        Err("whole `&&` clause"),
    ),
    (
        "has({}.multiPartyApprovalConstraint) && a || true",
        Offers(PeerApproval, &["a || true"]),
        Err("whole `&&` clause"),
    ),
    (
        "a ? b : c && has({}.jitAccessConstraint)",
        Offers(SelfApproval, &["a ? b : c"]),
        Err("whole `&&` clause"),
    ),
    (
        "has({}.jitAccessConstraint) && a ? b : c",
        Offers(SelfApproval, &["a ? b : c"]),
        Err("whole `&&` clause"),
    ),
    (
        "a || has({}.jitAccessConstraint) && has({}.jitAccessConstraint)",
        Offers(SelfApproval, &["a || has({}.jitAccessConstraint)"]),
        Err("whole `&&` clause"),
    ),
    // Another text than the marker.
    ("has({}/jitAccessConstraint)", Offers(SelfApproval, &[]), Err("no valid CEL")),
    ("has({}xjitAccessConstraint) && a", Offers(SelfApproval, &["a"]), Err("no valid CEL")),
    ("h a s({}.jitAccess Constraint)", Offers(SelfApproval, &[]), Err("no eligibility marker")),
    ("has({}?jitAccessConstraint)", Offers(SelfApproval, &[]), Err("no valid CEL")),
    // Clauses that are cut in the middle; JIT Access then fails to print the rest, and with it the whole listing.
    (
        "[a && has({}.jitAccessConstraint) && b][0]",
        Offers(SelfApproval, &["[a", "b][0]"]),
        Err("whole `&&` clause"),
    ),
    (
        "{'k': a && has({}.multiPartyApprovalConstraint) && b}['k']",
        Offers(PeerApproval, &["{'k': a", "b}['k']"]),
        Err("whole `&&` clause"),
    ),
    (
        "has({}.jitAccessConstraint) && a // x && y",
        Offers(SelfApproval, &["a // x", "y"]),
        Ok((SelfApproval, "a")),
    ),
    (
        "has({}.jitAccessConstraint) && a // has({}.multiPartyApprovalConstraint) && c",
        Offers(SelfApproval, &["a // has({}.multiPartyApprovalConstraint)", "c"]),
        Ok((SelfApproval, "a")),
    ),
    // A comment that is none: a line of a string.
    (
        "has({}.jitAccessConstraint) && s == '''x\n// y\n'''",
        Offers(SelfApproval, &["s == '''x\n'''"]),
        Ok((SelfApproval, "s == '''x\n// y\n'''")),
    ),
    (
        "s != '''\n// ''' && has({}.jitAccessConstraint)\n// '''",
        Nothing,
        Ok((SelfApproval, "s != '''\n// '''")),
    ),
    // A string that ends where CEL does not end it, so that a marker outside counts as text or one inside counts.
    ("s == \"it's\" && has({}.jitAccessConstraint)", Nothing, Ok((SelfApproval, "s == \"it's\""))),
    (
        "s == 'a\\' && has({}.jitAccessConstraint) && \\''",
        Offers(SelfApproval, &["s == 'a\\'", "\\''"]),
        Err("no eligibility marker"),
    ),
    (
        "s == \"a\\\" && has({}.jitAccessConstraint) && \\\"b\"",
        Offers(SelfApproval, &["s == \"a\\\"", "\\\"b\""]),
        Err("no eligibility marker"),
    ),
    ("s == '\\'' && has({}.jitAccessConstraint)", Nothing, Ok((SelfApproval, "s == '\\''"))),
    // Stricter than it need be.
    ("(has({}.jitAccessConstraint))", Nothing, Ok((SelfApproval, ""))),
    ("(has({}.jitAccessConstraint) && a)", Nothing, Ok((SelfApproval, "a"))),
    ("has({}.jitAccessConstraint) // note", Nothing, Ok((SelfApproval, ""))),
    ("has({}\t.jitAccessConstraint)", Nothing, Ok((SelfApproval, ""))),
    ("has({}.\njitAccessConstraint) && a", Nothing, Ok((SelfApproval, "a"))),
    ("HAS\t({}.jitAccessConstraint)", Nothing, Ok((SelfApproval, ""))),
    // Equal on purpose.
    (
        "has({}.multiPartyApprovalConstraint) && has({}.jitAccessConstraint)",
        Offers(SelfApproval, &[]),
        Ok((SelfApproval, "")),
    ),
    ("HAS({}.JITACCESSCONSTRAINT) && a", Offers(SelfApproval, &["a"]), Ok((SelfApproval, "a"))),
    ("has({}.jitAccessConstraint) || a", Nothing, Err("whole `&&` clause")),
    ("!has({}.jitAccessConstraint)", Nothing, Err("whole `&&` clause")),
    (
        "has({}.jitAccessConstraint) && (a || b) && c",
        Offers(SelfApproval, &["(a || b)", "c"]),
        Ok((SelfApproval, "(a || b) && (c)")),
    ),
    (
        "// why\nhas({}.multiPartyApprovalConstraint) &&\n  // where\n  a",
        Offers(PeerApproval, &["a"]),
        Ok((PeerApproval, "a")),
    ),
];

#[test]
fn the_table_says_what_both_make_of_each_condition() {
    let wrong: Vec<_> = MISREAD.iter().filter(|row| !is_told_truly(row)).collect();
    let seen = wrong.iter().map(|(condition, ..)| (peer_reading(condition), verdict(condition)));
    assert!(wrong.is_empty(), "{wrong:#?}\n{:#?}", seen.collect::<Vec<_>>());
}

/// Never wider: what JIT Access offers and this does not, or not so, stands in the table with a reason.
#[test]
fn where_both_offer_something_it_is_the_same_activation() {
    for (condition, peer, ours) in MISREAD {
        if let (Offers(theirs, _), Ok((activation, _))) = (peer, ours) {
            assert_eq!(theirs, activation, "{condition:?}");
        }
    }
}

fn is_told_truly((condition, peer, ours): &Row) -> bool {
    let told = match peer {
        Offers(activation, clauses) => {
            Some((*activation, clauses.iter().map(ToString::to_string).collect()))
        }
        Nothing => None,
    };
    let as_ours = match (verdict(condition), ours) {
        (Ok((activation, carried)), Ok(expected)) => (activation, carried.as_str()) == *expected,
        (Err(said), Err(reason)) => said.contains(reason),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    peer_reading(condition) == told && as_ours
}

/// Drops lines that are comments, cuts at every `&&` outside of parentheses and of an odd number of quotes, and takes
/// for a marker whatever matches its pattern once spaces are gone.
fn peer_reading(condition: &str) -> Option<(Activation, Vec<String>)> {
    let lines = condition.split('\n').filter(|line| !line.trim().starts_with("//"));
    let clauses = peer_clauses(&lines.collect::<Vec<_>>().join("\n"));
    let activation = clauses.iter().filter_map(|clause| peer_marker(clause)).min()?;
    let others = clauses.iter().filter(|clause| peer_marker(clause).is_none());
    Some((activation, others.map(|clause| clause.trim().to_owned()).collect()))
}

fn peer_clauses(text: &str) -> Vec<String> {
    let (mut depth, mut single, mut double) = (0_i32, false, false);
    let mut clauses = vec![String::new()];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("&&") && depth == 0 && !single && !double {
            clauses.push(String::new());
            rest = &rest[2..];
            continue;
        }
        match first {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\'' => single = !single,
            '"' => double = !double,
            _ => {}
        }
        clauses.last_mut().unwrap().push(first);
        rest = &rest[first.len_utf8()..];
    }
    clauses
}

/// White space is free around the brackets, one character of any kind stands before the name.
fn peer_marker(clause: &str) -> Option<Activation> {
    let text = clause.to_lowercase().replace(' ', "");
    let rest = text.trim_start().strip_prefix("has(")?.trim_start().strip_prefix('{')?;
    let rest = rest.trim_start().strip_prefix('}')?;
    let name = rest.strip_prefix(|any: char| any != '\n')?.trim_end().strip_suffix(')')?.trim_end();
    match name {
        "jitaccessconstraint" => Some(SelfApproval),
        "multipartyapprovalconstraint" => Some(PeerApproval),
        _ => None,
    }
}
