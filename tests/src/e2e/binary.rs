//! The program that is shipped, by its own commands and with the guide's configuration: it serves, ends when it is told
//! to without losing anything, and goes on where it was.

use std::process::{Command, Output};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;

use super::demo::{SOON, Shape, viewer};
use super::in_both_shapes;
use super::installation::{Installation, Program, STOP_MAX};

/// Requests that are being filed while everything is told to stop.
const FILED_AT_THE_END: usize = 6;

in_both_shapes! {
    it_grants_stops_without_loss_and_goes_on_to_the_natural_end,
    a_server_says_how_it_is_to_whoever_asks,
}

async fn it_grants_stops_without_loss_and_goes_on_to_the_natural_end(shape: Shape) {
    let mut curfew = Installation::start(shape).await;
    let foreign = curfew.foreign("projects/demo-web").await;
    let kept = curfew.file("alice", &viewer()).await;
    curfew.until("alice", &kept, "ACTIVE", SOON).await;
    let returned = curfew.file("alice", &viewer()).await;
    curfew.until("alice", &returned, "ACTIVE", SOON).await;
    curfew.end("alice", &returned, "withdraw").await;
    assert_eq!(curfew.until("alice", &returned, "ENDED", SOON).await, "WITHDRAWN");

    // Whatever is acknowledged while the order to stop arrives must be there afterwards.
    let body = viewer();
    let path = "/v1/requests";
    let filing = (0..FILED_AT_THE_END).map(|n| {
        let person = if n % 2 == 0 { "alice" } else { "bob" };
        let (curfew, body) = (&curfew, &body);
        async move {
            let answer = curfew.call(person, Method::POST, path, Some(body)).await;
            let (_, reply) = answer.filter(|(status, _)| *status == 201)?;
            let name = reply["name"].as_str().unwrap();
            Some((person, name.trim_start_matches("requests/").to_owned()))
        }
    });
    let order = async {
        for program in curfew.stages()[0] {
            curfew.order_to_stop(*program);
        }
    };
    let (answers, ()) = tokio::join!(join_all(filing), order);
    let acknowledged: Vec<_> = answers.into_iter().flatten().collect();
    curfew.have_stopped(curfew.stages()[0], STOP_MAX).await;
    curfew.start_again().await;

    assert_eq!(curfew.stands("alice", &kept).await.0, "ACTIVE");
    assert_eq!(curfew.stands("alice", &returned).await.1, "WITHDRAWN");
    for (person, id) in &acknowledged {
        curfew.until(person, id, "ACTIVE", SOON).await;
        curfew.end(person, id, "withdraw").await;
        assert_eq!(curfew.until(person, id, "ENDED", SOON).await, "WITHDRAWN");
    }
    assert_eq!(curfew.bindings("projects/demo-web", &kept).await.len(), 1);
    let reason = curfew.until("alice", &kept, "ENDED", Duration::from_secs(90)).await;
    assert_eq!(reason, "DURATION_ELAPSED");
    assert_eq!(curfew.foreign("projects/demo-web").await, foreign);

    curfew.stop().await;
    let ids: Vec<String> =
        [kept, returned].into_iter().chain(acknowledged.into_iter().map(|(_, id)| id)).collect();
    for record in curfew.records(&ids).await {
        assert!(!record.live, "{}", record.id);
    }
}

async fn a_server_says_how_it_is_to_whoever_asks(shape: Shape) {
    let mut curfew = Installation::start(shape).await;
    for &program in curfew.programs() {
        let healthy = run(&mut curfew.curfew(program, &["health"]));
        assert_eq!(healthy.status.code(), Some(0), "{program:?}: {}", said(&healthy));
        for path in ["/livez", "/readyz"] {
            curfew.says_ok(curfew.ops(program), path).await.unwrap();
        }
        assert!(!curfew.metrics_at(curfew.ops(program)).await.is_empty());
    }
    let programs = curfew.programs();
    curfew.stop().await;
    for &program in programs {
        let gone = run(&mut curfew.curfew(program, &["health"]));
        assert_eq!(gone.status.code(), Some(1));
        assert!(said(&gone).contains("no answer from http://127.0.0.1:"), "{}", said(&gone));
    }
}

#[tokio::test]
async fn a_controller_whose_store_is_gone_stops_all_the_same() {
    let mut curfew = Installation::start(Shape::Split).await;
    curfew.order_to_stop(Program::Store);
    curfew.have_stopped(&[Program::Store], STOP_MAX).await;
    for program in [Program::Controller, Program::Intake] {
        curfew.order_to_stop(program);
    }
    curfew.have_stopped(&[Program::Controller, Program::Intake], STOP_MAX).await;
}

#[tokio::test]
async fn one_process_serves_a_file_and_another_is_sent_away() {
    let curfew = Installation::start(Shape::Single).await;
    let path = curfew.database();
    // Everything else is free for it: another port for people, and another for operations.
    let mut second = curfew.curfew(Program::Controller, &["all"]);
    second.env("CURFEW_LISTEN__APP", "127.0.0.1:0");
    let refused = run(&mut second);
    assert_eq!(refused.status.code(), Some(1));
    for part in [path.to_str().unwrap(), "one process serves a file: end that one"] {
        assert!(said(&refused).contains(part), "{part} is not in {}", said(&refused));
    }
    let id = curfew.file("alice", &viewer()).await;
    curfew.until("alice", &id, "ACTIVE", SOON).await;
}

#[tokio::test]
async fn intake_and_controller_do_not_open_the_file_of_the_one_process() {
    let mut curfew = Installation::start(Shape::Single).await;
    curfew.stop().await;
    for (program, mode) in [(Program::Intake, "intake"), (Program::Controller, "controller")] {
        let refused = run(&mut curfew.curfew(program, &[mode]));
        assert_eq!(refused.status.code(), Some(1), "{mode}");
        assert!(said(&refused).contains("serves `curfew all` only"), "{}", said(&refused));
    }
    let checked = run(&mut curfew.curfew(Program::All, &["config", "check", "all"]));
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let reference = run(&mut curfew.curfew(Program::All, &["config", "check", "intake"]));
    assert_eq!(reference.status.code(), Some(1), "{}", said(&reference));
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}
