//! One write: what it asks for, and what it makes of the document it meets. Pure.

use std::collections::HashMap;

use gcloud_sdk::google::firestore::v1::{
    Document, DocumentMask, Precondition, Value, Write, precondition::ConditionType,
    write::Operation,
};

use crate::{
    field_path::{FieldPath, FieldPathError, NAME_FIELD},
    name::{DocumentName, NameError},
    time::Micros,
    transform::{self, Transform, TransformError},
    value::{ValueError, check_document, is_identical},
};

/// Why a write is refused; the texts follow Google's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    /// No operation.
    #[error("empty write operation")]
    Empty,
    /// A deletion with a mask or transforms.
    #[error("a delete must not specify a document mask or transforms.")]
    DeleteWithFields,
    /// A bare transform with a mask or further transforms.
    #[error("a transform must not specify a document mask or update transforms.")]
    TransformWithFields,
    /// The document's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A path of the mask.
    #[error(transparent)]
    Path(#[from] FieldPathError),
    /// A transform.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// The document that would be stored.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// `exists=false`, but it does.
    #[error("Document already exists: {0}")]
    AlreadyExists(DocumentName),
    /// `exists=true`, but it does not.
    #[error("No document to update: {0}")]
    NotFound(DocumentName),
    /// `updateTime` names another version. Zero stands for no document.
    #[error(
        "the stored version ({}) does not match the required base version ({})",
        stored.0, required.0
    )]
    StaleVersion { stored: Micros, required: Micros },
}

/// One checked write.
#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    pub(crate) name: DocumentName,
    condition: Option<ConditionType>,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Delete,
    Set {
        fields: HashMap<String, Value>,
        /// The paths to take from `fields`; `None` replaces the whole document.
        mask: Option<Vec<FieldPath>>,
        transforms: Vec<Transform>,
    },
}

/// What a write made of a document.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The document afterwards; `None` when there is none.
    pub(crate) document: Option<Document>,
    /// Whether that differs from the document before. If not, nothing is stored and the update
    /// time stays.
    pub(crate) changed: bool,
    /// One value for each transform.
    pub(crate) transform_results: Vec<Value>,
}

impl Mutation {
    /// Checks everything about a write that does not depend on what is stored.
    pub(crate) fn parse(write: Write) -> Result<Self, WriteError> {
        let condition =
            write.current_document.and_then(|Precondition { condition_type }| condition_type);
        let has_fields = write.update_mask.is_some() || !write.update_transforms.is_empty();
        let (name, change) = match write.operation.ok_or(WriteError::Empty)? {
            Operation::Delete(_) if has_fields => return Err(WriteError::DeleteWithFields),
            Operation::Transform(_) if has_fields => return Err(WriteError::TransformWithFields),
            Operation::Delete(name) => (name, Change::Delete),
            Operation::Update(document) => {
                let transforms = transform::parse(write.update_transforms)?;
                let mask = write.update_mask.as_ref().map(parse_mask).transpose()?;
                (document.name, Change::Set { fields: document.fields, mask, transforms })
            }
            Operation::Transform(transform) => {
                let transforms = transform::parse(transform.field_transforms)?;
                if transforms.is_empty() {
                    return Err(TransformError::None.into());
                }
                let (fields, mask) = (HashMap::new(), Some(Vec::new()));
                (transform.document, Change::Set { fields, mask, transforms })
            }
        };
        Ok(Self { name: DocumentName::parse(&name)?, condition, change })
    }

    /// How many transforms it has.
    pub(crate) fn n_transforms(&self) -> usize {
        match &self.change {
            Change::Delete => 0,
            Change::Set { transforms, .. } => transforms.len(),
        }
    }

    /// Applies the write to what is stored.
    pub(crate) fn apply(
        &self,
        before: Option<&Document>,
        commit: Micros,
    ) -> Result<Outcome, WriteError> {
        self.check_condition(before)?;
        match &self.change {
            Change::Delete => Ok(Outcome {
                document: None,
                changed: before.is_some(),
                transform_results: Vec::new(),
            }),
            Change::Set { fields, mask, transforms } => {
                let mut after = self.masked(before, fields, mask.as_deref(), commit);
                let transform_results = transforms
                    .iter()
                    .map(|transform| transform.apply(&mut after, commit))
                    .collect();
                check_document(&mut after)?;
                let changed = before.is_none_or(|before| !same_fields(before, &after));
                if !changed {
                    after.update_time = before.and_then(|before| before.update_time);
                }
                Ok(Outcome { document: Some(after), changed, transform_results })
            }
        }
    }

