//! Conditions from the documentation of JIT Access, hand-made ones, and hostile ones, each with its verdict.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may panic: it then fails"
)]

mod bounds;
mod eligible_conditions;
mod granted_conditions;
mod hostile_conditions;
mod misread_conditions;
mod mutations;
mod properties;

use cel::common::ast::{Expr, IdedExpr};

use super::clauses::conjuncts;
use super::{Activation, Carried, Expression, Verdict, eligibility};

/// The activation and the carried text, or the reason.
fn verdict(condition: &str) -> Result<(Activation, String), String> {
    match eligibility(condition) {
        Verdict::Eligible { activation, resource_condition } => {
            Ok((activation, resource_condition.to_string()))
        }
        Verdict::NotEligible(reason) => Err(reason.to_string()),
    }
}

/// What must hold of an eligible condition, judged on the trees alone: the clauses that are carried are the
/// clauses that are no markers, in order, and their text reads back.
fn check_carries_all_but_markers(condition: &str, carried: &Carried) {
    let whole = Expression::parse(condition).expect("an eligible condition is readable");
    let clauses = conjuncts(whole.tree());
    let others: Vec<_> =
        clauses.iter().copied().filter(|clause| !is_marker(clause)).cloned().collect();
    assert!(others.len() < clauses.len(), "eligible without a marker: {condition:?}");

    let trees: Vec<_> = carried
        .clauses()
        .iter()
        .map(|clause| Expression::parse(clause).expect("readable").tree().clone())
        .collect();
    assert_eq!(trees, others, "another meaning is carried: {condition:?}");

    let text = carried.to_string();
    assert_eq!(Carried::parse(&text).as_ref(), Ok(carried), "not read back: {text:?}");
    assert!(
        !text.contains(|character: char| character.is_control() && character != '\n'),
        "{text:?}"
    );
    if !others.is_empty() {
        let read = Expression::parse(&text).expect("a carried condition is readable");
        assert_eq!(conjuncts(read.tree()), others.iter().collect::<Vec<_>>(), "{text:?}");
    }
}

fn is_marker(tree: &IdedExpr) -> bool {
    let select = match &tree.expr {
        Expr::Select(select) if select.test => select,
        Expr::Call(call) if call.target.is_none() && call.func_name.eq_ignore_ascii_case("has") => {
            let [IdedExpr { expr: Expr::Select(select), .. }] = call.args.as_slice() else {
                return false;
            };
            select
        }
        Expr::Call(_)
        | Expr::Select(_)
        | Expr::Ident(_)
        | Expr::List(_)
        | Expr::Literal(_)
        | Expr::Map(_)
        | Expr::Comprehension(_)
        | Expr::Struct(_)
        | Expr::Unspecified => return false,
    };
    let empty_map = matches!(&select.operand.expr, Expr::Map(map) if map.entries.is_empty());
    let named = ["jitaccessconstraint", "multipartyapprovalconstraint"];
    empty_map && named.contains(&select.field.to_ascii_lowercase().as_str())
}
