//! Files that hold a secret: for their owner only, written once and whole.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// No key that is read here comes near this; a wrong path must not fill the memory.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// The same, and the byte more that reading to the end asks for.
const FILE_TEXT_CAPACITY: usize = 16 * 1024 + 1;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("reading the key file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It cannot be written; one that exists is never overwritten.
    #[error("writing the key file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may use it.
    #[error("the key file {} is open to others than its owner (mode {mode:04o}): run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error("the key file {} must hold {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The machine could not make a key.
    #[error("generating a key for {}", path.display())]
    Generate {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a secret text, if nobody but the file's owner may use it.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // The open file is judged, not the path: the path may name another file a moment later.
    refuse_exposed(path, &file.metadata().map_err(failed)?)?;
    // With room for all of it: a text that grows leaves copies of itself behind.
    let mut text = Zeroizing::new(String::with_capacity(FILE_TEXT_CAPACITY));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Length of the keys that are kept as bits.
pub const KEY_BYTES: usize = 32;

/// What a file of [`read_key_bits`] holds.
const BITS_EXPECTED: &str = "32 bytes as base64url text without padding";

/// Reads a key of 256 bits (base64url without padding, on one line) from a file that only its owner may use.
pub fn read_key_bits(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyFileError> {
    let text = read_secret(path)?;
    let bits = URL_SAFE_NO_PAD.decode(text.trim_end()).ok().map(Zeroizing::new);
    let bits = bits
        .and_then(|bits| Some(Zeroizing::new(<[u8; KEY_BYTES]>::try_from(bits.as_slice()).ok()?)));
    bits.ok_or_else(|| KeyFileError::Content { path: path.to_owned(), expected: BITS_EXPECTED })
}

/// A new key of 256 bits from the operating system; `None` if the machine has no randomness to give.
pub fn fresh_key_bits() -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut bits = Zeroizing::new([0; KEY_BYTES]);
    rand::fill(bits.as_mut_slice()).ok()?;
    Some(bits)
}

/// Writes a secret text to a new file, mode 0600. It is on disk, whole, when this returns; a crash before leaves no
/// file of this name.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let failed = |source| KeyFileError::Write { path: path.to_owned(), source };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    // Mode 0600 by itself (unix).
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// The permission bits of everybody but the owner.
#[cfg(unix)]
const GROUP_AND_OTHERS: u32 = 0o077;

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &Metadata) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    let is_closed = mode & GROUP_AND_OTHERS == 0;
    if is_closed { Ok(()) } else { Err(KeyFileError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &Metadata) -> Result<(), KeyFileError> {
    Ok(())
}
