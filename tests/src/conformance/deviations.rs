//! Where Google's emulator does other than Google's documentation says of Firestore.

/// One case that the emulator is expected to fail.
pub(super) struct Deviation {
    /// `module::case`
    pub(super) case: &'static str,
    /// What the emulator does instead.
    pub(super) differs: &'static str,
    /// A part of the failure that shows it, so that no other failure passes for it.
    pub(super) shows: &'static str,
    /// What says so.
    pub(super) document: Document,
}

/// A title and an address.
pub(super) struct Document(pub(super) &'static str, pub(super) &'static str);

const REFERENCE: Document = Document(
    "Package google.firestore.v1",
    "https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1",
);

const QUOTAS: Document =
    Document("Firestore: Quotas and limits", "https://cloud.google.com/firestore/quotas");

const RESETS: Document = Document(
    "Firestore emulator Listen remote procedure call response stream is abnormal",
    "https://github.com/firebase/firebase-tools/issues/5207",
);

/// A listener that hears of every change by a RESET and the whole result.
const fn resets(case: &'static str, shows: &'static str) -> Deviation {
    let differs = "every change resets the target and tells its whole result anew";
    Deviation { case, differs, shows, document: RESETS }
}

/// All of them. One that no longer differs fails its case, so that it is taken off this list.
pub(super) const DEVIATIONS: &[Deviation] = &[
    Deviation {
        case: "aggregates::count_must_be_allowed_one_document",
        differs: "counts up to zero documents, where up_to must be greater than zero",
        shows: "a refusal",
        document: REFERENCE,
    },
    Deviation {
        case: "aggregates::one_to_five_aggregations_share_a_query",
        differs: "breaks down (UNKNOWN) over no aggregation, where at least one is required",
        shows: "left: Unknown",
        document: REFERENCE,
    },
    Deviation {
        case: "lists::a_batch_of_another_database_is_refused",
        differs: "reads documents of another database, where the request shall fail",
        shows: "a refusal",
        document: REFERENCE,
    },
    Deviation {
        case: "limits::a_request_is_at_most_10_mebibytes",
        differs: "takes at most 4 MiB",
        shows: "exceeds maximum size 4194304",
        document: QUOTAS,
    },
    Deviation {
        case: "limits::a_write_transforms_at_most_500_fields",
        differs: "takes more than 500 transforms of a document",
        shows: "a refusal",
        document: QUOTAS,
    },
    Deviation {
        case: "listening::a_bad_query_ends_its_target_with_the_cause",
        differs: "ends the whole stream (UNKNOWN), where the target is removed with a cause",
        shows: "code: Unknown",
        document: REFERENCE,
    },
    Deviation {
        case: "listening::a_target_wanted_once_goes_when_it_is_current",
        differs: "keeps a target that was wanted once",
        shows: r#"left: "RESET[1]""#,
        document: REFERENCE,
    },
    Deviation {
        case: "shapes::an_offset_tells_how_many_results_it_skipped",
        differs: "does not tell how many results an offset has skipped",
        shows: "left: 0",
        document: REFERENCE,
    },
    resets(
        "listening::a_new_document_is_told_alone",
        "RESET[1] CHANGE a[1] CHANGE b[1] CHANGE c[1]",
    ),
    resets("listening::a_changed_document_is_told_alone", "RESET[1] CHANGE a[1] CHANGE b[1]"),
    resets("listening::a_document_that_no_longer_matches_is_removed", "RESET[1] CHANGE b[1]"),
    resets("listening::a_deleted_document_is_told_to_be_deleted", "RESET[1] CHANGE b[1]"),
    resets("listening::what_is_not_in_a_target_is_not_told", "RESET[1] CHANGE a[1] CHANGE b[1]"),
    resets("listening::a_write_without_effect_is_not_told", "RESET[1] CHANGE a[1] CHANGE b[1]"),
    resets("listening::a_commit_is_told_in_one_snapshot", "RESET[1] CHANGE c[1] CHANGE d[1]"),
    resets("listening::a_named_document_is_told_alone", r#"left: "CHANGE a[1] CHANGE b[1]""#),
    resets("listening::a_limited_target_tells_who_came_and_who_left", "RESET[1] CHANGE c[1]"),
    resets("resuming::a_token_brings_only_what_was_missed", "ADD[1] RESET[1]"),
    resets("resuming::a_read_time_brings_only_what_was_missed", "ADD[1] RESET[1]"),
    resets("resuming::nothing_missed_is_nothing_told", "ADD[1] RESET[1]"),
];
