//! IAM conditions: what may be set, and what a condition says about one access.
//!
//! Texts are bounded before they are parsed and trees before they are evaluated. The crate's Pratt
//! parser is used alone because its own recursion is bounded.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::extractors::This;
use cel::parser::PrattParser;
use cel::{Context, Env, Value};
use chrono::{DateTime, Utc};

/// Longest accepted expression. Google publishes no figure; granted conditions are under 1 KiB.
const EXPRESSION_BYTES_MAX: usize = 8 * 1024;

/// Deepest accepted tree: evaluation recurses, and an unoptimised frame takes about 40 KB of stack.
const DEPTH_MAX: u16 = 40;

/// Most nodes of an accepted tree; real conditions have some dozens.
const NODES_MAX: usize = 2_000;

/// "Logical operators in a condition expression: 12", <https://cloud.google.com/iam/quotas>.
const LOGICAL_OPERATORS_MAX: usize = 12;

/// The attribute groups of <https://cloud.google.com/iam/docs/conditions-attribute-reference>.
const VARIABLES: [&str; 4] = ["api", "destination", "request", "resource"];

/// The API attribute by which a role can limit which roles its holder may grant.
const MODIFIED_GRANTS: &str = "iam.googleapis.com/modifiedGrantsByRole";

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// One access, as conditions see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) time: DateTime<Utc>,
    pub(crate) resource_name: String,
    pub(crate) resource_type: String,
    pub(crate) resource_service: String,
    /// Roles that a `setIamPolicy` call gives or takes.
    pub(crate) modified_roles: Vec<String>,
}

