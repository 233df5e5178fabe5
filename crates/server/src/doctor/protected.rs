//! Whether the projects that hold Curfew itself are out of everybody's reach through Curfew.

use std::collections::BTreeSet;

use curfew_core::resource::Resource;

use super::report::Finding;

/// A project that holds a part of the system, or one that the configuration protects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) node: Resource,
    /// What it holds, such as `the store`; nothing for one that is only configured.
    pub(crate) holds: Vec<&'static str>,
    /// Itself first, then its parents up to the scope or the organisation; or why they are not known.
    pub(crate) line: Result<Vec<Resource>, String>,
}

impl Seen {
    fn is_covered(&self, protected: &BTreeSet<Resource>) -> bool {
        let above = self.line.as_ref().map(Vec::as_slice).unwrap_or_default();
        protected.contains(&self.node) || above.iter().any(|node| protected.contains(node))
    }

    /// `None` if that is not known.
    fn is_in(&self, scope: &Resource) -> Option<bool> {
        if self.node == *scope {
            return Some(true);
        }
        self.line.as_ref().ok().map(|line| line.contains(scope))
    }
}

/// Judges the own projects, and the spelling of what is configured.
pub(crate) fn judge(scope: &Resource, protected: &BTreeSet<Resource>, seen: &[Seen]) -> Finding {
    if let Some(whole) = seen.iter().find(|it| it.node == *scope && !it.holds.is_empty()) {
        return Finding::failed(format!(
            "the scope {scope} holds {}: whoever Curfew lets in there could change Curfew itself",
            whole.holds.join(" and ")
        ))
        .mend("scope: <another project, or a folder or organisation with this project in `protected`>");
    }
    if protected.contains(scope) {
        return Finding::failed(format!(
            "the whole scope {scope} is protected: nothing can be granted"
        ))
        .mend(format!("protected: take {scope} out"));
    }
    let open: Vec<&Seen> = seen
        .iter()
        .filter(|it| !it.holds.is_empty() && !it.is_covered(protected))
        .filter(|it| it.is_in(scope) != Some(false))
        .collect();
    let unread: Vec<&Seen> =
        seen.iter().filter(|it| protected.contains(&it.node) && it.line.is_err()).collect();
    let mut findings = Vec::new();
    if !open.is_empty() {
        findings.push(unprotected(scope, protected, &open));
    }
    if !unread.is_empty() {
        findings.push(unseen(&unread));
    }
    findings.into_iter().reduce(Finding::and).unwrap_or_else(|| {
        let own = seen.iter().filter(|it| !it.holds.is_empty()).count();
        match protected.len() {
            0 => Finding::passed(
                "nothing is protected, and nothing of Curfew's own lies in the scope",
            ),
            n => Finding::passed(format!(
                "{n} protected; of Curfew's own projects ({own} known) none is within reach"
            )),
        }
    })
}

fn unprotected(scope: &Resource, protected: &BTreeSet<Resource>, open: &[&Seen]) -> Finding {
    let said: Vec<String> = open.iter().map(|it| said(it, scope)).collect();
    let all: BTreeSet<String> =
        protected.iter().chain(open.iter().map(|it| &it.node)).map(ToString::to_string).collect();
    let all: Vec<String> = all.into_iter().collect();
    Finding::warning(format!("not protected: {}", said.join("; ")))
        .mend(format!("protected: [{}]   # in the configuration of both parts", all.join(", ")))
}

fn said(seen: &Seen, scope: &Resource) -> String {
    let holds = seen.holds.join(" and ");
    match &seen.line {
        Ok(_) => format!("{} holds {holds} and lies in {scope}", seen.node),
        Err(why) => format!("{} holds {holds}, and may lie in {scope} ({why})", seen.node),
    }
}

/// Google does not say whether there is no such node, or whether it may only not be seen.
fn unseen(unread: &[&Seen]) -> Finding {
    let names: Vec<String> = unread.iter().map(|it| it.node.to_string()).collect();
    Finding::warning(format!(
        "protected, and not to be seen from here: {}; misspelt, it protects nothing",
        names.join(", ")
    ))
    .mends(
        names
            .iter()
            .filter_map(|name| name.strip_prefix("projects/"))
            .map(|id| super::mend::gcloud(["projects", "describe", id])),
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    fn node(name: &str) -> Resource {
        Resource::parse(name).unwrap()
    }

    fn own(name: &str, above: Option<&[&str]>) -> Seen {
        let line = above.map(|above| {
            let names = [name].into_iter().chain(above.iter().copied());
            names.map(node).collect()
        });
        let line = line.ok_or_else(|| "403".to_owned());
        Seen { node: node(name), holds: vec!["the store"], line }
    }

    fn judged(scope: &str, protected: &[&str], seen: &[Seen]) -> Finding {
        judge(&node(scope), &protected.iter().map(|it| node(it)).collect(), seen)
    }

    #[test]
    fn an_own_project_in_the_scope_that_is_left_out_is_named_with_the_line_to_write() {
        let inside = own("projects/access-1", Some(&["folders/7", "organizations/9"]));
        let finding =
            judged("organizations/9", &["projects/keys-1"], std::slice::from_ref(&inside));
        assert_eq!(finding.outcome, Outcome::Warning);
        assert!(finding.message.contains("projects/access-1 holds the store"), "{finding:?}");
        let line = "protected: [projects/access-1, projects/keys-1]";
        assert!(finding.mend[0].starts_with(line), "{finding:?}");
        for protected in ["projects/access-1", "folders/7"] {
            let finding = judged("organizations/9", &[protected], std::slice::from_ref(&inside));
            assert_eq!(finding.outcome, Outcome::Passed, "{protected}");
        }
    }

    #[test]
    fn one_outside_of_the_scope_needs_no_protection_and_an_unknown_one_does() {
        let outside = own("projects/access-1", Some(&["organizations/9"]));
        assert_eq!(judged("folders/7", &[], &[outside]).outcome, Outcome::Passed);
        let unknown = own("projects/access-1", None);
        let finding = judged("folders/7", &[], &[unknown]);
        assert_eq!(finding.outcome, Outcome::Warning);
        assert!(finding.message.contains("may lie in folders/7"), "{finding:?}");
    }

    #[test]
    fn a_scope_that_is_the_system_itself_fails() {
        let scope = own("projects/access-1", Some(&["organizations/9"]));
        for protected in [&["projects/access-1"][..], &[]] {
            let finding = judged("projects/access-1", protected, std::slice::from_ref(&scope));
            assert_eq!(finding.outcome, Outcome::Failed);
        }
        assert_eq!(judged("folders/7", &["folders/7"], &[]).outcome, Outcome::Failed);
    }

    #[test]
    fn a_protected_name_that_nobody_can_see_is_doubted() {
        let misspelt = Seen { holds: vec![], ..own("projects/acess-1", None) };
        let finding = judged("organizations/9", &["projects/acess-1"], &[misspelt]);
        assert_eq!(finding.outcome, Outcome::Warning);
        assert_eq!(finding.mend, ["gcloud projects describe acess-1"]);
    }
}
