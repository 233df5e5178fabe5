//! Rates that Google allows a consumer project, as token buckets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The API that a call belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    ResourceManager,
    AssetInventory,
    Iam,
    CloudIdentity,
    Directory,
    Kms,
    PubSub,
    SecretManager,
}

/// What is counted. Pub/Sub's messages are counted by Google in bytes, with limits far above what
/// is simulated: publishing and pulling spend nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    ResourceManagerRead,
    ResourceManagerWrite,
    ResourceManagerList,
    ResourceManagerSearch,
    AssetSearchPolicies,
    AssetSearchResources,
    AssetAnalyze,
    AssetEffectivePolicies,
    IamRead,
    IamWrite,
    CloudIdentity,
    Directory,
    KmsRead,
    KmsWrite,
    KmsCrypto,
    PubSubAdministration,
    SecretAccess,
    SecretRead,
    SecretWrite,
}

/// Google's name of a metric, its name for people, and the default limits.
struct Facts {
    name: &'static str,
    title: &'static str,
    per_minute: u32,
    per_day: Option<u32>,
}

/// How long a bucket takes to fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Period {
    Minute,
    Day,
}

/// A limit that a call would have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) metric: Metric,
    pub(crate) period: Period,
    pub(crate) limit: u32,
    /// When there is a token again; a limit of 0 never has one, and says so by a whole period.
    pub(crate) retry_after_seconds: u32,
}

/// How the simulated cloud limits its callers: seeded, and changed by `PUT /sim/v1/quotas`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct QuotaSettings {
    /// Off: nothing is counted.
    #[serde(default = "on")]
    pub(crate) enabled: bool,
    /// Whether refusals carry `Retry-After`. Google's API front end sends none with its quota
    /// errors, so this is off; RFC 6585 allows it, and clients must cope with both.
    #[serde(default)]
    pub(crate) retry_after: bool,
    /// Limits in place of Google's, by the metric's name.
    #[serde(default)]
    pub(crate) per_minute: BTreeMap<Metric, u32>,
    /// As `per_minute`.
    #[serde(default)]
    pub(crate) per_day: BTreeMap<Metric, u32>,
}

/// What each consumer has left. Not part of the stored state: a restart fills all buckets.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<BTreeMap<(String, Metric, Period), Bucket>>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: DateTime<Utc>,
}

impl Metric {
    pub(crate) const ALL: [Self; 19] = [
        Self::ResourceManagerRead,
        Self::ResourceManagerWrite,
        Self::ResourceManagerList,
        Self::ResourceManagerSearch,
        Self::AssetSearchPolicies,
        Self::AssetSearchResources,
        Self::AssetAnalyze,
        Self::AssetEffectivePolicies,
        Self::IamRead,
        Self::IamWrite,
        Self::CloudIdentity,
        Self::Directory,
        Self::KmsRead,
        Self::KmsWrite,
        Self::KmsCrypto,
        Self::PubSubAdministration,
        Self::SecretAccess,
        Self::SecretRead,
        Self::SecretWrite,
    ];

    /// What a call of that method spends.
    pub(crate) fn of(api: Api, method: &str) -> Option<Self> {
        let is_read = matches!(method, "get" | "list");
        Some(match (api, method) {
            (Api::ResourceManager, "setIamPolicy") => Self::ResourceManagerWrite,
            (Api::ResourceManager, "list") => Self::ResourceManagerList,
            (Api::ResourceManager, "search") => Self::ResourceManagerSearch,
            (Api::ResourceManager, _) => Self::ResourceManagerRead,
            (Api::AssetInventory, "searchAllIamPolicies") => Self::AssetSearchPolicies,
            (Api::AssetInventory, "searchAllResources") => Self::AssetSearchResources,
            (Api::AssetInventory, "analyzeIamPolicy") => Self::AssetAnalyze,
            (Api::AssetInventory, _) => Self::AssetEffectivePolicies,
            (Api::Iam, "create" | "patch" | "delete" | "undelete") => Self::IamWrite,
            (Api::Iam, _) => Self::IamRead,
            (Api::CloudIdentity, _) => Self::CloudIdentity,
            (Api::Directory, _) => Self::Directory,
            (Api::Kms, "asymmetricSign" | "macSign" | "encrypt" | "decrypt" | "getPublicKey") => {
                Self::KmsCrypto
            }
            (Api::Kms, _) if is_read => Self::KmsRead,
            (Api::Kms, _) => Self::KmsWrite,
            (Api::PubSub, "publish" | "pull" | "acknowledge" | "modifyAckDeadline") => return None,
            (Api::PubSub, _) => Self::PubSubAdministration,
            (Api::SecretManager, "access") => Self::SecretAccess,
            (Api::SecretManager, _) if is_read => Self::SecretRead,
            (Api::SecretManager, _) => Self::SecretWrite,
        })
    }