    fn check_condition(&self, before: Option<&Document>) -> Result<(), WriteError> {
        match (self.condition, before) {
            (Some(ConditionType::Exists(false)), Some(_)) => {
                Err(WriteError::AlreadyExists(self.name.clone()))
            }
            (Some(ConditionType::Exists(true)), None) => {
                Err(WriteError::NotFound(self.name.clone()))
            }
            (Some(ConditionType::UpdateTime(required)), before) => {
                let stored = before.map_or(Micros(0), update_time);
                let required = Micros::from(required);
                let stale = before.is_none() || stored != required;
                if stale { Err(WriteError::StaleVersion { stored, required }) } else { Ok(()) }
            }
            (Some(ConditionType::Exists(_)) | None, _) => Ok(()),
        }
    }

    fn masked(
        &self,
        before: Option<&Document>,
        fields: &HashMap<String, Value>,
        mask: Option<&[FieldPath]>,
        commit: Micros,
    ) -> Document {
        let kept = match (mask, before) {
            (None, _) => fields.clone(),
            (Some(_), before) => before.map(|before| before.fields.clone()).unwrap_or_default(),
        };
        let mut after = Document {
            name: self.name.as_str().into(),
            fields: kept,
            create_time: before.and_then(|b| b.create_time).or_else(|| Some(commit.into())),
            update_time: Some(commit.into()),
        };
        for path in mask.unwrap_or_default() {
            match path.get(fields) {
                Some(value) => path.set(&mut after.fields, value.clone()),
                None => path.remove(&mut after.fields),
            }
        }
        after
    }
}

/// Reads the paths of a mask; the name, which every document has anyway, counts for nothing.
pub(crate) fn parse_mask(mask: &DocumentMask) -> Result<Vec<FieldPath>, FieldPathError> {
    let fields = mask.field_paths.iter().filter(|path| *path != NAME_FIELD);
    fields.map(|path| FieldPath::parse(path)).collect()
}

/// The document with only the fields of `mask`.
pub(crate) fn project(document: Document, mask: Option<&[FieldPath]>) -> Document {
    let Some(mask) = mask else { return document };
    let mut fields = HashMap::new();
    for path in mask {
        if let Some(value) = path.get(&document.fields) {
            path.set(&mut fields, value.clone());
        }
    }
    Document { fields, ..document }
}

/// When a stored document last changed.
pub(crate) fn update_time(document: &Document) -> Micros {
    document.update_time.map_or(Micros(0), Micros::from)
}

fn same_fields(a: &Document, b: &Document) -> bool {
    a.fields.len() == b.fields.len()
        && a.fields.iter().all(|(name, a)| b.fields.get(name).is_some_and(|b| is_identical(a, b)))
}

#[cfg(test)]
mod tests {
    use gcloud_sdk::google::firestore::v1::DocumentTransform;

    use super::*;
    use crate::value::strategies::*;

    const NAME: &str = "projects/p/databases/(default)/documents/c/d";

    #[test]
    fn without_a_mask_the_document_is_replaced() {
        let after = apply(&stored(&[("a", int(1))]), update(&[("b", int(2))], None));
        assert_eq!(after.fields, fields(&[("b", int(2))]));
    }

    #[test]
    fn a_mask_sets_what_it_names_and_deletes_what_is_missing() {
        let before = stored(&[("a", int(1)), ("m", map(&[("x", int(1)), ("y", int(2))]))]);
        let write = update(&[("m", map(&[("x", int(9))])), ("z", int(5))], Some(&["a", "m.x"]));
        let after = apply(&before, write);
        assert_eq!(after.fields, fields(&[("m", map(&[("x", int(9)), ("y", int(2))]))]));
    }

    #[test]
    fn an_empty_mask_creates_an_empty_document() {
        let mutation = Mutation::parse(update(&[("a", int(1))], Some(&[]))).unwrap();
        let outcome = mutation.apply(None, Micros(5)).unwrap();
        assert!(outcome.changed);
        assert!(outcome.document.unwrap().fields.is_empty());
    }

