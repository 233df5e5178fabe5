//! Conditions that somebody made to be misread: look-alikes, hidden text, strange spellings, and bounds.

use super::super::{Activation, NotEligible, Unreadable, Verdict, eligibility};
use super::{check_carries_all_but_markers, verdict};

/// Activated alone, with the condition that is carried: however it is written, only its own clauses are.
const SELF_APPROVAL: &[(&str, &str)] = &[
    ("has({}.jitAccessConstraint)&&a", "a"),
    ("has({}.jitAccessConstraint)\n&&\na", "a"),
    ("\thas({}.jitAccessConstraint)\t&&\ta\t", "a"),
    ("has\n(\n{\n}\n.\njitAccessConstraint\n)", ""),
    ("HAS(\r\n{\r\n}\r\n.\r\nJITACCESSCONSTRAINT\r\n)\r\n&& a\r\n", "a"),
    ("a&&(b&&(c&&(has({}.jitAccessConstraint))))", "(a) && (b) && (c)"),
    ("(((has({}.jitAccessConstraint))) && a)", "a"),
    ("has({}.jitAccessConstraint) && (has({}.multiPartyApprovalConstraint) && a)", "a"),
    ("has({}.jitAccessConstraint) && (((((a)))))", "((((a))))"),
    ("has({}.jitAccessConstraint) && (a) && (b)", "(a) && (b)"),
    ("has({}.jitAccessConstraint) && (a) + (b) == c", "(a) + (b) == c"),
    // Comments that hide a marker, or the rest.
    ("has({ // }.multiPartyApprovalConstraint)\n}.jitAccessConstraint)", ""),
    ("has({}.jitAccessConstraint) // || true", ""),
    ("a // && has({}.multiPartyApprovalConstraint)\n&& has({}.jitAccessConstraint)", "a"),
    ("a && // b &&\n// c &&\nhas({}.jitAccessConstraint)", "a"),
    ("has({}.jitAccessConstraint) && a ////// b", "a"),
    ("has({}.jitAccessConstraint) && a / b == c", "a / b == c"),
    ("has({}.jitAccessConstraint) && (a // )) && (( \" '''\n)", "a"),
    ("has({}.jitAccessConstraint) && s == '// ' && t", "(s == '// ') && (t)"),
    ("has({}.jitAccessConstraint) && s == '''\n// t\n'''", "s == '''\n// t\n'''"),
    // Strings that hold markers and structure.
    (
        "has({}.jitAccessConstraint) && s == 'has({}.multiPartyApprovalConstraint)'",
        "s == 'has({}.multiPartyApprovalConstraint)'",
    ),
    ("has({}.jitAccessConstraint) && s == '\\\\' && t", "(s == '\\\\') && (t)"),
    ("has({}.jitAccessConstraint) && s == '\\\\\\' && ' && t", "(s == '\\\\\\' && ') && (t)"),
    ("has({}.jitAccessConstraint) && s == \"\\\"&&\\\"\" && t", "(s == \"\\\"&&\\\"\") && (t)"),
    ("has({}.jitAccessConstraint) && s == r'a\\' && t", "(s == r'a\\') && (t)"),
    ("has({}.jitAccessConstraint) && s == r\"\"\"a\" && \"b\"\"\"", "s == r\"\"\"a\" && \"b\"\"\""),
    ("has({}.jitAccessConstraint) && s == '''it's''' && t", "(s == '''it's''') && (t)"),
    ("has({}.jitAccessConstraint) && s == '' && t == \"\"", "(s == '') && (t == \"\")"),
    ("has({}.jitAccessConstraint) && s == b'\\xff' && t", "(s == b'\\xff') && (t)"),
    ("has({}.jitAccessConstraint) && s == bR'\\' && t", "(s == bR'\\') && (t)"),
    (
        "has({}.jitAccessConstraint) && s == '\\u0000\\U0001F980\\101'",
        "s == '\\u0000\\U0001F980\\101'",
    ),
    ("has({}.jitAccessConstraint) && s == 'e\u{301}'", "s == 'e\u{301}'"),
    ("has({}.jitAccessConstraint) && s == '🦀'", "s == '🦀'"),
    ("has({}.jitAccessConstraint) && s == 'hаs'", "s == 'hаs'"),
    // Names that contain a marker's, or are like `has`.
    ("has({}.jitAccessConstraint) && jitAccessConstraint2", "jitAccessConstraint2"),
    ("has({}.jitAccessConstraint) && a.notjitAccessConstraint", "a.notjitAccessConstraint"),
    ("has({}.jitAccessConstraint) && hash(a) == has_", "hash(a) == has_"),
    ("has({}.jitAccessConstraint) && a['has']", "a['has']"),
    ("has({}.jitAccessConstraint) && r.b", "r.b"),
    ("has({}.jitAccessConstraint) && a['jitAccessConstraint']", "a['jitAccessConstraint']"),
    // Operators and literals.
    ("has({}.jitAccessConstraint) && a in ['x', 'y']", "a in ['x', 'y']"),
    ("has({}.jitAccessConstraint) && !(a in b)", "!(a in b)"),
    ("has({}.jitAccessConstraint) && !a && !b", "(!a) && (!b)"),
    ("has({}.jitAccessConstraint) && !(!a)", "!(!a)"),
    ("has({}.jitAccessConstraint) && true && false", "(true) && (false)"),
    ("has({}.jitAccessConstraint) && null == a", "null == a"),
    ("has({}.jitAccessConstraint) && (a ? (b ? c : d) : e)", "a ? (b ? c : d) : e"),
    ("has({}.jitAccessConstraint) && a == 9223372036854775807", "a == 9223372036854775807"),
    ("has({}.jitAccessConstraint) && a == -9223372036854775808", "a == -9223372036854775808"),
    ("has({}.jitAccessConstraint) && a == 18446744073709551615u", "a == 18446744073709551615u"),
    ("has({}.jitAccessConstraint) && a == 0xFF && b", "(a == 0xFF) && (b)"),
    ("has({}.jitAccessConstraint) && a.b['c'].d(e)[0]", "a.b['c'].d(e)[0]"),
    ("has({}.jitAccessConstraint) && {1: 'a', 2: 'b'}[1] == 'a'", "{1: 'a', 2: 'b'}[1] == 'a'"),
];

