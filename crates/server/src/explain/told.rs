//! An explained request in words, for people and for programs.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use curfew_controller::Explained;
use curfew_core::chain::Chain;
use curfew_core::eligible::PriorActivation;
use curfew_core::entry::{Act, Entry};
use curfew_core::fact::Counted;
use curfew_core::judge::CheckVerdict;
use curfew_core::plan::Reason;
use curfew_core::policy::Binding;
use curfew_core::principal::{Email, Member, Principal};
use curfew_core::request::{Recorded, Request};
use curfew_core::world::{Observed, Standing, Unanswered};
use curfew_ports::StoredRequest;
use serde::Serialize;

/// Everything that is told of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    name: String,
    phase: &'static str,
    asked: Asked,
    facts: Facts,
    entries: Vec<EntryLine>,
    checks: Vec<CheckLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<String>,
    may_decide: Vec<String>,
    policy: Policy,
    jit_access_gave: Vec<PriorLine>,
    waits_for: Vec<String>,
    next: Next,
}

/// What was asked, if it verifies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum Asked {
    Verified {
        requester: String,
        receiver: String,
        resource: String,
        roles: Vec<String>,
        digest: String,
    },
    Rejected {
        rejected: &'static str,
    },
}

/// The chain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    verified: usize,
    rejected: usize,
    /// Whether this process remembers more than the store has.
    rolled_back: bool,
    recorded: Vec<FactLine>,
}

#[derive(Debug, Serialize)]
struct FactLine {
    at: String,
    kind: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryLine {
    nonce: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// `COUNTS`, `NOT_SEEN_YET`, or why it does not count.
    verdict: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<String>,
}

#[derive(Debug, Serialize)]
struct CheckLine {
    name: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What the policy holds under the request's title.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum Policy {
    Read { ours: Vec<BindingLine>, altered: Vec<BindingLine>, planted: Vec<BindingLine> },
    Unread { unread: String },
}

#[derive(Debug, Serialize)]
struct BindingLine {
    role: String,
    members: Vec<String>,
    expression: String,
}

/// Access that the receiver has already; no controller touches it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PriorLine {
    role: String,
    until: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_condition: String,
}

/// What a controller would do now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Next {
    /// The kinds of the facts that it would record.
    records: Vec<String>,
    /// How many bindings the policy should hold, if a write is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    sets_bindings: Option<usize>,
    /// When it looks again even if nothing happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    looks_again_at: Option<String>,
}

impl Told {
    pub(super) fn of(stored: &StoredRequest, explained: &Explained) -> Self {
        let Explained { request, world, plan, .. } = explained;
        let chain = Chain::of(&request.facts);
        let deadline = chain.eligible.as_ref().filter(|_| chain.approval.is_none());
        let waits =
            deadline.map(|eligible| format!("an approval, until {}", time(eligible.decide_by)));
        let is_open = chain.outcome.is_none() && chain.grant.is_none();
        let needs_peer = chain.eligible.as_ref().is_some_and(|it| it.steps_required > 0);
        let waits = waits.filter(|_| is_open && needs_peer);
        Self {
            name: format!("requests/{}", stored.id),
            phase: plan.phase.as_str(),
            asked: asked(request),
            facts: facts(request),
            entries: request
                .entries
                .iter()
                .map(|(nonce, entry)| {
                    let entry = entry.as_deref().map_err(|rejection| rejection.as_str());
                    let standing = world.standing.get(nonce).map(standing);
                    entry_line(nonce.as_str(), entry, chain.seen.get(nonce), standing)
                })
                .collect(),
            checks: explained.checks.iter().map(|it| check(it.name, &it.verdict)).collect(),
            unread: explained.unread.clone(),
            may_decide: if is_open && needs_peer { deciders(explained) } else { Vec::new() },
            policy: policy(&explained.world.bindings),
            jit_access_gave: explained.prior.iter().map(prior).collect(),
            waits_for: waits_for(waits, &plan.reasons),
            next: Next {
                records: plan.facts.iter().map(|fact| fact.kind().to_owned()).collect(),
                sets_bindings: plan.bindings.as_ref().map(|set| set.bindings.len()),
                looks_again_at: plan.wake_at.map(time),
            },
        }
    }