/// Whether IAM would accept the expression.
///
/// # Errors
/// The reason, as a sentence.
pub(crate) fn check(expression: &str) -> Result<(), String> {
    let tree = parse(expression)?;
    let mut logical_operators = 0;
    for (node, _) in Nodes::of(&tree) {
        match &node.expr {
            Expr::Call(call) if matches!(call.func_name.as_str(), "_&&_" | "_||_" | "!_") => {
                logical_operators += 1;
            }
            Expr::Ident(name) if !VARIABLES.contains(&name.as_str()) => {
                return Err(format!("undeclared reference to '{name}'"));
            }
            Expr::Comprehension(_) => {
                return Err("macros over lists are not supported in conditions".to_owned());
            }
            Expr::Struct(_) => return Err("messages are not supported in conditions".to_owned()),
            Expr::Call(_)
            | Expr::Ident(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Select(_)
            | Expr::Unspecified => {}
        }
    }
    if logical_operators > LOGICAL_OPERATORS_MAX {
        return Err(format!(
            "{logical_operators} logical operators; at most {LOGICAL_OPERATORS_MAX} are allowed"
        ));
    }
    if is_plainly_no_boolean(&tree.expr) {
        return Err("the expression does not evaluate to a boolean".to_owned());
    }
    Ok(())
}

/// Whether the condition holds for one access. IAM takes an expression that fails for not met;
/// the reason of the failure is kept for people who ask why.
///
/// # Errors
/// The reason, as a sentence.
pub(crate) fn holds(expression: &str, attributes: &Attributes) -> Result<bool, String> {
    let tree = parse(expression)?;
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    add_variables(&mut context, attributes);
    add_functions(&mut context, attributes).map_err(|error| error.to_string())?;
    match context.resolve(&tree) {
        Ok(Value::Bool(answer)) => Ok(answer),
        Ok(_) => Err("the expression did not evaluate to a boolean".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a condition says when all that is known of an access is, perhaps, its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Outlook {
    True,
    False,
    /// It depends on what is not known, as every marker does.
    Conditional,
}

/// Judges a condition as Policy Analyzer does: by the time of access, if that is given, and by
/// nothing of the resource or the request. An expression that fails counts as `Conditional`.
pub(crate) fn outlook(expression: &str, time: Option<DateTime<Utc>>) -> Outlook {
    let Ok(tree) = parse(expression) else { return Outlook::Conditional };
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    if let Some(time) = time {
        let request = HashMap::from([("time", Value::Timestamp(time.fixed_offset()))]);
        context.add_variable_from_value("request", request);
    }
    outlook_of(&context, &tree, time.is_some())
}

/// Three-valued logic over the operators; everything below them is known or it is not.
fn outlook_of(context: &Context<'_, '_>, tree: &IdedExpr, knows_time: bool) -> Outlook {
    if let Expr::Call(call) = &tree.expr {
        let sides = || call.args.iter().map(|side| outlook_of(context, side, knows_time));
        match call.func_name.as_str() {
            "_&&_" => return all_of(sides()),
            "_||_" => return all_of(sides().map(Outlook::not)).not(),
            "!_" => return all_of(sides()).not(),
            _ => {}
        }
    }
    if !is_known(tree, knows_time) {
        return Outlook::Conditional;
    }
    match context.resolve(tree) {
        Ok(Value::Bool(true)) => Outlook::True,
        Ok(Value::Bool(false)) => Outlook::False,
        Ok(_) | Err(_) => Outlook::Conditional,
    }
}

fn all_of(sides: impl Iterator<Item = Outlook>) -> Outlook {
    sides.fold(Outlook::True, |all, side| match (all, side) {
        (Outlook::False, _) | (_, Outlook::False) => Outlook::False,
        (Outlook::True, Outlook::True) => Outlook::True,
        (Outlook::Conditional, _) | (_, Outlook::Conditional) => Outlook::Conditional,
    })
}

impl Outlook {
    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Conditional => Self::Conditional,
        }
    }
}

/// Whether the tree speaks of nothing but literals and the time of access.
fn is_known(tree: &IdedExpr, knows_time: bool) -> bool {
    let is_time = |select: &cel::common::ast::SelectExpr| {
        !select.test
            && select.field == "time"
            && matches!(&select.operand.expr, Expr::Ident(name) if name == "request")
    };
    let mut times = 0;
    let mut names = 0;
    for (node, _) in Nodes::of(tree) {
        match &node.expr {
            Expr::Select(select) if is_time(select) => times += 1,
            Expr::Select(_)
            | Expr::Map(_)
            | Expr::Struct(_)
            | Expr::Comprehension(_)
            | Expr::Unspecified => return false,
            Expr::Ident(_) => names += 1,
            Expr::Call(_) | Expr::List(_) | Expr::Literal(_) => {}
        }
    }
    names == times && (knows_time || times == 0)
}

fn parse(expression: &str) -> Result<IdedExpr, String> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes"));
    }
    let tree = PrattParser::new()
        .max_recursion_depth(DEPTH_MAX)
        .max_expression_node_count(NODES_MAX)
        .parse(expression)
        .map_err(|errors| format!("the expression does not parse: {errors}"))?;
    if Nodes::of(&tree).any(|(_, depth)| depth > DEPTH_MAX) {
        return Err(format!("the expression is nested deeper than {DEPTH_MAX}"));
    }
    Ok(tree)
}

/// A condition's value is only known at run time; these can be told from the tree.
fn is_plainly_no_boolean(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(literal) => !matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => true,
        Expr::Call(_) | Expr::Comprehension(_) | Expr::Ident(_) | Expr::Select(_) => false,
    }
}

fn add_variables(context: &mut Context<'_, '_>, attributes: &Attributes) {
    let request = HashMap::from([("time", Value::Timestamp(attributes.time.fixed_offset()))]);
    let resource = HashMap::from([
        ("name", Value::from(attributes.resource_name.as_str())),
        ("type", Value::from(attributes.resource_type.as_str())),
        ("service", Value::from(attributes.resource_service.as_str())),
    ]);
    context.add_variable_from_value("request", request);
    context.add_variable_from_value("resource", resource);
    // Neither has attributes of its own here: `api` answers by the function `getAttribute`, and
    // `destination` is for tunnels, which nothing in this simulation opens.
    context.add_variable_from_value("api", HashMap::<String, Value>::new());
    context.add_variable_from_value("destination", HashMap::<String, Value>::new());
}

