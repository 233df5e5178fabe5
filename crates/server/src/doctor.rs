//! `curfew doctor`: whether an installation can work, looked at from where a part of it runs.
//!
//! Every check is a look and a judgement. The looks (`ward`) are thin and change nothing; the judgements are functions of
//! what was seen, each in the file of its subject. A check that finds something names the command that mends it.

mod apis;
mod clock;
mod grants;
mod iap;
mod identity;
mod machine;
mod mend;
mod permissions;
mod protected;
mod report;
mod secrets;
mod store;
mod ward;
mod windows;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use curfew_core::principal::Email;

use crate::config::{Config, StoreKind};
use crate::run::Mode;
use report::{Check, Finding, Outcome, Report};
use ward::{Brought, Ward};

/// No assertion is longer; what is, is something else.
const ASSERTION_BYTES_MAX: u64 = 16 * 1024;

/// The exit code of a run that could not look.
const COULD_NOT_RUN: u8 = 2;

/// Looks whether an installation can work: run it where a part runs, under that part's identity.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The part whose identity this is; told by the configuration if that has the secret of one part alone.
    #[arg(long)]
    part: Option<Mode>,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    /// A file with an assertion that IAP has signed for intake, no older than ten minutes; `-` for standard input.
    #[arg(long)]
    assertion: Option<String>,
    /// A group that must be found, besides those of the configuration.
    #[arg(long = "group", value_name = "ADDRESS")]
    groups: Vec<String>,
}

/// What a run came to.
pub(crate) struct Examined {
    /// To be printed.
    pub(crate) text: String,
    /// 0: nothing failed; 1: something did; 2: it could not be looked at.
    pub(crate) code: ExitCode,
}

impl Doctor {
    /// Looks at everything; `config` may be what is wrong.
    pub(crate) async fn run(
        &self,
        config: anyhow::Result<Config>,
        environment: &BTreeMap<String, String>,
    ) -> Examined {
        let (report, code) = match self.report(config, environment).await {
            Ok(report) => {
                let failed = report.outcome() == Outcome::Failed;
                (report, if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
            }
            Err(error) => (unread(&error), ExitCode::from(COULD_NOT_RUN)),
        };
        let text =
            if self.json { report.to_json() } else { report.to_text(shows_colours(environment)) };
        Examined { text, code }
    }

    async fn report(
        &self,
        config: anyhow::Result<Config>,
        environment: &BTreeMap<String, String>,
    ) -> anyhow::Result<Report> {
        let config = config?;
        let part = self.part_of(&config)?;
        let groups = self.groups.iter().map(|text| {
            Email::parse(text).map_err(|error| anyhow::anyhow!("--group {text:?} {error}"))
        });
        let brought = Brought {
            assertion: self.assertion.as_deref().map(read_assertion).transpose()?,
            groups: groups.collect::<anyhow::Result<_>>()?,
        };
        let about =
            format!("{} of {}, scope {}", name(part), config.installation, config.rules.scope);
        let ward = Ward::new(config, part, brought, environment);
        let checks = Box::pin(ward.examine()).await;
        Ok(Report { part: name(part), about, checks })
    }

    /// The part that this is. A configuration of both parts may be that of either.
    fn part_of(&self, config: &Config) -> anyhow::Result<Mode> {
        if let Some(part) = self.part {
            return Ok(part);
        }
        if matches!(config.store.kind, StoreKind::Embedded(_)) {
            return Ok(Mode::All);
        }
        let file = serde_json::to_value(&config.file)?;
        let has = |setting: &str| file.get(setting).is_some_and(|value| !value.is_null());
        match (has("signing"), has("factsKey")) {
            (true, false) => Ok(Mode::Intake),
            (false, true) => Ok(Mode::Controller),
            (true, true) | (false, false) => bail!(
                "--part: the configuration does not tell whose identity this is: say intake, controller, or all where one process is both"
            ),
        }
    }
}

fn name(part: Mode) -> &'static str {
    match part {
        Mode::All => "all",
        Mode::Intake => "intake",
        Mode::Controller => "controller",
    }
}

/// The one thing that can be said without a configuration.
fn unread(error: &anyhow::Error) -> Report {
    let finding = Finding::failed(format!("{error:#}")).mend("curfew config check");
    let check = Check { name: "configuration".into(), finding, took: Duration::ZERO };
    Report { part: "unknown", about: "could not look".into(), checks: vec![check] }
}

/// <https://no-color.org>
fn shows_colours(environment: &BTreeMap<String, String>) -> bool {
    let is_unwanted = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_unwanted && std::io::stdout().is_terminal()
}

/// The assertion alone, or the whole line of a header.
fn read_assertion(from: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if from == "-" {
        std::io::stdin().take(ASSERTION_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(from)
            .and_then(|file| file.take(ASSERTION_BYTES_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("--assertion {from}"))?;
    let value = text.rsplit_once(':').map_or(text.as_str(), |(_, value)| value);
    Ok(value.trim().to_owned())
}
