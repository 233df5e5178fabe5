//! Policy Analyzer: the bindings that name a person, itself or through groups that Google follows.
//!
//! Questions are few a minute, and without Security Command Center few a day, so each answer is kept for a while, and
//! what would pass the rate is refused here, before Google counts it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curfew_core::policy::{Binding, Policy};
use curfew_core::principal::{Email, Principal};
use curfew_core::resource::Resource;
use curfew_ports::{PortError, RetryClass};
use moka::future::Cache;
use serde::Deserialize;
use tokio::time::Instant;

use crate::assets::Names;
use crate::caller::{Call, Caller};
use crate::endpoints::path_of;
use crate::failure::foreign;
use crate::json::Fields;
use crate::wire::decode_binding;

/// How long an answer stands: as long as a person looks at one list.
const ANSWER_AGE_MAX: Duration = Duration::from_mins(1);

/// People whose answers are kept; more than look at lists within a minute.
const ANSWERS_MAX: u64 = 1_000;

/// Half of Google's 100 a minute and project, for other programs of the project want theirs
/// (<https://cloud.google.com/asset-inventory/docs/quota>).
const QUESTIONS_PER_MINUTE: u32 = 50;

/// How many questions may come at once.
const BURST: u32 = 10;

/// Answers of Policy Analyzer, shared by all who hold the catalogue.
#[derive(Clone)]
pub(crate) struct Analyses {
    kept: Cache<Email, Arc<Vec<(Resource, Policy)>>>,
    allowance: Arc<Mutex<Allowance>>,
}

impl Default for Analyses {
    fn default() -> Self {
        Self {
            kept: Cache::builder().max_capacity(ANSWERS_MAX).time_to_live(ANSWER_AGE_MAX).build(),
            allowance: Arc::default(),
        }
    }
}

impl Analyses {
    /// The bindings that name `person` below the scope, by node; asked once for all who ask at the same time.
    ///
    /// What Google could not explore (a group of another organisation) is logged and missing.
    pub(crate) async fn about(
        &self,
        caller: &Arc<Caller>,
        scope: &Resource,
        person: &Email,
    ) -> Result<Vec<(Resource, Policy)>, PortError> {
        let ask = async {
            self.spend(person)?;
            analyze(caller, scope, person).await.map(Arc::new)
        };
        match self.kept.try_get_with(person.clone(), ask).await {
            Ok(answer) => Ok(answer.to_vec()),
            Err(shared) => Err(PortError::new(shared.class, shared.chain())),
        }
    }

    fn spend(&self, person: &Email) -> Result<(), PortError> {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.spend(Instant::now()).map_err(|wait| {
            let act = format!(
                "analyze the policies that name {person}: {QUESTIONS_PER_MINUTE} questions a minute are used up"
            );
            PortError::new(RetryClass::RateLimited(Some(wait)), act)
        })
    }
}

/// A token bucket, in questions.
struct Allowance {
    left: f64,
    at: Option<Instant>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: f64::from(BURST), at: None }
    }
}

impl Allowance {
    /// Takes one question, or says how long to wait for the next.
    fn spend(&mut self, now: Instant) -> Result<(), Duration> {
        let per_second = f64::from(QUESTIONS_PER_MINUTE) / 60.0;
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.left = (self.left + passed.as_secs_f64() * per_second).min(f64::from(BURST));
        self.at = Some(now);
        if self.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.left) / per_second));
        }
        self.left -= 1.0;
        Ok(())
    }
}

async fn analyze(
    caller: &Arc<Caller>,
    scope: &Resource,
    person: &Email,
) -> Result<Vec<(Resource, Policy)>, PortError> {
    let url = format!("{}/v1/{}:analyzeIamPolicy", caller.endpoints.cloud_asset, path_of(scope));
    let act = format!("analyze the policies below {scope} that name {person}");
    let call = Call::get("cloudasset.analyzeIamPolicy", act, url)
        .query("analysisQuery.identitySelector.identity", identity(person).to_string());
    let answer: Answer = caller.read(&call).await?;
    for doubt in answer.main_analysis.non_critical_errors {
        tracing::warn!(person = %person, cause = %foreign(&doubt.cause), "the analysis of policies left something out");
    }
    let mut names = Names { caller: Arc::clone(caller), scope: scope.clone(), ids: None };
    let mut found: BTreeMap<Resource, Vec<Binding>> = BTreeMap::new();
    for result in answer.main_analysis.analysis_results {
        let binding = decode_binding(result.iam_binding)
            .map_err(|error| call.undecodable(&error.to_string()))?;
        if let Some(node) = names.node(&result.attached_resource_full_name).await? {
            found.entry(node).or_default().push(binding);
        }
    }
    let policy = |bindings| Policy { bindings, ..Policy::default() };
    Ok(found.into_iter().map(|(node, bindings)| (node, policy(bindings))).collect())
}

fn identity(person: &Email) -> Principal {
    if person.is_service_account() {
        Principal::ServiceAccount(person.clone())
    } else {
        Principal::User(person.clone())
    }
}

/// <https://cloud.google.com/asset-inventory/docs/reference/rest/v1/TopLevel/analyzeIamPolicy>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    main_analysis: Main,
}

/// Google repeats the question, so an answer without it is none: its absent results would read as "nothing".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Main {
    #[serde(rename = "analysisQuery")]
    _question: Fields,
    #[serde(default)]
    analysis_results: Vec<Found>,
    #[serde(default)]
    non_critical_errors: Vec<Doubt>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    attached_resource_full_name: String,
    iam_binding: Fields,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Doubt {
    cause: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn questions_beyond_the_rate_wait_for_their_turn() {
        let (mut allowance, start) = (Allowance::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(allowance.spend(start), Ok(()));
        }
        let wait = allowance.spend(start).unwrap_err();
        assert!((1.1..1.3).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(allowance.spend(start + Duration::from_secs(1)).is_err());
        assert_eq!(allowance.spend(start + Duration::from_millis(1_201)), Ok(()));
        assert!(allowance.spend(start + Duration::from_millis(1_202)).is_err());
        let later = start + Duration::from_hours(1);
        let at_once = (0..100).filter(|_| allowance.spend(later).is_ok()).count();
        assert_eq!(at_once, usize::try_from(BURST).unwrap());
    }
}
