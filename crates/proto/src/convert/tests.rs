use proptest::prelude::*;

use super::*;
use crate::native::{from_native, to_native};
use crate::payload::tests::{any_entry, any_spec, any_time};
use crate::payload::{entry, read_entry, read_spec, spec};

#[test]
fn every_phase_has_its_name_on_the_wire() {
    for phase in Phase::ALL {
        let wire = phase_to_wire(phase);
        assert_eq!(wire.as_str_name(), phase.as_str());
        assert_eq!(phase_from_wire(wire), Some(phase));
    }
}

#[test]
fn every_kind_of_act_has_its_name_on_the_wire() {
    for kind in ActKind::ALL {
        assert_eq!(act_to_wire(kind).as_str_name(), kind.as_str());
    }
}

#[test]
fn a_status_without_a_phase_or_with_a_time_that_is_none_is_no_status() {
    assert_eq!(status_from_wire(&v1::Status::default()), None);
    let pending = v1::Status { phase: v1::Phase::Pending.into(), ..v1::Status::default() };
    assert!(status_from_wire(&pending).is_some());
    let bad = prost_types::Timestamp { seconds: 0, nanos: -1 };
    assert_eq!(status_from_wire(&v1::Status { decide_by: Some(bad), ..pending.clone() }), None);
    assert_eq!(
        status_from_wire(&v1::Status { outcome: Some(v1::Outcome::default()), ..pending.clone() }),
        None
    );
    assert_eq!(
        status_from_wire(&v1::Status { grant: Some(v1::Grant::default()), ..pending.clone() }),
        None
    );
    assert_eq!(status_from_wire(&v1::Status { phase: 99, ..pending }), None);
}

proptest! {
    #[test]
    fn a_status_survives_the_store(status in any_status()) {
        let wire: v1::Status = from_native(&to_native(&status_to_wire(&status))).unwrap();
        prop_assert_eq!(status_from_wire(&wire), Some(status));
    }

    #[test]
    fn a_view_says_what_the_payload_says(filed in any_spec()) {
        let text = spec(&filed.spec, &filed.installation, &filed.body_digest, filed.ticket.as_deref());
        let read = read_spec(&text).unwrap();
        let view = spec_view(&read);
        prop_assert_eq!(&view.ticket, &filed.ticket);
        prop_assert_eq!(view.duration.unwrap().seconds, filed.spec.duration.num_seconds());
        prop_assert_eq!(time_from_wire(&view.requested_at.unwrap()), Some(filed.spec.requested_at));
        prop_assert_eq!(view.start_at.as_ref().and_then(time_from_wire), filed.spec.start_at);
        prop_assert_eq!(view.body_digest, filed.body_digest.as_str());
        prop_assert_eq!(view.request_id, filed.spec.id.as_str());
        prop_assert_eq!(view.roles.len(), filed.spec.roles.len());
        prop_assert_eq!(view.requester.unwrap().email, filed.spec.requester.email.as_str());
    }

    #[test]
    fn an_entry_shows_the_fields_of_its_act_and_no_others(act in any_entry()) {
        let text = entry(&act.installation, &act.request, &act.nonce, &act.actor, act.at, &act.act, &act.authentication);
        let view = entry_view(&read_entry(&text).unwrap(), true, None);
        let kind = act.act.kind();
        prop_assert_eq!(view.r#type().as_str_name(), kind.as_str());
        prop_assert_eq!(view.verdict.is_some() && view.target.is_some(), kind == ActKind::Decision);
        prop_assert_eq!(view.reason.is_some(), matches!(kind, ActKind::Withdraw | ActKind::Revoke));
        prop_assert_eq!(view.duration.is_some() && view.justification.is_some(), kind == ActKind::Extend);
        prop_assert_eq!(view.findings.is_some(), kind == ActKind::CloseReview);
        prop_assert_eq!(view.digest.unwrap(), curfew_core::id::Digest::of(text.as_bytes()).to_string());
    }
}

fn any_status() -> impl Strategy<Value = Status> {
    let outcome = (any::<String>(), any_time(), any::<Option<String>>(), any::<String>())
        .prop_map(|(reason, at, by, message)| OutcomeStatus { reason, at, by, message });
    let condition = any::<(String, String, String)>()
        .prop_map(|(kind, reason, message)| ConditionStatus { kind, reason, message });
    let binding = any::<(String, String, String)>()
        .prop_map(|(role, member, expression)| BindingStatus { role, member, expression });
    let grant = (any_time(), any_time(), proptest::collection::vec(binding, 0..3)).prop_map(
        |(starts_at, expires_at, bindings)| GrantStatus { starts_at, expires_at, bindings },
    );
    let observed = any::<(String, Option<String>)>()
        .prop_map(|(nonce, why_not)| EntryStatus { nonce, why_not });
    (
        proptest::sample::select(Phase::ALL.to_vec()),
        proptest::option::of(outcome),
        proptest::collection::vec(condition, 0..3),
        proptest::option::of(grant),
        proptest::option::of(any_time()),
        any::<(Option<u32>, Vec<String>)>(),
        proptest::collection::vec(observed, 0..3),
    )
        .prop_map(|(phase, outcome, conditions, grant, decide_by, steps, observed_entries)| {
            let (steps_required, approved_by) = steps;
            Status {
                phase,
                outcome,
                conditions,
                grant,
                decide_by,
                steps_required,
                approved_by,
                observed_entries,
            }
        })
}
