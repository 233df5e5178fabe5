//! Which secrets each part needs to start.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Mode, start};
use crate::config;
use crate::keys::{make_facts_key, make_signing_key};
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
        let store = EmbeddedStore::start(&file, any, "owner".into(), stop).await.unwrap();
        Self { store: store.address, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the part with a configuration that names everything, changed by `edit`, and stops it again.
    async fn run(&self, mode: Mode, edit: impl Fn(String) -> String) -> anyhow::Result<()> {
        let nobody = "http://127.0.0.1:1";
        let text = edit(format!(
            "installation: test
scope: organizations/1
baseUrl: http://127.0.0.1
listen: {{app: '127.0.0.1:0', ops: '127.0.0.1:0'}}
store: {{kind: firestore, project: test}}
iap: {{audience: /projects/1/global/backendServices/1}}
signing: {{file: ./intake.key, keyId: intake-1}}
keys: [{{id: intake-1, publicKey: ./intake.pub, level: SESSION, verbs: [REQUEST, DIRECT], from: 2026-01-01, until: 2126-01-01}}]
factsKey: {{file: ./facts.key}}
endpoints: {{cloud: '{nobody}', metadata: '{nobody}', iapKeys: '{nobody}/keys', store: 'http://{}'}}
",
            self.store
        ));
        let config = config::parse(&text, self.path(), &BTreeMap::new())?;
        let stop = CancellationToken::new();
        let running = start(config, mode, stop.clone()).await?;
        stop.cancel();
        running.wait().await
    }
}
