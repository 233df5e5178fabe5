//! Reading and writing the policy of one node (Resource Manager v3).

use std::sync::Arc;

use async_trait::async_trait;
use curfew_core::id::WriteId;
use curfew_core::policy::Policy;
use curfew_core::resource::Resource;
use curfew_ports::{PolicyClient, PortError, RetryClass};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::caller::{Call, Caller};
use crate::endpoints::path_of;
use crate::json::Fields;
use crate::wire::{POLICY_VERSION, decode, encode};

/// Google bounds a policy at some tens of kilobytes
/// (<https://cloud.google.com/resource-manager/reference/rest/Shared.Types/SetIamPolicyRequest>).
const POLICY_BYTES_MAX: usize = 1 << 20;

/// Google's own default mask (same page), written out so that nobody's change of a default is ours: `auditConfigs` and
/// all else that is not a binding stays as stored, even if it changed since the read. The body carries it as read all
/// the same, for a server that takes the body as a whole. `version` needs no place in the mask: Terraform's Google
/// provider writes conditions with `bindings,etag,auditConfigs`.
const UPDATE_MASK: &str = "bindings,etag";

/// Reads and writes policies of projects, folders and organisations.
///
/// A write is sent once: every failure goes to the caller, who reads before deciding again.
#[derive(Clone)]
pub struct GooglePolicies {
    caller: Arc<Caller>,
}

impl GooglePolicies {
    pub(crate) fn new(caller: Arc<Caller>) -> Self {
        Self { caller }
    }
}

#[async_trait]
impl PolicyClient for GooglePolicies {
    async fn get(&self, resource: &Resource) -> Result<Policy, PortError> {
        read_policy(&self.caller, resource).await
    }

    async fn set(
        &self,
        resource: &Resource,
        policy: &Policy,
        write: &WriteId,
    ) -> Result<Policy, PortError> {
        let act = format!("write the policy of {resource}");
        if policy.etag.is_empty() {
            return Err(PortError::new(
                RetryClass::Invalid,
                format!("{act}: refused without an etag"),
            ));
        }
        let policy = encode(policy)
            .map_err(|error| PortError::because(RetryClass::Invalid, act.as_str(), error))?;
        let url = format!(
            "{}/v3/{}:setIamPolicy",
            self.caller.endpoints.resource_manager,
            path_of(resource)
        );
        let call = Call::post(
            "resourcemanager.setIamPolicy",
            &act,
            url,
            &SetBody { policy, update_mask: UPDATE_MASK },
        )?
        .reason(format!("curfew {write}"))
        .bytes_max(POLICY_BYTES_MAX);
        stored_policy(&call, self.caller.write(&call).await?)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SetBody {
    policy: Box<RawValue>,
    update_mask: &'static str,
}

#[derive(Serialize)]
struct GetBody {
    options: GetOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GetOptions {
    requested_policy_version: i32,
}

/// The policy of exactly this node, as it is now.
pub(crate) async fn read_policy(caller: &Caller, node: &Resource) -> Result<Policy, PortError> {
    let url = format!("{}/v3/{}:getIamPolicy", caller.endpoints.resource_manager, path_of(node));
    let body = GetBody { options: GetOptions { requested_policy_version: POLICY_VERSION } };
    let call = Call::post(
        "resourcemanager.getIamPolicy",
        &format!("read the policy of {node}"),
        url,
        &body,
    )?
    .bytes_max(POLICY_BYTES_MAX);
    stored_policy(&call, caller.read(&call).await?)
}

/// A stored policy has an etag. One without must not become the base of a write: that write would not notice others'.
fn stored_policy(call: &Call, fields: Fields) -> Result<Policy, PortError> {
    let policy = decode(fields).map_err(|error| call.undecodable(&error.to_string()))?;
    if policy.etag.is_empty() { Err(call.undecodable("policy: no etag")) } else { Ok(policy) }
}
