//! Which faults strike where: a list of (side effect, occurrence, mishap) and a seed for everything else.

mod effect;
mod grid;
mod mishap;
mod text;

pub use effect::Effect;
pub use grid::{pairs, singles};
pub use mishap::Mishap;
pub(crate) use mishap::{Blow, LATE_MAX};
pub use text::ParseError;

use crate::clock::Random;

/// The most steps of a random plan.
const STEPS_MAX: u64 = 8;

/// Random steps strike among the first so many occurrences of their side effect.
const OCCURRENCES: u64 = 12;

/// The most acts of a random workload.
pub(crate) const ACTS_MAX: usize = 16;

/// One fault: the `nth` occurrence (from 0) of the side effect goes wrong in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Where it strikes.
    pub effect: Effect,
    /// At which occurrence, whichever process brings it about.
    pub nth: u32,
    /// What goes wrong.
    pub mishap: Mishap,
}

/// A plan of faults. The same plan of the same workload gives the same run, to the last byte of its trace.
///
/// Written `seed`, `seed@acts`, and then each step: `7@5 add:0:late commit:1:crash-before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where all chance comes from: ids, jitter, how late is late, what people do.
    pub seed: u64,
    /// How much people do at most; a workload with a fixed script does not ask.
    pub acts: usize,
    /// The faults.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn calm(seed: u64) -> Self {
        Self { seed, acts: ACTS_MAX, steps: Vec::new() }
    }

    /// These faults.
    pub fn of(seed: u64, steps: impl Into<Vec<Step>>) -> Self {
        Self { steps: steps.into(), ..Self::calm(seed) }
    }

    /// A plan made from the seed alone.
    pub fn random(seed: u64) -> Self {
        let random = Random::seeded(!seed);
        let n_steps = random.below(STEPS_MAX.saturating_add(1));
        let step = |_| Step {
            effect: Effect::ALL[random.index_below(Effect::ALL.len())],
            nth: u32::try_from(random.below(OCCURRENCES)).unwrap_or_default(),
            mishap: Mishap::ALL[random.index_below(Mishap::ALL.len())],
        };
        Self::of(seed, (0..n_steps).map(step).collect::<Vec<_>>())
    }
}
