//! What a run amounts to: what failed, what did not run, where the time went.

use std::time::Duration;

use anyhow::Result;

use crate::timing::{Stopwatch, seconds};

/// Collected while the steps run, printed last.
#[derive(Default)]
pub(super) struct Summary {
    /// Suites that could not run, each with what would make them.
    pub(super) not_run: Vec<String>,
    /// What cannot be run from here by anybody: told, and no failure.
    pub(super) out_of_reach: Vec<String>,
    failed: Vec<String>,
    times: Vec<(String, Duration)>,
}

impl Summary {
    /// Runs a step and notes whether it passed. An error is one that makes going on senseless.
    pub(super) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<bool>) -> Result<bool> {
        println!("── {name}");
        let passed = self.time(name, step)?;
        if !passed {
            self.failed.push(name.to_owned());
        }
        Ok(passed)
    }

    /// Does something that the tests want but can go on without: an error is noted as a failure.
    pub(super) fn try_time<T>(
        &mut self,
        name: &str,
        act: impl FnOnce() -> Result<Option<T>>,
    ) -> Option<T> {
        self.time(name, act).unwrap_or_else(|error| {
            self.failed.push(format!("{name}: {error:#}"));
            None
        })
    }

    pub(super) fn time<T>(&mut self, name: &str, act: impl FnOnce() -> T) -> T {
        let stopwatch = Stopwatch::start();
        let result = act();
        self.times.push((name.to_owned(), stopwatch.elapsed()));
        result
    }

    /// In CI a suite that did not run has not passed.
    pub(super) fn is_good(&self, ci: bool) -> bool {
        self.failed.is_empty() && (self.not_run.is_empty() || !ci)
    }

    pub(super) fn print(&self, ci: bool) {
        for line in self.lines(ci) {
            println!("{line}");
        }
    }

    fn lines(&self, ci: bool) -> Vec<String> {
        let mut lines = vec!["── where the time went".to_owned()];
        lines
            .extend(self.times.iter().map(|(name, time)| format!("{name:<24} {}", seconds(*time))));
        let total = self.times.iter().map(|(_, time)| *time).sum();
        lines.push(format!("{:<24} {}", "total", seconds(total)));
        lines.extend(self.failed.iter().map(|name| format!("FAILED: {name}")));
        lines.extend(
            self.out_of_reach.iter().map(|suite| format!("NOT RUN, out of reach: {suite}")),
        );
        lines.extend(self.not_run.iter().map(|suite| format!("NOT RUN: {suite}")));
        if ci && !self.not_run.is_empty() {
            lines.push("FAILED: with CI=true every suite must run".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_run_and_the_steps_after_it_still_count() {
        let mut summary = Summary::default();
        assert!(!summary.step("checks", || Ok(false)).unwrap());
        assert!(summary.step("tests", || Ok(true)).unwrap());
        assert!(!summary.is_good(false));
        assert!(summary.lines(false).contains(&"FAILED: checks".to_owned()));
    }

    #[test]
    fn a_suite_that_did_not_run_fails_the_run_in_ci_only_and_is_said_last() {
        let summary =
            Summary { not_run: vec!["emulator: no java".to_owned()], ..Summary::default() };
        assert!(summary.is_good(false));
        assert!(!summary.is_good(true));
        assert_eq!(summary.lines(false).last().unwrap(), "NOT RUN: emulator: no java");
    }

    #[test]
    fn what_is_out_of_reach_is_said_and_fails_nothing() {
        let summary = Summary {
            out_of_reach: vec!["advisories: no network".to_owned()],
            ..Summary::default()
        };
        assert!(summary.is_good(true));
        let last = "NOT RUN, out of reach: advisories: no network";
        assert_eq!(summary.lines(true).last().unwrap(), last);
    }

    #[test]
    fn a_helper_that_could_not_start_fails_the_run_with_its_reason() {
        let mut summary = Summary::default();
        assert_eq!(summary.try_time::<()>("emulator", || anyhow::bail!("no answer")), None);
        assert_eq!(summary.lines(false).last().unwrap(), "FAILED: emulator: no answer");
        assert!(!summary.is_good(false));
    }
}
