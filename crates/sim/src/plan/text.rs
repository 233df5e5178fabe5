//! Plans as text: what a failure prints and a replay takes.

use std::fmt;
use std::str::FromStr;

use super::{ACTS_MAX, Effect, Mishap, Plan, Step};

/// A text that is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not part of a plan such as `7 add:0:late`", self.0)
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.effect.as_str(), self.nth, self.mishap.as_str())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        if self.acts != ACTS_MAX {
            write!(f, "@{}", self.acts)?;
        }
        self.steps.iter().try_for_each(|step| write!(f, " {step}"))
    }
}

impl FromStr for Step {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError(text.to_owned());
        let mut parts = text.split(':');
        let (Some(effect), Some(nth), Some(mishap), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let effect = Effect::ALL.into_iter().find(|known| known.as_str() == effect);
        let mishap = Mishap::ALL.into_iter().find(|known| known.as_str() == mishap);
        Ok(Self {
            effect: effect.ok_or_else(wrong)?,
            nth: nth.parse().map_err(|_| wrong())?,
            mishap: mishap.ok_or_else(wrong)?,
        })
    }
}

impl FromStr for Plan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default();
        let wrong = || ParseError(first.to_owned());
        let (seed, acts) = match first.split_once('@') {
            Some((seed, acts)) => (seed, acts.parse().map_err(|_| wrong())?),
            None => (first, ACTS_MAX),
        };
        let seed = seed.parse().map_err(|_| wrong())?;
        let steps = words.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { seed, acts, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_is_printed_and_read_again_is_the_same() {
        for seed in 0..200 {
            let plan = Plan { acts: usize::try_from(seed % 20).unwrap(), ..Plan::random(seed) };
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for text in [
            "",
            "x",
            "7 add",
            "7 add:0",
            "7 add:0:late:1",
            "7 add:x:late",
            "7 sub:0:late",
            "7@ add:0:late",
        ] {
            assert!(text.parse::<Plan>().is_err(), "{text:?}");
        }
    }
}
