//! What a process of Curfew is called: its files and its service account bear its name.

use curfew_server::Mode;

/// The project that holds the demo's own service accounts.
const PROJECT: &str = "demo-curfew";

/// The name of the process that runs `mode`.
pub(crate) fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::All => "curfew",
        Mode::Intake => "intake",
        Mode::Controller => "controller",
    }
}

/// The service account that the process runs as.
pub(crate) fn service_account(mode: Mode) -> String {
    format!("{}@{PROJECT}.iam.gserviceaccount.com", name(mode))
}