fn add_functions(
    context: &mut Context<'_, '_>,
    attributes: &Attributes,
) -> Result<(), cel::DeclarationError> {
    let modified: Vec<Value> =
        attributes.modified_roles.iter().map(|role| Value::from(role.as_str())).collect();
    let modified = Value::List(Arc::new(modified));
    context.add_function(
        "getAttribute",
        move |_: This<Value>, name: Arc<String>, absent: Value| {
            if name.as_str() == MODIFIED_GRANTS { modified.clone() } else { absent }
        },
    )?;
    context.add_function(
        "hasOnly",
        |This(values): This<Arc<Vec<Value>>>, allowed: Arc<Vec<Value>>| {
            values.iter().all(|value| allowed.contains(value))
        },
    )?;
    context.add_function("extract", |This(text): This<Arc<String>>, template: Arc<String>| {
        extract(&text, &template)
    })?;
    // Nothing in this simulation carries a tag.
    for function in ["matchTag", "matchTagId"] {
        context.add_function(function, |_: This<Value>, _: Arc<String>, _: Arc<String>| false)?;
    }
    for function in ["hasTagKey", "hasTagKeyId"] {
        context.add_function(function, |_: This<Value>, _: Arc<String>| false)?;
    }
    Ok(())
}

/// `"projects/p/zones/z".extract("projects/{name}/")` is `p`; no match is the empty text.
fn extract(text: &str, template: &str) -> String {
    let cut = || {
        let (before, rest) = template.split_once('{')?;
        let (_, after) = rest.split_once('}')?;
        let start = text.find(before)? + before.len();
        let tail = text.get(start..)?;
        let end = if after.is_empty() { tail.len() } else { tail.find(after)? };
        tail.get(..end)
    };
    cut().unwrap_or_default().to_owned()
}

/// All nodes of a tree with their depths, without recursion.
struct Nodes<'tree> {
    open: Vec<(&'tree IdedExpr, u16)>,
}

impl<'tree> Nodes<'tree> {
    fn of(tree: &'tree IdedExpr) -> Self {
        Self { open: vec![(tree, 1)] }
    }
}

