//! The programs from outside that some suites need: looked for, installed in CI where Debian has them, and named where they are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Environment;
use crate::process;

/// What was found.
#[expect(clippy::struct_excessive_bools, reason = "each says of one thing whether it is there")]
pub(super) struct Tools {
    /// Both halves of Google's emulator, or nothing.
    pub(super) emulator_jar: Option<PathBuf>,
    pub(super) gcloud: Option<PathBuf>,
    /// Chromium and its driver, or nothing.
    pub(super) browser: Option<[PathBuf; 2]>,
    pub(super) python: bool,
    /// With npm.
    pub(super) node: bool,
    pub(super) terraform: bool,
    /// With promtool.
    pub(super) prometheus: bool,
    /// Suites that cannot run, each with how to change that.
    pub(super) missing: Vec<String>,
}

/// A program, how to ask whether it works, and the Debian packages that bring it.
struct Program {
    name: &'static str,
    question: &'static [&'static str],
    packages: &'static [&'static str],
}

const JAVA: Program =
    Program { name: "java", question: &["-version"], packages: &["default-jre-headless"] };

/// Debian splits what `python3 -m venv` needs from the interpreter.
const PYTHON: Program = Program {
    name: "python3",
    question: &["-c", "import ensurepip, venv"],
    packages: &["python3", "python3-venv"],
};

/// Google's client needs Node 18.
const NODE: Program = Program {
    name: "node",
    question: &["--eval", "process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)"],
    packages: &["nodejs"],
};

const NPM: Program = Program { name: "npm", question: &["--version"], packages: &["npm"] };

/// Debian's package has both programs.
const PROMETHEUS: Program =
    Program { name: "prometheus", question: &["--version"], packages: &["prometheus"] };

const PROMTOOL: Program =
    Program { name: "promtool", question: &["--version"], packages: &["prometheus"] };

/// The suites that run against Google's own emulator.
const EMULATOR_SUITE: &str = "everything on Google's Firestore emulator";

/// The suites that drive the system with Python programs.
const PYTHON_SUITE: &str = "Python clients and verifiers";

/// The suite that drives the embedded store from Node.
const NODE_SUITE: &str = "Google's Firestore client for Node";

/// The suites that drive the simulated cloud with Google's own command line.
const GCLOUD_SUITE: &str = "gcloud against the simulated cloud";

/// The suite that judges `terraform/`.
const TERRAFORM_SUITE: &str = "Terraform's modules by the schema of Google's provider";

/// The suites that judge alerts and dashboards.
const PROMETHEUS_SUITE: &str = "alerts and dashboards in a real Prometheus";

/// The suite that opens the pages.
const BROWSER_SUITE: &str = "the pages in a browser";

/// Chromium and its driver, by the variables that the tests are told by, and the names that they go by on a path.
const BROWSER: [(&str, &[&str]); 2] = [
    ("CURFEW_TEST_CHROMIUM", &["chromium", "chromium-browser", "google-chrome"]),
    ("CURFEW_TEST_CHROMEDRIVER", &["chromedriver"]),
];

/// Debian's packages of both.
const BROWSER_PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];

/// The program of the Google Cloud CLI, for the tests as for the people who have it in a place of their own.
const GCLOUD_VARIABLE: &str = "CURFEW_TEST_GCLOUD";

/// Where the CLI's archive, its Debian package and its snap put it; the first is below the home directory.
const GCLOUD_PLACES: [&str; 3] =
    ["google-cloud-sdk/bin/gcloud", "/usr/lib/google-cloud-sdk/bin/gcloud", "/snap/bin/gcloud"];

/// Where the Google Cloud CLI keeps the emulator, under its root.
const EMULATOR_IN_SDK: &str = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar";

impl Tools {
    pub(super) fn find(ci: bool) -> Self {
        let mut missing = Vec::new();
        let mut note =
            |suite: &str, error: anyhow::Error| missing.push(format!("{suite}: {error:#}"));
        let java = JAVA.find(ci).map_err(|error| note(EMULATOR_SUITE, error)).is_ok();
        let gcloud = gcloud().map_err(|error| note(GCLOUD_SUITE, error)).ok();
        let jar = emulator_jar(gcloud.as_deref()).map_err(|error| note(EMULATOR_SUITE, error)).ok();
        let python = PYTHON.find(ci).map_err(|error| note(PYTHON_SUITE, error)).is_ok();
        let with_npm = NODE.find(ci).and_then(|()| NPM.find(ci));
        let with_npm = with_npm.map_err(|error| note(NODE_SUITE, error)).is_ok();
        let terraform = terraform().map_err(|error| note(TERRAFORM_SUITE, error)).is_ok();
        let prometheus = PROMETHEUS.find(ci).and_then(|()| PROMTOOL.find(ci));
        let prometheus = prometheus.map_err(|error| note(PROMETHEUS_SUITE, error)).is_ok();
        let browser = browser(ci).map_err(|error| note(BROWSER_SUITE, error)).ok();
        Self {
            emulator_jar: jar.filter(|_| java),
            gcloud,
            browser,
            python,
            node: with_npm,
            terraform,
            prometheus,
            missing,
        }
    }

    /// For tests that start an emulator of their own, to kill it, and for those that run gcloud.
    pub(super) fn environment(&self) -> Environment {
        let jar = self.emulator_jar.iter().map(|jar| ("CURFEW_FIRESTORE_EMULATOR_JAR", jar));
        let gcloud = self.gcloud.iter().map(|gcloud| (GCLOUD_VARIABLE, gcloud));
        let browser = self.browser.iter().flatten();
        let browser = BROWSER.iter().map(|(name, _)| *name).zip(browser);
        jar.chain(gcloud)
            .chain(browser)
            .map(|(name, path)| (name, path.display().to_string()))
            .collect()
    }
}

