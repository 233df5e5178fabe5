//! What Google documents of Firestore, as small cases that run on firelite, on Google's emulator and on Firestore itself.
//!
//! A case asserts what the documentation says: the reference of `google.firestore.v1`
//! (<https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1>), the guides below
//! <https://cloud.google.com/firestore/docs> and the limits (<https://cloud.google.com/firestore/quotas>). Where the
//! emulator is known to differ, `deviations` names the case and what says so.

mod aggregates;
mod backend;
mod batches;
mod commits;
mod cursors;
mod deviations;
mod documents;
mod filters;
mod limits;
mod listener;
mod listening;
mod lists;
mod masks;
mod messages;
mod ordering;
mod preconditions;
mod resuming;
mod shapes;
mod stored;
mod transactions;
mod transforms;
mod values;

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use self::backend::Backend;
use self::deviations::{DEVIATIONS, Deviation};

/// What the suite has at least; a single case that is not listed is dead code, which the lints refuse.
const CASES_MIN: usize = 280;

/// One test for each case and server.
macro_rules! suite {
    ($($module:ident: $($case:ident)*;)*) => {
        const CASES: &[&str] =
            &[$($(concat!(stringify!($module), "::", stringify!($case))),*),*];

        mod firelite {
            $(mod $module {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let backend = crate::conformance::Backend::firelite().await;
                        crate::conformance::$module::$case(&backend).await;
                    }
                )*
            })*
        }

        mod emulator {
            $(mod $module {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        if let Some(backend) = crate::conformance::Backend::emulator().await {
                            let name = concat!(stringify!($module), "::", stringify!($case));
                            let case = crate::conformance::$module::$case(&backend);
                            crate::conformance::unless_it_deviates(name, case).await;
                        }
                    }
                )*
            })*
        }

        mod production {
            $(mod $module {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    #[cfg_attr(not(real_firestore), ignore = "CURFEW_TEST_FIRESTORE_PROJECT names no project")]
                    async fn $case() {
                        let backend = crate::conformance::Backend::production().await;
                        crate::conformance::$module::$case(&backend).await;
                    }
                )*
            })*
        }
    };
}