    #[test]
    fn a_write_that_changes_nothing_keeps_the_update_time() {
        let before = stored(&[("a", int(1))]);
        let mutation = Mutation::parse(update(&[("a", int(1))], None)).unwrap();
        let outcome = mutation.apply(Some(&before), Micros(99)).unwrap();
        assert!(!outcome.changed);
        assert_eq!(outcome.document, Some(before));
    }

    #[test]
    fn an_equal_number_of_another_type_is_a_change() {
        let mutation = Mutation::parse(update(&[("a", float(1.0))], None)).unwrap();
        let outcome = mutation.apply(Some(&stored(&[("a", int(1))])), Micros(99)).unwrap();
        assert!(outcome.changed);
    }

    #[test]
    fn preconditions_are_judged_as_documented() {
        let existing = stored(&[]);
        let name = || DocumentName::parse(NAME).unwrap();
        let stale = |stored, required| {
            Some(WriteError::StaleVersion { stored: Micros(stored), required: Micros(required) })
        };
        let time = |micros| ConditionType::UpdateTime(Micros(micros).into());
        let cases = [
            (ConditionType::Exists(true), Some(&existing), None),
            (ConditionType::Exists(true), None, Some(WriteError::NotFound(name()))),
            (ConditionType::Exists(false), None, None),
            (
                ConditionType::Exists(false),
                Some(&existing),
                Some(WriteError::AlreadyExists(name())),
            ),
            (time(7), Some(&existing), None),
            (time(8), Some(&existing), stale(7, 8)),
            (time(8), None, stale(0, 8)),
            (time(0), None, stale(0, 0)),
        ];
        for (condition, before, refused) in cases {
            for mut write in [update(&[], None), delete()] {
                write.current_document = Some(Precondition { condition_type: Some(condition) });
                let outcome = Mutation::parse(write).unwrap().apply(before, Micros(9));
                assert_eq!(outcome.err(), refused, "{condition:?} on {before:?}");
            }
        }
    }

    #[test]
    fn a_deletion_takes_no_mask() {
        let write = Write { update_mask: Some(DocumentMask::default()), ..delete() };
        assert_eq!(Mutation::parse(write).err(), Some(WriteError::DeleteWithFields));
        assert_eq!(Mutation::parse(Write::default()).err(), Some(WriteError::Empty));
        let (document, field_transforms) = (NAME.into(), Vec::new());
        let operation = Operation::Transform(DocumentTransform { document, field_transforms });
        let write = Write { operation: Some(operation), ..Write::default() };
        let none = WriteError::Transform(TransformError::None);
        assert_eq!(Mutation::parse(write).err(), Some(none));
    }

    #[test]
    fn projections_keep_only_named_paths() {
        let paths = DocumentMask { field_paths: vec!["m.x".into(), "missing".into()] };
        let mask = parse_mask(&paths).unwrap();
        let document = stored(&[("a", int(1)), ("m", map(&[("x", int(1)), ("y", int(2))]))]);
        let projected = project(document, Some(&mask));
        assert_eq!(projected.fields, fields(&[("m", map(&[("x", int(1))]))]));
    }

    fn apply(before: &Document, write: Write) -> Document {
        let mutation = Mutation::parse(write).unwrap();
        mutation.apply(Some(before), Micros(9)).unwrap().document.unwrap()
    }

    fn stored(entries: &[(&str, Value)]) -> Document {
        Document {
            name: NAME.into(),
            fields: fields(entries),
            create_time: Some(Micros(3).into()),
            update_time: Some(Micros(7).into()),
        }
    }

    fn update(entries: &[(&str, Value)], mask: Option<&[&str]>) -> Write {
        let document =
            Document { name: NAME.into(), fields: fields(entries), ..Document::default() };
        let field_paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        Write {
            operation: Some(Operation::Update(document)),
            update_mask: mask.map(|paths| DocumentMask { field_paths: field_paths(paths) }),
            ..Write::default()
        }
    }

    fn delete() -> Write {
        Write { operation: Some(Operation::Delete(NAME.into())), ..Write::default() }
    }

    fn fields(entries: &[(&str, Value)]) -> HashMap<String, Value> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }
}
