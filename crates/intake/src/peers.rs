//! Who may decide about a request, judged live by the very function that the controller judges by.

use std::collections::{BTreeMap, BTreeSet};

use curfew_core::entry::Level;
use curfew_core::judge::{Evidence, judge_peer, peer_groups_in_question};
use curfew_core::principal::Email;
use curfew_core::spec::Spec;
use curfew_core::world::{Observed, Standing, Unanswered};

use crate::App;
use crate::eligibility::{Found, memberships, offered_on, unanswered};
use crate::errors::{Reason, Refusal};

/// Whether this person holds every eligibility that the request was filed under.
pub(crate) async fn is_peer(app: &App, spec: &Spec, person: &Email) -> Result<bool, Refusal> {
    let known = are_peers(app, spec, std::slice::from_ref(person)).await?;
    Ok(known.contains(person))
}

/// Those of `people` who do.
pub(crate) async fn are_peers(
    app: &App,
    spec: &Spec,
    people: &[Email],
) -> Result<BTreeSet<Email>, Refusal> {
    let rules = &app.settings().rules;
    let Found { ancestry, offered, .. } = offered_on(app, &spec.resource).await?;
    let mut evidence = Evidence {
        ancestry,
        offered,
        member_of: BTreeMap::new(),
        permissions: BTreeMap::new(),
        above_protected: Observed::Unknown(Unanswered::NotAsked),
    };
    let mut peers = BTreeSet::new();
    for person in people {
        let groups = peer_groups_in_question(spec, person, &evidence.offered);
        evidence.member_of = memberships(&*app.intake.directory, groups, person).await;
        match judge_peer(spec, person, Level::Session, &evidence, rules) {
            Observed::Known(Standing::Peer | Standing::PeerByWeakEvidence) => {
                peers.insert(person.clone());
            }
            Observed::Known(Standing::None | Standing::Operator) => {}
            Observed::Unknown(why) => return Err(unanswered(&why)),
        }
    }
    Ok(peers)
}

/// Refuses chosen approvers who may not approve: nobody would ever answer.
pub(crate) async fn check_chosen(app: &App, spec: &Spec) -> Result<(), Refusal> {
    let chosen = &spec.chosen_approvers;
    if chosen.is_empty() {
        return Ok(());
    }
    let peers = are_peers(app, spec, chosen).await?;
    let mut numbered = chosen.iter().enumerate();
    match numbered.find(|(_, person)| !peers.contains(*person)) {
        None => Ok(()),
        Some((n, person)) => {
            let field = format!("chosenApprovers[{n}]");
            let message = format!(
                "{person} may not approve this: choose somebody who holds the same eligible role, or leave `chosenApprovers` out."
            );
            Err(Refusal::field(Reason::ApproversNotAllowed, field, message))
        }
    }
}