suite! {
    documents:
        a_created_document_is_read_back_as_it_was_written
        a_new_document_was_updated_when_it_was_created
        an_update_keeps_the_time_of_creation
        creating_what_exists_is_already_exists
        creating_without_an_id_draws_one
        creating_with_a_mask_returns_only_its_fields
        getting_what_is_not_there_is_not_found
        getting_with_a_mask_returns_only_its_fields
        an_update_creates_what_is_not_there
        an_update_without_a_mask_replaces_the_document
        an_update_honours_its_precondition
        an_update_returns_only_the_fields_asked_for
        deleting_what_is_not_there_succeeds
        deleting_honours_its_precondition
        deleting_leaves_the_documents_below
        a_document_created_again_is_a_new_one;
    lists:
        a_list_is_in_the_order_of_names
        a_list_of_nothing_is_empty
        a_list_neither_descends_nor_strays
        pages_join_without_a_gap_or_a_repetition
        a_page_token_that_is_none_is_refused
        a_list_with_a_mask_has_only_its_fields
        a_list_can_be_in_the_order_of_a_field
        a_list_shows_missing_parents_on_request
        a_batch_tells_what_is_there_and_what_is_not
        a_batch_is_read_at_one_time
        a_name_twice_in_a_batch_is_answered_once
        a_batch_with_a_mask_has_only_its_fields
        a_batch_of_another_database_is_refused
        a_batch_can_read_what_stood_before
        a_read_in_the_past_finds_what_was_deleted_since;
    stored:
        integers_keep_all_their_bits
        doubles_stay_doubles
        nan_and_the_infinities_are_kept
        strings_keep_every_character
        bytes_points_and_references_are_kept
        empty_maps_and_arrays_are_kept
        times_are_cut_to_microseconds
        times_outside_of_the_calendar_are_refused
        points_off_the_globe_are_refused
        an_array_directly_in_an_array_is_refused
        a_value_without_a_type_is_refused
        a_reference_must_be_the_name_of_a_document
        an_equal_number_of_the_other_type_is_a_change;
    preconditions:
        a_set_of_what_must_exist
        a_set_of_what_must_not_exist
        a_set_of_a_known_version
        a_set_of_an_outdated_version
        a_set_of_a_version_of_what_is_not_there
        a_delete_of_what_must_exist
        a_delete_of_what_must_not_exist
        a_delete_of_a_known_version
        a_delete_of_an_outdated_version
        a_delete_of_a_version_of_what_is_not_there
        a_transform_of_what_must_exist
        a_transform_of_what_must_not_exist
        a_transform_of_a_known_version
        a_transform_of_an_outdated_version
        a_masked_update_of_what_must_exist
        a_masked_update_of_what_must_not_exist
        a_condition_sees_the_writes_before_it
        a_write_without_effect_still_needs_its_condition;
    masks:
        a_mask_changes_only_what_it_names
        a_named_field_without_a_value_is_deleted
        a_nested_path_changes_one_entry
        a_nested_path_without_a_value_deletes_one_entry
        deleting_the_last_entry_leaves_an_empty_map
        a_path_to_a_map_replaces_all_of_it
        a_nested_path_creates_what_is_above_it
        a_nested_path_replaces_what_is_no_map
        a_quoted_segment_may_hold_anything
        quotes_around_a_simple_name_change_nothing
        an_empty_mask_touches_nothing
        an_empty_mask_creates_an_empty_document
        a_path_that_is_none_is_refused;
    transforms:
        server_time_is_the_time_of_the_request
        server_time_is_one_in_a_whole_commit
        increment_adds_integers
        increment_adds_doubles
        increment_of_mixed_numbers_is_a_double
        increment_stops_at_the_largest_integers
        increment_of_doubles_overflows_to_infinity
        increment_of_no_number_sets_the_operand
        increment_of_an_absent_field_sets_the_operand
        maximum_keeps_the_larger
        maximum_takes_the_type_of_the_larger
        maximum_of_equal_numbers_changes_nothing
        maximum_of_no_number_sets_the_operand
        maximum_and_minimum_with_nan_are_nan
        minimum_keeps_the_smaller
        minimum_of_equal_numbers_changes_nothing
        minimum_of_no_number_sets_the_operand
        append_adds_what_is_missing_in_order
        append_takes_equal_numbers_for_the_same
        append_adds_a_repeated_element_once
        append_keeps_what_was_there_twice
        append_to_no_array_starts_anew
        remove_takes_every_equal_element
        remove_from_no_array_leaves_an_empty_one
        transforms_come_after_the_update_and_in_order
        results_are_in_the_order_of_the_transforms
        a_transform_needs_no_place_in_the_mask
        a_bare_transform_leaves_the_rest
        a_transform_without_effect_keeps_the_version
        a_number_is_the_only_operand_of_arithmetic
        a_field_and_one_within_it_are_not_transformed_together
        a_transform_without_a_kind_is_refused;
    commits:
        a_commit_makes_all_its_writes_or_none
        a_bad_write_spoils_the_whole_commit
        writes_apply_in_their_order
        a_document_deleted_and_written_in_one_commit_stands
        every_document_of_a_commit_has_its_time
        commit_times_increase
        a_write_without_effect_keeps_the_version
        a_change_and_its_undoing_in_two_commits_are_two_versions
        a_delete_has_no_update_time
        a_commit_of_nothing_succeeds
        a_delete_takes_neither_mask_nor_transforms
        a_commit_to_no_database_is_refused
        a_commit_replaces_hundreds_of_documents_at_once;
    batches:
        each_write_of_a_batch_has_its_own_status
        a_batch_tells_when_each_write_was_made
        a_batch_may_write_a_document_only_once
        a_batch_of_nothing_succeeds
        a_batch_transforms_and_deletes;
    filters:
        equal_finds_one_value
        equal_makes_no_difference_between_integers_and_doubles
        equal_compares_whole_maps_and_arrays
        equal_finds_every_kind_of_value
        a_range_has_only_values_of_its_type
        a_range_has_two_ends
        a_range_leaves_out_nan
        unequal_is_any_other_value_but_not_none
        in_finds_each_of_its_values
        not_in_is_any_other_value_but_not_none
        not_in_with_null_finds_nothing
        array_contains_looks_at_elements
        array_contains_any_finds_each_document_once
        null_is_found_and_distinct_from_absence
        nan_is_found_and_distinct_from_numbers
        a_nested_field_is_found_by_its_path
        and_needs_every_part
        and_joins_equality_and_range
        or_needs_one_part_and_finds_each_once
        or_inside_of_and
        and_inside_of_or
        the_name_is_compared_as_a_reference
        the_name_is_not_compared_with_text
        the_name_has_no_elements
        one_name_beside_a_range_of_another_field_is_refused
        lists_of_values_are_bounded
        an_empty_list_of_values_is_refused
        the_normal_form_of_a_filter_is_bounded
        negations_do_not_combine
        one_array_is_searched_for_at_a_time
        a_filter_of_nothing_is_refused;
    ordering:
        kinds_of_values_have_an_order
        integers_and_doubles_have_one_order
        large_integers_are_compared_exactly
        strings_are_in_the_order_of_their_bytes
        times_bytes_and_points_have_an_order
        references_are_in_the_order_of_their_segments
        arrays_are_compared_element_by_element
        maps_are_compared_by_keys_then_values
        without_an_order_names_decide
        names_can_be_asked_for_as_an_order
        equal_values_are_in_the_order_of_names
        names_follow_the_direction_of_the_last_field
        a_document_without_the_field_is_left_out
        a_second_field_decides_between_equals
        a_range_alone_orders_by_its_field
        a_filtered_query_can_be_ordered_by_another_field
        an_array_search_can_be_ordered
        a_union_can_be_ordered_and_limited
        a_nested_field_can_order
        nothing_orders_behind_the_name
        the_same_field_orders_only_once
        an_equality_and_a_range_keep_their_order;
    cursors:
        a_start_is_inclusive_or_not
        an_end_is_inclusive_or_not
        a_window_has_both
        cursors_follow_a_falling_order
        a_cursor_may_stand_on_field_and_name
        a_cursor_on_field_and_name_goes_both_ways
        a_cursor_may_stand_on_the_name_alone
        a_cursor_may_be_shorter_than_the_order
        a_cursor_may_be_of_another_type
        cursors_and_filters_both_count
        pages_by_cursor_join_without_a_gap_or_a_repetition
        a_cursor_longer_than_the_order_is_refused
        a_cursor_on_the_name_must_be_a_reference;
    shapes:
        a_limit_ends_a_query
        an_offset_skips
        an_offset_tells_how_many_results_it_skipped
        an_offset_comes_after_the_cursor
        negative_limits_and_offsets_are_refused
        a_projection_returns_only_its_fields
        a_projection_of_the_name_returns_no_field
        a_collection_is_only_that_of_its_parent
        a_group_is_every_collection_of_that_name
        a_group_below_a_document_stays_below_it
        a_group_can_be_filtered_and_ordered
        every_result_has_its_time
        no_result_has_a_time_too
        a_query_sees_every_write_before_it
        a_query_can_read_what_stood_before
        a_query_names_one_collection
        a_query_needs_the_name_of_a_parent;
    aggregates:
        count_counts_what_a_query_finds
        count_of_nothing_is_zero
        count_stops_where_it_is_told
        count_must_be_allowed_one_document
        count_honours_limit_and_offset
        sum_adds_numbers_and_leaves_out_the_rest
        sum_with_a_double_is_a_double
        sum_beyond_the_integers_is_a_double
        one_nan_makes_sum_and_average_nan
        sum_of_nothing_is_zero
        average_is_a_double_or_null
        several_aggregations_share_a_query
        aggregations_are_named_apart
        one_to_five_aggregations_share_a_query;
    transactions:
        a_transaction_commits_what_it_read_and_wrote
        of_two_writers_of_what_both_read_one_at_most_commits
        a_write_from_outside_does_not_come_between
        what_a_transaction_found_absent_stays_absent_to_it
        of_two_who_add_to_what_both_queried_one_at_most_commits
        concurrent_increments_are_not_lost
        writes_of_what_nobody_read_do_not_conflict
        reading_other_documents_is_no_conflict
        a_transaction_reads_from_one_snapshot
        a_read_only_transaction_locks_nothing
        a_read_only_transaction_cannot_write
        a_read_only_transaction_can_look_back
        a_rolled_back_transaction_is_over
        a_transaction_commits_once
        an_id_that_nobody_gave_is_refused
        a_failed_precondition_ends_a_transaction_without_effect
        a_lost_transaction_can_be_tried_again_by_its_id
        a_query_can_begin_its_transaction
        a_batch_can_begin_its_transaction
        a_transaction_of_nothing_commits;
    listening:
        a_new_target_is_told_all_and_then_that_it_is_current
        an_empty_target_is_current_too
        a_view_follows_every_change
        a_new_document_is_told_alone
        a_changed_document_is_told_alone
        a_document_that_no_longer_matches_is_removed
        a_deleted_document_is_told_to_be_deleted
        what_is_not_in_a_target_is_not_told
        a_write_without_effect_is_not_told
        a_commit_is_told_in_one_snapshot
        several_targets_share_a_stream
        a_removed_target_is_told_no_more
        an_id_is_free_again_after_its_target_is_gone
        an_id_in_use_is_refused
        a_target_without_an_id_is_given_one
        a_target_wanted_once_goes_when_it_is_current
        named_documents_are_told_as_they_come_and_go
        a_named_document_is_told_alone
        a_limited_target_shows_the_first_few
        a_limited_target_tells_who_came_and_who_left
        a_group_is_listened_to
        a_bad_query_ends_its_target_with_the_cause;
    resuming:
        a_token_brings_only_what_was_missed
        a_read_time_brings_only_what_was_missed
        nothing_missed_is_nothing_told
        what_came_and_went_meanwhile_leaves_no_trace
        a_resumed_view_is_the_same_as_a_new_one
        what_no_longer_matches_leaves_a_resumed_view
        a_document_created_again_meanwhile_is_the_new_one
        named_documents_resume_too
        a_resumed_target_goes_on
        a_count_that_differs_is_put_right
        a_token_that_is_none_never_passes_for_one;
    limits:
        a_document_is_at_most_a_mebibyte
        a_value_is_at_most_1_048_487_bytes
        maps_and_arrays_nest_to_a_depth_of_20
        a_field_name_is_at_most_1_500_bytes
        a_field_name_is_not_empty
        field_names_between_double_underscores_are_reserved
        an_id_is_at_most_1_500_bytes
        ids_may_hold_any_character_but_a_slash
        reserved_ids_are_refused
        a_name_is_a_collection_and_an_id_again_and_again
        collections_nest_to_a_depth_of_100
        a_write_transforms_at_most_500_fields
        a_request_is_at_most_10_mebibytes
        a_query_has_at_most_100_filters_and_orders
        a_query_has_ranges_of_at_most_10_fields;
}

