//! One part of a demo, as `curfew doctor` looks at it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use tokio::process::Command;

use crate::e2e::demo::{Demo, Part, binary};

/// A configuration, and what else is said to `doctor`.
pub(super) struct Patient {
    config: PathBuf,
    arguments: Vec<String>,
    /// What names a file of credentials to Google's libraries.
    credentials: Option<PathBuf>,
}

/// What it said, as programs read it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) json: Value,
}

impl Patient {
    /// A part of a demo in its shape `Split`, with the configuration that it runs with.
    pub(super) fn of(demo: &Demo, part: Part) -> Self {
        Self::in_file(demo, &format!("{}.yaml", part.name()))
    }

    pub(super) fn in_file(demo: &Demo, name: &str) -> Self {
        Self { config: demo.data(name), arguments: Vec::new(), credentials: None }
    }

    /// The same part with something else in its configuration; other files of the demo stay where they are.
    pub(super) fn changed(demo: &Demo, part: Part, from: &str, to: &str) -> Self {
        Self::changed_in(demo, &format!("{}.yaml", part.name()), from, to)
    }

    pub(super) fn changed_in(demo: &Demo, name: &str, from: &str, to: &str) -> Self {
        let text = std::fs::read_to_string(demo.data(name)).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        let config = demo.data("changed.yaml");
        std::fs::write(&config, text.replacen(from, to, 1)).unwrap();
        Self { config, arguments: Vec::new(), credentials: None }
    }

    /// With more arguments.
    pub(super) fn with(&self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|it| (*it).to_owned());
        let arguments = self.arguments.iter().cloned().chain(arguments).collect();
        Self { config: self.config.clone(), arguments, credentials: self.credentials.clone() }
    }

    /// With a file of credentials.
    pub(super) fn by(mut self, credentials: PathBuf) -> Self {
        self.credentials = Some(credentials);
        self
    }

    pub(super) async fn ask(&self) -> Answer {
        let (code, text) = self.with(&["--json"]).read().await;
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Answer { code, json }
    }

    /// The exit code and what is printed.
    pub(super) async fn read(&self) -> (i32, String) {
        let mut command = Command::new(binary("curfew"));
        command.arg("--config").arg(&self.config).arg("doctor").args(&self.arguments);
        for name in ["FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "CURFEW_CONFIG"] {
            command.env_remove(name);
        }
        if let Some(credentials) = &self.credentials {
            command.env("GOOGLE_APPLICATION_CREDENTIALS", credentials);
        }
        let output = command.kill_on_drop(true).output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }
}

impl Answer {
    pub(super) fn checks(&self) -> &[Value] {
        self.json["checks"].as_array().unwrap()
    }

    pub(super) fn find(&self, check: &str) -> Option<&Value> {
        self.checks().iter().find(|it| it["name"] == check)
    }

    fn get(&self, check: &str) -> &Value {
        self.find(check).unwrap_or_else(|| panic!("no check {check} in {self:?}"))
    }

    pub(super) fn result(&self, check: &str) -> &str {
        text(self.get(check), "result")
    }

    pub(super) fn message(&self, check: &str) -> &str {
        text(self.get(check), "message")
    }

    /// All steps that mend it, one a line.
    pub(super) fn mend(&self, check: &str) -> String {
        let steps = self.get(check)["mend"].as_array().cloned().unwrap_or_default();
        steps.iter().map(|step| step.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }

    /// The names of the checks that ended so.
    pub(super) fn having(&self, result: &str) -> BTreeSet<&str> {
        let having = self.checks().iter().filter(|check| check["result"] == result);
        having.map(|check| text(check, "name")).collect()
    }
}

pub(super) fn text<'a>(check: &'a Value, field: &str) -> &'a str {
    check[field].as_str().unwrap()
}