    /// Google's name of the metric; the part before the slash is the service.
    pub(crate) fn name(self) -> &'static str {
        self.facts().name
    }

    /// The service that the metric belongs to, such as `cloudasset.googleapis.com`.
    pub(crate) fn service(self) -> &'static str {
        self.name().split_once('/').map_or(self.name(), |(service, _)| service)
    }

    /// The metric as Google's messages name it.
    pub(crate) fn title(self) -> &'static str {
        self.facts().title
    }

    /// The defaults, from the quota page of each API. Cloud Identity's page names no figure for
    /// groups; it gets the Directory's.
    fn facts(self) -> Facts {
        let (name, title, per_minute) = match self {
            // <https://cloud.google.com/resource-manager/docs/limits>
            Self::ResourceManagerRead => {
                ("cloudresourcemanager.googleapis.com/read_requests", "Read requests", 600)
            }
            Self::ResourceManagerWrite => {
                ("cloudresourcemanager.googleapis.com/write_requests", "Write requests", 600)
            }
            Self::ResourceManagerList => {
                ("cloudresourcemanager.googleapis.com/list_requests", "V3 list requests", 600)
            }
            Self::ResourceManagerSearch => {
                ("cloudresourcemanager.googleapis.com/search_requests", "V3 search requests", 240)
            }
            // <https://cloud.google.com/asset-inventory/docs/quota>
            Self::AssetSearchPolicies => (
                "cloudasset.googleapis.com/search_all_iam_policies_requests",
                "SearchAllIamPolicies requests",
                400,
            ),
            Self::AssetSearchResources => (
                "cloudasset.googleapis.com/search_all_resources_requests",
                "SearchAllResources requests",
                400,
            ),
            Self::AssetAnalyze => (
                "cloudasset.googleapis.com/analyze_iam_policy_requests",
                "AnalyzeIamPolicy requests",
                100,
            ),
            Self::AssetEffectivePolicies => (
                "cloudasset.googleapis.com/batch_get_effective_iam_policies_requests",
                "BatchGetEffectiveIamPolicies requests",
                100,
            ),
            // <https://cloud.google.com/iam/quotas>
            Self::IamRead => ("iam.googleapis.com/read_requests", "Read requests", 6_000),
            Self::IamWrite => ("iam.googleapis.com/write_requests", "Write requests", 600),
            Self::CloudIdentity => {
                ("cloudidentity.googleapis.com/groups_requests", "Groups requests", 2_400)
            }
            // <https://developers.google.com/workspace/admin/directory/v1/limits>
            Self::Directory => ("admin.googleapis.com/requests", "Queries", 2_400),
            // <https://cloud.google.com/kms/quotas>
            Self::KmsRead => ("cloudkms.googleapis.com/read_requests", "Read requests", 300),
            Self::KmsWrite => ("cloudkms.googleapis.com/write_requests", "Write requests", 60),
            Self::KmsCrypto => {
                ("cloudkms.googleapis.com/crypto_requests", "Cryptographic requests", 60_000)
            }
            // <https://cloud.google.com/pubsub/quotas>
            Self::PubSubAdministration => {
                ("pubsub.googleapis.com/administrator", "Administrator operations", 6_000)
            }
            // <https://cloud.google.com/secret-manager/quotas>
            Self::SecretAccess => {
                ("secretmanager.googleapis.com/access_requests", "Access requests", 90_000)
            }
            Self::SecretRead => {
                ("secretmanager.googleapis.com/read_requests", "Read requests", 600)
            }
            Self::SecretWrite => {
                ("secretmanager.googleapis.com/write_requests", "Write requests", 600)
            }
        };
        let per_day = (self == Self::AssetAnalyze).then_some(1_000);
        Facts { name, title, per_minute, per_day }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|metric| metric.name() == name);
        found.ok_or_else(|| D::Error::custom(format!("there is no quota metric {name}")))
    }
}

impl Period {
    fn seconds(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::Day => 86_400,
        }
    }

    /// As in Google's `quota_unit`.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Minute => "1/min/{project}",
            Self::Day => "1/d/{project}",
        }
    }

    /// As in Google's messages.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }
}

impl QuotaSettings {
    /// These settings with every limit spelt out.
    pub(crate) fn effective(&self) -> Self {
        let minute = |metric: Metric| metric.facts().per_minute;
        let per_minute = Metric::ALL.map(|metric| {
            (metric, self.per_minute.get(&metric).copied().unwrap_or(minute(metric)))
        });
        let per_day = Metric::ALL.into_iter().filter_map(|metric| {
            Some((metric, self.per_day.get(&metric).copied().or(metric.facts().per_day)?))
        });
        Self { per_minute: per_minute.into(), per_day: per_day.collect(), ..self.clone() }
    }

    fn limits(&self, metric: Metric) -> impl Iterator<Item = (Period, u32)> {
        let facts = metric.facts();
        let per_minute = self.per_minute.get(&metric).copied().unwrap_or(facts.per_minute);
        let per_day = self.per_day.get(&metric).copied().or(facts.per_day);
        [(Period::Minute, per_minute)].into_iter().chain(per_day.map(|limit| (Period::Day, limit)))
    }
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            enabled: on(),
            retry_after: false,
            per_minute: BTreeMap::new(),
            per_day: BTreeMap::new(),
        }
    }
}

