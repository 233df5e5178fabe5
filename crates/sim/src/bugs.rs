//! Bugs that are planted to see that they are found: one row each, with the invariant that must catch it.

use crate::oracle::Invariant;
use crate::plan::{Plan, singles};
use crate::run::{Detail, Run, run};
use crate::workload::Workload;

/// How many occurrences of each side effect a hunt strikes.
const OCCURRENCES: u32 = 5;

/// How many seeds a hunt tries without a fault, with each single fault, and at random.
const CALM_SEEDS: u64 = 60;
const SINGLE_SEEDS: u64 = 2;
const RANDOM_SEEDS: u64 = 1_000;

/// A mutation of one line in `curfew-core` or `curfew-controller`.
#[derive(Debug, Clone, Copy)]
pub struct Bug {
    /// What `planted!` calls it.
    pub name: &'static str,
    /// What is wrong.
    pub about: &'static str,
    /// What must catch it.
    pub caught_by: Invariant,
    /// Where to look first.
    pub workload: &'static str,
}

impl Catch {
    /// Whether nothing but this invariant was broken.
    pub fn breaks_only(&self, invariant: Invariant) -> bool {
        self.run.violations.iter().all(|violation| violation.invariant == invariant)
    }
}

/// How a bug was found.
#[derive(Debug)]
pub struct Catch {
    /// In how many runs.
    pub n_runs: u64,
    /// By which plan.
    pub plan: Plan,
    /// What came of it.
    pub run: Run,
}

const fn bug(
    name: &'static str,
    caught_by: Invariant,
    workload: &'static str,
    about: &'static str,
) -> Bug {
    Bug { name, about, caught_by, workload }
}

