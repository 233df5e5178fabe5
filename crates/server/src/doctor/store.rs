//! Whether the store answers, serves Curfew's queries, and takes writes.

use curfew_firestore::ProbedQuery;
use curfew_gcp::{Database, ProbeError, Probed};
use curfew_ports::{PortError, RetryClass};
use serde_json::Value;

use super::mend::{gcloud, member};
use super::report::Finding;
use crate::config::{Store, StoreKind};
use crate::disabled::disabled_in;
use crate::store::INDEXES;

/// What Firestore's database must be.
const NATIVE: &str = "FIRESTORE_NATIVE";

/// Where the store is, and who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) store: &'a Store,
    pub(crate) account: Option<&'a str>,
}

impl Place<'_> {
    fn is_googles(&self) -> bool {
        matches!(self.store.kind, StoreKind::Google)
    }

    fn name(&self) -> String {
        match &self.store.kind {
            StoreKind::Google => {
                format!("projects/{}/databases/{}", self.store.project, self.store.database)
            }
            StoreKind::Loopback(endpoint, _) => endpoint.clone(),
            StoreKind::Embedded(path) => path.display().to_string(),
        }
    }

    fn project_flag(&self) -> String {
        format!("--project={}", self.store.project)
    }

    fn database_flag(&self) -> String {
        format!("--database={}", self.store.database)
    }
}

/// Whether the store is reached at all, and by whom it is read.
pub(crate) fn judge_connection(place: Place<'_>, connected: &Result<(), String>) -> Finding {
    match connected {
        Ok(()) => Finding::passed(format!("{} answers", place.name())),
        Err(why) if disabled_in(why) => enable(place),
        Err(why) => {
            Finding::failed(format!("{}: {why}", place.name())).mends(match &place.store.kind {
                StoreKind::Google => {
                    vec![gcloud(["firestore", "databases", "list", &place.project_flag()])]
                }
                StoreKind::Loopback(..) => {
                    vec!["curfew firestore-local   # or whatever serves the store there".to_owned()]
                }
                StoreKind::Embedded(_) => Vec::new(),
            })
        }
    }
}

/// Whether the queries are answered, but for their indexes.
pub(crate) fn judge_reads(place: Place<'_>, queries: &[ProbedQuery]) -> Finding {
    let failures = queries.iter().filter_map(|query| query.answer.as_ref().err());
    match failures.filter(|error| !lacks_index(error)).max_by_key(|error| is_said(error.class)) {
        None => Finding::passed(format!("{} is read", place.name())),
        Some(error) => refused(place, "read", error),
    }
}

/// Whether it takes writes; nothing was written.
pub(crate) fn judge_writes(place: Place<'_>, written: &Result<(), PortError>) -> Finding {
    match written {
        Ok(()) => Finding::passed("writes are let in; nothing was written"),
        Err(error) => refused(place, "written", error),
    }
}

/// Refusals say more than lost answers.
fn is_said(class: RetryClass) -> bool {
    class != RetryClass::Unavailable
}

fn refused(place: Place<'_>, act: &str, error: &PortError) -> Finding {
    let said = error.chain();
    let finding = Finding::failed(format!("{} is not {act}: {said}", place.name()));
    if !place.is_googles() {
        return finding;
    }
    match error.class {
        RetryClass::Denied if disabled_in(&said) => enable(place),
        RetryClass::Denied => finding.mend(let_in(place)),
        RetryClass::NotFound => finding.mend(create(place, &place.database_flag())),
        RetryClass::Conflict
        | RetryClass::AlreadyExists
        | RetryClass::Invalid
        | RetryClass::RateLimited(_)
        | RetryClass::Unavailable => finding,
    }
}

fn enable(place: Place<'_>) -> Finding {
    Finding::failed(format!("firestore.googleapis.com is not enabled in {}", place.store.project))
        .mend(gcloud(["services", "enable", "firestore.googleapis.com", &place.project_flag()]))
}

/// Both parts may write this one database, and no other of the project.
fn let_in(place: Place<'_>) -> String {
    let member = format!("--member={}", member(place.account.unwrap_or("<the part's account>")));
    let condition = format!(
        "--condition=title=curfew database only,expression=resource.name == 'projects/{}/databases/{}'",
        place.store.project, place.store.database
    );
    let words = ["projects", "add-iam-policy-binding", &place.store.project, &member];
    gcloud(words.into_iter().chain(["--role=roles/datastore.user", &condition]))
}

