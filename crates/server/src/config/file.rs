//! The configuration file as it is written.

use serde::{Deserialize, Serialize};

/// The whole file. `reference.yaml` documents each setting.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigFile {
    pub(super) installation: String,
    pub(super) scope: String,
    #[serde(default)]
    pub(super) protected: Vec<String>,
    pub(super) base_url: String,
    #[serde(default)]
    pub(super) accept_single_process: bool,
    #[serde(default)]
    pub(super) listen: ListenSection,
    pub(super) store: StoreSection,
    #[serde(default)]
    pub(super) iap: IapSection,
    #[serde(default)]
    pub(super) operators: Vec<String>,
    #[serde(default)]
    pub(super) auditors: Vec<String>,
    pub(super) signing: Option<SigningSection>,
    #[serde(default)]
    pub(super) keys: Vec<KeySection>,
    pub(super) facts_key: Option<FactsKeySection>,
    pub(super) form_key: Option<FormKeySection>,
    #[serde(default)]
    pub(super) eligible: EligibleSection,
    #[serde(default)]
    pub(super) google: GoogleSection,
    #[serde(default)]
    pub(super) endpoints: EndpointsSection,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListenSection {
    pub(super) app: Option<String>,
    pub(super) ops: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StoreSection {
    pub(super) kind: String,
    pub(super) path: Option<String>,
    pub(super) project: Option<String>,
    pub(super) database: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IapSection {
    #[serde(default)]
    pub(super) audience: String,
    #[serde(default)]
    pub(super) hosted_domains: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SigningSection {
    pub(super) file: Option<String>,
    pub(super) kms: Option<String>,
    pub(super) key_id: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct KeySection {
    pub(super) id: String,
    pub(super) owner: Option<String>,
    pub(super) public_key: String,
    pub(super) level: String,
    pub(super) verbs: Vec<String>,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) distrusted_from: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FactsKeySection {
    pub(super) file: Option<String>,
    pub(super) kms: Option<String>,
    pub(super) wrapped: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FormKeySection {
    pub(super) file: Option<String>,
    pub(super) kms: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are named as in the file")]
pub(super) struct GoogleSection {
    pub(super) connect_timeout: Option<String>,
    pub(super) read_timeout: Option<String>,
    pub(super) write_timeout: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EligibleSection {
    pub(super) catalog: Option<String>,
    pub(super) customer_id: Option<String>,
    pub(super) projects_query: Option<String>,
    pub(super) max_duration: Option<String>,
    pub(super) default_duration: Option<String>,
    pub(super) max_roles: Option<u32>,
    pub(super) approval_timeout: Option<String>,
    pub(super) min_approvers: Option<u32>,
    pub(super) max_approvers: Option<u32>,
    pub(super) evidence: Option<Vec<String>>,
    #[serde(default)]
    pub(super) approval_floor: Vec<String>,
    pub(super) dangerous: Option<String>,
    #[serde(default)]
    pub(super) from: Vec<String>,
    pub(super) justification_pattern: Option<String>,
    pub(super) justification_hint: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EndpointsSection {
    pub(super) cloud: Option<String>,
    pub(super) metadata: Option<String>,
    pub(super) iap_keys: Option<String>,
    pub(super) store: Option<String>,
    pub(super) store_token: Option<String>,
}
