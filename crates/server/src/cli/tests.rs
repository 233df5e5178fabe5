//! What `curfew config check` says.

use super::*;
use crate::keys::{make_facts_key, make_signing_key};

const PLAIN: &str = "
installation: prod
scope: projects/access-web
baseUrl: https://access.example.com
store: {kind: embedded}
iap: {audience: /projects/1/locations/europe-west1/services/curfew}
signing: {file: ./intake.key, keyId: intake-1}
keys: [{id: intake-1, publicKey: ./intake.pub, level: SESSION, verbs: [REQUEST], from: 2026-01-01, until: 2126-01-01}]
factsKey: {file: ./facts.key}
endpoints: {storeToken: secret-1, metadata: 'http://127.0.0.1:1'}
";

#[test]
fn it_says_what_is_in_force_and_what_would_start_and_no_secret() {
    let said = checked(PLAIN, None).unwrap();
    for line in [
        "# ACTIVATION_TIMEOUT is read: its new name is eligible.maxDuration: 90m",
        "# curfew all would start",
        "# curfew intake would not start: store.kind: ",
        "maxDuration: 90m",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("secret-1"));
    let again: serde_json::Value = serde_saphyr::from_str(&said).unwrap();
    assert_eq!(again["store"]["kind"], "embedded");
}

#[test]
fn every_command_can_be_called() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn it_fails_where_the_server_would() {
    assert!(checked(PLAIN, Some(Mode::All)).is_ok());
    let error = checked(PLAIN, Some(Mode::Intake)).unwrap_err();
    assert!(error.starts_with("curfew intake would not start: store.kind: "), "{error}");
    let nowhere = PLAIN.replace("127.0.0.1:1", "10.0.0.1:1");
    let error = checked(&nowhere, None).unwrap_err();
    for mode in Mode::ALL {
        assert!(error.contains(&format!("{} would not start: ", mode.command())), "{error}");
    }
}

fn checked(text: &str, mode: Option<Mode>) -> Result<String, String> {
    let (_folder, config) = configured(text);
    check_config(&config, mode).map_err(|error| format!("{error:#}"))
}

fn configured(text: &str) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    make_signing_key(&path("intake.key"), &path("intake.pub")).unwrap();
    make_facts_key(&path("facts.key")).unwrap();
    let environment = BTreeMap::from([("ACTIVATION_TIMEOUT".to_owned(), "90".to_owned())]);
    let config = config::parse(text, folder.path(), &environment, &Platform::unknown()).unwrap();
    (folder, config)
}
