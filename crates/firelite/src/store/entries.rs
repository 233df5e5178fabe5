//! Index entries: the keys under which a document stands in an index.

use std::collections::BTreeSet;

use gcloud_sdk::google::firestore::v1::{Document, Value, value::ValueType};

use crate::{
    indexes::{Direction, FieldKind, Index, NumberedIndex},
    limits::{INDEX_ENTRIES_MAX, INDEX_ENTRY_BYTES_MAX},
    name::DocumentName,
    value::{document_id, encode, invert},
};

/// Why a document cannot be indexed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    /// One entry is too large.
    #[error("Index entry of {0} is larger than the maximum of {INDEX_ENTRY_BYTES_MAX} bytes.")]
    TooLarge(DocumentName),
    /// All entries together are too many.
    #[error("too many index entries for entity {0}: the maximum is {INDEX_ENTRIES_MAX}")]
    TooMany(DocumentName),
}

/// An index's number and a key in it.
pub(super) type Entry = (i64, Vec<u8>);

/// All entries of a document of the collection group.
pub(super) fn entries(
    indexes: &[NumberedIndex],
    group: &str,
    document: &Document,
) -> BTreeSet<Entry> {
    let own = indexes.iter().filter(|(_, index)| index.group == group);
    own.flat_map(|(number, index)| keys(index, document).into_iter().map(move |key| (*number, key)))
        .collect()
}

/// Refuses entries beyond the limits.
pub(super) fn check_entries(
    name: &DocumentName,
    entries: &BTreeSet<Entry>,
) -> Result<(), EntryError> {
    if entries.iter().any(|(_, key)| key.len() > INDEX_ENTRY_BYTES_MAX) {
        return Err(EntryError::TooLarge(name.clone()));
    }
    if entries.len() > INDEX_ENTRIES_MAX {
        return Err(EntryError::TooMany(name.clone()));
    }
    Ok(())
}

/// The keys of a document in one index: none when it lacks a field, one for each element of an
/// indexed array.
pub(super) fn keys(index: &Index, document: &Document) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::from([Vec::new()]);
    for field in &index.fields {
        let Some(value) = field.path.get(&document.fields) else { return BTreeSet::new() };
        let tails = match field.kind {
            FieldKind::Ordered(direction) => vec![encoded(value, direction)],
            FieldKind::Contains => {
                elements(value).iter().map(|v| encoded(v, Direction::Ascending)).collect()
            }
        };
        keys = keys
            .iter()
            .flat_map(|key| tails.iter().map(move |tail| [key.as_slice(), tail].concat()))
            .collect();
    }
    let mut id = Vec::new();
    document_id(&mut id, document.name.rsplit('/').next().unwrap_or_default());
    if index.name_direction == Direction::Descending {
        invert(&mut id, 0);
    }
    keys.into_iter().map(|key| [key, id.clone()].concat()).collect()
}

fn encoded(value: &Value, direction: Direction) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, value);
    if direction == Direction::Descending {
        invert(&mut bytes, 0);
    }
    bytes
}

fn elements(value: &Value) -> &[Value] {
    match &value.value_type {
        Some(ValueType::ArrayValue(array)) => &array.values,
        _not_an_array => &[],
    }
}
