//! The demo's folder: store, cloud, keys and the configuration that it runs with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use curfew_server::{Mode, keys};
use tempfile::TempDir;

use crate::identity;
use crate::options::Options;

/// What Firestore clients show; emulator clients send it by themselves.
pub(crate) const STORE_TOKEN: &str = "owner";

/// What the simulated IAP signs its assertions for.
pub(crate) const AUDIENCE: &str = "/projects/100000000004/locations/europe-west1/services/curfew";

/// What all processes of Curfew need to know of the world, and of what the flags ask of them.
pub(crate) struct Places {
    front_port: u16,
    cloud_port: u16,
    /// Host and port.
    store: String,
    /// More settings of the section `eligible`.
    eligible: String,
}

impl Places {
    /// The places that the flags name, and the store at `store`.
    pub(crate) fn new(options: &Options, store: String) -> Self {
        let Options { port, cloud_port, .. } = *options;
        let eligible = options.eligible.clone();
        Self { front_port: port, cloud_port, store, eligible }
    }
}

/// The demo's folder; a temporary one goes with the process.
pub(crate) struct Data {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Data {
    /// Opens or makes the folder and the keys in it.
    pub(crate) fn open(kept: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = match kept {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("curfew-demo-")
                    .tempdir()
                    .context("make a temporary folder")?,
            ),
        };
        let folder = match (kept, &temporary) {
            (Some(kept), _) => kept.to_owned(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => std::env::temp_dir(),
        };
        std::fs::create_dir_all(folder.join("cloud"))
            .with_context(|| format!("make the folder {}", folder.display()))?;
        let data = Self { folder, _temporary: temporary };
        data.make_keys()?;
        Ok(data)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the keys that are not there yet. A process killed in between leaves whole files or none.
    fn make_keys(&self) -> anyhow::Result<()> {
        for name in ["intake", "writer"] {
            keys::make_signing_key(
                &self.path(&format!("{name}.key")),
                &self.path(&format!("{name}.pub")),
            )?;
        }
        keys::make_facts_key(&self.path("facts.key"))
    }

    /// Where the number of the process that runs `mode` stands.
    pub(crate) fn pid_file(&self, mode: Mode) -> PathBuf {
        self.path(&format!("{}.pid", identity::name(mode)))
    }

    /// Writes the configuration of the process that runs `mode` and gives its path. Each process is told of its own
    /// secret alone.
    pub(crate) fn configuration(
        &self,
        mode: Mode,
        places: &Places,
        [app, ops, metadata]: [SocketAddr; 3],
    ) -> anyhow::Result<PathBuf> {
        let Places { front_port, cloud_port, store, eligible } = places;
        let signing =
            if mode.has_intake() { "signing: {file: ./intake.key, keyId: intake-1}\n" } else { "" };
        let facts_key = if mode.has_controller() { "factsKey: {file: ./facts.key}\n" } else { "" };
        let text = format!(
            "installation: demo
scope: organizations/100000000001
protected: [projects/demo-curfew]
baseUrl: http://127.0.0.1:{front_port}
acceptSingleProcess: true
listen: {{app: '{app}', ops: '{ops}'}}
store: {{kind: firestore, project: curfew-demo}}
iap: {{audience: {AUDIENCE}}}
operators: ['user:olga@example.com']
auditors: ['user:erin@example.com']
eligible: {{evidence: [SESSION, WRITER], {eligible}}}
keys:
  - {{id: intake-1, publicKey: ./intake.pub, level: SESSION, verbs: [REQUEST, DECIDE, DIRECT, CONTROL], from: 2026-01-01, until: 2126-01-01}}
  - {{id: writer-1, publicKey: ./writer.pub, level: WRITER, verbs: [DECIDE], from: 2026-01-01, until: 2126-01-01}}
{signing}{facts_key}endpoints:
  cloud: http://127.0.0.1:{cloud_port}
  metadata: http://{metadata}
  iapKeys: http://127.0.0.1:{cloud_port}/iap/verify/public_key-jwk
  store: http://{store}
  storeToken: {STORE_TOKEN}
"
        );
        let path = self.path(&format!("{}.yaml", identity::name(mode)));
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}
