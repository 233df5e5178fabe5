//! Faults that tests inject into the Google surface.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Most faults that may be armed at once: a test arms a handful.
const FAULTS_MAX: usize = 256;

/// Longest delay that a fault may ask for; a test that waits longer has hung.
const DELAY_MS_MAX: u64 = 600_000;

/// One armed fault: it applies to the next `count` calls of the method (on the resource, if given).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fault {
    /// The custom verb or method of Google's API, such as `setIamPolicy`, `get` or `search`.
    pub(crate) method: String,
    /// `projects/ID` and the like, or `groups/ID`; any resource when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
    pub(crate) kind: FaultKind,
    /// HTTP status of the answer, where the kind gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    #[serde(default = "once")]
    pub(crate) count: u32,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FaultKind {
    /// The call is handled after the delay.
    Latency,
    /// The call has no effect and fails with the status (503 when absent).
    Error,
    /// The call has its effect; the caller gets the status, or a closed connection when absent.
    ReplyLost,
    /// The caller gets the status (504 when absent) at once, and the call is handled after the
    /// delay, with its etag compared then: a request that was slow on its way.
    AppliedLate,
    /// A read of a policy answers the policy as it was before its last write.
    StaleRead,
    /// A write of a policy has its effect and leaves the etag as it was.
    EtagReused,
}

impl Fault {
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or_default())
    }

    fn check(&self) -> Result<(), String> {
        let status_is_error = self.status.is_none_or(|status| (400..=599).contains(&status));
        if !status_is_error {
            return Err(format!("status of the fault on {} must lie in 400..=599", self.method));
        }
        if self.delay_ms.is_some_and(|delay| delay > DELAY_MS_MAX) {
            return Err(format!("delayMs of the fault on {} is above {DELAY_MS_MAX}", self.method));
        }
        Ok(())
    }
}

fn once() -> u32 {
    1
}

/// The armed faults; not part of the stored state, a restart disarms them.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Arms these instead of what was armed.
    pub(crate) fn replace(&self, faults: Vec<Fault>) -> Result<(), String> {
        if faults.len() > FAULTS_MAX {
            return Err(format!("at most {FAULTS_MAX} faults may be armed"));
        }
        faults.iter().try_for_each(Fault::check)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            faults.into_iter().filter(|fault| fault.count > 0).collect();
        Ok(())
    }

    pub(crate) fn armed(&self) -> Vec<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first fault that applies to this call, used up by one.
    pub(crate) fn take(&self, method: &str, resource: Option<&str>) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let applies = |fault: &Fault| {
            fault.method == method
                && (fault.resource.is_none() || fault.resource.as_deref() == resource)
        };
        let index = faults.iter().position(applies)?;
        let fault = faults.get_mut(index)?;
        fault.count -= 1;
        let taken = fault.clone();
        if taken.count == 0 {
            faults.remove(index);
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_applies_to_its_method_and_resource_as_often_as_counted() {
        let faults = Faults::default();
        faults.replace(vec![fault("setIamPolicy", Some("projects/a"), 2)]).unwrap();
        assert_eq!(faults.take("getIamPolicy", Some("projects/a")), None);
        assert_eq!(faults.take("setIamPolicy", Some("projects/b")), None);
        assert!(faults.take("setIamPolicy", Some("projects/a")).is_some());
        assert_eq!(faults.armed()[0].count, 1);
        assert!(faults.take("setIamPolicy", Some("projects/a")).is_some());
        assert_eq!(faults.take("setIamPolicy", Some("projects/a")), None);
    }

    #[test]
    fn arming_replaces_and_bounds() {
        let faults = Faults::default();
        faults.replace(vec![fault("get", None, 1)]).unwrap();
        faults.replace(vec![fault("search", None, 1), fault("list", None, 0)]).unwrap();
        assert_eq!(faults.armed().len(), 1);
        assert!(
            faults.replace(vec![Fault { status: Some(200), ..fault("get", None, 1) }]).is_err()
        );
        assert!(
            faults
                .replace(vec![Fault { delay_ms: Some(DELAY_MS_MAX + 1), ..fault("get", None, 1) }])
                .is_err()
        );
        assert!(faults.replace(vec![fault("get", None, 1); FAULTS_MAX + 1]).is_err());
        assert_eq!(faults.armed()[0].method, "search");
    }

    fn fault(method: &str, resource: Option<&str>, count: u32) -> Fault {
        let resource = resource.map(str::to_owned);
        Fault {
            method: method.into(),
            resource,
            kind: FaultKind::Error,
            status: None,
            delay_ms: None,
            count,
        }
    }
}