impl Program {
    fn find(&self, install: bool) -> Result<()> {
        if self.works() {
            return Ok(());
        }
        if install && is_root() {
            apt_install(self.packages)?;
        }
        let packages = self.packages.join(" ");
        anyhow::ensure!(
            self.works(),
            "{} is missing or incomplete; install with `apt-get install {packages}`",
            self.name
        );
        Ok(())
    }

    fn works(&self) -> bool {
        process::answers(self.name, self.question)
    }
}

/// Debian has no package of it, so it is not installed here.
fn terraform() -> Result<()> {
    anyhow::ensure!(
        process::answers("terraform", &["version"]),
        "terraform is missing; install version 1.9 or later from its maker"
    );
    Ok(())
}

/// `CURFEW_TEST_GCLOUD`, else the one on the path, else the one in a usual place. Debian itself has no package of it, so
/// it is not installed here.
fn gcloud() -> Result<PathBuf> {
    if let Some(gcloud) = std::env::var_os(GCLOUD_VARIABLE) {
        return existing(Path::new(&gcloud)).context(GCLOUD_VARIABLE);
    }
    let home = std::env::home_dir().unwrap_or_default();
    let mut places = on_path("gcloud").chain(GCLOUD_PLACES.map(|place| home.join(place)));
    let found = places.find(|it| it.is_file() && process::answers(it, &["--version"]));
    found.context("the Google Cloud CLI is missing; install it (https://cloud.google.com/sdk/docs/install) or name its program in CURFEW_TEST_GCLOUD")
}

/// Where a program of this name would be.
fn on_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).collect::<Vec<_>>().into_iter()
}

/// Chromium and its driver, installed in CI where they are missing.
fn browser(install: bool) -> Result<[PathBuf; 2]> {
    if let Ok(found) = find_browser() {
        return Ok(found);
    }
    if install && is_root() {
        apt_install(&BROWSER_PACKAGES)?;
    }
    find_browser()
}

fn find_browser() -> Result<[PathBuf; 2]> {
    let find = |(variable, names): (&str, &[&str])| {
        if let Some(named) = std::env::var_os(variable) {
            return existing(Path::new(&named)).context(variable.to_owned());
        }
        let mut places = names.iter().flat_map(|name| on_path(name));
        let found = places.find(|it| it.is_file() && process::answers(it, &["--version"]));
        let packages = BROWSER_PACKAGES.join(" ");
        found.with_context(|| {
            format!("{} is missing; install with `apt-get install {packages}`", names.join(" or "))
        })
    };
    let [chromium, driver] = BROWSER;
    Ok([find(chromium)?, find(driver)?])
}

/// `FIRESTORE_EMULATOR_JAR`, else the one of the Google Cloud CLI.
fn emulator_jar(gcloud: Option<&Path>) -> Result<PathBuf> {
    if let Some(jar) = std::env::var_os("FIRESTORE_EMULATOR_JAR") {
        return existing(Path::new(&jar)).context("FIRESTORE_EMULATOR_JAR");
    }
    let gcloud = gcloud.context("the Google Cloud CLI is missing; install it, then `gcloud components install cloud-firestore-emulator`")?;
    let mut gcloud = Command::new(gcloud);
    let root = process::stdout_of(gcloud.args(["info", "--format=value(installation.sdk_root)"]))?;
    existing(&Path::new(root.trim()).join(EMULATOR_IN_SDK))
        .context("install with `gcloud components install cloud-firestore-emulator`")
}

fn existing(file: &Path) -> Result<PathBuf> {
    anyhow::ensure!(file.is_file(), "there is no {}", file.display());
    Ok(file.to_owned())
}

fn is_root() -> bool {
    process::stdout_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn apt_install(packages: &[&str]) -> Result<()> {
    println!("installing {}", packages.join(" "));
    process::stdout_of(&mut apt(&["update"]))?;
    process::stdout_of(apt(&["install", "--yes", "--no-install-recommends"]).args(packages))?;
    Ok(())
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_says_how_to_install_it_and_outside_ci_nothing_is_installed() {
        let program = Program {
            name: "no-such-program-anywhere",
            question: &[],
            packages: &["no-such-package"],
        };
        let error = program.find(false).unwrap_err().to_string();
        assert!(error.contains("no-such-program-anywhere is missing"), "{error}");
        assert!(error.contains("apt-get install no-such-package"), "{error}");
    }

    #[test]
    fn a_program_that_answers_needs_nothing() {
        let cargo = Program { name: "cargo", question: &["--version"], packages: &[] };
        assert!(cargo.find(false).is_ok());
    }

    #[test]
    fn a_jar_that_is_not_there_is_an_error_with_its_path() {
        assert!(
            existing(Path::new("no/such.jar")).unwrap_err().to_string().contains("no/such.jar")
        );
    }

    #[test]
    fn tests_learn_of_what_can_run_and_of_nothing_else() {
        let mut tools = Tools {
            emulator_jar: None,
            gcloud: None,
            browser: None,
            python: false,
            node: false,
            terraform: false,
            prometheus: false,
            missing: Vec::new(),
        };
        assert!(tools.environment().is_empty());
        tools.gcloud = Some("/usr/bin/gcloud".into());
        assert_eq!(tools.environment(), [("CURFEW_TEST_GCLOUD", "/usr/bin/gcloud".to_owned())]);
    }
}