    pub(super) fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn to_text(&self) -> String {
        let mut page = Page::default();
        page.line(0, &format!("{} is {}", self.name, self.phase));
        match &self.asked {
            Asked::Verified { requester, receiver, resource, roles, digest } => {
                page.line(1, &format!("{requester} asked for {} on {resource}", roles.join(", ")));
                if receiver != requester {
                    page.line(1, &format!("to be received by {receiver}"));
                }
                page.line(1, &format!("the signature verifies, digest {digest}"));
            }
            Asked::Rejected { rejected } => {
                page.line(1, &format!("what was asked does not verify: {rejected}"));
            }
        }
        self.facts_to_text(&mut page);
        page.list("Acts", &self.entries, EntryLine::text);
        page.list("Checks, as they stand now", &self.checks, CheckLine::text);
        if let Some(unread) = &self.unread {
            page.line(1, &format!("the cloud could not be read: {unread}"));
        }
        self.policy_to_text(&mut page);
        let title = "Active already, because JIT Access gave it; no controller touches it";
        page.list(title, &self.jit_access_gave, PriorLine::text);
        page.list("May decide", &self.may_decide, Clone::clone);
        page.list("Waits for", &self.waits_for, Clone::clone);
        page.list("A controller would now", &self.next.lines(), Clone::clone);
        page.text
    }

    fn facts_to_text(&self, page: &mut Page) {
        let Facts { verified, rejected, rolled_back, recorded } = &self.facts;
        let title = format!("Facts: {verified} verify, {rejected} do not");
        page.list(&title, recorded, |fact| format!("{} {}", fact.at, fact.kind));
        if *rolled_back {
            page.line(1, "the stored chain lacks facts that were recorded: it was rolled back");
        }
    }

    fn policy_to_text(&self, page: &mut Page) {
        match &self.policy {
            Policy::Read { ours, altered, planted } => {
                page.list("In the policy", ours, BindingLine::text);
                page.list("In the policy, altered by somebody else", altered, BindingLine::text);
                page.list("In the policy, not written by a controller", planted, BindingLine::text);
            }
            Policy::Unread { unread } => {
                page.line(0, &format!("The policy was not read: {unread}"));
            }
        }
    }
}

impl Next {
    fn lines(&self) -> Vec<String> {
        let records = self.records.iter().map(|kind| format!("record {kind}"));
        let sets = self.sets_bindings.map(|n| format!("make the policy hold {n} binding(s)"));
        let looks = self.looks_again_at.as_ref().map(|at| format!("look again at {at}"));
        records.chain(sets).chain(looks).collect()
    }
}

impl EntryLine {
    fn text(&self) -> String {
        let who = self.by.as_deref().unwrap_or("somebody");
        let what = self.act.unwrap_or("an act that does not verify");
        let standing = self.standing.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        format!("{} {what} by {who}{standing}: {}", self.nonce, self.verdict)
    }
}

impl CheckLine {
    fn text(&self) -> String {
        let why = [self.reason.as_deref(), self.message.as_deref()];
        let why: Vec<&str> = why.into_iter().flatten().collect();
        let why = if why.is_empty() { String::new() } else { format!(": {}", why.join(", ")) };
        format!("{:<11} {}{why}", self.outcome, self.name)
    }
}

impl PriorLine {
    fn text(&self) -> String {
        let Self { role, until, resource_condition } = self;
        let limit = if resource_condition.is_empty() { "" } else { " where " };
        format!("{role} until {until}{limit}{resource_condition}")
    }
}

impl BindingLine {
    fn text(&self) -> String {
        format!("{} {} where {}", self.role, self.members.join(" "), self.expression)
    }
}

