//! The production binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    curfew_server::cli::main()
}
