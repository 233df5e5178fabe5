//! With any one rule left out, the search finds what goes wrong.

use curfew_model::model::{Protocol, Search, Start};
use curfew_model::properties::{
    ACTIVE_GRANT_KEEPS_ITS_BINDING, ENDED_NEVER_COMES_BACK, FACTS_ONLY_GROW,
    FOREIGN_PART_IS_UNTOUCHED, SETTLES,
};
use curfew_model::variant::Variant;

use crate::support::{real, shortest_way};

/// Searches, and compares the shortest way to the breach.
#[track_caller]
fn check(protocol: Protocol, broken: &'static str, expect: &str) {
    let steps = shortest_way(protocol, broken);
    let expected: Vec<&str> = expect.trim().lines().map(str::trim).collect();
    assert_eq!(steps, expected, "{}", steps.join("\n"));
}

#[test]
fn a_read_before_the_end_proves_no_absence() {
    let variant = Variant::ReadEndsBeforeExpiry;
    check(
        Protocol { variant, ..real(1, 1, 1) },
        ENDED_NEVER_COMES_BACK,
        "
        c0 learn r0
        c0 pass r0
        c0 take r0
        c0 look
        withdraw r0
        c0 write
        c0 not_written
        c0 take r0
        late write lands [Live, Nothing]
        c0 look
        c0 record_facts r0
        ",
    );
}

#[test]
fn seeing_nothing_is_no_answered_write_with_one_controller_and_a_stale_read() {
    let variant = Variant::NothingSeenNeedsNoWrite;
    check(
        Protocol { variant, ..real(1, 1, 1) },
        ENDED_NEVER_COMES_BACK,
        "
        c0 learn r0
        c0 pass r0
        c0 take r0
        c0 look
        withdraw r0
        c0 write
        c0 write lands
        c0 after_write
        c0 record_facts r0
        c0 take r0 (stale read)
        c0 look
        c0 record_facts r0
        ",
    );
}

#[test]
fn seeing_nothing_is_no_answered_write_with_two_controllers_and_no_fault() {
    let variant = Variant::NothingSeenNeedsNoWrite;
    check(
        Protocol { variant, ..real(2, 1, 0) },
        ENDED_NEVER_COMES_BACK,
        "
        c0 learn r0
        c0 pass r0
        c1 take r0
        c1 look
        withdraw r0
        c0 learn r0
        c0 pass r0
        c0 take r0
        c0 look
        c0 record_facts r0
        c1 write
        c1 write lands
        ",
    );
}

#[test]
fn without_an_etag_an_ended_request_comes_back() {
    let variant = Variant::NoEtag;
    check(
        Protocol { variant, ..real(1, 1, 1) },
        ENDED_NEVER_COMES_BACK,
        "
        c0 learn r0
        c0 pass r0
        c0 take r0
        c0 look
        c0 write
        c0 not_written
        c0 take r0
        c0 look
        withdraw r0
        c0 write
        c0 write lands
        c0 after_write
        c0 record_facts r0
        c0 take r0
        c0 look
        c0 write
        c0 write lands
        late write lands [Live, Nothing]
        c0 after_write
        c0 record_facts r0
        ",
    );
}

#[test]
fn without_an_etag_others_writes_are_lost() {
    let variant = Variant::NoEtag;
    check(
        Protocol { variant, ..real(1, 1, 1) },
        FOREIGN_PART_IS_UNTOUCHED,
        "
        c0 learn r0
        c0 take r0
        foreign write
        c0 pass r0
        c0 look
        c0 write
        c0 write lands
        ",
    );
}

#[test]
fn without_an_etag_an_active_grant_loses_its_binding() {
    let variant = Variant::NoEtag;
    check(
        Protocol { variant, ..real(1, 2, 1) },
        ACTIVE_GRANT_KEEPS_ITS_BINDING,
        "
        c0 learn r0
        c0 pass r0
        c0 take r0+r1
        c0 look
        c0 record_facts r1
        c0 write
        c0 write lands
        c0 after_write
        c0 record_facts r0
        c0 take r0+r1 (stale read)
        c0 look
        c0 write
        c0 write lands
        ",
    );
}

#[test]
fn a_write_from_before_the_outcome_was_known_proves_nothing() {
    let start = Start::FirstIsOver;
    let variant = Variant::UnknowingWriteCounts;
    check(
        Protocol { variant, start, ..real(2, 2, 0) },
        ENDED_NEVER_COMES_BACK,
        "
        c0 take r0+r1
        c0 look
        c0 record_facts r1
        c0 write
        c0 write lands
        c1 take r0+r1
        c1 look
        withdraw r1
        c0 after_write
        c0 record_facts r1
        c1 write
        c1 write lands
        ",
    );
}

#[test]
fn edits_in_the_mailbox_outlive_what_they_were_decided_on() {
    let variant = Variant::MailboxHoldsEdits;
    check(
        Protocol { variant, ..real(2, 1, 0) },
        ENDED_NEVER_COMES_BACK,
        "
        c0 learn r0
        c0 pass r0
        withdraw r0
        c1 learn r0
        c1 pass r0
        c1 take r0
        c1 look
        c1 write
        c1 write lands
        c1 after_write
        c1 take r0
        c1 look
        c1 write
        c1 write lands
        c0 take r0
        c0 look
        c0 write
        c0 write lands
        c1 after_write
        c1 record_facts r0
        ",
    );
}

#[test]
fn a_commit_without_its_precondition_loses_facts() {
    let variant = Variant::UnconditionalCommit;
    check(
        Protocol { variant, ..real(2, 1, 0) },
        FACTS_ONLY_GROW,
        "
        c1 learn r0
        withdraw r0
        c0 learn r0
        c1 pass r0
        c0 pass r0
        ",
    );
}

#[test]
fn without_the_fence_an_early_end_waits_for_the_natural_one() {
    let (variant, search) = (Variant::NoFence, Search::Settling);
    check(
        Protocol { variant, search, ..real(1, 1, 0) },
        SETTLES,
        "
        c0 learn r0
        c0 pass r0
        withdraw r0
        ",
    );
}
