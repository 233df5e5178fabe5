//! What a condition means in one situation, by CEL's rules and, where those do not say, by an arbitrary but fixed one:
//! a variable or function that is not known has a value drawn from the situation, so two expressions that mean the
//! same in many situations mean the same.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "CEL has few operations, and none of them on any other kind of value"
)]

use chrono::DateTime;
use curfew_core::condition::Activation;

use super::syntax::{Expr, Literal};

/// A value. Numbers of different kinds that are equal are equal values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
    /// Seconds since the epoch.
    Time(i64),
}

/// No value: a missing field, a wrong type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

/// One situation in which a condition is asked.
#[derive(Debug, Clone)]
pub(super) struct Situation<'a> {
    /// `resource.name`
    pub(super) name: &'a str,
    /// `resource.type`
    pub(super) kind: &'a str,
    /// `resource.service`
    pub(super) service: &'a str,
    /// `request.time`, seconds since the epoch.
    pub(super) time: i64,
    /// What everything else depends on.
    pub(super) seed: u64,
    /// Which markers are true; the others are false, as at Google all of them always are.
    pub(super) markers: &'a [Activation],
}

/// Whether the condition holds; `None` where it has no truth value, which IAM takes for a no.
pub(super) fn holds(expr: &Expr, situation: &Situation<'_>) -> Option<bool> {
    match situation.value(expr) {
        Ok(Value::Bool(holds)) => Some(holds),
        Ok(_) | Err(Failed) => None,
    }
}

/// The activation that `has({}.NAME)` stands for, in any case.
pub(super) fn marker(operand: &Expr, field: &str) -> Option<Activation> {
    if *operand != Expr::Map(Vec::new()) {
        return None;
    }
    match field.to_ascii_lowercase().as_str() {
        "jitaccessconstraint" => Some(Activation::SelfApproval),
        "multipartyapprovalconstraint" => Some(Activation::PeerApproval),
        _ => None,
    }
}

