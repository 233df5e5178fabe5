//! Every plan of one fault, and of two.

use super::{Effect, Mishap, Plan, Step};

/// Every side effect that a run of the workload has, at each of its first `occurrences`, with every fault of the grid
/// that does anything there which no other does ([`Mishap::is_new_at`]).
///
/// `seen` says how often a run without faults has each side effect: there is no use in striking what does not happen.
pub fn singles(seen: &[u32; Effect::ALL.len()], occurrences: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    for effect in Effect::ALL {
        let n = seen.get(effect.index()).copied().unwrap_or(0).min(occurrences);
        for nth in 0..n {
            let apart = Mishap::GRID.into_iter().filter(|mishap| mishap.is_new_at(effect));
            steps.extend(apart.map(|mishap| Step { effect, nth, mishap }));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_write_can_be_late_and_only_a_change_of_a_document_is_an_event() {
        let n = |effect| Mishap::GRID.iter().filter(|mishap| mishap.is_new_at(effect)).count();
        assert_eq!(
            (n(Effect::Act), n(Effect::Add), n(Effect::Read), n(Effect::LookUp)),
            (9, 6, 3, 2)
        );
        let once = [1; Effect::ALL.len()];
        assert_eq!(singles(&once, 5).len(), 86);
        assert_eq!(pairs(0, &singles(&once, 5)).count(), 3_390);
    }

    #[test]
    fn every_side_effect_can_go_wrong_and_every_mishap_happens_somewhere() {
        let steps = singles(&[1; Effect::ALL.len()], 1);
        for effect in Effect::ALL {
            assert!(steps.iter().any(|step| step.effect == effect), "{}", effect.as_str());
        }
        for mishap in Mishap::GRID {
            assert!(steps.iter().any(|step| step.mishap == mishap), "{}", mishap.as_str());
        }
    }
}
