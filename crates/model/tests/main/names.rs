//! The steps of a process are called what the controller's functions are called.

use curfew_model::step::{Act, Batch, Commit};

/// Where the controller does these things.
const CONTROLLER: [&str; 3] = [
    include_str!("../../../controller/src/pass.rs"),
    include_str!("../../../controller/src/turn.rs"),
    include_str!("../../../controller/src/view.rs"),
];

#[test]
fn each_step_of_a_process_is_a_function_of_the_controller() {
    let commit = Commit::Answered;
    let acts = [
        Act::Learn { request: 0 },
        Act::Pass { request: 0, commit },
        Act::Take { batch: Batch::whole(1), stale: None },
        Act::Look { gives_up: false },
        Act::RecordFacts { request: 0, commit },
        Act::Write,
        Act::NotWritten,
        Act::AfterWrite,
    ];
    for act in acts {
        let shown = act.to_string();
        let name = shown.split(' ').next().unwrap_or_default();
        let signature = format!("fn {name}(");
        assert!(CONTROLLER.iter().any(|file| file.contains(&signature)), "no `{signature}`");
    }
}
