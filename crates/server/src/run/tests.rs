//! What each part needs to start, and that `config check` asks for the same.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use prometheus::Registry;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Mode, check, start};
use crate::config::{self, Config, Platform};
use crate::keys::{make_facts_key, make_signing_key};
use crate::secrets::{FormKeySecret, SignerSource};
use crate::store::EmbeddedStore;

const SECRETS: [(&str, &str); 2] = [("intake.key", "signing"), ("facts.key", "factsKey")];

#[tokio::test]
async fn a_part_starts_without_the_secret_of_the_other_and_not_without_its_own() {
    for (mode, own) in [(Mode::Intake, "intake.key"), (Mode::Controller, "facts.key")] {
        for (secret, _) in SECRETS {
            let place = Place::new().await;
            std::fs::remove_file(place.path().join(secret)).unwrap();
            let started = place.run(mode, |text| text).await;
            assert_eq!(started.is_err(), secret == own, "{mode:?} without {secret}: {started:?}");
        }
    }
}

#[tokio::test]
async fn a_part_need_not_be_told_of_the_secret_of_the_other() {
    for (mode, own) in [(Mode::Intake, "signing"), (Mode::Controller, "factsKey")] {
        for (_, setting) in SECRETS {
            let place = Place::new().await;
            let without = |text: String| text.replace(&format!("\n{setting}:"), "\n# ");
            let started = place.run(mode, without).await;
            assert_eq!(started.is_err(), setting == own, "{mode:?} without {setting}: {started:?}");
        }
    }
}

const INTAKE: &[Mode] = &[Mode::All, Mode::Intake];
const CONTROLLER: &[Mode] = &[Mode::All, Mode::Controller];

/// What is changed in the configuration, into what, the modes that do not start with it, and a part of the reason.
type Refused = (&'static str, &'static str, &'static [Mode], &'static str);

