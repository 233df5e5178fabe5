//! What happened in a run, line by line, and a hash of it by which two runs are compared.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::{DateTime, Utc};

/// The trace of one run. Lines are kept only where somebody will read them.
#[derive(Default)]
pub struct Trace {
    hash: DefaultHasher,
    lines: Option<Vec<String>>,
}

/// Who does something: a process, by the order of their starts, or somebody outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// The controller that was started as the so many-th.
    Controller(u32),
    /// Intake, for a person.
    Intake,
    /// An administrator of cloud or store, or chance.
    Outside,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(n) => f.pad(&format!("controller {n}")),
            Self::Intake => f.pad("intake"),
            Self::Outside => f.pad("outside"),
        }
    }
}

impl Trace {
    /// From now on lines are kept.
    pub(crate) fn keep_lines(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(crate) fn note(
        &mut self,
        at: DateTime<Utc>,
        who: Who,
        what: &str,
        about: &str,
        end: &dyn fmt::Display,
    ) {
        (at.timestamp_micros(), who, what, about).hash(&mut self.hash);
        if let Some(lines) = &mut self.lines {
            let at = at.format("%H:%M:%S%.3f");
            lines.push(format!("{at}  {who:<13}  {what:<14} {about}  {end}").trim_end().to_owned());
        }
    }

    /// The same for the same run.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// The lines, if they were kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
