//! Who this process is to Google, and what its tokens are good for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use curfew_core::principal::Email;
use curfew_gcp::{Probed, TokenInfo};
use reqwest::Client;
use serde_json::Value;

use super::mend::{gcloud, project_of};
use super::report::Finding;

/// Names a file of credentials to all of Google's libraries
/// (<https://cloud.google.com/docs/authentication/application-default-credentials>).
const KEY_FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Where `gcloud auth application-default login` writes, below the home directory.
const LOGIN_FILE: &str = ".config/gcloud/application_default_credentials.json";

/// Names another metadata server to Google's libraries.
const METADATA_HOST_VARIABLE: &str = "GCE_METADATA_HOST";

/// The metadata server of Google's machines.
const METADATA_HOST: &str = "metadata.google.internal";

/// It is on the same machine or one hop away; where there is none, nobody answers at all.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// A file of credentials is a few kilobytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What every call needs.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where this process's credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A metadata server, with the account that it names, or why it names none.
    Metadata(Result<String, String>),
    /// A file; its kind as it says itself, the account that it names, and the id of the key that it holds.
    File { path: PathBuf, kind: String, account: Option<String>, key: Option<String> },
    /// A file that cannot be read.
    Unreadable { path: PathBuf, why: String },
}

impl Credentials {
    /// Looks where Google's libraries look, in their order.
    pub(crate) async fn look(
        environment: &BTreeMap<String, String>,
        metadata: Option<&str>,
    ) -> Self {
        if let Some(base) = metadata {
            return Self::Metadata(ask(base).await);
        }
        if let Some(path) = environment.get(KEY_FILE_VARIABLE) {
            return Self::in_file(Path::new(path));
        }
        let login = environment.get("HOME").map(|home| Path::new(home).join(LOGIN_FILE));
        if let Some(path) = login.filter(|path| path.exists()) {
            return Self::in_file(&path);
        }
        let host = environment.get(METADATA_HOST_VARIABLE).map_or(METADATA_HOST, String::as_str);
        Self::Metadata(ask(&format!("http://{host}")).await)
    }

    fn in_file(path: &Path) -> Self {
        let unreadable = |why: String| Self::Unreadable { path: path.to_owned(), why };
        let size = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) => return unreadable(error.to_string()),
        };
        if size > FILE_BYTES_MAX {
            return unreadable("far too large for credentials".into());
        }
        match std::fs::read(path) {
            Ok(content) => Self::of_file(path, &content),
            Err(error) => unreadable(error.to_string()),
        }
    }

    /// Reads names only; what is secret in the file is not looked at.
    fn of_file(path: &Path, content: &[u8]) -> Self {
        let path = path.to_owned();
        let Ok(file) = serde_json::from_slice::<Value>(content) else {
            return Self::Unreadable { path, why: "not JSON".into() };
        };
        let text = |name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
        let impersonated = text("service_account_impersonation_url").as_deref().and_then(target);
        Self::File {
            path,
            kind: text("type").unwrap_or_default(),
            account: text("client_email").or(impersonated),
            key: text("private_key_id"),
        }
    }

    /// The account, as far as that is known without asking Google.
    pub(crate) fn account(&self) -> Option<&str> {
        match self {
            Self::Metadata(told) => told.as_ref().ok().map(String::as_str),
            Self::File { account, .. } => account.as_deref(),
            Self::Unreadable { .. } => None,
        }
    }
}

/// The account in `…/serviceAccounts/<account>:generateAccessToken`.
fn target(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("/serviceAccounts/")?;
    rest.split_once(':').map(|(account, _)| account.to_owned())
}

/// The address of the machine's service account.
async fn ask(base: &str) -> Result<String, String> {
    let failed = |error: reqwest::Error| {
        let why = if error.is_timeout() { "no answer in time" } else { "no answer" };
        format!("the metadata server {base}: {why}")
    };
    let client = Client::builder().no_proxy().timeout(METADATA_TIMEOUT).build().map_err(failed)?;
    let url = format!("{base}/computeMetadata/v1/instance/service-accounts/default/email");
    let answer =
        client.get(url).header("Metadata-Flavor", "Google").send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(format!(
            "the metadata server {base} answers {status}: is an account attached?"
        ));
    }
    let text = answer.text().await.map_err(failed)?;
    let told = Email::parse(text.trim()).map(|email| email.as_str().to_owned());
    told.map_err(|_| format!("the metadata server {base} names no account"))
}

/// Who this is. `seen` is the account that the credentials or the token name.
pub(crate) fn judge(credentials: &Credentials, seen: Option<&str>, part: &str) -> Finding {
    let Some(account) = seen else {
        return match credentials {
            Credentials::Metadata(Err(why)) => Finding::failed(format!("nobody: {why}")).mend(
                "attach a service account, or name credentials in GOOGLE_APPLICATION_CREDENTIALS",
            ),
            Credentials::Unreadable { path, why } => {
                Finding::failed(format!("the credentials {}: {why}", path.display()))
                    .mend("gcloud auth application-default login")
            }
            Credentials::Metadata(Ok(_)) | Credentials::File { .. } => Finding::warning(
                "neither the credentials nor the token name an account: who this is cannot be said",
            ),
        };
    };
    let is_default = account.ends_with("-compute@developer.gserviceaccount.com")
        || account.ends_with("@appspot.gserviceaccount.com");
    if is_default {
        let own = format!("curfew-{part}");
        let create = gcloud(["iam", "service-accounts", "create", &own]);
        return Finding::warning(format!(
            "{account} is the project's default account: others run as it, and may hold more than they need"
        ))
        .mend(create);
    }
    if account.ends_with(".gserviceaccount.com") {
        return Finding::passed(account);
    }
    Finding::warning(format!(
        "{account} is no service account: what follows is true of that person and not of the part"
    ))
    .mend("run this where the part runs, or: gcloud auth application-default login --impersonate-service-account=<the part's account>")
}

