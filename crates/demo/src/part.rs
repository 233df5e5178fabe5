//! One of the two processes of `--split`, seen from inside: the production code, tied to the life of the demo.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;

use curfew_server::{Mode, config, start};
use tokio_util::sync::CancellationToken;

/// The line by which the demo asks its parts to stop.
pub(crate) const STOP: &str = "stop\n";

/// What a part ends with when the demo is gone.
const ORPHANED: i32 = 3;

/// Runs intake or the controller until the demo says so, or is no more.
#[tokio::main]
pub(crate) async fn run(mode: Mode, config: &Path) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    follow_the_demo(stop.clone());
    let config = config::load(config, &BTreeMap::new())?;
    start(config, mode, stop).await?.wait().await
}

/// Standard input is a pipe that the demo holds open as long as it lives, whatever it dies of. Without the demo there is
/// neither a cloud nor a store: nothing could be brought to a good end.
fn follow_the_demo(stop: CancellationToken) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match line {
                Ok(line) if line == STOP.trim_end() => stop.cancel(),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        std::process::exit(ORPHANED)
    });
}
