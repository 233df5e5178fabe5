//! The program `gcloud`, kept to one simulated cloud.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::e2e::demo::Demo;

/// Where the program is, told by the tests' runner; else it is looked for by its name.
const PROGRAM: &str = "CURFEW_TEST_GCLOUD";

/// A command takes about a second; a machine that compiles meanwhile takes longer.
const COMMAND_MAX: Duration = Duration::from_mins(1);

/// The services whose calls go to the simulated cloud.
const SERVICES: [&str; 4] = ["CLOUDASSET", "CLOUDKMS", "CLOUDRESOURCEMANAGER", "IAM"];

/// `gcloud` as the administrator of a demo's cloud.
pub(super) struct Gcloud {
    program: PathBuf,
    cloud: String,
    home: TempDir,
}

impl Gcloud {
    /// `None` where the program is not installed; in CI it must be.
    pub(super) fn of(demo: &Demo) -> Option<Self> {
        let program = std::env::var_os(PROGRAM).map(PathBuf::from).or_else(on_path);
        if program.is_none() {
            not_run();
        }
        let home = tempfile::tempdir().unwrap();
        Some(Self { program: program?, cloud: demo.cloud_url(), home })
    }

    /// What a command prints as JSON. It must succeed.
    pub(super) async fn json(&self, arguments: &[&str]) -> Value {
        self.run(arguments).await.unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// What a command complains of. It must fail.
    pub(super) async fn refusal(&self, arguments: &[&str]) -> String {
        match self.run(arguments).await {
            Ok(answer) => panic!("{arguments:?} succeeded: {answer}"),
            Err(error) => error,
        }
    }

    /// What a command prints as JSON (null for nothing), or what it complains of.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<Value, String> {
        let running = self.command(arguments).output();
        let output = timeout(COMMAND_MAX, running).await.expect("gcloud answers in time").unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            return Err(text(&output.stderr));
        }
        let printed = text(&output.stdout);
        Ok(if printed.is_empty() { Value::Null } else { serde_json::from_str(&printed).unwrap() })
    }

    /// A file for a command to read.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> String {
        std::fs::write(self.home.path().join(name), content).unwrap();
        self.path(name)
    }

    /// Where a command may write a file.
    pub(super) fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_owned()
    }

    /// Nothing of this machine's own settings and credentials counts, nobody is asked, and what is not meant for the
    /// simulated cloud ends at a proxy that is not there.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .arg("--format=json")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("CLOUDSDK_CONFIG", self.home.path())
            .env("CLOUDSDK_AUTH_ACCESS_TOKEN", "x")
            .env("CLOUDSDK_CORE_PROJECT", "demo-web")
            .env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
            .env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "1")
            .env("CLOUDSDK_CORE_DISABLE_FILE_LOGGING", "1")
            .env("CLOUDSDK_CORE_CHECK_GCE_METADATA", "0")
            .env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "1")
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for service in SERVICES {
            let variable = format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}");
            command.env(variable, format!("{}/", self.cloud));
        }
        command
    }
}

fn on_path() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join("gcloud")).find(|path| path.is_file())
}

#[expect(
    clippy::print_stderr,
    reason = "a case that did not run must not look like one that passed"
)]
fn not_run() {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "there is no gcloud, and CI needs it");
    eprintln!("NOT RUN with gcloud: it is not installed");
}
