//! Tables of conditions and their verdicts.

use super::super::{Activation, Verdict, eligibility};
use super::{check_carries_all_but_markers, verdict};

/// Activated alone; with the condition that is carried.
const SELF_APPROVAL: &[(&str, &str)] = &[
    // As JIT Access documents and tests them.
    (" \r\n\t has( {  }.jitAccessConstraint \t ) \t \r\n\r", ""),
    ("HAS({}.JitacceSSConstraint)", ""),
    ("HAS({}.JitacceSSConstraint) && a>b     && b <    c", "(a>b) && (b <    c)"),
    ("a>b && HAS({}.JitacceSSConstraint)&& b <    c", "(a>b) && (b <    c)"),
    ("a>b&&b<c&&HAS({}.JitacceSSConstraint)  ", "(a>b) && (b<c)"),
    (
        "      \ra>\n b && HAS({}.JitacceSSConstraint)&& b \r\n<\t \t\n    c\t\n",
        "(a>\n b) && (b \n<   \n    c)",
    ),
    ("has({}.jitAccessConstraint)", ""),
    ("has({}.jitAccessConstraint) && has({}.jitAccessConstraint)", ""),
    ("has({}.multiPartyApprovalConstraint) && has({}.jitAccessConstraint)", ""),
    ("has({}.jitAccessConstraint) && a == 1 && has({}.multiPartyApprovalConstraint)", "a == 1"),
    ("has({}.jitAccessConstraint) && resource.type == 'x'", "resource.type == 'x'"),
    // Stricter in reading, so accepted where JIT Access is not able to.
    ("(has({}.jitAccessConstraint))", ""),
    ("((has({}.jitAccessConstraint)))", ""),
    ("has({}.jitAccessConstraint) // note", ""),
    ("((has({}.jitAccessConstraint) && (a && (b || c))))", "(a) && (b || c)"),
    ("(a && has({}.jitAccessConstraint)) && b", "(a) && (b)"),
    ("has({}.jitAccessConstraint) && (a)", "a"),
    ("has({}.jitAccessConstraint) && (a || b)", "a || b"),
    ("has({}.jitAccessConstraint) && ((a || b))", "(a || b)"),
    ("has({}.jitAccessConstraint) && (a || b) && c", "(a || b) && (c)"),
    ("has({}.jitAccessConstraint) && (a || b && c)", "a || b && c"),
    ("has({}.jitAccessConstraint) && (a ? b && c : d)", "a ? b && c : d"),
    ("has({}.jitAccessConstraint) && (a) == (b)", "(a) == (b)"),
    ("has({}.jitAccessConstraint) && !(a && b)", "!(a && b)"),
    ("has({}.jitAccessConstraint) && f(a && b)", "f(a && b)"),
    ("has({}.jitAccessConstraint) && [a && b][0]", "[a && b][0]"),
    ("has({}.jitAccessConstraint) && {'k': a && b}['k']", "{'k': a && b}['k']"),
    ("has({}.jitAccessConstraint) && !!a", "!!a"),
    (
        "has({}.jitAccessConstraint) && request.time < timestamp('2030-01-01T00:00:00Z')",
        "request.time < timestamp('2030-01-01T00:00:00Z')",
    ),
    (
        "has({}.jitAccessConstraint) && request.time.getHours(\"Europe/Berlin\") >= 9",
        "request.time.getHours(\"Europe/Berlin\") >= 9",
    ),
    (
        "has({}.jitAccessConstraint) && resource.matchTag('123/env', 'test')",
        "resource.matchTag('123/env', 'test')",
    ),
    (
        "has({}.jitAccessConstraint) && api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/x'])",
        "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/x'])",
    ),
    // Strings that look like structure.
    ("has({}.jitAccessConstraint) && s == '&&'", "s == '&&'"),
    (
        "has({}.jitAccessConstraint) && s == \"a && b\" && t == 'x || y'",
        "(s == \"a && b\") && (t == 'x || y')",
    ),
    ("has({}.jitAccessConstraint) && s == 'it\\'s && (' && t", "(s == 'it\\'s && (') && (t)"),
    (
        "has({}.jitAccessConstraint) && s == \"it's\" && t == \"'\"",
        "(s == \"it's\") && (t == \"'\")",
    ),
    ("has({}.jitAccessConstraint) && s == r\"\\\" && t", "(s == r\"\\\") && (t)"),
    ("has({}.jitAccessConstraint) && s == R'\\' && t", "(s == R'\\') && (t)"),
    ("has({}.jitAccessConstraint) && s == b'a && b'", "s == b'a && b'"),
    ("has({}.jitAccessConstraint) && s == \"\"\"a \" && 'b\"\"\"", "s == \"\"\"a \" && 'b\"\"\""),
    ("has({}.jitAccessConstraint) && s == '''a\nb'''", "s == '''a\nb'''"),
    ("has({}.jitAccessConstraint) && s == '//not a comment'", "s == '//not a comment'"),
    ("has({}.jitAccessConstraint) && s == 'jitAccessConstraint'", "s == 'jitAccessConstraint'"),
    ("has({}.jitAccessConstraint) && s == 'Grüße, 世界'", "s == 'Grüße, 世界'"),
    ("has({}.jitAccessConstraint) && s == '\\u202e\\n\\x00'", "s == '\\u202e\\n\\x00'"),
    // Comments.
    ("// why\nhas({}.jitAccessConstraint)", ""),
    ("has( // why\n{}.jitAccessConstraint // so\n)", ""),
    ("has({}.jitAccessConstraint) // && a\n && b", "b"),
    ("has({}.jitAccessConstraint) && a // )\n && b // (", "(a) && (b)"),
    ("has({}.jitAccessConstraint) && a // has({}.multiPartyApprovalConstraint)", "a"),
    ("has({}.jitAccessConstraint) && (a || // first\n  // second\n  b)", "a ||\n  b"),
    ("has({}.jitAccessConstraint) &&\r\n// a\ttab\r\na", "a"),
    ("has({}.jitAccessConstraint) && a // 'unterminated \"\"\" (", "a"),
    ("has({}.jitAccessConstraint) && a // Größe 世界", "a"),
    // Numbers, which the lexer does not know as such.
    (
        "has({}.jitAccessConstraint) && a == 1.5e3 && b == 0x1Fu && c == .5",
        "(a == 1.5e3) && (b == 0x1Fu) && (c == .5)",
    ),
    ("has({}.jitAccessConstraint) && a != -1", "a != -1"),
];