impl<'tree> Iterator for Nodes<'tree> {
    type Item = (&'tree IdedExpr, u16);

    fn next(&mut self) -> Option<Self::Item> {
        let (node, depth) = self.open.pop()?;
        let below = children(&node.expr);
        self.open.extend(below.into_iter().map(|child| (child, depth.saturating_add(1))));
        Some((node, depth))
    }
}

fn children(expression: &Expr) -> Vec<&IdedExpr> {
    match expression {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(loop_) => vec![
            &loop_.iter_range,
            &loop_.accu_init,
            &loop_.loop_cond,
            &loop_.loop_step,
            &loop_.result,
        ],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => {
            map.entries.iter().flat_map(|entry| entry_children(&entry.expr)).collect()
        }
        Expr::Struct(message) => {
            message.entries.iter().flat_map(|entry| entry_children(&entry.expr)).collect()
        }
        Expr::Select(select) => vec![&select.operand],
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn entry_children(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::proptest;
    use proptest::sample::select;

    use super::*;

    #[test]
    fn googles_conditions_are_accepted() {
        for expression in [
            "has({}.jitAccessConstraint)",
            "// Require multi-party approval\nhas({}.multiPartyApprovalConstraint) &&\n// one zone only\nresource.name.startsWith(\"projects/p/\")",
            "request.time >= timestamp(\"2026-01-01T00:00:00Z\") && request.time < timestamp(\"2026-01-02T00:00:00Z\")",
            "request.time.getHours(\"Europe/Berlin\") >= 9",
            "resource.matchTag('1/env', 'prod')",
            "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/browser'])",
        ] {
            assert_eq!(check(expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn malformed_and_unbounded_texts_are_refused() {
        let deep = format!("{}true{}", "(".repeat(5_000), ")".repeat(5_000));
        let long_chain = format!("1{} == 1", "+1".repeat(1_000));
        let too_long = format!("\"{}\" == \"\"", "x".repeat(EXPRESSION_BYTES_MAX));
        for expression in [
            "",
            "1 +",
            "'x",
            "1",
            "[true]",
            "user == 'x'",
            "[1].all(x, x > 0)",
            &deep,
            &long_chain,
            &too_long,
        ] {
            assert!(check(expression).is_err(), "{expression:.60}");
        }
    }

    #[test]
    fn twelve_logical_operators_are_accepted_and_thirteen_refused() {
        let with = |operators: usize| format!("true{}", " && true".repeat(operators));
        assert_eq!(check(&with(12)), Ok(()));
        assert!(check(&with(13)).unwrap_err().contains("13 logical operators"));
        assert!(check(&format!("!({})", with(12))).is_err());
    }

    #[test]
    fn time_and_resource_decide() {
        let expression = "request.time < timestamp('2026-01-02T00:00:00Z') && resource.name.startsWith('projects/p/')";
        assert_eq!(
            holds(expression, &access("2026-01-01T23:59:59Z", "projects/p/zones/z")),
            Ok(true)
        );
        assert_eq!(
            holds(expression, &access("2026-01-02T00:00:00Z", "projects/p/zones/z")),
            Ok(false)
        );
        assert_eq!(holds(expression, &access("2026-01-01T00:00:00Z", "projects/q")), Ok(false));
    }

    #[test]
    fn a_marker_is_never_met() {
        let access = access("2026-01-01T00:00:00Z", "projects/p");
        assert_eq!(holds("has({}.jitAccessConstraint)", &access), Ok(false));
        assert_eq!(holds("resource.hasTagKey('1/env')", &access), Ok(false));
    }

    #[test]
    fn an_outlook_is_settled_by_the_time_alone_or_conditional() {
        const UNTIL: &str = "request.time < timestamp('2026-01-02T00:00:00Z')";
        let at = |time: &str| Some(time.parse::<DateTime<Utc>>().unwrap());
        let (before, after) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
        let with = |more: &str| format!("{UNTIL} {more}");
        for (expression, time, expected) in [
            (UNTIL.to_owned(), before, Outlook::True),
            (UNTIL.to_owned(), after, Outlook::False),
            (UNTIL.to_owned(), None, Outlook::Conditional),
            ("true".to_owned(), None, Outlook::True),
            ("has({}.jitAccessConstraint)".to_owned(), before, Outlook::Conditional),
            (with("&& resource.name == 'x'"), before, Outlook::Conditional),
            (with("&& resource.name == 'x'"), after, Outlook::False),
            (with("|| resource.name == 'x'"), before, Outlook::True),
            (format!("!({UNTIL})"), after, Outlook::True),
            ("request.path == 'x'".to_owned(), before, Outlook::Conditional),
            ("has(request.time)".to_owned(), before, Outlook::Conditional),
            ("request.time.getHours('UTC') >= 0".to_owned(), before, Outlook::True),
            ("1 +".to_owned(), before, Outlook::Conditional),
        ] {
            assert_eq!(outlook(&expression, time), expected, "{expression} {time:?}");
        }
    }

    #[test]
    fn the_roles_that_a_call_modifies_are_an_attribute() {
        let expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/browser'])";
        let mut access = access("2026-01-01T00:00:00Z", "projects/p");
        assert_eq!(holds(expression, &access), Ok(true));
        access.modified_roles = vec!["roles/owner".to_owned()];
        assert_eq!(holds(expression, &access), Ok(false));
    }

    #[test]
    fn extract_takes_the_part_between() {
        assert_eq!(extract("projects/p/zones/z/instances/i", "/zones/{zone}/"), "z");
        assert_eq!(extract("projects/p/zones/z", "zones/{zone}"), "z");
        assert_eq!(extract("projects/p", "/zones/{zone}/"), "");
        assert_eq!(extract("projects/p", "no placeholder"), "");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_accepted_can_be_evaluated(
            parts in vec(select(vec![
                "(", ")", "[", "]", "{", "}", "&&", "||", "!", "?", ":", ",", ".", "'", "\"", "//", "\n", "has", "true",
                "request", ".time", "resource.name", "timestamp('2026-01-01T00:00:00Z')", "<", "==", "+", "1", "'a'",
                ".startsWith(", ".extract(", "api.getAttribute(", ".all(", "in", "\u{e9}",
            ]), 0..24),
        ) {
            let expression = parts.concat();
            if check(&expression).is_ok() {
                let _verdict = holds(&expression, &access("2026-01-01T00:00:00Z", "projects/p"));
            }
        }
    }

    fn access(time: &str, resource_name: &str) -> Attributes {
        Attributes {
            time: time.parse().unwrap(),
            resource_name: resource_name.to_owned(),
            resource_type: "cloudresourcemanager.googleapis.com/Project".to_owned(),
            resource_service: "cloudresourcemanager.googleapis.com".to_owned(),
            modified_roles: Vec::new(),
        }
    }
}
