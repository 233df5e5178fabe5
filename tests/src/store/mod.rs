//! The contract of `RequestStore`, run over every server that the one adapter serves: the embedded one and Google's
//! emulator. Each case gets a project of its own.

mod backend;
mod cases;
mod faults;
mod lists;
mod proxy;
pub(crate) mod raw;
mod samples;
mod watching;

use backend::Backend;

/// One test for each case and server.
macro_rules! contract {
    ($($module:ident: $($case:ident)*;)*) => {
        mod firelite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$module::$case(super::Backend::firelite().await).await;
                }
            )*)*
        }

        mod emulator {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some(backend) = super::Backend::emulator() {
                        super::$module::$case(backend).await;
                    }
                }
            )*)*
        }
    };
}

contract! {
    cases:
        a_filed_request_is_read_back_as_it_was_written
        filing_twice_changes_nothing
        a_spec_that_cannot_be_read_or_is_another_requests_is_not_filed
        an_act_on_no_request_is_not_found
        fifty_writers_lose_no_entry
        adding_an_entry_again_is_no_new_version
        a_commit_replaces_the_controllers_fields_and_nothing_else
        a_commit_on_another_version_is_a_conflict
        an_entry_between_read_and_commit_makes_a_conflict
        absent_requests_are_absent_from_many
        intents_of_two_writers_stand_side_by_side
        a_ledger_entry_stands_as_it_was_sealed
        a_heartbeat_tells_the_stores_time_and_can_be_taken_back
        hostile_documents_spoil_nothing_beside_them
        a_document_of_a_mebibyte_is_received_and_read;
    lists:
        pages_hold_every_request_once_newest_first
        filters_select_and_combine
        a_document_that_is_no_request_does_not_end_a_list;
    watching:
        what_happens_to_the_live_set_is_told
        the_live_set_is_what_is_live
        documents_that_are_no_requests_do_not_disturb_the_watch;
    faults:
        a_lost_answer_to_filing_is_still_success
        a_lost_answer_to_filing_what_another_filed_is_not
        a_lost_answer_to_a_commit_is_still_success
        a_lost_answer_to_a_commit_behind_an_unseen_act_is_a_conflict
        a_server_that_does_not_answer_is_unavailable_in_time
        the_watch_goes_on_after_its_connection_is_cut;
}

/// What only the embedded server can be made to do.
mod embedded {
    use super::Backend;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn another_token_is_denied() {
        super::faults::another_token_is_denied(Backend::firelite().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn store_and_watch_go_on_after_the_server_restarts() {
        super::faults::store_and_watch_go_on_after_the_server_restarts(Backend::firelite().await)
            .await;
    }
}