impl Situation<'_> {
    fn value(&self, expr: &Expr) -> Result<Value, Failed> {
        match expr {
            Expr::Literal(literal) => Ok(literal_value(literal)),
            Expr::Name(name) => self.arbitrary(&["name", name], &[]),
            Expr::Field(operand, field) => self.field(operand, field),
            Expr::Has(operand, field) => match marker(operand, field) {
                Some(activation) => Ok(Value::Bool(self.markers.contains(&activation))),
                None => self.arbitrary(&["has", field], &[]),
            },
            Expr::Call(name, target, args) => {
                let all = target.as_deref().into_iter().chain(args);
                self.call(name, &all.map(|arg| self.value(arg)).collect::<Result<Vec<_>, _>>()?)
            }
            Expr::Index(operand, index) => index_value(&self.value(operand)?, &self.value(index)?),
            Expr::List(items) => self.values(items).map(Value::List),
            Expr::Map(entries) => {
                let pair = |(key, value): &(Expr, Expr)| Ok((self.value(key)?, self.value(value)?));
                entries.iter().map(pair).collect::<Result<_, _>>().map(Value::Map)
            }
            Expr::Not(operand) => match self.value(operand)? {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                _ => Err(Failed),
            },
            Expr::Minus(operand) => match self.value(operand)? {
                Value::Number(number) => Ok(Value::Number(-number)),
                _ => Err(Failed),
            },
            Expr::Binary(operator, left, right) => {
                self.binary(operator, &self.value(left)?, &self.value(right)?)
            }
            Expr::And(all) => self.decided_by(false, all),
            Expr::Or(all) => self.decided_by(true, all),
            Expr::Choice(choice) => {
                let [test, yes, no] = &**choice;
                match self.value(test)? {
                    Value::Bool(true) => self.value(yes),
                    Value::Bool(false) => self.value(no),
                    _ => Err(Failed),
                }
            }
        }
    }

    fn values(&self, all: &[Expr]) -> Result<Vec<Value>, Failed> {
        all.iter().map(|one| self.value(one)).collect()
    }

    /// One operand that has the deciding value decides, whatever the others are; else all must have the other one.
    fn decided_by(&self, deciding: bool, all: &[Expr]) -> Result<Value, Failed> {
        let values: Vec<_> = all.iter().map(|one| self.value(one)).collect();
        if values.contains(&Ok(Value::Bool(deciding))) {
            return Ok(Value::Bool(deciding));
        }
        let all_other = values.iter().all(|value| *value == Ok(Value::Bool(!deciding)));
        if all_other { Ok(Value::Bool(!deciding)) } else { Err(Failed) }
    }

    fn field(&self, operand: &Expr, field: &str) -> Result<Value, Failed> {
        let text = |text: &str| Ok(Value::Text(text.to_owned()));
        if let Expr::Name(name) = operand {
            match (name.as_str(), field) {
                ("resource", "name") => return text(self.name),
                ("resource", "type") => return text(self.kind),
                ("resource", "service") => return text(self.service),
                ("request", "time") => return Ok(Value::Time(self.time)),
                _ => {}
            }
        }
        match self.value(operand)? {
            map @ Value::Map(_) => index_value(&map, &Value::Text(field.to_owned())),
            other => self.arbitrary(&["field", field], &[other]),
        }
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, Failed> {
        match (name, args) {
            ("startsWith", [Value::Text(text), Value::Text(part)]) => {
                Ok(Value::Bool(text.starts_with(part.as_str())))
            }
            ("endsWith", [Value::Text(text), Value::Text(part)]) => {
                Ok(Value::Bool(text.ends_with(part.as_str())))
            }
            ("contains", [Value::Text(text), Value::Text(part)]) => {
                Ok(Value::Bool(text.contains(part.as_str())))
            }
            ("timestamp", [Value::Text(text)]) => {
                let time = DateTime::parse_from_rfc3339(text).map_err(|_| Failed)?;
                Ok(Value::Time(time.timestamp()))
            }
            _ => self.arbitrary(&["call", name], args),
        }
    }

    fn binary(&self, operator: &str, left: &Value, right: &Value) -> Result<Value, Failed> {
        match operator {
            "==" => Ok(Value::Bool(left == right)),
            "!=" => Ok(Value::Bool(left != right)),
            "in" => match right {
                Value::List(items) => Ok(Value::Bool(items.contains(left))),
                Value::Map(entries) => Ok(Value::Bool(entries.iter().any(|(key, _)| key == left))),
                _ => Err(Failed),
            },
            "<" | "<=" | ">" | ">=" => {
                let order = order(left, right).ok_or(Failed)?;
                Ok(Value::Bool(match operator {
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                }))
            }
            _ => self.arbitrary(&["operator", operator], &[left.clone(), right.clone()]),
        }
    }

    /// The value of something unknown: mostly a truth value, now and then none at all.
    fn arbitrary(&self, what: &[&str], args: &[Value]) -> Result<Value, Failed> {
        let text = format!("{}/{what:?}/{args:?}", self.seed);
        // FNV-1a, and a last stir: its low bits alone are too regular.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        match hash % 10 {
            0 => Err(Failed),
            1 => Ok(Value::Number(if hash & 16 == 0 { 1.0 } else { 2.0 })),
            2..=4 => Ok(Value::Text(["x", "y", "a", "b"][(hash >> 8 & 3) as usize].to_owned())),
            _ => Ok(Value::Bool(hash & 16 == 0)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "both sides of a comparison lose the same")]
fn literal_value(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(number) => Value::Number(*number as f64),
        Literal::Uint(number) => Value::Number(*number as f64),
        Literal::Double(number) => Value::Number(*number),
        Literal::Text(text) => Value::Text(text.clone()),
        Literal::Bytes(bytes) => Value::Bytes(bytes.clone()),
    }
}

fn index_value(operand: &Value, index: &Value) -> Result<Value, Failed> {
    match (operand, index) {
        (Value::List(items), Value::Number(_)) => {
            let mut numbered = (0_u32..).zip(items);
            let at = numbered.find(|(n, _)| Value::Number(f64::from(*n)) == *index);
            at.map(|(_, item)| item.clone()).ok_or(Failed)
        }
        (Value::Map(entries), _) => {
            let entry = entries.iter().find(|(key, _)| key == index);
            entry.map(|(_, value)| value.clone()).ok_or(Failed)
        }
        _ => Err(Failed),
    }
}

fn order(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
