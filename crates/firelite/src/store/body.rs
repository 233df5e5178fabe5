//! The stored form of a document: its bytes, and the checksum by which damage to them is noticed.
//!
//! SQLite's pages carry no checksums, and a flipped byte in a text still decodes.

use gcloud_sdk::google::firestore::v1::Document;
use prost::Message;
use rusqlite::Row;

use super::StoreError;

/// Why a stored document cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The bytes are no document.
    #[error("its bytes are no document")]
    Decode(#[source] prost::DecodeError),
    /// The bytes are not those that were written.
    #[error("its checksum is {found:08x} and should be {stored:08x}")]
    Checksum {
        /// Written with the bytes.
        stored: u32,
        /// Of the bytes as they are.
        found: u32,
    },
}

/// An encoded document.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// CRC-32C of the bytes; none for what was written before files had checksums.
    pub(super) checksum: Option<u32>,
}

impl Body {
    /// The form in which a document is stored.
    pub(super) fn of(document: &Document) -> Self {
        let bytes = document.encode_to_vec();
        let checksum = Some(crc32c::crc32c(&bytes));
        Self { bytes, checksum }
    }

    /// Takes the bytes from this column and the checksum from the next.
    pub(super) fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
        Ok(Self { bytes: row.get(column)?, checksum: row.get(column.saturating_add(1))? })
    }

    /// The same where the bytes may be absent.
    pub(super) fn read_optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Self>> {
        let Some(bytes) = row.get(column)? else { return Ok(None) };
        Ok(Some(Self { bytes, checksum: row.get(column.saturating_add(1))? }))
    }

    /// Checks and decodes it.
    pub(super) fn decode(&self) -> Result<Document, StoreError> {
        decode(&self.bytes, self.checksum)
    }
}

/// Checks and decodes the bytes in this column by the checksum in the next.
pub(super) fn document(row: &Row<'_>, column: usize) -> Result<Document, StoreError> {
    let checksum = row.get(column.saturating_add(1))?;
    decode(row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?, checksum)
}

fn decode(bytes: &[u8], checksum: Option<u32>) -> Result<Document, StoreError> {
    if let Some(stored) = checksum {
        let found = crc32c::crc32c(bytes);
        if found != stored {
            return Err(StoreError::Body(BodyError::Checksum { stored, found }));
        }
    }
    Document::decode(bytes).map_err(|error| StoreError::Body(BodyError::Decode(error)))
}
