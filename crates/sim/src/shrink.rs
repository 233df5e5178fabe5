//! The shortest plan that still fails in the same way.

use crate::oracle::Invariant;
use crate::plan::{Plan, Step};
use crate::run::{Detail, run};
use crate::workload::Workload;

/// Takes away and brings forward whatever is not needed for the same invariant to break.
///
/// Greedy: no single step of what is left can be left out, and none can strike earlier by half or by one.
pub fn shrink(workload: &Workload, plan: &Plan, invariant: Invariant, detail: Detail) -> Plan {
    let mut shortest = plan.clone();
    while let Some(shorter) = smaller(&shortest, workload.is_open)
        .into_iter()
        .find(|plan| run(workload, plan, detail).breaks(invariant))
    {
        shortest = shorter;
    }
    shortest
}

/// Every plan that is smaller by one change.
fn smaller(plan: &Plan, is_open: bool) -> Vec<Plan> {
    let mut all = Vec::new();
    for at in 0..plan.steps.len() {
        let mut fewer = plan.clone();
        fewer.steps.remove(at);
        all.push(fewer);
    }
    for acts in [plan.acts / 2, plan.acts.saturating_sub(1)] {
        if is_open && acts < plan.acts {
            all.push(Plan { acts, ..plan.clone() });
        }
    }
    for (at, step) in plan.steps.iter().enumerate() {
        for nth in [0, step.nth / 2, step.nth.saturating_sub(1)] {
            let earlier = Step { nth, ..*step };
            let is_free = plan
                .steps
                .iter()
                .all(|other| (other.effect, other.nth) != (earlier.effect, earlier.nth));
            if nth < step.nth && is_free {
                let mut sooner = plan.clone();
                if let Some(slot) = sooner.steps.get_mut(at) {
                    *slot = earlier;
                }
                all.push(sooner);
            }
        }
    }
    all
}
