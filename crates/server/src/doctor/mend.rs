//! Commands that mend: gcloud's own, with this deployment's values.

use curfew_core::resource::Resource;

/// A command line of gcloud; each argument is quoted where a shell needs it.
pub(crate) fn gcloud<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let words = ["gcloud"].into_iter().chain(arguments);
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// The argument as a POSIX shell reads it back.
pub(crate) fn quoted(argument: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&b);
    if !argument.is_empty() && argument.bytes().all(is_plain) {
        argument.to_owned()
    } else if argument.contains('\'') && !argument.contains(['"', '$', '`', '\\', '!']) {
        format!("\"{argument}\"")
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// gcloud's words for a node: the group of commands, and how it is named there.
pub(crate) fn node_words(node: &Resource) -> (Vec<&'static str>, String) {
    let name = node.to_string();
    let id = name.split_once('/').map_or("", |(_, id)| id).to_owned();
    match node {
        Resource::Project(_) => (vec!["projects"], id),
        Resource::Folder(_) => (vec!["resource-manager", "folders"], id),
        Resource::Organization(_) => (vec!["organizations"], id),
    }
}

/// A command about the policy of a node, such as `add-iam-policy-binding`.
pub(crate) fn policy_command(node: &Resource, verb: &str, flags: &[&str]) -> String {
    let (group, id) = node_words(node);
    gcloud(group.into_iter().chain([verb, id.as_str()]).chain(flags.iter().copied()))
}

/// The id of a custom role and the flag that names its owner; `None` for a predefined role.
pub(crate) fn custom_role(role: &str) -> Option<(&str, String)> {
    let (owner, id) = role.split_once("/roles/")?;
    let (kind, name) = owner.split_once('/')?;
    let flag = match kind {
        "organizations" => format!("--organization={name}"),
        "projects" => format!("--project={name}"),
        _ => return None,
    };
    Some((id, flag))
}

/// A service account as a member of policies.
pub(crate) fn member(account: &str) -> String {
    format!("serviceAccount:{account}")
}

/// The project that a service account belongs to, by its address; `None` for Google's own accounts.
pub(crate) fn project_of(account: &str) -> Option<String> {
    let (name, domain) = account.split_once('@')?;
    if domain == "appspot.gserviceaccount.com" {
        return Some(name.to_owned());
    }
    // A domain-scoped project, `example.com:access`, stands there as `access.example.com`.
    let project = domain.strip_suffix(".iam.gserviceaccount.com")?;
    Some(match project.split_once('.') {
        Some((id, domain)) => format!("{domain}:{id}"),
        None => project.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        let command = gcloud(["a", "--b=c@d.e", "", "it's; rm -rf $HOME", "(default)", "*"]);
        assert_eq!(command, r"gcloud a --b=c@d.e '' 'it'\''s; rm -rf $HOME' '(default)' '*'");
        let text = "resource.name == 'projects/p'";
        assert_eq!(quoted(text), format!("\"{text}\""), "as people write it");
    }

    #[test]
    fn each_kind_of_node_has_its_own_words() {
        for (node, command) in [
            ("projects/web-prod", "gcloud projects get-iam-policy web-prod -q"),
            ("folders/7", "gcloud resource-manager folders get-iam-policy 7 -q"),
            ("organizations/9", "gcloud organizations get-iam-policy 9 -q"),
        ] {
            let node = Resource::parse(node).unwrap();
            assert_eq!(policy_command(&node, "get-iam-policy", &["-q"]), command);
        }
    }

    #[test]
    fn a_custom_role_is_named_by_its_id_and_owner() {
        let role = |name| custom_role(name);
        assert_eq!(role("organizations/9/roles/x"), Some(("x", "--organization=9".into())));
        assert_eq!(role("projects/web-prod/roles/x"), Some(("x", "--project=web-prod".into())));
        assert_eq!(role("roles/viewer"), None);
        assert_eq!(role("folders/7/roles/x"), None);
    }

    #[test]
    fn an_account_tells_its_project() {
        for (account, project) in [
            ("curfew@access-1.iam.gserviceaccount.com", Some("access-1")),
            ("curfew@access.example.com.iam.gserviceaccount.com", Some("example.com:access")),
            ("access-1@appspot.gserviceaccount.com", Some("access-1")),
            ("12-compute@developer.gserviceaccount.com", None),
            ("alice@example.com", None),
        ] {
            assert_eq!(project_of(account).as_deref(), project, "{account}");
        }
    }
}