fn on() -> bool {
    true
}

impl Quotas {
    /// Takes one token from each bucket of the metric, or none.
    ///
    /// # Errors
    /// A bucket is empty.
    pub(crate) fn spend(
        &self,
        settings: &QuotaSettings,
        consumer: &str,
        metric: Metric,
        now: DateTime<Utc>,
    ) -> Result<(), Exceeded> {
        if !settings.enabled {
            return Ok(());
        }
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (period, limit) in settings.limits(metric) {
            let full = Bucket { tokens: f64::from(limit), at: now };
            let bucket = buckets.entry((consumer.to_owned(), metric, period)).or_insert(full);
            bucket.fill(period, limit, now);
            if bucket.tokens < 1.0 {
                let retry_after_seconds = bucket.wait(period, limit);
                return Err(Exceeded { metric, period, limit, retry_after_seconds });
            }
        }
        for (period, _) in settings.limits(metric) {
            if let Some(bucket) = buckets.get_mut(&(consumer.to_owned(), metric, period)) {
                bucket.tokens -= 1.0;
            }
        }
        Ok(())
    }

    /// Fills all buckets.
    pub(crate) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Bucket {
    /// A clock that goes back takes nothing away.
    fn fill(&mut self, period: Period, limit: u32, now: DateTime<Utc>) {
        let passed = (now - self.at).as_seconds_f64().max(0.0);
        let gained = passed * f64::from(limit) / f64::from(period.seconds());
        self.tokens = (self.tokens + gained).min(f64::from(limit));
        self.at = now;
    }

    fn wait(self, period: Period, limit: u32) -> u32 {
        (1..period.seconds())
            .find(|seconds| {
                let gained = f64::from(*seconds) * f64::from(limit) / f64::from(period.seconds());
                self.tokens + gained >= 1.0
            })
            .unwrap_or(period.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_refuses_and_fills_again() {
        let quotas = Quotas::default();
        let settings = limited(Metric::KmsWrite, 2);
        let spend = |at: i64| quotas.spend(&settings, "p", Metric::KmsWrite, time(at));
        assert_eq!((spend(0), spend(0)), (Ok(()), Ok(())));
        assert_eq!(spend(10).unwrap_err().retry_after_seconds, 20);
        assert_eq!((spend(30), spend(59).is_err(), spend(60)), (Ok(()), true, Ok(())));
    }

    #[test]
    fn consumers_and_metrics_have_buckets_of_their_own() {
        let quotas = Quotas::default();
        let settings = limited(Metric::KmsWrite, 1);
        assert!(quotas.spend(&settings, "p", Metric::KmsWrite, time(0)).is_ok());
        assert!(quotas.spend(&settings, "p", Metric::KmsWrite, time(0)).is_err());
        assert!(quotas.spend(&settings, "q", Metric::KmsWrite, time(0)).is_ok());
        assert!(quotas.spend(&settings, "p", Metric::KmsRead, time(0)).is_ok());
        quotas.reset();
        assert!(quotas.spend(&settings, "p", Metric::KmsWrite, time(0)).is_ok());
    }

    #[test]
    fn a_day_limits_where_its_minutes_do_not() {
        let quotas = Quotas::default();
        let settings = QuotaSettings {
            per_day: BTreeMap::from([(Metric::AssetAnalyze, 2)]),
            ..QuotaSettings::default()
        };
        let spend = |at: i64| quotas.spend(&settings, "p", Metric::AssetAnalyze, time(at));
        assert_eq!((spend(0), spend(1)), (Ok(()), Ok(())));
        assert_eq!(spend(600).unwrap_err().period, Period::Day);
        assert!(spend(43_200).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_and_a_limit_of_nothing_are_survived() {
        let quotas = Quotas::default();
        let settings = limited(Metric::KmsWrite, 0);
        let refused = quotas.spend(&settings, "p", Metric::KmsWrite, time(0)).unwrap_err();
        assert_eq!(refused.retry_after_seconds, 60);
        let settings = limited(Metric::KmsRead, 1);
        assert!(quotas.spend(&settings, "p", Metric::KmsRead, time(100)).is_ok());
        assert!(quotas.spend(&settings, "p", Metric::KmsRead, time(0)).is_err());
        assert!(quotas.spend(&settings, "p", Metric::KmsRead, time(60)).is_ok());
    }

    #[test]
    fn every_metric_has_a_name_of_its_own_that_leads_back_to_it() {
        for metric in Metric::ALL {
            let text = serde_json::to_string(&metric).unwrap();
            assert_eq!(serde_json::from_str::<Metric>(&text).unwrap(), metric);
        }
        assert!(serde_json::from_str::<Metric>("\"x/y\"").is_err());
    }

    fn limited(metric: Metric, per_minute: u32) -> QuotaSettings {
        QuotaSettings {
            per_minute: BTreeMap::from([(metric, per_minute)]),
            ..QuotaSettings::default()
        }
    }

    fn time(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }
}
