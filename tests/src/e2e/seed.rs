//! The demo's organisation with more in it.

const SEED: &str = include_str!("../../../crates/cloudsim/seed/default.yaml");

pub(super) const ORGANIZATION: &str = "organizations/100000000001";
pub(super) const FOLDER: &str = "folders/200000000001";

/// The demo's organisation, changed.
pub(super) struct Seed(String);

impl Seed {
    pub(super) fn new() -> Self {
        Self(SEED.to_owned())
    }

    /// One more of a kind, such as a project; `line` is an object of YAML.
    pub(super) fn with(mut self, kind: &str, line: &str) -> Self {
        let head = format!("\n{kind}:\n");
        let at = self.0.find(&head).unwrap_or_else(|| panic!("the seed has no {kind}"));
        self.0.insert_str(at + head.len(), &format!("  - {line}\n"));
        self
    }

    /// One more binding on a node, which may have no policy yet.
    pub(super) fn offering(mut self, node: &str, role: &str, member: &str, marker: &str) -> Self {
        let binding = format!(
            "      - {{role: {role}, members: [\"{member}\"], condition: {{title: Eligible, expression: \"has({{}}.{marker})\"}}}}\n"
        );
        let head = format!("\n  {node}:\n    bindings:\n");
        if let Some(at) = self.0.find(&head) {
            self.0.insert_str(at + head.len(), &binding);
        } else {
            let all = "\npolicies:\n";
            let at = self.0.find(all).unwrap() + all.len();
            self.0.insert_str(at, &format!("  \"{node}\":\n    bindings:\n{binding}"));
        }
        self
    }

    /// How the simulated cloud behaves.
    pub(super) fn behaving(mut self, settings: &str) -> Self {
        self.0.extend(["settings: ", settings, "\n"]);
        self
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}
