//! What goes wrong with a call, and when.

use std::time::Duration;

use curfew_ports::RetryClass;

use crate::plan::{Effect, Plan};

/// The calls of the controller to the world outside, and of intake to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Intake's writing of a request.
    Create,
    /// Intake's writing of an act.
    AddEntry,
    /// Reading requests by id.
    Get,
    /// Reading the live set.
    Live,
    /// Committing facts.
    Commit,
    /// Recording that a policy write begins.
    OpenIntent,
    /// Recording that policy writes are over.
    CloseIntents,
    /// Reading the resources ever written.
    Resources,
    /// Adding to the ledger.
    Ledger,
    /// Showing that a process is alive.
    Beat,
    /// Taking back a process's sign of life.
    Retire,
    /// Reading a policy to write it.
    ReadPolicy,
    /// Writing a policy.
    WritePolicy,
    /// Asking where a resource lies.
    Ancestry,
    /// Reading a policy to judge by it.
    JudgePolicy,
    /// Asking what a role permits.
    Permissions,
    /// Asking whether somebody is in a group.
    Membership,
}

impl Call {
    /// Whether the call changes anything outside.
    pub fn is_write(self) -> bool {
        match self {
            Self::Create
            | Self::AddEntry
            | Self::Commit
            | Self::OpenIntent
            | Self::CloseIntents
            | Self::Ledger
            | Self::Beat
            | Self::Retire
            | Self::WritePolicy => true,
            Self::Get
            | Self::Live
            | Self::Resources
            | Self::ReadPolicy
            | Self::Ancestry
            | Self::JudgePolicy
            | Self::Permissions
            | Self::Membership => false,
        }
    }

    /// Whether a judgement waits for its answer.
    pub(crate) fn is_judging(self) -> bool {
        Effect::of(self) == Some(Effect::LookUp)
    }

    /// The read that can miss what the call changes; the resync for what nobody reads by itself.
    pub(crate) fn read_back(self) -> Self {
        match self {
            Self::WritePolicy => Self::ReadPolicy,
            Self::Create | Self::AddEntry | Self::Commit => Self::Get,
            Self::OpenIntent
            | Self::CloseIntents
            | Self::Ledger
            | Self::Beat
            | Self::Retire
            | Self::Get
            | Self::Live
            | Self::Resources
            | Self::ReadPolicy
            | Self::Ancestry
            | Self::JudgePolicy
            | Self::Permissions
            | Self::Membership => Self::Live,
        }
    }
}

/// A call, and about what.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) call: Call,
    pub(crate) effect: Option<Effect>,
    pub(crate) about: String,
}

impl Op {
    /// A call whose kind says what side effect it is.
    pub(crate) fn plain(call: Call, about: String) -> Self {
        Self { call, effect: Effect::of(call), about }
    }

    pub(crate) fn of(call: Call, effect: Effect, about: String) -> Self {
        Self { call, effect: Some(effect), about }
    }

    pub(crate) fn name(&self) -> &'static str {
        match (self.effect, self.call) {
            (Some(effect), _) => effect.as_str(),
            (None, Call::Resources) => "resources",
            (None, Call::Ledger) => "ledger",
            (None, Call::Retire) => "retire",
            (None, _) => "call",
        }
    }
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before the effect.
    CrashBefore,
    /// The process dies after the effect.
    CrashAfter,
    /// An error, and no effect.
    Refuse(RetryClass),
    /// The effect, and an error.
    LoseReply,
    /// An error at once, and the effect this much later, whatever happened meanwhile.
    Late(Duration),
    /// An answer as it was before the last change, if that change is fresh.
    Stale,
    /// The effect and the answer, this much later.
    Slow(Duration),
}

struct Rule {
    call: Call,
    about: String,
    fault: Fault,
    times: usize,
}

/// The faults to come.
#[derive(Default)]
pub struct Faults {
    rules: Vec<Rule>,
    plan: Option<Plan>,
    seen: [u32; Effect::ALL.len()],
}

impl Faults {
    /// The next call of this kind about anything that contains `about` goes wrong.
    pub fn once(&mut self, call: Call, about: &str, fault: Fault) {
        self.times(call, about, fault, 1);
    }

    /// The next `times` such calls go wrong.
    pub fn times(&mut self, call: Call, about: &str, fault: Fault, times: usize) {
        self.rules.push(Rule { call, about: about.into(), fault, times });
    }

    /// All such calls go wrong.
    pub fn always(&mut self, call: Call, about: &str, fault: Fault) {
        self.times(call, about, fault, usize::MAX);
    }

    /// Calls go wrong as the plan says.
    pub fn follow(&mut self, plan: Plan) {
        self.plan = Some(plan);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&mut self) {
        self.rules.clear();
        self.plan = None;
    }

    /// Calls go wrong as the plan says, and in no other way.
    pub(crate) fn clear_rules(&mut self) {
        self.rules.clear();
    }

    /// How often each side effect came about.
    pub fn seen(&self) -> &[u32; Effect::ALL.len()] {
        &self.seen
    }

    /// The step of the plan that strikes here, with the plan's seed.
    pub(crate) fn strike(&mut self, op: &Op) -> Option<(crate::plan::Mishap, u64)> {
        let effect = op.effect?;
        let seen = self.seen.get_mut(effect.index())?;
        let nth = *seen;
        *seen = seen.saturating_add(1);
        let plan = self.plan.as_ref()?;
        let strikes = |step: &&crate::plan::Step| step.effect == effect && step.nth == nth;
        plan.steps.iter().find(strikes).map(|step| (step.mishap, plan.seed))
    }

    /// The rule that applies here.
    pub(crate) fn pick(&mut self, op: &Op) -> Option<Fault> {
        let is_meant = |rule: &&mut Rule| {
            rule.times > 0 && rule.call == op.call && op.about.contains(&rule.about)
        };
        let rule = self.rules.iter_mut().find(is_meant)?;
        rule.times = rule.times.saturating_sub(1);
        Some(rule.fault)
    }
}