/// Runs a case on Google's emulator: it passes, or it fails as the emulator is known to.
async fn unless_it_deviates(case: &str, run: impl Future<Output = ()>) {
    let Some(deviation) = DEVIATIONS.iter().find(|deviation| deviation.case == case) else {
        return run.await;
    };
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(()) => panic!("the emulator no longer deviates: take {case} off the list"),
        Err(failure) => {
            let failure = text(failure.as_ref());
            assert!(failure.contains(deviation.shows), "deviates otherwise than listed: {failure}");
            print(deviation);
        }
    }
}

fn text(failure: &(dyn Any + Send)) -> String {
    let text = failure.downcast_ref::<String>().cloned();
    text.or_else(|| failure.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

#[expect(
    clippy::print_stderr,
    reason = "the list of what the emulator does otherwise is for people"
)]
fn print(Deviation { case, differs, document, .. }: &Deviation) {
    eprintln!("DEVIATES on Google's emulator: {case}: {differs} ({}, {})", document.0, document.1);
}

#[test]
fn the_suite_has_its_cases() {
    assert!(CASES.len() >= CASES_MIN, "{} cases", CASES.len());
    let distinct: std::collections::BTreeSet<_> = CASES.iter().collect();
    assert_eq!(distinct.len(), CASES.len());
}

#[test]
fn every_deviation_is_of_one_case_and_names_its_document() {
    for deviation in DEVIATIONS {
        let of_case = CASES.iter().filter(|case| **case == deviation.case).count();
        let listed = DEVIATIONS.iter().filter(|other| other.case == deviation.case).count();
        assert_eq!((of_case, listed), (1, 1), "{}", deviation.case);
        assert!(deviation.document.1.starts_with("https://"), "{}", deviation.case);
        assert!(!deviation.shows.is_empty() && !deviation.differs.is_empty());
        print(deviation);
    }
}

#[tokio::test]
#[should_panic(expected = "the emulator no longer deviates")]
async fn a_listed_deviation_that_is_gone_fails() {
    unless_it_deviates(DEVIATIONS[0].case, async {}).await;
}

#[tokio::test]
#[should_panic(expected = "deviates otherwise than listed: something else")]
async fn a_listed_deviation_passes_only_as_it_is_listed() {
    unless_it_deviates(DEVIATIONS[0].case, async { panic!("something else") }).await;
}
