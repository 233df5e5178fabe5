//! What a justification must be like.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::errors::{Reason, Refusal};
use crate::settings::{Settings, SettingsError};
use crate::text;

/// The longest pattern that is accepted: people are shown it when their words do not match.
const PATTERN_LENGTH_MAX: usize = 1_000;

/// The most memory that a compiled pattern may take, in bytes. Matching is linear in the text whatever the pattern is.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A regular expression that a whole justification must match. `.` is any character but a line feed.
#[derive(Debug, Clone)]
pub struct JustificationPattern {
    text: String,
    whole: Regex,
}

impl JustificationPattern {
    /// Accepts the syntax of the `regex` crate (<https://docs.rs/regex/latest/regex/#syntax>), which is Java's but for
    /// look-around, back-references and possessive quantifiers.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let refused = |why: String| SettingsError::JustificationPattern(why);
        if text.chars().count() > PATTERN_LENGTH_MAX {
            return Err(refused(format!("is longer than {PATTERN_LENGTH_MAX} characters")));
        }
        let compile = |pattern: &str| {
            let mut builder = RegexBuilder::new(pattern);
            builder
                .size_limit(COMPILED_BYTES_MAX)
                .build()
                .map_err(|error| refused(error.to_string()))
        };
        // Alone first: `a)|(?:b` would be one only inside of other brackets.
        compile(text)?;
        Ok(Self { text: text.to_owned(), whole: compile(&format!(r"\A(?:{text})\z"))? })
    }

    fn is_met_by(&self, justification: &str) -> bool {
        self.whole.is_match(justification)
    }
}

impl fmt::Display for JustificationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The justification of a request, if it may be filed with it.
pub(crate) fn accepted(settings: &Settings, text: &str) -> Result<String, Refusal> {
    let justification = text::prose("justification", text)?;
    match &settings.justification_pattern {
        Some(pattern) if !pattern.is_met_by(&justification) => {
            let message =
                format!("must match `{pattern}` as a whole: {}.", settings.justification_hint);
            let refusal =
                Refusal::field(Reason::JustificationNotAccepted, "justification", message);
            Err(refusal.with("pattern", pattern.to_string()))
        }
        Some(_) | None => Ok(justification),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_justification_must_match() {
        for (pattern, yes, no) in [
            (
                r"BUG-\d+",
                &["BUG-1", "BUG-123"][..],
                &["BUG-", "see BUG-1", "BUG-1 please", "bug-1"][..],
            ),
            ("a|ab", &["a", "ab"], &["abc", "ba"]),
            ("(?i)case [0-9]+", &["CASE 7", "case 42"], &["case x"]),
            (".*", &["anything"], &["two\nlines"]),
            ("(?s).*", &["two\nlines"], &[]),
            (r".*\bINC\d{4}\b.*", &["see INC0042, please"], &["INC1"]),
        ] {
            let pattern = JustificationPattern::parse(pattern).unwrap();
            for text in yes {
                assert!(pattern.is_met_by(text), "{pattern} {text}");
            }
            for text in no {
                assert!(!pattern.is_met_by(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_used_is_refused() {
        for pattern in
            ["(", "a)|(?:b", "(?=x)", r"(a)\1", "[z-a]", "x{99999}{99999}", &"x".repeat(1_001)]
        {
            let refused = JustificationPattern::parse(pattern);
            assert!(matches!(refused, Err(SettingsError::JustificationPattern(_))), "{pattern}");
        }
    }
}