/// Needs a peer, with the condition that is carried: nothing in it activates alone.
const PEER_APPROVAL: &[(&str, &str)] = &[
    ("has({}.multiPartyApprovalConstraint) // && has({}.jitAccessConstraint)", ""),
    ("// has({}.jitAccessConstraint)\nhas({}.multiPartyApprovalConstraint)", ""),
    (
        "has({}.multiPartyApprovalConstraint) && s != 'has({}.jitAccessConstraint)'",
        "s != 'has({}.jitAccessConstraint)'",
    ),
    (
        "has({}.multiPartyApprovalConstraint) && s != \"\"\"\" && has({}.jitAccessConstraint) && \"\"\"",
        "s != \"\"\"\" && has({}.jitAccessConstraint) && \"\"\"",
    ),
    (
        "has({}.multiPartyApprovalConstraint) && s != r'\\' // ' && has({}.jitAccessConstraint)",
        "s != r'\\'",
    ),
    ("has({}.multiPartyApprovalConstraint) && (has({}.multiPartyApprovalConstraint))", ""),
    ("((a) && (has({}.multiPartyApprovalConstraint)))", "a"),
];

/// Offers nothing; with a part of the reason.
const NOT_ELIGIBLE: &[(&str, &str)] = &[
    // A marker that only looks like one.
    ("has({}.jitАccessConstraint)", "no eligibility marker"),
    ("has({}.jitAccessConſtraint)", "no eligibility marker"),
    ("has({}.jıtAccessConstraint)", "no eligibility marker"),
    ("has({}.jit\u{ad}AccessConstraint)", "no eligibility marker"),
    ("has({}.jit AccessConstraint)", "no eligibility marker"),
    ("has({}.jit_access_constraint)", "no eligibility marker"),
    ("has({}.'jit' + 'AccessConstraint')", "no eligibility marker"),
    ("ｈas({}.jitAccessConstraint)", "no meaning"),
    ("has（{}.jitAccessConstraint）", "no meaning"),
    ("has({}．jitAccessConstraint)", "no meaning"),
    ("has({}.jitAccessConstraint\u{200b})", "invisible"),
    ("has({}.\u{200d}jitAccessConstraint)", "invisible"),
    ("has(\0{}.jitAccessConstraint)", "invisible"),
    ("\\u0068as({}.jitAccessConstraint)", "no meaning"),
    ("has({}['jitAccessConstraint'])", "no valid CEL"),
    ("{}['jitAccessConstraint'] == 1", "no eligibility marker"),
    ("s == 'has({}.jitAccessConstraint)'", "no eligibility marker"),
    ("s == '''\n&& has({}.jitAccessConstraint) &&\n'''", "no eligibility marker"),
    ("a // && has({}.jitAccessConstraint)", "no eligibility marker"),
    ("a.jitAccessConstraint2", "no eligibility marker"),
    // A marker in another form.
    ("has({}.jitAccessConstraint, a)", "whole `&&` clause"),
    ("has(a, {}.jitAccessConstraint)", "whole `&&` clause"),
    ("has()({}.jitAccessConstraint)", "no valid CEL"),
    (".has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("{}.has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint && a)", "no valid CEL"),
    ("has({}.a.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint.a)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint())", "no valid CEL"),
    ("has({}[0].jitAccessConstraint)", "whole `&&` clause"),
    ("has({'jitAccessConstraint': 1}.jitAccessConstraint)", "whole `&&` clause"),
    ("has({jitAccessConstraint: 1}.a)", "whole `&&` clause"),
    ("has(''.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.'jitAccessConstraint')", "no valid CEL"),
    ("has({}..jitAccessConstraint)", "no valid CEL"),
    ("has({}.?jitAccessConstraint)", "no valid CEL"),
    ("has({}{}.jitAccessConstraint)", "no valid CEL"),
    ("has{}.jitAccessConstraint", "message"),
    ("has[{}.jitAccessConstraint]", "whole `&&` clause"),
    ("exists({}.jitAccessConstraint)", "whole `&&` clause"),
    ("h as({}.jitAccessConstraint)", "no valid CEL"),
    ("has(({}).jitAccessConstraint) && has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) && has({}.multiPartyApprovalConstraint.x)", "whole `&&` clause"),
    // A marker that decides nothing by itself.
    (
        "(has({}.jitAccessConstraint) && a) || (has({}.jitAccessConstraint) && b)",
        "whole `&&` clause",
    ),
    ("has({}.jitAccessConstraint) || has({}.multiPartyApprovalConstraint)", "whole `&&` clause"),
    ("(has({}.jitAccessConstraint) || true) && has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) && true || false", "whole `&&` clause"),
    ("!(!has({}.jitAccessConstraint))", "whole `&&` clause"),
    ("!!!has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("-has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("--has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) != false", "whole `&&` clause"),
    ("true == has({}.jitAccessConstraint)", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) in [true]", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) + a", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) < a", "whole `&&` clause"),
    ("has({}.jitAccessConstraint).x", "whole `&&` clause"),
    ("has({}.jitAccessConstraint)[0]", "whole `&&` clause"),
    ("has({}.jitAccessConstraint).startsWith('')", "whole `&&` clause"),
    ("size(has({}.jitAccessConstraint))", "whole `&&` clause"),
    ("{has({}.jitAccessConstraint): 1}[true]", "whole `&&` clause"),
    ("[a && has({}.jitAccessConstraint)][0]", "whole `&&` clause"),
    ("(a ? has({}.jitAccessConstraint) : b) && c", "whole `&&` clause"),
    ("(has({}.jitAccessConstraint) ? a : b) && c", "whole `&&` clause"),
    ("a && (b || has({}.jitAccessConstraint))", "whole `&&` clause"),
    (
        "a && !has({}.jitAccessConstraint) && has({}.multiPartyApprovalConstraint)",
        "whole `&&` clause",
    ),
    ("!!(has({}.jitAccessConstraint))", "whole `&&` clause"),
    // A macro that would evaluate something that cannot be bounded.
    ("[1].exists(x, has({}.jitAccessConstraint))", "comprehension"),
    ("has({}.jitAccessConstraint) && [1].exists_one(x, x == 1)", "comprehension"),
    ("has({}.jitAccessConstraint) && [1].filter(x, x > 0) == []", "comprehension"),
    ("has({}.jitAccessConstraint) && {'a': 1}.all(k, k == 'a')", "comprehension"),
    ("has({}.jitAccessConstraint) && [1].map(x, x > 0, x) == []", "comprehension"),
    ("has({}.jitAccessConstraint) && (true || [1].exists(x, x))", "comprehension"),
    ("has({}.jitAccessConstraint) && Foo{}.a", "message"),
    ("has({}.jitAccessConstraint) && .google.type.Expr{a: 1} == b", "message"),
    // A presence test beside the marker.
    ("has({}.jitAccessConstraint) && (a || has(b.c))", "has(…)"),
    ("has({}.jitAccessConstraint) && !has(resource.name)", "has(…)"),
    ("has({}.jitAccessConstraint) && hAs({}.externalApprovalConstraint)", "has(…)"),
    ("has({}.jitAccessConstraint) && a.has(b)", "has(…)"),
    ("has({}.jitAccessConstraint) && a.has", "has(…)"),
    // What no reader of CEL accepts.
    ("has({}.jitAccessConstraint) &&& a", "'&'"),
    ("has({}.jitAccessConstraint) & & a", "'&'"),
    ("has({}.jitAccessConstraint) && && a", "no valid CEL"),
    ("has({}.jitAccessConstraint) and a", "no valid CEL"),
    ("has({}.jitAccessConstraint) AND a", "no valid CEL"),
    ("has({}.jitAccessConstraint);", "no meaning"),
    ("has({}.jitAccessConstraint) # why", "no meaning"),
    ("has({}.jitAccessConstraint) -- why", "whole `&&` clause"),
    ("has({}.jitAccessConstraint) && $a", "no meaning"),
    ("has({}.jitAccessConstraint) && a ~ b", "no meaning"),
    ("has({}.jitAccessConstraint) && a === b", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a ?? b", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a ? b", "no valid CEL"),
    ("has({}.jitAccessConstraint) && x -> x", "no valid CEL"),
    ("has({}.jitAccessConstraint) && \"a", "does not end"),
    ("has({}.jitAccessConstraint) && \"\"\"a\"\"", "does not end"),
    ("has({}.jitAccessConstraint) && s == r'a\\'' && t'", "no valid CEL"),
    ("has({}.jitAccessConstraint) && s == rr'a'", "no valid CEL"),
    ("has({}.jitAccessConstraint) && s == u'a'", "no valid CEL"),
    ("has({}.jitAccessConstraint) && s == '\\x'", "no valid CEL"),
    ("has({}.jitAccessConstraint) && s == '\\400'", "no valid CEL"),
    ("has({}.jitAccessConstraint) && s == '\\ud800'", "no valid CEL"),
    ("has({}.jitAccessConstraint) && s == '\\U00110000'", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 9223372036854775808", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 18446744073709551616u", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 0x10000000000000000", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 0x", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 1.2.3", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 1e", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 1_000", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a == 012a", "no valid CEL"),
    ("has({}.jitAccessConstraint) && while", "no valid CEL"),
    ("has({}.jitAccessConstraint) && in", "no valid CEL"),
    ("has({}.jitAccessConstraint) && [a b]", "no valid CEL"),
    ("has({}.jitAccessConstraint) && {a}", "no valid CEL"),
    ("has({}.jitAccessConstraint) && {'a' 1}", "no valid CEL"),
    ("has({}.jitAccessConstraint) && f(a,)", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a.", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a.1", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a[]", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a[?0]", "no valid CEL"),
    ("has({}.jitAccessConstraint) && (a || b", "brackets do not match"),
    ("has({}.jitAccessConstraint) && {a)", "brackets do not match"),
    ("has({}.jitAccessConstraint)) && (a", "brackets do not match"),
    ("has({}.jitAccessConstraint) && a /\n/ no comment\nb", "no valid CEL"),
    ("has({}.jitAccessConstraint) && s == '' '' && t", "no valid CEL"),
    ("has({}.jitAccessConstraint) && a.b['c'].d[0](e)", "no valid CEL"),
    ("// why\r\n&& a\r\n&& has({}.multiPartyApprovalConstraint)", "no valid CEL"),
    // What the eye does not see, in strings and comments too.
    ("has({}.jitAccessConstraint) && s == 'a\u{202e}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{2066}b\u{2069}'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{7f}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{9b}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == r'a\u{2028}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == b'a\rb'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{e0061}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{fe0f}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{e0100}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{34f}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{3164}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{1160}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == 'a\u{ffa0}b'", "invisible"),
    ("has({}.jitAccessConstraint) && s == '👩\u{200d}💻'", "invisible"),
    ("has({}.jitAccessConstraint) // \0", "invisible"),
    ("has({}.jitAccessConstraint) // \u{1b}[2K", "invisible"),
    ("has({}.jitAccessConstraint) // \u{8}\u{8}\u{8}", "invisible"),
    ("has({}.jitAccessConstraint) //\r && a || true\n", "invisible"),
    ("has({}.jitAccessConstraint)\u{200b}", "invisible"),
    ("has({}.jitAccessConstraint)\u{3000}&& a", "no meaning"),
];