fn asked(request: &Request) -> Asked {
    match &request.spec {
        Ok(spec) => Asked::Verified {
            requester: spec.requester.principal().to_string(),
            receiver: spec.principal.to_string(),
            resource: spec.resource.to_string(),
            roles: spec.roles.iter().map(|role| role.role.to_string()).collect(),
            digest: spec.digest.to_string(),
        },
        Err(rejection) => Asked::Rejected { rejected: rejection.as_str() },
    }
}

fn facts(request: &Request) -> Facts {
    let line = |it: &Recorded| FactLine { at: time(it.at), kind: it.fact.kind().to_owned() };
    Facts {
        verified: request.facts.len(),
        rejected: request.facts.rejected(),
        rolled_back: request.rolled_back,
        recorded: request.facts.iter().map(line).collect(),
    }
}

fn entry_line(
    nonce: &str,
    entry: Result<&Entry, &'static str>,
    seen: Option<&Counted>,
    standing: Option<String>,
) -> EntryLine {
    let verdict = match (entry, seen) {
        (_, Some(Counted::Yes { .. })) => "COUNTS".to_owned(),
        (_, Some(Counted::No { why })) => why.clone(),
        (Err(rejection), None) => rejection.to_owned(),
        (Ok(_), None) => "NOT_SEEN_YET".to_owned(),
    };
    let entry = entry.ok();
    EntryLine {
        nonce: nonce.to_owned(),
        act: entry.map(|entry| act(&entry.act)),
        by: entry.map(|entry| entry.actor.email.to_string()),
        verdict,
        standing,
    }
}

fn act(act: &Act) -> &'static str {
    use curfew_core::entry::Verdict;
    match act {
        Act::Decide { verdict: Verdict::Approve, .. } => "APPROVE",
        Act::Decide { verdict: Verdict::Deny, .. } => "DENY",
        Act::Withdraw { .. }
        | Act::Revoke { .. }
        | Act::Extend { .. }
        | Act::CloseReview { .. } => act.kind().as_str(),
    }
}

fn standing(standing: &Observed<Standing>) -> String {
    match standing {
        Observed::Known(Standing::Operator) => "an operator".into(),
        Observed::Known(Standing::Peer) => "a peer".into(),
        Observed::Known(Standing::PeerByWeakEvidence) => "a peer, witnessed too weakly".into(),
        Observed::Known(Standing::None) => "neither operator nor peer".into(),
        Observed::Unknown(why) => format!("not known: {}", unanswered(why)),
    }
}

fn unanswered(why: &Unanswered) -> String {
    match why {
        Unanswered::NotAsked => "nobody asked".into(),
        Unanswered::Failed(words) => words.clone(),
    }
}

fn check(name: &'static str, verdict: &CheckVerdict) -> CheckLine {
    let (outcome, reason, message) = match verdict {
        CheckVerdict::Passed => ("PASSED", None, None),
        CheckVerdict::Failed(why) => {
            ("FAILED", Some(why.reason.as_str().to_owned()), Some(why.message.clone()))
        }
        CheckVerdict::Unanswered(why) => ("UNANSWERED", None, Some(unanswered(why))),
        CheckVerdict::NotReached => ("NOT_REACHED", None, None),
    };
    CheckLine { name, outcome, reason, message }
}

/// Those whom the requester chose, or else everybody whom the policy names beside the requester and the receiver.
fn deciders(explained: &Explained) -> Vec<String> {
    let Ok(spec) = &explained.request.spec else { return Vec::new() };
    if !spec.chosen_approvers.is_empty() {
        return spec.chosen_approvers.iter().map(Email::to_string).collect();
    }
    let is_self = |email: &Email| email == spec.principal.email() || *email == spec.requester.email;
    let named = explained.peers.iter().filter_map(|member| match member {
        Member::Account(Principal::User(email)) => {
            (!is_self(email)).then(|| format!("user:{email}"))
        }
        Member::Group(group) => Some(format!("group:{group}")),
        Member::Domain(domain) => Some(format!("domain:{domain}")),
        // No service account decides.
        Member::Account(Principal::ServiceAccount(_)) | Member::Other => None,
    });
    named.collect()
}