/// Where the data lies is for its owner to say.
fn create(place: Place<'_>, database: &str) -> String {
    let words = ["firestore", "databases", "create", &place.project_flag(), database];
    let command =
        gcloud(words.into_iter().chain(["--location=LOCATION", "--type=firestore-native"]));
    format!("{command}   # LOCATION: such as eur3")
}

/// Firestore refuses a query that no index serves as a failed precondition.
fn lacks_index(error: &PortError) -> bool {
    error.class == RetryClass::Invalid && error.act.contains("requires an index")
}

/// Whether an index serves each query.
pub(crate) fn judge_indexes(place: Place<'_>, queries: &[ProbedQuery]) -> Finding {
    let lacks = |query: &&ProbedQuery| query.answer.as_ref().is_err_and(lacks_index);
    let missing: Vec<&ProbedQuery> = queries.iter().filter(lacks).collect();
    let answered = queries.iter().filter(|query| query.answer.is_ok()).count();
    match (missing.is_empty(), answered) {
        (true, 0) => Finding::skipped("no query was answered, see store.read"),
        (true, n) => {
            Finding::passed(format!("{n} of {} kinds of queries are served", queries.len()))
        }
        (false, _) => {
            let what: Vec<String> = missing
                .iter()
                .map(|query| format!("{} ({})", query.what, query.fields.join(", ")))
                .collect();
            let local = match &place.store.kind {
                StoreKind::Loopback(..) => {
                    Some("curfew firestore-local --indexes deploy/firestore.indexes.json   # where that serves the store".to_owned())
                }
                StoreKind::Google | StoreKind::Embedded(_) => None,
            };
            Finding::failed(format!(
                "an index is missing or still being built for: {}",
                what.join("; ")
            ))
            .mends(local)
            .mends(missing.iter().filter_map(|query| index_command(place, query.fields)))
        }
    }
}

/// The command that makes the index, as the file of indexes that ships has it.
fn index_command(place: Place<'_>, fields: &[&str]) -> Option<String> {
    let file: Value = serde_json::from_str(INDEXES).ok()?;
    let place = [place.project_flag(), place.database_flag()];
    let group = "--collection-group=requests";
    if let [field] = fields {
        let all = file.get("fieldOverrides")?.as_array()?;
        let one = all.iter().find(|it| it["fieldPath"] == **field)?;
        let order = one["indexes"].as_array()?.first()?["order"].as_str()?.to_ascii_lowercase();
        let index = format!("--index=order={order}");
        let words = ["firestore", "indexes", "fields", "update", field];
        return Some(gcloud(words.into_iter().chain([
            &place[0],
            &place[1],
            group,
            index.as_str(),
        ])));
    }
    let all = file.get("indexes")?.as_array()?;
    let paths = |index: &Value| -> Option<Vec<String>> {
        let fields = index["fields"].as_array()?.iter();
        fields.map(|field| field["fieldPath"].as_str().map(str::to_owned)).collect()
    };
    let index = all.iter().find(|index| paths(index).is_some_and(|paths| paths == fields))?;
    let configs: Vec<String> =
        index["fields"].as_array()?.iter().filter_map(field_config).collect();
    let words = ["firestore", "indexes", "composite", "create", &place[0], &place[1], group];
    let words = words.into_iter().chain(["--query-scope=collection"]);
    Some(gcloud(words.chain(configs.iter().map(String::as_str))))
}

fn field_config(field: &Value) -> Option<String> {
    let (path, order) = (field["fieldPath"].as_str()?, field["order"].as_str()?);
    Some(format!("--field-config=field-path={path},order={}", order.to_ascii_lowercase()))
}

/// What kind of database it is.
pub(crate) fn judge_database(place: Place<'_>, seen: &Probed<Database>) -> Finding {
    match seen {
        Ok(Database { mode, location_id }) if mode == NATIVE => {
            Finding::passed(format!("{} in {location_id}, Native mode", place.name()))
        }
        Ok(Database { mode, .. }) => Finding::failed(format!(
            "{} is of type {mode}: Curfew needs Firestore in Native mode",
            place.name()
        ))
        .mend(create(place, "--database=curfew"))
        .mend("store.database: curfew   # in the configuration of both parts"),
        Err(ProbeError::NotFound(_)) => Finding::failed(format!("there is no {}", place.name()))
            .mend(create(place, &place.database_flag())),
        Err(ProbeError::Disabled { .. }) => enable(place),
        Err(
            error @ (ProbeError::Denied(_) | ProbeError::Invalid(_) | ProbeError::Unanswered(_)),
        ) => Finding::skipped(format!("it may not be looked at from here: {error}")),
    }
}

#[cfg(test)]
mod tests;