const REFUSED: [Refused; 19] = [
    ("acceptSingleProcess: true", "", &[Mode::All], "acceptSingleProcess"),
    (
        "{kind: firestore, project: test}",
        "{kind: embedded}",
        &[Mode::Intake, Mode::Controller],
        "store.kind",
    ),
    ("project: test", "project: a/b", &Mode::ALL, "store"),
    ("project: test", "project: test, database: a/b", &Mode::ALL, "store"),
    ("store: 'http://127.0.0.1", "store: 'http://10.0.0.1", &Mode::ALL, "loopback"),
    ("store: 'http://127.0.0.1", "store: 'ftp://127.0.0.1", &Mode::ALL, "store"),
    ("storeToken: owner", r#"storeToken: "a\nb""#, &Mode::ALL, "token"),
    ("cloud: 'http://127.0.0.1:1'", "cloud: 'https://example.com'", &Mode::ALL, "endpoint"),
    ("cloud: 'http://127.0.0.1:1'", "cloud: 'http://localhost:1'", &Mode::ALL, "endpoint"),
    ("metadata: 'http://127.0.0.1:1'", "metadata: 'http://10.0.0.1:1'", &Mode::ALL, "metadata"),
    ("iapKeys: 'http://127.0.0.1:1/keys'", "iapKeys: 'https://example.com/keys'", INTAKE, "iap"),
    ("/projects/1/global/backendServices/1", "curfew", INTAKE, "iap"),
    ("hostedDomains: [example.com]", "hostedDomains: [a b]", INTAKE, "hostedDomains"),
    ("file: ./intake.key", "file: ./nothing.key", INTAKE, "nothing.key"),
    ("file: ./intake.key", "file: ./facts.key", INTAKE, "facts.key"),
    ("keyId: intake-1", "keyId: intake-2", INTAKE, "signing.keyId"),
    ("file: ./facts.key", "file: ./nothing.key", CONTROLLER, "nothing.key"),
    ("file: ./facts.key", "file: ./intake.key", CONTROLLER, "intake.key"),
    ("factsKey: {", "formKey: {file: ./intake.key}\nfactsKey: {", INTAKE, "intake.key"),
];

#[tokio::test]
async fn what_start_refuses_the_check_refuses_with_the_same_words() {
    let place = Place::new().await;
    let sound = place.config(|text| text).unwrap();
    for mode in Mode::ALL {
        check(&sound, mode).unwrap();
        place.run(mode, |text| text).await.unwrap();
    }
    for (right, wrong, modes, why) in REFUSED {
        let edit = |text: String| {
            assert!(text.contains(right), "{right}");
            text.replacen(right, wrong, 1)
        };
        let config = place.config(edit).unwrap();
        for mode in Mode::ALL {
            let checked = check(&config, mode).map_err(|error| format!("{error:#}"));
            assert_eq!(checked.is_err(), modes.contains(&mode), "{wrong} {mode:?}: {checked:?}");
            if let Err(error) = checked {
                assert!(error.contains(why), "{wrong} {mode:?}: {error}");
                let started = place.run(mode, edit).await.map_err(|error| format!("{error:#}"));
                assert_eq!(started.unwrap_err(), error, "{wrong} {mode:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_process_with_the_same_signing_key_or_form_key_accepts_the_same_forms() {
    let (here, there) = (Place::new().await, Place::new().await);
    let key = |place: &Place, edit: &dyn Fn(String) -> String| {
        let config = place.config(edit).unwrap();
        match FormKeySecret::of(&config, &SignerSource::of(&config).unwrap()).unwrap() {
            FormKeySecret::Ready(key) => key,
            FormKeySecret::Kms { .. } => unreachable!("no key is in Cloud KMS"),
        }
    };
    let plain = |text: String| text;
    assert!(key(&here, &plain) == key(&here, &plain), "a restart changes nothing");
    assert!(key(&here, &plain) != key(&there, &plain), "another signing key");
    let other = |text: String| text.replace("installation: test", "installation: other");
    assert!(key(&here, &plain) != key(&here, &other), "another installation");
    let shared = |text: String| text.replace("factsKey:", "formKey: {file: ./form.key}\nfactsKey:");
    make_facts_key(&here.path().join("form.key")).unwrap();
    std::fs::copy(here.path().join("form.key"), there.path().join("form.key")).unwrap();
    assert!(key(&here, &shared) == key(&there, &shared), "a key that is given to both");
    assert!(key(&here, &shared) != key(&here, &plain));
}

#[tokio::test]
async fn the_check_needs_no_cloud_kms() {
    const KEYS: &str = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys";
    let place = Place::new().await;
    let moved = |text: String| {
        text.replace("file: ./intake.key", &format!("kms: {KEYS}/intake/cryptoKeyVersions/1"))
            .replace(
                "factsKey: {file: ./facts.key}",
                &format!("factsKey: {{kms: {KEYS}/facts, file: ./facts.wrapped}}\nformKey: {{kms: {KEYS}/forms/cryptoKeyVersions/1}}"),
            )
    };
    let config = place.config(moved).unwrap();
    check(&config, Mode::Intake).unwrap();
    let error = format!("{:#}", check(&config, Mode::Controller).unwrap_err());
    assert!(error.contains("facts.wrapped"), "{error}");
    std::fs::write(place.path().join("facts.wrapped"), "AAEC").unwrap();
    check(&config, Mode::Controller).unwrap();
    let unlisted = |text: String| moved(text).replace("keyId: intake-1", "keyId: intake-2");
    let error = check(&place.config(unlisted).unwrap(), Mode::Intake).unwrap_err();
    assert!(format!("{error:#}").contains("signing.keyId"), "{error:#}");
}

/// A folder with every key, and a store.
struct Place {
    folder: TempDir,
    store: SocketAddr,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        make_signing_key(&path("intake.key"), &path("intake.pub")).unwrap();
        make_facts_key(&path("facts.key")).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (file, stop) = (path("curfew.db"), CancellationToken::new());
        let store =
            EmbeddedStore::start(&file, any, "owner".into(), &Registry::new(), stop).await.unwrap();
        Self { store: store.address, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the part with a configuration that names everything, changed by `edit`, and stops it again.
    async fn run(&self, mode: Mode, edit: impl Fn(String) -> String) -> anyhow::Result<()> {
        let config = self.config(edit)?;
        let stop = CancellationToken::new();
        let running = start(config, mode, stop.clone()).await?;
        stop.cancel();
        running.wait().await
    }

    fn config(&self, edit: impl Fn(String) -> String) -> anyhow::Result<Config> {
        let nobody = "http://127.0.0.1:1";
        let text = edit(format!(
            "installation: test
scope: organizations/1
baseUrl: http://127.0.0.1
acceptSingleProcess: true
listen: {{app: '127.0.0.1:0', ops: '127.0.0.1:0'}}
store: {{kind: firestore, project: test}}
iap: {{audience: /projects/1/global/backendServices/1, hostedDomains: [example.com]}}
signing: {{file: ./intake.key, keyId: intake-1}}
keys: [{{id: intake-1, publicKey: ./intake.pub, level: SESSION, verbs: [REQUEST, DIRECT], from: 2026-01-01, until: 2126-01-01}}]
factsKey: {{file: ./facts.key}}
endpoints: {{cloud: '{nobody}', metadata: '{nobody}', iapKeys: '{nobody}/keys', store: 'http://{}', storeToken: owner}}
",
            self.store
        ));
        Ok(config::parse(&text, self.path(), &BTreeMap::new(), &Platform::unknown())?)
    }
}
