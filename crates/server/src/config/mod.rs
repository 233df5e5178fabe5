//! The configuration: one YAML file with overrides from the environment, checked before anything starts.

mod checked;
mod eligible;
mod file;
mod jit_access;
mod keys;
mod overrides;
mod platform;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use overrides::Origins;

pub use checked::{Config, Identity, Listen, Store, StoreKind};
pub use file::ConfigFile;
pub use keys::{FactsKeySource, FormKeySource, Signing, SigningKey, Wrapped};
pub use platform::Platform;

/// Every setting with its meaning; also what overrides and suggestions know of.
pub const REFERENCE: &str = include_str!("reference.yaml");

/// The environment's variable for the bearer token of a store on this machine, for those who serve it and those who
/// use it.
pub const STORE_TOKEN: &str = "CURFEW_STORE_TOKEN";

/// The largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Why the configuration cannot be used. The message names the setting and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what a configuration is.
    #[error("{setting}: {message}")]
    Setting {
        /// Which setting, such as `store.kind`; `configuration` for the whole.
        setting: String,
        /// What is wrong, and what to write instead.
        message: String,
    },
}

impl ConfigError {
    pub(crate) fn at(setting: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Setting { setting: setting.into(), message: message.into() }
    }
}

/// Reads and checks a configuration. `environment` is what the process was started with.
pub fn load(path: &Path, environment: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
    load_on(path, environment, &Platform::unknown())
}

/// The same on a platform that tells what the configuration may leave out.
pub fn load_on(
    path: &Path,
    environment: &BTreeMap<String, String>,
    platform: &Platform,
) -> Result<Config, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(read)?.len() > FILE_BYTES_MAX {
        return Err(ConfigError::at("configuration", "the file is larger than 256 KiB"));
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    parse(&text, path.parent().unwrap_or(Path::new(".")), environment, platform)
}

/// Checks the text of a configuration; relative paths in it are below `folder`.
pub fn parse(
    text: &str,
    folder: &Path,
    environment: &BTreeMap<String, String>,
    platform: &Platform,
) -> Result<Config, ConfigError> {
    let (file, notes, origins) = overrides::read(text, environment, platform)?;
    let checked = checked::check(file, notes, folder, environment);
    checked.map_err(|error| origins.blame(error))
}
