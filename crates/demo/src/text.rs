//! What the demo says.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the demo's face")]

use std::process::ExitStatus;

use anyhow::Context as _;
use curfew_server::Mode;

use crate::data::Data;
use crate::options::{Options, StoreKind};

/// Says what can be done, once everything works.
pub(crate) fn ready(options: &Options, data: &Data) -> anyhow::Result<()> {
    let Options { port, cloud_port, ops_port, .. } = options;
    if !options.listen.is_loopback() {
        eprintln!(
            "WARNING: on {} everybody in the network can sign in as anybody. Never put real data in here.",
            options.listen
        );
    }
    let store = match options.store {
        StoreKind::Embedded => format!(
            "FIRESTORE_EMULATOR_HOST=127.0.0.1:{} (project curfew-demo)",
            options.store_port
        ),
        StoreKind::Firestore => {
            "the server that FIRESTORE_EMULATOR_HOST names (project curfew-demo)".to_owned()
        }
    };
    let ending = match options.data {
        None => "Ctrl-C ends it and deletes its data (--data DIR keeps it).",
        Some(_) => "Ctrl-C ends it; its data stays.",
    };
    println!("Curfew demo is ready. Everything is simulated on this machine. {ending}");
    println!(" 1 Open http://127.0.0.1:{port}/ and sign in as alice.");
    println!(
        " 2 Compute Viewer on demo-web, 1 minute, reason BUG-1, Request: active within a second."
    );
    println!(
        " 3 What the cloud sees: http://127.0.0.1:{cloud_port}/   (the binding \"curfew demo <id>\" is gone after the minute)"
    );
    println!(
        " 4 Ask for Compute Instance Admin on demo-prod; open http://bob.localhost:{port}/ and approve."
    );
    println!(" People  alice bob carol dave, erin (auditor), olga (operator)");
    println!(
        " API     curl -H 'X-Demo-User: alice@example.com' http://127.0.0.1:{port}/v1/entitlements"
    );
    println!(
        " gcloud  CLOUDSDK_AUTH_ACCESS_TOKEN=x CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER=http://127.0.0.1:{cloud_port}/ gcloud projects get-iam-policy demo-web"
    );
    println!(" Store   {store}     Metrics http://127.0.0.1:{ops_port}/metrics");
    if options.split {
        split(options, data)?;
    }
    Ok(())
}

/// Says which processes there are, each with its metrics.
fn split(options: &Options, data: &Data) -> anyhow::Result<()> {
    let Options { ops_port, intake_ops_port, .. } = options;
    let id = |mode| {
        let path = data.pid_file(mode);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    println!(
        " Split   intake is process {}, controller is process {}: kill -9 one, and it is started again",
        id(Mode::Intake)?,
        id(Mode::Controller)?
    );
    println!("         metrics of the controller on {ops_port}, of intake on {intake_ops_port}");
    Ok(())
}

/// Says that a part has ended and runs again.
pub(crate) fn started_again(name: &str, was: u32, ended: ExitStatus, now: u32) {
    complain(&format!(
        "curfew-demo: {name} (process {was}) has ended, {ended}; it is started again as process {now}"
    ));
}

/// Says what went wrong.
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}
