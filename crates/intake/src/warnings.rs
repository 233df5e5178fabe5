//! What stops nothing and deserves a second thought.

use chrono::{DateTime, SecondsFormat, Utc};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_proto::v1::Warning;

/// What to say of a role; whether it is dangerous is `None` where that could not be read.
pub(crate) fn of_role(role: &Role, is_dangerous: Option<bool>) -> Vec<Warning> {
    let (reason, message) = match is_dangerous {
        Some(false) => return Vec::new(),
        Some(true) => (
            "DANGEROUS_ROLE",
            format!(
                "{role} lets its holder make itself, or others, more powerful: ask for a narrower role if one will do."
            ),
        ),
        None => (
            "ROLE_NOT_READ",
            format!(
                "What {role} permits could not be read, so nobody can say whether it is dangerous."
            ),
        ),
    };
    vec![Warning { reason: reason.into(), message }]
}

/// What to say to somebody whom JIT Access gave what they ask for.
pub(crate) fn of_prior(role: &Role, node: &Resource, until: DateTime<Utc>) -> Warning {
    let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
    Warning {
        reason: "ACTIVATED_ELSEWHERE".into(),
        message: format!(
            "JIT Access gave you {role} on {node} until {until}: you have it already. That access ends by itself, and nothing here changes it."
        ),
    }
}
