//! What one target watches, and what a change means for it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::ControlFlow,
};

use gcloud_sdk::google::firestore::v1::{
    Document,
    target::{self as wire, QueryTarget, TargetType, query_target::QueryType},
};

use crate::{
    limits::TARGET_DOCUMENTS_MAX,
    name::{Database, DocumentName},
    query::{Query, Scope},
    refusal::Refusal,
    store::{Change, Snapshot},
};

/// What a target watches.
#[derive(Debug)]
pub(super) enum Watch {
    /// These documents, whatever becomes of them.
    Documents(BTreeSet<DocumentName>),
    /// The results of a query in which each document stands for itself.
    Query(Box<Query>),
    /// The first results of a query: one document's change can move others in or out, so the
    /// names that the listener knows are kept.
    Window(Box<Query>, BTreeSet<String>),
}

/// What a listener has to hear about one document.
#[derive(Debug)]
pub(super) enum Effect {
    /// It is a result, and new or changed.
    Present(Document),
    /// It is no longer a result; whether it still exists.
    Absent { name: String, exists: bool },
}

impl Watch {
    /// Checks a target.
    pub(super) fn parse(database: &Database, target: TargetType) -> Result<Self, Refusal> {
        match target {
            TargetType::Documents(documents) => Self::parse_documents(database, &documents),
            TargetType::Query(query) => Self::parse_query(database, query),
        }
    }

    fn parse_documents(
        database: &Database,
        target: &wire::DocumentsTarget,
    ) -> Result<Self, Refusal> {
        if target.documents.is_empty() || target.documents.len() > TARGET_DOCUMENTS_MAX {
            return Err(Refusal::Argument("A documents target names 1 to 100 documents."));
        }
        let mut names = BTreeSet::new();
        for name in &target.documents {
            let name = DocumentName::parse(name)?;
            database.check_owns(&name)?;
            names.insert(name);
        }
        Ok(Self::Documents(names))
    }

    fn parse_query(database: &Database, target: QueryTarget) -> Result<Self, Refusal> {
        let Some(QueryType::StructuredQuery(query)) = target.query_type else {
            return Err(Refusal::Argument("A query target has no query."));
        };
        let query = Query::parse(&target.parent, query)?;
        if query.scope.database().as_ref() != Some(database) {
            return Err(Refusal::Argument("The target is of another database than the stream."));
        }
        if query.projection.is_some() {
            return Err(Refusal::Unimplemented("A projection in Listen"));
        }
        if query.offset > 0 {
            return Err(Refusal::Argument("A query target cannot have an offset."));
        }
        if query.is_pointwise() {
            Ok(Self::Query(Box::new(query)))
        } else {
            Ok(Self::Window(Box::new(query), BTreeSet::new()))
        }
    }

    /// Where changes concern this target.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        match self {
            Self::Documents(names) => {
                let collections: BTreeSet<_> = names.iter().map(DocumentName::collection).collect();
                collections.into_iter().map(Scope::Collection).collect()
            }
            Self::Query(query) | Self::Window(query, _) => vec![query.scope.clone()],
        }
    }

    /// Whether changes alone tell what became of the target since some earlier state. Otherwise
    /// only a target that saw no change of its own can be resumed.
    pub(super) fn is_pointwise(&self) -> bool {
        match self {
            Self::Documents(_) | Self::Query(_) => true,
            Self::Window(..) => false,
        }
    }

    /// Whether the change touches a document that is or was a candidate.
    pub(super) fn concerns(&self, change: &Change) -> bool {
        self.is_candidate(change.before.as_ref()) || self.is_candidate(change.after.as_ref())
    }

    fn is_candidate(&self, document: Option<&Document>) -> bool {
        let Some(document) = document else { return false };
        match self {
            Self::Documents(names) => names.iter().any(|name| name.as_str() == document.name),
            Self::Query(query) | Self::Window(query, _) => query.matches(document),
        }
    }

    /// Hands every present document to `visit` until that fails; returns their number.
    pub(super) fn visit_all(
        &mut self,
        snapshot: &Snapshot<'_>,
        mut visit: impl FnMut(Document) -> Result<(), Refusal>,
    ) -> Result<usize, Refusal> {
        let mut count = 0_usize;
        match self {
            Self::Documents(names) => {
                for name in names.iter() {
                    if let Some(document) = snapshot.get(name)? {
                        count = count.saturating_add(1);
                        visit(document)?;
                    }
                }
            }
            Self::Query(query) => {
                run(snapshot, query, |document| {
                    count = count.saturating_add(1);
                    visit(document)
                })?;
            }
            Self::Window(query, known) => {
                known.clear();
                run(snapshot, query, |document| {
                    count = count.saturating_add(1);
                    known.insert(document.name.clone());
                    visit(document)
                })?;
            }
        }
        Ok(count)
    }

    /// What the listener has to hear of these changes.
    pub(super) fn effects(
        &mut self,
        snapshot: &Snapshot<'_>,
        changes: &[Change],
    ) -> Result<Vec<Effect>, Refusal> {
        if !changes.iter().any(|change| self.concerns(change)) {
            return Ok(Vec::new());
        }
        match self {
            Self::Documents(_) | Self::Query(_) => {
                Ok(changes.iter().filter_map(|change| self.effect(change)).collect())
            }
            Self::Window(query, known) => moved(snapshot, query, known, changes),
        }
    }

    fn effect(&self, change: &Change) -> Option<Effect> {
        match &change.after {
            Some(after) if self.is_candidate(Some(after)) => Some(Effect::Present(after.clone())),
            after if self.is_candidate(change.before.as_ref()) => {
                Some(Effect::Absent { name: change.name.as_str().into(), exists: after.is_some() })
            }
            Some(_) | None => None,
        }
    }
}

/// Compares a window with what the listener knows of it.
fn moved(
    snapshot: &Snapshot<'_>,
    query: &Query,
    known: &mut BTreeSet<String>,
    changes: &[Change],
) -> Result<Vec<Effect>, Refusal> {
    let exists_after: HashMap<&str, bool> =
        changes.iter().map(|change| (change.name.as_str(), change.after.is_some())).collect();
    let mut present = HashSet::new();
    let mut effects = Vec::new();
    run(snapshot, query, |document| {
        present.insert(document.name.clone());
        if exists_after.contains_key(document.name.as_str()) || !known.contains(&document.name) {
            effects.push(Effect::Present(document));
        }
        Ok(())
    })?;
    for name in known.iter().filter(|name| !present.contains(*name)) {
        let exists = exists_after.get(name.as_str()).copied().unwrap_or(true);
        effects.push(Effect::Absent { name: name.clone(), exists });
    }
    *known = present.into_iter().collect();
    Ok(effects)
}

fn run(
    snapshot: &Snapshot<'_>,
    query: &Query,
    mut visit: impl FnMut(Document) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut outcome = Ok(());
    snapshot.run(query, |document| {
        outcome = visit(document);
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome
}