impl Bug {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        bug("no-re-read", Invariant::S6, "revoke-race", "a turn does not read its requests again"),
        bug("no-etag", Invariant::S3, "single", "a policy is written without its etag"),
        bug("no-intent", Invariant::S9, "single", "a policy is written without an intent"),
        bug(
            "no-answer-is-a-refusal",
            Invariant::S9,
            "late-write",
            "a write without an answer is taken for refused",
        ),
        bug(
            "intents-closed-by-any-read",
            Invariant::S9,
            "late-write",
            "an intent is closed though its write may still land",
        ),
        bug(
            "all-was-known-before",
            Invariant::S6,
            "two-controllers",
            "the facts known before the read are said to be all",
        ),
        bug(
            "any-answer-ends",
            Invariant::S6,
            "two-controllers",
            "any answered write ends a request",
        ),
        bug(
            "a-read-ends",
            Invariant::S6,
            "late-write",
            "a read that shows nothing ends a request early",
        ),
        bug(
            "no-wait-after-expiry",
            Invariant::S10,
            "natural-end",
            "a read proves absence at the very end",
        ),
        bug(
            "early-removal",
            Invariant::S4,
            "natural-end",
            "a binding goes twenty seconds before its end",
        ),
        bug(
            "no-fence",
            Invariant::L1,
            "late-write",
            "nothing is written where nothing is seen to remove",
        ),
        bug("fence-gives-access", Invariant::S8, "late-write", "the fence is the live binding"),
        bug(
            "granted-after-the-outcome",
            Invariant::S6,
            "revoke-race",
            "a request that is over can be granted",
        ),
        bug("granted-again", Invariant::S5, "single", "a request that is granted is granted again"),
        bug("seen-again", Invariant::S7, "single", "an act counts more than once"),
        bug("anybody-withdraws", Invariant::S4, "random", "anybody gives up anybody's request"),
        bug("anybody-revokes", Invariant::S4, "siblings", "anybody ends anybody's access"),
        bug("bound-unseen", Invariant::S10, "single", "a binding is called seen though it was not"),
        bug("start-ignored", Invariant::S2, "scheduled", "a start in the future is not waited for"),
        bug("a-second-longer", Invariant::S2, "single", "a grant lasts a second longer"),
        bug(
            "no-approval-deadline",
            Invariant::S7,
            "unanswering",
            "an old request is approved all the same",
        ),
        bug(
            "siblings-go-too",
            Invariant::L1,
            "siblings",
            "a removal takes all bindings of that role and member",
        ),
        bug(
            "no-limit",
            Invariant::S11,
            "policy-full",
            "how often a member may have a role is found out by being refused",
        ),
        bug(
            "no-limit-of-members",
            Invariant::S11,
            "crowded",
            "how many members a policy takes is found out by being refused",
        ),
        bug(
            "turns-without-pause",
            Invariant::S11,
            "policy-full",
            "who waits for a place in a policy has it read ten times a second",
        ),
        bug(
            "a-place-unused",
            Invariant::L1,
            "policy-full",
            "one place that IAM leaves in a policy is never taken",
        ),
        bug(
            "late-is-never",
            Invariant::L1,
            "recovering",
            "what could not be granted within four minutes never is",
        ),
        bug(
            "protected-forgotten",
            Invariant::S12,
            "protected",
            "what is protected is granted like anything else",
        ),
        bug(
            "inside-the-protected",
            Invariant::S12,
            "protected",
            "what lies in a protected folder is granted",
        ),
        bug(
            "above-the-protected",
            Invariant::S12,
            "protected",
            "above what is protected any role is granted",
        ),
        bug(
            "no-answer-is-elsewhere",
            Invariant::S12,
            "protected",
            "what is protected is taken to lie nowhere when nobody says where",
        ),
        bug(
            "a-title-is-enough",
            Invariant::S12,
            "own-access",
            "whatever bears the title of a request goes with it",
        ),
        bug(
            "leftovers-ignored",
            Invariant::L1,
            "read-seldom",
            "what an answered write leaves of an ended request is not looked at again",
        ),
        bug(
            "ended-ids-lost",
            Invariant::L1,
            "read-seldom",
            "a turn that cannot read forgets requests that have ended meanwhile",
        ),
        bug(
            "one-place-at-a-time",
            Invariant::L1,
            "two-places",
            "of the policies that a document names one is read at a time",
        ),
        bug(
            "no-answer-is-yes",
            Invariant::S10,
            "single",
            "a group that does not answer has the member",
        ),
        bug(
            "no-answer-is-no",
            Invariant::S10,
            "single",
            "a group that does not answer does not have the member",
        ),
        bug(
            "answers-for-ever",
            Invariant::S1,
            "scheduled",
            "who is eligible is asked once and for all",
        ),
        bug(
            "no-answer-is-success",
            Invariant::S1,
            "single",
            "a commit that failed is taken for done: acts before the fact",
        ),
        bug("live-for-ever", Invariant::S5, "single", "an ended request stays in the working set"),
        bug("no-memory", Invariant::S7, "forged", "a chain that was cut is believed"),
        bug("no-resync", Invariant::L2, "blind", "the watch is relied on"),
        bug(
            "policies-never-read",
            Invariant::L1,
            "edit",
            "what no request names is never looked at",
        ),
        bug("no-overtaking", Invariant::L5, "overtaking", "endings wait in line"),
        bug(
            "overdue-waits",
            Invariant::L4,
            "outage",
            "after an outage removals wait in line with grants",
        ),
        bug(
            "clock-steps-unseen",
            Invariant::S2,
            "clock-jump",
            "a clock that is put wrong is noticed only at the next heartbeat",
        ),
        bug(
            "unreadable-is-empty",
            Invariant::S10,
            "natural-end",
            "a policy that cannot be read is taken for empty",
        ),
        bug(
            "the-first-is-the-culprit",
            Invariant::S10,
            "refused",
            "when a write is refused the first request is blamed",
        ),
        bug("self-approval-counts", Invariant::S1, "disguise", "requesters approve for themselves"),
        bug("anybody-is-a-peer", Invariant::S1, "disguise", "who is not eligible approves"),
        bug("chosen-ignored", Invariant::S1, "chosen", "others decide than those who were asked"),
        bug(
            "weak-evidence-counts",
            Invariant::S1,
            "forged-approvals",
            "what only speaks for people is believed",
        ),
        bug("nobody-has-to-approve", Invariant::S1, "approval", "approval is not waited for"),
        bug(
            "approver-not-judged-again",
            Invariant::S1,
            "lost-approver",
            "who approved is not judged again at the grant",
        ),
        bug(
            "role-may-change",
            Invariant::S1,
            "role-changed",
            "what a role permits is not compared with what was approved",
        ),
        bug(
            "distrusted-key-counts",
            Invariant::S1,
            "distrusted",
            "access stands on approvals of a key that is distrusted",
        ),
        bug(
            "answers-for-ten-seconds",
            Invariant::S1,
            "lost-approver",
            "answers of the cloud are shared for ten seconds instead of five",
        ),
        bug("no-maximum", Invariant::S2, "bounds", "access is given for longer than the maximum"),
        bug("denial-ignored", Invariant::S6, "deny-race", "a no counts for nothing"),
        bug(
            "denial-not-waited-for",
            Invariant::S6,
            "unanswered-approver",
            "a no by somebody who is not known yet is passed over",
        ),
        bug(
            "no-taking-back",
            Invariant::S6,
            "approval",
            "who has approved cannot take the word back",
        ),
        bug(
            "digest-not-compared",
            Invariant::S7,
            "forged-approvals",
            "an approval of something else counts",
        ),
        bug(
            "old-approval-counts",
            Invariant::S7,
            "held-back",
            "an approval that was held back counts",
        ),
        bug(
            "out-of-date-approval-counts",
            Invariant::S7,
            "restore-approved",
            "an approval that was looked at long ago counts after a rollback",
        ),
        bug("peers-have-longer", Invariant::S7, "undecided", "an approval after its time counts"),
        bug(
            "documents-may-be-old",
            Invariant::S8,
            "slow-intent",
            "a policy is written on what was read long before",
        ),
        bug("intents-never-closed", Invariant::S9, "single", "no policy write is ever over"),
        bug("chain-begins-anew", Invariant::S9, "single", "each commit begins the chain anew"),
        bug(
            "no-answer-is-a-peer",
            Invariant::S10,
            "unanswered-approver",
            "a group that does not answer has the approver",
        ),
        bug("workers-wait", Invariant::L3, "poisoned", "who works on what fails waits for it"),
    ];

    /// The bug of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|bug| bug.name == name)
    }

    /// Whether its workload is clean where no bug is planted, in this very build.
    pub fn is_quiet_unless_planted(&self) -> bool {
        let is_clean = |workload: &Workload| {
            (0..CALM_SEEDS).all(|seed| {
                run(workload, &Plan::calm(seed), Detail::default()).violations.is_empty()
            })
        };
        Workload::named(self.workload).is_some_and(is_clean)
    }

    /// Runs its workload until the invariant that must catch it breaks; `None` if it survives.
    pub fn hunt(&self) -> Option<Catch> {
        curfew_core::planted::plant(Some(self.name));
        let caught = Workload::named(self.workload).and_then(|workload| self.hunt_on(workload));
        curfew_core::planted::plant(None);
        caught
    }

    fn hunt_on(&self, workload: &Workload) -> Option<Catch> {
        let calm = (0..CALM_SEEDS).map(Plan::calm);
        let single = (0..SINGLE_SEEDS).flat_map(|seed| {
            let seen = run(workload, &Plan::calm(seed), Detail::default()).seen;
            singles(&seen, OCCURRENCES).into_iter().map(move |step| Plan::of(seed, [step]))
        });
        let random = (0..RANDOM_SEEDS).map(Plan::random);
        let plans = calm.chain(single).chain(random);
        (1..).zip(plans).find_map(|(n_runs, plan)| {
            let run = run(workload, &plan, Detail::default());
            run.breaks(self.caught_by).then_some(Catch { n_runs, plan, run })
        })
    }
}
