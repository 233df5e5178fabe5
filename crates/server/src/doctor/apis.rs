//! Whether the APIs answer that a part calls, and whether groups can be read by one of two.

use std::collections::BTreeSet;

use curfew_core::principal::Email;
use curfew_gcp::{ProbeError, Probed};

use super::mend::gcloud;
use super::report::Finding;

/// One of these opens lists of groups and members
/// (<https://developers.google.com/workspace/admin/directory/reference/rest/v1/members/list#authorization-scopes>).
const DIRECTORY_SCOPE: &str = "https://www.googleapis.com/auth/admin.directory.group";

/// Judges by a harmless call's answer: a refusal comes from an API that is enabled.
pub(crate) fn judge(service: &str, answer: &Probed<()>, project: Option<&str>) -> Finding {
    match answer {
        Ok(()) | Err(ProbeError::Denied(_) | ProbeError::NotFound(_) | ProbeError::Invalid(_)) => {
            Finding::passed(format!("{service} is enabled"))
        }
        Err(ProbeError::Disabled { service, .. }) => disabled(service, project),
        Err(ProbeError::Unanswered(why)) => Finding::skipped(format!("could not be known: {why}")),
    }
}

/// A service that is not enabled.
pub(crate) fn disabled(service: &str, project: Option<&str>) -> Finding {
    let (place, flag) = match project {
        Some(project) => (format!("project {project}"), format!("--project={project}")),
        None => ("the calling project".into(), "--project=<the account's project>".into()),
    };
    Finding::failed(format!("{service} is not enabled in {place}"))
        .mend(gcloud(["services", "enable", service, &flag]))
}

/// How groups are read.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    /// Cloud Identity's search of nested groups, which takes a licence.
    pub(crate) transitive: Probed<()>,
    /// The Admin SDK's Directory, level by level.
    pub(crate) directory: Probed<()>,
    /// What the token may be used for; empty if that is not known.
    pub(crate) scopes: BTreeSet<String>,
}

impl Groups {
    /// Whether the Directory must answer at all.
    pub(crate) fn needs_directory(&self) -> bool {
        self.transitive.is_err()
    }

    /// Whether, and by which way, memberships can be known.
    pub(crate) fn judge(&self, account: Option<&str>) -> Finding {
        match (&self.transitive, &self.directory) {
            (Ok(()), _) => Finding::passed(
                "nested memberships are searched (Cloud Identity Premium or Workspace Enterprise)",
            ),
            (Err(ProbeError::Denied(_)), Ok(())) => Finding::warning(
                "this customer has no licence for searches of nested groups: the Directory is followed group by group \
                 instead, a call for each, and 500 groups at most; beyond that, or while it does not answer, nothing is granted",
            )
            .mend("nothing need be done for small organisations; Cloud Identity Premium or Workspace Enterprise brings the search"),
            (Err(ProbeError::Disabled { .. }), Ok(())) => Finding::warning(
                "searches of nested groups are not enabled, see apis.cloudidentity: the Directory is followed group by group instead",
            ),
            (Err(transitive), Err(directory)) => Finding::failed(format!(
                "no group can be read: {transitive}; {directory}{}",
                self.scopes_missing()
            ))
            .mend(groups_reader(account)),
            (Err(error), Ok(())) => {
                Finding::skipped(format!("the search of nested groups could not be judged: {error}"))
            }
        }
    }

    /// The Directory asks for a scope of its own, whatever the account's administrator role allows.
    fn scopes_missing(&self) -> &'static str {
        let opens = |scope: &String| scope.starts_with(DIRECTORY_SCOPE);
        if self.scopes.is_empty() || self.scopes.iter().any(opens) {
            ""
        } else {
            "; tokens lack the scope admin.directory.group.readonly, without which the Directory answers nobody"
        }
    }
}

/// No role of IAM gives this, so no command of gcloud's does.
fn groups_reader(account: Option<&str>) -> String {
    format!(
        "as a super administrator: https://admin.google.com > Account > Admin roles > Groups Reader > Assign service accounts: {}",
        account.unwrap_or("<the part's account>")
    )
}