fn policy(bindings: &Observed<curfew_core::observe::ObservedBindings>) -> Policy {
    match bindings {
        Observed::Known(seen) => Policy::Read {
            ours: seen.ours.iter().map(|owned| binding(&Binding::from(owned))).collect(),
            altered: seen.altered.iter().map(binding).collect(),
            planted: seen.planted.iter().map(binding).collect(),
        },
        Observed::Unknown(why) => Policy::Unread { unread: unanswered(why) },
    }
}

fn prior(prior: &PriorActivation) -> PriorLine {
    PriorLine {
        role: prior.role.to_string(),
        until: time(prior.activation.ends_at),
        resource_condition: prior.activation.resource_condition.clone(),
    }
}

fn binding(binding: &Binding) -> BindingLine {
    let expression = binding.condition.as_ref().map(|condition| condition.expression.clone());
    BindingLine {
        role: binding.role.clone(),
        members: binding.members.clone(),
        expression: expression.unwrap_or_default(),
    }
}

/// What stands in the way; an approval with its deadline, where that is known.
fn waits_for(approval: Option<String>, reasons: &[Reason]) -> Vec<String> {
    let is_told =
        |it: &&Reason| approval.is_some() && matches!(it, Reason::Waiting { what: "approval" });
    let others: Vec<String> = reasons.iter().filter(|it| !is_told(it)).map(reason).collect();
    approval.into_iter().chain(others).collect()
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Unanswered { what, why } => format!("an answer about {what}: {why}"),
        Reason::Waiting { what } => (*what).to_owned(),
        Reason::Unsupported => {
            "a newer version of this program: it does not know this document's".into()
        }
        Reason::Ineligible(why) => format!("nothing: {why}"),
        Reason::Unwanted { n } => format!("the removal of {n} binding(s) that no fact asks for"),
        Reason::Altered { n } => format!("its end: {n} binding(s) were altered by somebody else"),
        Reason::Missing => "its end: a binding was removed by somebody else".into(),
        Reason::Full(refusal) => format!("room in the policy: {}", refusal.as_str()),
        Reason::Astray { n } => format!("the removal of bindings in {n} other policies"),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Text for a terminal, in sections.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a string does not fail.
        let _written = writeln!(self.text, "{}{}", "  ".repeat(depth), printable(text));
    }

    /// A section, if there is anything in it.
    fn list<T>(&mut self, title: &str, items: &[T], text: impl Fn(&T) -> String) {
        if !items.is_empty() || title.starts_with("Facts") {
            self.line(0, title);
        }
        for item in items {
            self.line(1, &text(item));
        }
    }
}

/// The text with everything escaped that a terminal would act on or that changes how the rest reads: controls and
/// directional marks (<https://www.unicode.org/reports/tr9/>).
fn printable(text: &str) -> String {
    let is_active = |character: char| {
        character.is_control()
            || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let escaped = |character: char| {
        if is_active(character) {
            character.escape_unicode().to_string()
        } else {
            character.to_string()
        }
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_document_acts_on_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\nü"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}ü");
    }

    #[test]
    fn what_does_not_verify_is_told_by_its_reason() {
        let line = entry_line("n", Err("BAD_SIGNATURE"), None, None);
        assert_eq!(line.text(), "n an act that does not verify by somebody: BAD_SIGNATURE");
        let refused = Counted::No { why: "NOT_A_PEER".into() };
        assert_eq!(entry_line("n", Err("x"), Some(&refused), None).verdict, "NOT_A_PEER");
    }

    #[test]
    fn a_policy_that_was_not_read_is_not_an_empty_one() {
        let failed = Observed::Unknown(Unanswered::Failed("403".into()));
        assert!(matches!(policy(&failed), Policy::Unread { unread } if unread == "403"));
    }
}
