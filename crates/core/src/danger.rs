//! Which permissions let their holder give itself more, or reach the system that grants them.

use std::collections::BTreeSet;

/// What this installation does about dangerous roles that an eligible binding offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dangerous {
    /// They are never granted.
    Refuse,
    /// A peer must approve, whatever the binding says.
    Approval,
    /// They are granted as the binding says, and lists warn of them.
    #[default]
    Warn,
}

/// Permissions by which a holder changes what it may do, or acts as somebody who may do more, beside those that end in
/// [`SET_POLICY`]. The last ones run code, or have it run, as a service account
/// (<https://cloud.google.com/iam/docs/best-practices-service-accounts#privilege-escalation>).
const DANGEROUS: [&str; 36] = [
    "iam.roles.update",
    "iam.serviceAccounts.actAs",
    "iam.serviceAccounts.getAccessToken",
    "iam.serviceAccounts.getOpenIdToken",
    "iam.serviceAccounts.implicitDelegation",
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
    "iam.serviceAccountKeys.create",
    "iam.denypolicies.delete",
    "iam.denypolicies.update",
    "iam.workloadIdentityPools.create",
    "iam.workloadIdentityPools.update",
    "iam.workloadIdentityPoolProviders.create",
    "iam.workloadIdentityPoolProviders.update",
    "iam.workforcePoolProviders.create",
    "iam.workforcePoolProviders.update",
    "orgpolicy.policy.set",
    "orgpolicy.policies.create",
    "orgpolicy.policies.update",
    "orgpolicy.policies.delete",
    "serviceusage.apiKeys.create",
    "storage.hmacKeys.create",
    "appengine.versions.create",
    "cloudbuild.builds.create",
    "cloudfunctions.functions.create",
    "cloudfunctions.functions.update",
    "cloudscheduler.jobs.create",
    "composer.environments.create",
    "compute.instances.setMetadata",
    "compute.instances.setServiceAccount",
    "compute.projects.setCommonInstanceMetadata",
    "dataproc.clusters.create",
    "deploymentmanager.deployments.create",
    "deploymentmanager.deployments.update",
    "run.services.create",
    "run.services.update",
];

/// What the permission to set a policy ends in, on whatever resource.
const SET_POLICY: &str = ".setIamPolicy";

/// Services that the system itself rests on: any permission on them, given above the system, reaches it.
const SYSTEM_SERVICES: [&str; 7] =
    ["iam.", "datastore.", "cloudkms.", "run.", "cloudbuild.", "secretmanager.", "storage."];

/// Permissions by which the log of what the system did is deleted, or no longer written.
const LOG_DELETION: [&str; 8] = [
    "logging.buckets.delete",
    "logging.buckets.update",
    "logging.exclusions.create",
    "logging.exclusions.update",
    "logging.logs.delete",
    "logging.settings.update",
    "logging.sinks.delete",
    "logging.sinks.update",
];

/// Whether who holds these permissions can make more of them.
pub fn is_dangerous(permissions: &BTreeSet<String>) -> bool {
    permissions.iter().any(|permission| {
        permission.ends_with(SET_POLICY) || DANGEROUS.contains(&permission.as_str())
    })
}

/// Whether who holds these permissions on a node above the system could change the system, its data or its log.
pub fn touches_system(permissions: &BTreeSet<String>) -> bool {
    permissions.iter().any(|permission| {
        permission.ends_with(SET_POLICY)
            || SYSTEM_SERVICES.iter().any(|service| permission.starts_with(service))
            || LOG_DELETION.contains(&permission.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(permission: &str) -> BTreeSet<String> {
        BTreeSet::from(["compute.instances.get".to_owned(), permission.to_owned()])
    }

    #[test]
    fn one_dangerous_permission_makes_a_role_dangerous() {
        for permission in DANGEROUS.into_iter().chain([
            "resourcemanager.projects.setIamPolicy",
            "storage.buckets.setIamPolicy",
            "pubsub.topics.setIamPolicy",
        ]) {
            assert!(is_dangerous(&only(permission)), "{permission}");
        }
    }

    #[test]
    fn ordinary_permissions_are_not_dangerous() {
        for permission in [
            "compute.instances.get",
            "iam.roles.get",
            "iam.serviceAccounts.list",
            "resourcemanager.projects.getIamPolicy",
            "storage.objects.get",
            "run.services.get",
            "x.setIamPolicyLater",
        ] {
            assert!(!is_dangerous(&only(permission)), "{permission}");
        }
        assert!(!is_dangerous(&BTreeSet::new()));
    }

    #[test]
    fn the_system_is_touched_through_its_services_its_policies_and_its_log() {
        for permission in [
            "iam.roles.get",
            "datastore.entities.get",
            "cloudkms.cryptoKeyVersions.useToSign",
            "run.services.update",
            "cloudbuild.builds.create",
            "secretmanager.versions.access",
            "storage.objects.get",
            "resourcemanager.folders.setIamPolicy",
            "pubsub.topics.setIamPolicy",
            "logging.logs.delete",
            "logging.buckets.update",
        ] {
            assert!(touches_system(&only(permission)), "{permission}");
        }
        for permission in [
            "compute.instances.delete",
            "logging.logEntries.list",
            "runtimeconfig.configs.get",
            "storagetransfer.jobs.get",
            "iamx.roles.get",
        ] {
            assert!(!touches_system(&only(permission)), "{permission}");
        }
    }
}
