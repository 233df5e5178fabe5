//! Faults that tests inject into the Google surface.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Most faults that may be armed at once: a test arms a handful.
const FAULTS_MAX: usize = 256;

/// Longest delay that a fault may ask for; a test that waits longer has hung.
const DELAY_MS_MAX: u64 = 600_000;

/// The methods that read a policy, which alone can be read as it was.
const POLICY_READS: [&str; 2] = ["getIamPolicy", "batchGet"];

/// The method that gives a policy a new etag.
const POLICY_WRITE: &str = "setIamPolicy";

/// One armed fault: it applies to the next `count` calls of the method (on the resource, if given).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fault {
    /// The custom verb or method of Google's API, such as `setIamPolicy`, `get` or `search`.
    pub(crate) method: String,
    /// `projects/ID` and the like, `groups/ID`, or the name of a key, topic or secret; any resource
    /// when absent.
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
    /// The call has no effect and fails with the status (503 when absent), after the delay.
    Error,
    /// The call has its effect; after the delay the caller gets the status, or a closed connection
    /// when absent.
    ReplyLost,
    /// The caller gets the status (504 when absent) at once, and the call is handled after the
    /// delay, with its etag compared then: a request that was slow on its way.
    AppliedLate,
    /// A read of a policy answers the policy and the etag as they were before its last write; a
    /// policy that was never written answers as it is.
    StaleRead,
    /// A write of a policy has its effect under the etag that the policy had before: who read it
    /// then does not notice the write, and overwrites it.
    EtagReused,
}

impl Fault {
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or_default())
    }

    /// A fault that could never do what it says is a mistake of the test that arms it.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let is_method = self.method.starts_with(|first: char| first.is_ascii_lowercase())
            && self.method.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_method {
            return Err(("method", "must be the name of a method, such as setIamPolicy".into()));
        }
        let (takes_status, takes_delay, needs_delay) = match self.kind {
            FaultKind::Latency => (false, true, true),
            FaultKind::Error | FaultKind::ReplyLost => (true, true, false),
            FaultKind::AppliedLate => (true, true, true),
            FaultKind::StaleRead | FaultKind::EtagReused => (false, false, false),
        };
        match self.status {
            Some(_) if !takes_status => {
                return Err(("status", "has no meaning for this kind".into()));
            }
            Some(status) if !(400..=599).contains(&status) => {
                return Err(("status", "must lie in 400..=599".into()));
            }
            Some(_) | None => {}
        }
        match self.delay_ms {
            None | Some(0) if needs_delay => {
                return Err(("delayMs", "is required for this kind, and above 0".into()));
            }
            Some(_) if !takes_delay => {
                return Err(("delayMs", "has no meaning for this kind".into()));
            }
            Some(delay) if delay > DELAY_MS_MAX => {
                return Err(("delayMs", format!("must not be above {DELAY_MS_MAX}")));
            }
            Some(_) | None => {}
        }
        if self.count == 0 {
            return Err(("count", "must be at least 1".into()));
        }
        self.check_policy_kinds()
    }

    fn check_policy_kinds(&self) -> Result<(), (&'static str, String)> {
        let method = self.method.as_str();
        match self.kind {
            FaultKind::StaleRead if !POLICY_READS.contains(&method) => {
                Err(("method", format!("must be one of {POLICY_READS:?} for STALE_READ")))
            }
            FaultKind::EtagReused if method != POLICY_WRITE => {
                Err(("method", format!("must be {POLICY_WRITE} for ETAG_REUSED")))
            }
            FaultKind::Latency
            | FaultKind::Error
            | FaultKind::ReplyLost
            | FaultKind::AppliedLate
            | FaultKind::StaleRead
            | FaultKind::EtagReused => Ok(()),
        }
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
    ///
    /// # Errors
    /// What is wrong, with the place as in `[0].status`; what was armed stays.
    pub(crate) fn replace(&self, faults: Vec<Fault>) -> Result<(), String> {
        if faults.len() > FAULTS_MAX {
            return Err(format!("at most {FAULTS_MAX} faults may be armed"));
        }
        for (index, fault) in faults.iter().enumerate() {
            fault.check().map_err(|(field, why)| format!("[{index}].{field}: {field} {why}"))?;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = faults;
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
    fn arming_replaces_and_is_bounded() {
        let faults = Faults::default();
        faults.replace(vec![fault("get", None, 1)]).unwrap();
        faults.replace(vec![fault("search", None, 1)]).unwrap();
        assert!(faults.replace(vec![fault("get", None, 1); FAULTS_MAX + 1]).is_err());
        assert_eq!(faults.armed()[0].method, "search");
        faults.replace(Vec::new()).unwrap();
        assert_eq!(faults.armed(), []);
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
