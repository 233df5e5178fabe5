//! APIs that are not enabled, as errors of Google's tell it.

/// Whether the text of an error says that the API which answered it is not enabled in the caller's project
/// (<https://cloud.google.com/service-usage/docs/troubleshooting>).
pub(crate) fn disabled_in(error: &str) -> bool {
    error.contains("SERVICE_DISABLED")
        || error.contains("has not been used in project")
        || error.contains("it is disabled")
}
