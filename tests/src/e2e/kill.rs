//! SIGKILL at random moments under load, to everything or to one part alone: nothing is lost, nothing is doubled.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand::RngExt as _;
use reqwest::Method;
use serde_json::json;

use super::demo::{Demo, Part, SOON, Shape};
use super::in_both_shapes;
use super::permissions::listed;
use crate::eventually::eventually;

const N_PEOPLE: usize = 200;
const N_PROJECTS: usize = 20;
const N_KILLS: usize = 20;

in_both_shapes! {
    nothing_is_lost_and_nothing_doubled_when_a_process_is_killed_under_load,
}

/// An organisation of `N_PEOPLE` in one eligible group.
fn organisation() -> String {
    let mut yaml = String::from(
        "organization: {id: 100000000001, displayName: example.com, customer: C0demo001}\nfolders: []\nprojects:\n",
    );
    let mut line = |text: String| writeln!(yaml, "{text}").unwrap();
    line("  - {id: demo-curfew, number: 100000000104, displayName: Curfew, parent: organizations/100000000001}".into());
    for n in 0..N_PROJECTS {
        line(format!(
            "  - {{id: project-{n}, number: {}, displayName: P, parent: organizations/100000000001}}",
            100_000_001_000 + n
        ));
    }
    line("people:".into());
    for n in 0..N_PEOPLE {
        line(format!("  - {{email: p{n}@example.com, name: P, id: \"{}\"}}", 101_000_000_000 + n));
    }
    line("  - {email: olga@example.com, name: Olga, id: \"1\", groupsReader: true}".into());
    line("serviceAccounts:".into());
    for (n, name) in ["intake", "controller", "curfew"].iter().enumerate() {
        line(format!(
            "  - {{email: {name}@demo-curfew.iam.gserviceaccount.com, id: \"{}\", project: demo-curfew, groupsReader: true}}",
            200 + n
        ));
    }
    let members: Vec<String> = (0..N_PEOPLE).map(|n| format!("p{n}@example.com")).collect();
    line(format!(
        "groups:\n  - {{email: all@example.com, name: All, id: 0all, members: [{}]}}",
        members.join(", ")
    ));
    line("roles:".into());
    for part in [Part::Intake, Part::Controller] {
        let permissions: Vec<&str> = listed(part).into_iter().collect();
        line(format!("  - name: organizations/100000000001/roles/{}", part.name()));
        line(format!("    permissions: [{}]", permissions.join(", ")));
    }
    line("policies:\n  organizations/100000000001:\n    bindings:".into());
    line("      - {role: roles/resourcemanager.organizationAdmin, members: [\"user:olga@example.com\"]}".into());
    for part in [Part::Intake, Part::Controller] {
        line(format!("      - role: organizations/100000000001/roles/{}", part.name()));
        line(format!(
            "        members: [\"{}\", \"serviceAccount:curfew@demo-curfew.iam.gserviceaccount.com\"]",
            part.member()
        ));
    }
    line("      - role: roles/compute.viewer\n        members: [\"group:all@example.com\"]\n        condition: {title: Eligible, expression: \"has({}.jitAccessConstraint)\"}".into());
    line("tokens: {x: olga@example.com}".into());
    yaml
}

async fn nothing_is_lost_and_nothing_doubled_when_a_process_is_killed_under_load(shape: Shape) {
    let mut demo = Demo::start_seeded(shape, Some(&organisation())).await;
    let mut filed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for round in 0..N_KILLS {
        let moment = Duration::from_millis(rand::rng().random_range(5..400));
        let people = (0..10).map(|n| round * 10 + n);
        let mut filing: FuturesUnordered<_> = people.map(|n| file(&demo, n)).collect();
        // Every answer that comes before the kill is one that must be kept.
        let listening = async {
            while let Some(answer) = filing.next().await {
                filed.extend(answer.map(|answer| (answer.id, answer.place)));
            }
        };
        drop(tokio::time::timeout(moment, listening).await);
        drop(filing);
        match victim(shape, round) {
            Some(part) => demo.kill_part(part).await,
            None => demo.restart().await,
        }
    }
    // Asking again with the same key gives every person the one request, whether its answer arrived or not.
    for n in 0..N_PEOPLE {
        let Answer { status, id, place } = file(&demo, n).await.unwrap();
        if let Some(known) = filed.insert(id.clone(), place) {
            assert_eq!(
                (status, known),
                (200, place),
                "{id} was acknowledged, and is lost or another's"
            );
        }
    }
    assert_eq!(filed.len(), N_PEOPLE);

    for (id, (person, project)) in &filed {
        let active = || async {
            let (phase, reason) = demo.stands(&format!("p{person}"), id).await;
            assert_ne!(phase, "ENDED", "{id} ended early: {reason}");
            (phase == "ACTIVE").then_some(())
        };
        eventually(&format!("{id} is active"), SOON * 3, active).await;
        let bindings = demo.bindings(&format!("projects/project-{project}"), id).await;
        assert_eq!(bindings.len(), 1, "{id}: {bindings:?}");
        assert_eq!(bindings[0]["members"], json!([format!("user:p{person}@example.com")]));
    }
    let mut ours = 0;
    for n in 0..N_PROJECTS {
        let policy = demo.policy(&format!("projects/project-{n}")).await;
        ours += policy["bindings"].as_array().map_or(0, Vec::len);
    }
    assert_eq!(ours, N_PEOPLE, "bindings that belong to no request, or one twice");
}

/// The part that is killed; `None` for everything.
fn victim(shape: Shape, round: usize) -> Option<Part> {
    match (shape, round % 3) {
        (Shape::Split, 0) => Some(Part::Intake),
        (Shape::Split, 1) => Some(Part::Controller),
        (Shape::Single | Shape::Split, _) => None,
    }
}

/// That a request is filed.
struct Answer {
    /// 201 if it is new, 200 if it was there.
    status: u16,
    id: String,
    /// Person and project.
    place: (usize, usize),
}

/// Files one person's request under a key of its own; `None` if no answer came.
async fn file(demo: &Demo, person: usize) -> Option<Answer> {
    let project = person % N_PROJECTS;
    let body = json!({
        "resource": format!("projects/project-{project}"),
        "roles": [{"role": "roles/compute.viewer"}],
        "duration": "2h",
        "justification": "load",
    });
    let (status, reply) = demo
        .call_with_key(&format!("p{person}"), Method::POST, "/v1/requests", &body, "the-one")
        .await?;
    let name = reply["name"].as_str().filter(|_| status == 200 || status == 201)?;
    let id = name.trim_start_matches("requests/").to_owned();
    Some(Answer { status, id, place: (person, project) })
}