/// Needs a peer; with the condition that is carried.
const PEER_APPROVAL: &[(&str, &str)] = &[
    (" \r\n\t has( {  }.multiPartyApprovalConstraint \t ) \t \r\n\r", ""),
    ("HAS({}.MultipARTYapproVALConstraint)", ""),
    (
        "// Require multi-party approval\nhas({}.multiPartyApprovalConstraint) &&\n// asia-southeast1-a only\n\
         resource.name.startsWith(\"projects/sample-project/zones/asia-southeast1-a/instances/\")\n",
        "resource.name.startsWith(\"projects/sample-project/zones/asia-southeast1-a/instances/\")",
    ),
    (
        "// Limit to instances.\r\n(a || b) &&\r\n  // and\r\n  c &&\r\n(d&&e) && has({}.multiPartyApprovalConstraint)",
        "(a || b) && (c) && (d) && (e)",
    ),
    ("hAs({}.multipartyapprovalconstraint) && a", "a"),
];

/// Offers nothing; with a part of the reason.
const NOT_ELIGIBLE: &[(&str, &str)] = &[
    ("", "is empty"),
    ("  \r\n\t ", "is empty"),
    ("// has({}.jitAccessConstraint)", "is empty"),
    (" 1<2", "no eligibility marker"),
    ("resource.name.startsWith('x')", "no eligibility marker"),
    ("// only a comment", "no eligibility marker"),
    ("a && (", "no eligibility marker"),
    ("has({}.jitAccessConstrain)", "no eligibility marker"),
    ("'jitAccessConstraint' == a", "no eligibility marker"),
    // A marker that decides nothing by itself.
    ("HAS({}.JitacceSSConstraint) || 1<2", "whole `&&` clause"),
    ("a || b && has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) && a || b", "whole `&&` clause"),
    ("a || has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("(a || b) || has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("!has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("!!has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("!(has({}.jitAccessConstraint) && a)", "whole `&&` clause"),
    ("!!(has({}.jitAccessConstraint) && a)", "two ways"),
    ("a ? has({}.jitAccessConstraint) : false", "whole `&&` clause"),
    ("a ? b : c && has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) ? a : b", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) == true", "whole `&&` clause"),
    ("f(has({}.jitAccessConstraint))", "whole `&&` clause"),
    ("[has({}.jitAccessConstraint)][0]", "whole `&&` clause"),
    ("{'a': has({}.jitAccessConstraint)}['a']", "whole `&&` clause"),
    (
        "has({}.jitAccessConstraint) && (a || has({}.multiPartyApprovalConstraint))",
        "whole `&&` clause",
    ),
    // A marker that is misspelt.
    ("has(({}).jitAccessConstraint)", "whole `&&` clause"),
    ("has(({}.jitAccessConstraint))", "whole `&&` clause"),
    ("has({}.jitAccessConstraint.topic)", "whole `&&` clause"),
    ("has({'a': 1}.jitAccessConstraint)", "whole `&&` clause"),
    ("has([].jitAccessConstraint)", "whole `&&` clause"),
    ("has(a.jitAccessConstraint)", "whole `&&` clause"),
    ("has2({}.jitAccessConstraint)", "whole `&&` clause"),
    ("a.has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("{}.jitAccessConstraint", "whole `&&` clause"),
    ("jitAccessConstraint", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) && a.jitAccessConstraint", "whole `&&` clause"),
    ("has({}/jitAccessConstraint)", "no valid CEL"),
    ("has(jitAccessConstraint)", "no valid CEL"),
    ("has({}.`jitAccessConstraint`)", "'`'"),
    // What does not parse.
    ("has({}.jitAccessConstraint) &&", "no valid CEL"),
    ("&& has({}.jitAccessConstraint)", "no valid CEL"),
    ("has({}.jitAccessConstraint) a", "no valid CEL"),
    ("has({}.jitAccessConstraint) & a", "'&'"),
    ("has({}.jitAccessConstraint) | a", "'|'"),
    ("has({}.jitAccessConstraint) && a = b", "no valid CEL"),
    ("has({}.jitAccessConstraint) && if == 1", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a.?b", "no valid CEL"),
    ("has({}.jitAccessConstraint) && ()", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a /* b */", "no valid CEL"),
    ("has({}.jitAccessConstraint", "brackets do not match"),
    ("has({}.jitAccessConstraint))", "brackets do not match"),
    ("has({}.jitAccessConstraint) && (a]", "brackets do not match"),
    ("has({}.jitAccessConstraint) && a // )\n && (b", "brackets do not match"),
    ("has({}.jitAccessConstraint) && s == 'a", "does not end"),
    ("has({}.jitAccessConstraint) && s == 'a\n'", "does not end"),
    ("has({}.jitAccessConstraint) && s == '''a''", "does not end"),
    ("has({}.jitAccessConstraint) && s == 'a\\'", "does not end"),
    ("has({}.jitAccessConstraint) && s == '\\q'", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 99999999999999999999", "no valid CEL"),
    // What a parser accepts and another does not.
    ("has({}.jitAccessConstraint) && -!a", "no valid CEL"),
    // What the eye does not see.
    ("has({}.jitAccessConstraint) // why \r && a", "invisible"),
    ("has({}.jitAccessConstraint) // why \u{2028} && a", "invisible"),
    ("has({}.jitAccessConstraint) // why \u{85} && a", "invisible"),
    ("has({}.jitAccessConstraint) // why \u{b} && a", "invisible"),
    ("has({}.jitAccessConstraint) // \u{202e} a && ", "invisible"),
    ("has({}.jitAccessConstraint)\u{2028}&& a", "invisible"),
    ("has({}.jitAccessConstraint)\u{b}&& a", "invisible"),
    ("has({}.jitAccessConstraint)\u{c}&& a", "invisible"),
    ("has({}.jitAccessConstraint) && s == '\0'", "invisible"),
    ("has({}.jitAccessConstraint)\0", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\tb'", "invisible"),
    ("has({}.jitAccessConstraint) && s == '''a\r\nb'''", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{200b}b'", "invisible"),
    ("\u{feff}has({}.jitAccessConstraint)", "invisible"),
    ("has({}.jitAccessConstraint)\u{a0}&& a", "no meaning"),
    ("has({}.jitAccessConstraint) && größe == 1", "no meaning"),
    ("has({}.jitAccessConstraint) && a@b", "no meaning"),
    ("has({}.jitAccessConstraint) && a; b", "no meaning"),
    ("hаs({}.jitAccessConstraint)", "no meaning"),
    // What is not carried.
    ("has({}.jitAccessConstraint) && [1].exists(x, x == 1)", "comprehension"),
    ("has({}.jitAccessConstraint) && [1].all(x, x == 1)", "comprehension"),
    ("has({}.jitAccessConstraint) && [1].map(x, x + 1) == [2]", "comprehension"),
    ("has({}.jitAccessConstraint) && google.protobuf.Duration{seconds: 1} == d", "message"),
    ("has({}.jitAccessConstraint) && has(request.auth.x)", "has(…)"),
    ("has({}.jitAccessConstraint) && has({}.reviewerPrivilege)", "has(…)"),
    ("has({}.jitAccessConstraint) && HAS(a.b)", "has(…)"),
    ("has({}.jitAccessConstraint) && a&&b&&c&&d&&e&&f&&g&&h&&i&&j&&k&&l", "13 logical operators"),
    ("has({}.jitAccessConstraint) && (a||b||c||d||e||f||!g||h||i||j||k)", "13 logical operators"),
];

#[test]
fn documented_and_hand_made_conditions_are_eligible_with_their_resource_condition() {
    let tables =
        [(Activation::SelfApproval, SELF_APPROVAL), (Activation::PeerApproval, PEER_APPROVAL)];
    for (activation, table) in tables {
        for (condition, carried) in table {
            assert_eq!(
                verdict(condition),
                Ok((activation, (*carried).to_owned())),
                "{condition:?}"
            );
        }
    }
}

#[test]
fn carried_clauses_are_the_non_marker_clauses_of_the_tree() {
    for (condition, _) in SELF_APPROVAL.iter().chain(PEER_APPROVAL) {
        let Verdict::Eligible { resource_condition, .. } = eligibility(condition) else {
            panic!("{condition:?} is not eligible");
        };
        check_carries_all_but_markers(condition, &resource_condition);
    }
}

#[test]
fn other_conditions_are_not_eligible_and_say_why() {
    for (condition, reason) in NOT_ELIGIBLE {
        match verdict(condition) {
            Err(said) => assert!(said.contains(reason), "{condition:?} said {said:?}"),
            Ok(eligible) => panic!("{condition:?} is eligible: {eligible:?}"),
        }
    }
}

#[test]
fn twelve_logical_operators_with_the_time_limit_are_still_eligible() {
    let condition = "has({}.jitAccessConstraint) && a&&b&&c&&d&&e&&f&&g&&h&&i&&j&&k";
    let carried = "(a) && (b) && (c) && (d) && (e) && (f) && (g) && (h) && (i) && (j) && (k)";
    assert_eq!(verdict(condition), Ok((Activation::SelfApproval, carried.to_owned())));
}
