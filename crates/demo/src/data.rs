//! The demo's folder: store, cloud, keys and the configuration that it runs with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use curfew_server::keys;
use tempfile::TempDir;

use crate::options::Options;

/// What Firestore clients show; emulator clients send it by themselves.
pub(crate) const STORE_TOKEN: &str = "owner";

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

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
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

    /// The configuration of this run, also written down beside the data.
    pub(crate) fn configuration(
        &self,
        options: &Options,
        metadata: SocketAddr,
        store: &str,
    ) -> anyhow::Result<String> {
        let Options { port, cloud_port, ops_port, listen, .. } = options;
        let text = format!(
            "installation: demo
scope: organizations/100000000001
protected: [projects/demo-curfew]
baseUrl: http://127.0.0.1:{port}
acceptSingleProcess: true
listen: {{app: '127.0.0.1:0', ops: '{listen}:{ops_port}'}}
store: {{kind: firestore, project: curfew-demo}}
iap: {{audience: /projects/100000000004/locations/europe-west1/services/curfew}}
operators: ['user:olga@example.com']
auditors: ['user:erin@example.com']
signing: {{file: ./intake.key, keyId: intake-1}}
keys:
  - {{id: intake-1, publicKey: ./intake.pub, level: SESSION, verbs: [REQUEST, DECIDE, DIRECT, CONTROL], from: 2026-01-01, until: 2126-01-01}}
  - {{id: writer-1, publicKey: ./writer.pub, level: WRITER, verbs: [DECIDE], from: 2026-01-01, until: 2126-01-01}}
factsKey: {{file: ./facts.key}}
endpoints:
  cloud: http://127.0.0.1:{cloud_port}
  metadata: http://{metadata}
  iapKeys: http://127.0.0.1:{cloud_port}/iap/verify/public_key-jwk
  store: http://{store}
  storeToken: {STORE_TOKEN}
"
        );
        std::fs::write(self.path("curfew.yaml"), &text).context("write the configuration")?;
        Ok(text)
    }
}
