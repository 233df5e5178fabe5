//! The record of used and refused permissions, for people who decide what a service account needs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::world::{Use, World};

/// How often each permission was used since the cloud was opened. What was used is part of the
/// stored state; how often is not, because reads must not wait for the disk.
#[derive(Debug, Default)]
pub(crate) struct Usage(Mutex<BTreeMap<Use, u64>>);

/// `GET /sim/v1/permissions`: all lists in order of their names.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    principals: Vec<PrincipalReport>,
}

/// What one principal used.
#[derive(Debug, Serialize)]
struct PrincipalReport {
    /// As policies name it: `serviceAccount:ADDRESS`.
    principal: String,
    permissions: Vec<PermissionReport>,
}

/// One permission and the resources that it was asked for on.
#[derive(Debug, Serialize)]
struct PermissionReport {
    permission: String,
    #[serde(flatten)]
    counts: Counts,
    resources: Vec<ResourceReport>,
}

/// One resource of a permission; what was used before the cloud was opened again counts 0 times.
#[derive(Debug, Serialize)]
struct ResourceReport {
    resource: String,
    #[serde(flatten)]
    counts: Counts,
}

/// How often the permission was held, and how often it was refused; absent where it never was.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<u64>,
}

impl Usage {
    /// Counts the uses of one call.
    pub(crate) fn add(&self, uses: &BTreeMap<Use, u64>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (used, times) in uses {
            *counts.entry(used.clone()).or_default() += times;
        }
    }

    /// Counts from zero again.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn report(&self, world: &World) -> Report {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut principals: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, Counts>>> =
            BTreeMap::new();
        for used in &world.uses {
            let times = counts.get(used).copied().unwrap_or_default();
            let permissions = principals.entry(&used.principal).or_default();
            let resources = permissions.entry(&used.permission).or_default();
            resources.entry(&used.resource).or_default().count(used.granted, times);
        }
        let reports = principals.into_iter().map(|(principal, permissions)| PrincipalReport {
            principal: principal.to_owned(),
            permissions: permissions.into_iter().map(permission_report).collect(),
        });
        Report { principals: reports.collect() }
    }
}

impl Counts {
    fn count(&mut self, granted: bool, times: u64) {
        let count = if granted { &mut self.granted } else { &mut self.denied };
        *count = Some(count.unwrap_or_default() + times);
    }

    fn add(&mut self, other: Self) {
        for (granted, times) in [(true, other.granted), (false, other.denied)] {
            if let Some(times) = times {
                self.count(granted, times);
            }
        }
    }
}

fn permission_report((permission, resources): (&str, BTreeMap<&str, Counts>)) -> PermissionReport {
    let mut counts = Counts::default();
    for on_resource in resources.values() {
        counts.add(*on_resource);
    }
    let resources = resources
        .into_iter()
        .map(|(resource, counts)| ResourceReport { resource: resource.to_owned(), counts });
    PermissionReport { permission: permission.to_owned(), counts, resources: resources.collect() }
}
