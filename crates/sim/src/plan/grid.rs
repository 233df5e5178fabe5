//! Every plan of one fault, and of two.

use super::{Effect, Mishap, Plan, Step};

/// Every side effect that a run of the workload has, at each of its first `occurrences`, with every fault of the grid.
///
/// `seen` says how often a run without faults has each side effect: there is no use in striking what does not happen.
pub fn singles(seen: &[u32; Effect::ALL.len()], occurrences: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    for effect in Effect::ALL {
        let n = seen.get(effect.index()).copied().unwrap_or(0).min(occurrences);
        for nth in 0..n {
            steps.extend(Mishap::GRID.map(|mishap| Step { effect, nth, mishap }));
        }
    }
    steps
}

/// Every pair of two different faults out of these, in both of which order plays no part.
pub fn pairs(seed: u64, steps: &[Step]) -> impl Iterator<Item = Plan> + '_ {
    steps.iter().enumerate().flat_map(move |(at, first)| {
        let rest = steps.get(at.saturating_add(1)..).unwrap_or_default();
        // Of two mishaps at one and the same place only one happens.
        let together =
            rest.iter().filter(|other| (other.effect, other.nth) != (first.effect, first.nth));
        together.map(move |second| Plan::of(seed, [*first, *second]))
    })
}