#[test]
fn what_is_made_to_be_misread_is_read_as_it_is_written() {
    for (activation, table) in
        [(Activation::SelfApproval, SELF_APPROVAL), (Activation::PeerApproval, PEER_APPROVAL)]
    {
        let wrong = table.iter().filter(|(condition, carried)| {
            verdict(condition) != Ok((activation, (*carried).to_owned()))
        });
        let wrong: Vec<_> = wrong.map(|row| (row, verdict(row.0))).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn what_is_carried_of_them_is_all_but_the_markers() {
    for (condition, _) in SELF_APPROVAL.iter().chain(PEER_APPROVAL) {
        let Verdict::Eligible { resource_condition, .. } = eligibility(condition) else {
            panic!("{condition:?} is not eligible");
        };
        check_carries_all_but_markers(condition, &resource_condition);
    }
}

#[test]
fn what_cannot_be_read_in_one_way_only_offers_nothing_and_says_why() {
    let as_told = |(condition, reason): &&(&str, &str)| {
        verdict(condition).is_err_and(|said| said.contains(reason))
    };
    let wrong = NOT_ELIGIBLE.iter().filter(|row| !as_told(row));
    let wrong: Vec<_> = wrong.map(|row| (row, verdict(row.0))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn size_alone_makes_a_condition_neither_eligible_nor_dangerous() {
    let marker = "has({}.jitAccessConstraint)";
    let spaces = " ".repeat(4_000);
    let tolerated = [
        (format!("{spaces}{marker}{spaces}"), ""),
        (format!("{}{marker}", "// why\n".repeat(1_000)), ""),
        (vec![marker; 100].join(" && "), ""),
        (format!("{}{marker}{}", "(".repeat(30), ")".repeat(30)), ""),
    ];
    for (condition, carried) in tolerated {
        assert_eq!(verdict(&condition), Ok((Activation::SelfApproval, carried.into())));
    }
    let refused: [(String, Expected); 5] = [
        (format!("{marker} && {}", "a".repeat(9_000)), |why| {
            matches!(why, Unreadable::TooLong { .. })
        }),
        (vec![marker; 130].join("&&"), |why| matches!(why, Unreadable::TooManyTokens)),
        (format!("{}{marker}{}", "(".repeat(40), ")".repeat(40)), |why| {
            matches!(why, Unreadable::TooNested)
        }),
        (format!("{marker} && a{}", "[0]".repeat(65)), |why| matches!(why, Unreadable::TooDeep)),
        (format!("{marker} && a{}", ".b".repeat(70)), |why| matches!(why, Unreadable::TooDeep)),
    ];
    for (condition, expected) in refused {
        let Verdict::NotEligible(NotEligible::Unreadable(why)) = eligibility(&condition) else {
            panic!("{} bytes: {:?}", condition.len(), verdict(&condition));
        };
        assert!(expected(&why), "{} bytes: {why:?}", condition.len());
    }
}

/// Which reason is the right one.
type Expected = fn(&Unreadable) -> bool;