/// Whether a private key lies about in a file.
pub(crate) fn judge_key_file(credentials: &Credentials) -> Finding {
    let Credentials::File { path, kind, account, key } = credentials else {
        return Finding::passed("no service-account key file is in use");
    };
    if kind != "service_account" {
        return Finding::passed(format!("{} holds credentials of type {kind}", path.display()));
    }
    let seen = format!(
        "{} holds a private key of the account: whoever copies the file is the account, for ever",
        path.display()
    );
    let finding =
        Finding::warning(seen).mend("attach the account to the machine or workload instead, then:");
    let (Some(account), Some(key)) = (account, key) else { return finding };
    let owner = format!("--iam-account={account}");
    finding.mend(gcloud(["iam", "service-accounts", "keys", "delete", key, &owner]))
}

/// Whether tokens open Google Cloud's APIs.
pub(crate) fn judge_scopes(token: &Probed<TokenInfo>, account: Option<&str>) -> Finding {
    let token = match token {
        Ok(token) => token,
        Err(error) => return Finding::skipped(format!("Google does not tell: {error}")),
    };
    if token.scopes.contains(CLOUD_PLATFORM) {
        return Finding::passed("tokens have the scope cloud-platform");
    }
    let scopes: Vec<&str> = token.scopes.iter().map(String::as_str).collect();
    let account = account.map(|account| format!("--service-account={account}"));
    let mut words = vec![
        "compute",
        "instances",
        "set-service-account",
        "<instance>",
        "--scopes=cloud-platform",
    ];
    words.extend(account.as_deref());
    Finding::failed(format!(
        "tokens lack the scope cloud-platform, whatever IAM allows; they have {}",
        if scopes.is_empty() { "none".to_owned() } else { scopes.join(" ") }
    ))
    .mend(gcloud(words))
}

/// The project whose quota and enabled APIs count: that of the account.
pub(crate) fn consumer(account: Option<&str>) -> Option<String> {
    account.and_then(project_of)
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    const ACCOUNT: &str = "controller@access-1.iam.gserviceaccount.com";

    fn file(content: &str) -> Credentials {
        Credentials::of_file(Path::new("/x/key.json"), content.as_bytes())
    }

    #[test]
    fn each_kind_of_credentials_is_told_apart() {
        let key = format!(
            r#"{{"type": "service_account", "client_email": "{ACCOUNT}", "private_key_id": "k1", "private_key": "secret"}}"#
        );
        let url = format!(
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
        );
        let impersonated = format!(
            r#"{{"type": "external_account", "service_account_impersonation_url": "{url}"}}"#
        );
        assert_eq!(file(&key).account(), Some(ACCOUNT));
        assert!(!format!("{:?}", file(&key)).contains("secret"));
        assert_eq!(file(&impersonated).account(), Some(ACCOUNT));
        assert_eq!(file(r#"{"type": "authorized_user"}"#).account(), None);
        assert!(matches!(file("{"), Credentials::Unreadable { .. }));
        let finding = judge_key_file(&file(&key));
        assert_eq!(finding.outcome, Outcome::Warning);
        let delete = format!("gcloud iam service-accounts keys delete k1 --iam-account={ACCOUNT}");
        assert_eq!(finding.mend.last(), Some(&delete));
        assert_eq!(judge_key_file(&file(&impersonated)).outcome, Outcome::Passed);
        let metadata = Credentials::Metadata(Ok(ACCOUNT.into()));
        assert_eq!(judge_key_file(&metadata).outcome, Outcome::Passed);
    }

    #[test]
    fn only_an_account_of_its_own_is_in_order() {
        let metadata = Credentials::Metadata(Ok(ACCOUNT.into()));
        for (account, outcome) in [
            (Some(ACCOUNT), Outcome::Passed),
            (Some("123-compute@developer.gserviceaccount.com"), Outcome::Warning),
            (Some("access-1@appspot.gserviceaccount.com"), Outcome::Warning),
            (Some("alice@example.com"), Outcome::Warning),
            (None, Outcome::Warning),
        ] {
            assert_eq!(judge(&metadata, account, "intake").outcome, outcome, "{account:?}");
        }
        let nobody = Credentials::Metadata(Err("no answer".into()));
        assert_eq!(judge(&nobody, None, "intake").outcome, Outcome::Failed);
        assert_eq!(judge(&file("{"), None, "intake").outcome, Outcome::Failed);
    }

    #[test]
    fn a_token_without_the_scope_is_named_with_what_it_has() {
        let token = |scopes: &[&str]| {
            let scopes = scopes.iter().map(|it| (*it).to_owned()).collect();
            Ok(TokenInfo { email: None, scopes })
        };
        let judged = |scopes: &[&str]| judge_scopes(&token(scopes), Some(ACCOUNT));
        assert_eq!(judged(&[CLOUD_PLATFORM, "openid"]).outcome, Outcome::Passed);
        let read_only = "https://www.googleapis.com/auth/devstorage.read_only";
        let finding = judged(&[read_only]);
        assert_eq!(finding.outcome, Outcome::Failed);
        assert!(finding.message.ends_with(read_only), "{finding:?}");
        assert!(finding.mend.join("").contains("--scopes=cloud-platform"));
        assert!(judged(&[]).message.ends_with("none"));
        let unknown = Err(curfew_gcp::ProbeError::Unanswered("x".into()));
        assert_eq!(judge_scopes(&unknown, None).outcome, Outcome::Skipped);
    }
}