/// Whether every group that the configuration names is there.
pub(crate) fn judge_named(named: &[(Email, Probed<()>)]) -> Finding {
    let absent: Vec<&str> = named
        .iter()
        .filter(|(_, answer)| matches!(answer, Err(ProbeError::NotFound(_))))
        .map(|(group, _)| group.as_str())
        .collect();
    let unknown: Vec<String> = named
        .iter()
        .filter_map(|(_, answer)| match answer {
            Ok(()) | Err(ProbeError::NotFound(_)) => None,
            Err(error) => Some(error.to_string()),
        })
        .collect();
    if !absent.is_empty() {
        let steps = absent.iter().map(|group| {
            let domain = group.split_once('@').map_or("", |(_, domain)| domain);
            let organisation = format!("--organization={domain}");
            gcloud(["identity", "groups", "create", group, &organisation])
        });
        return Finding::warning(format!(
            "there is no group {}: nobody is in it",
            absent.join(", ")
        ))
        .mends(steps);
    }
    if let Some(why) = unknown.first() {
        return Finding::skipped(format!("{} could not be looked up: {why}", unknown.len()));
    }
    match named.len() {
        0 => Finding::skipped("no group is configured: name one with --group to have it looked up"),
        1 => Finding::passed("the one group that is named is there"),
        n => Finding::passed(format!("the {n} groups that are named are there")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    fn denied() -> Probed<()> {
        Err(ProbeError::Denied("403".into()))
    }

    fn off() -> Probed<()> {
        let service = "cloudidentity.googleapis.com".into();
        Err(ProbeError::Disabled { service, said: "off".into() })
    }

    fn silent() -> Probed<()> {
        Err(ProbeError::Unanswered("no answer".into()))
    }

    #[test]
    fn an_api_that_refuses_is_enabled_and_one_that_is_off_is_named_with_its_command() {
        for (answer, outcome) in [
            (Ok(()), Outcome::Passed),
            (denied(), Outcome::Passed),
            (off(), Outcome::Failed),
            (silent(), Outcome::Skipped),
        ] {
            let finding = judge("cloudidentity.googleapis.com", &answer, Some("access-1"));
            assert_eq!(finding.outcome, outcome, "{answer:?}");
        }
        let finding = judge("x", &off(), Some("access-1"));
        let enable = "gcloud services enable cloudidentity.googleapis.com --project=access-1";
        assert_eq!(finding.mend, [enable]);
    }

    #[test]
    fn groups_are_read_by_the_search_or_else_by_the_directory() {
        for (transitive, directory, outcome) in [
            (Ok(()), Ok(()), Outcome::Passed),
            (Ok(()), denied(), Outcome::Passed),
            (denied(), Ok(()), Outcome::Warning),
            (off(), Ok(()), Outcome::Warning),
            (silent(), Ok(()), Outcome::Skipped),
            (denied(), denied(), Outcome::Failed),
            (denied(), off(), Outcome::Failed),
            (off(), denied(), Outcome::Failed),
        ] {
            let groups = Groups { transitive, directory, scopes: BTreeSet::new() };
            let finding = groups.judge(Some("a@x.iam.gserviceaccount.com"));
            assert_eq!(finding.outcome, outcome, "{groups:?}");
            let names_it = finding.mend.join("").contains("a@x.iam.gserviceaccount.com");
            assert_eq!(names_it, outcome == Outcome::Failed);
        }
    }

    #[test]
    fn a_token_that_the_directory_does_not_take_is_told() {
        let said = |scopes: &[&str]| {
            let scopes = scopes.iter().map(|it| (*it).to_owned()).collect();
            Groups { transitive: denied(), directory: denied(), scopes }.judge(None).message
        };
        let lacks = "tokens lack the scope admin.directory.group.readonly";
        let cloud = "https://www.googleapis.com/auth/cloud-platform";
        assert!(said(&[cloud]).contains(lacks));
        let readonly = format!("{DIRECTORY_SCOPE}.readonly");
        assert!(!said(&[cloud, &readonly]).contains(lacks));
        assert!(!said(&[]).contains(lacks), "nothing is known of the token");
    }

    #[test]
    fn a_group_that_is_not_there_is_named() {
        let group = |name: &str| Email::parse(name).unwrap();
        let there = || (group("a@example.com"), Ok(()));
        let absent = || (group("b@example.com"), Err(ProbeError::NotFound("404".into())));
        let unknown = || (group("c@example.com"), denied());
        assert_eq!(judge_named(&[]).outcome, Outcome::Skipped);
        assert_eq!(judge_named(&[there()]).outcome, Outcome::Passed);
        assert_eq!(judge_named(&[there(), unknown()]).outcome, Outcome::Skipped);
        let finding = judge_named(&[there(), absent(), unknown()]);
        assert_eq!(finding.outcome, Outcome::Warning);
        assert!(finding.message.contains("b@example.com"), "{finding:?}");
        assert!(!finding.message.contains("a@example.com"), "{finding:?}");
    }
}
