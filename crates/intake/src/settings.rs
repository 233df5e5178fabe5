//! What an installation configures.

use std::collections::BTreeSet;
use std::fmt;

use axum::http::Uri;
use chrono::TimeDelta;
use curfew_core::id::Installation;
use curfew_core::judge::Rules;
use curfew_core::principal::{Email, Member, Principal};

use crate::justification::JustificationPattern;

/// What an installation configures of its intake.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names this installation in everything that is signed.
    pub installation: Installation,
    /// What may be asked for at all; the controller judges by the same rules.
    pub rules: Rules,
    /// Who may end anybody's access, and see every request.
    pub operators: Team,
    /// Who may see every request.
    pub auditors: Team,
    /// Where people find this service.
    pub base_url: BaseUrl,
    /// For how long access is asked for if a request does not say; never more than the rules allow.
    pub default_duration: TimeDelta,
    /// What to tell people about justifications, such as `Bug or case number`.
    pub justification_hint: String,
    /// What a justification must be like; anything that is not empty if not given.
    pub justification_pattern: Option<JustificationPattern>,
    /// What lists are made from.
    pub lists_from: ListSource,
    /// Signs the tokens of forms.
    pub form_key: FormKey,
}

/// What lists of entitlements are made from. Filing and granting read live policies, whatever this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListSource {
    /// Cloud Asset Inventory's index of policies, kept and refreshed here.
    #[default]
    AssetInventory,
    /// Policy Analyzer's answer about one person, which has a small daily quota.
    PolicyAnalyzer,
}

impl Settings {
    pub(crate) fn default_duration(&self) -> TimeDelta {
        self.default_duration.min(self.rules.duration_max)
    }
}

/// Why a setting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not one person or group.
    #[error("{0:?} must be user:<address> or group:<address>")]
    Member(String),
    /// No URL that a browser could be at.
    #[error("baseUrl {0:?} must be https://<host>, or http:// on this machine, without a path")]
    BaseUrl(String),
    /// No regular expression that is supported.
    #[error("{0}")]
    JustificationPattern(String),
}

/// People named one by one, and by their groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Team {
    /// Exact people.
    pub people: BTreeSet<Email>,
    /// Everybody in these, as the directory says at the moment of the question.
    pub groups: BTreeSet<Email>,
}

impl Team {
    /// Accepts `user:` and `group:` members in exact form.
    pub fn parse<'a>(members: impl IntoIterator<Item = &'a str>) -> Result<Self, SettingsError> {
        let mut team = Self::default();
        for text in members {
            match Member::parse(text) {
                Member::Account(Principal::User(email)) => team.people.insert(email),
                Member::Group(email) => team.groups.insert(email),
                Member::Account(Principal::ServiceAccount(_))
                | Member::Domain(_)
                | Member::Other => {
                    return Err(SettingsError::Member(text.to_owned()));
                }
            };
        }
        Ok(team)
    }
}

/// The origin at which people find this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Accepts `https://<host>[:<port>]`, and `http://` for loopback hosts; a trailing slash is dropped.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let refused = || SettingsError::BaseUrl(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refused());
        };
        let is_plain = uri.path_and_query().is_none_or(|path| path.as_str() == "/")
            && !authority.as_str().contains('@');
        let is_local = is_loopback(authority.host());
        if is_plain && (scheme == "https" || (scheme == "http" && is_local)) {
            Ok(Self(format!("{scheme}://{authority}").to_ascii_lowercase()))
        } else {
            Err(refused())
        }
    }

    /// The origin, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

/// 256 secret bits that every process of one intake shares, before a restart and after it, and nobody else has: a
/// form of one process is then accepted by another. Whoever knows them can only make a person's own browser send a form
/// that the person did not see.
#[derive(Clone, PartialEq, Eq)]
pub struct FormKey(pub(crate) [u8; 32]);

impl FormKey {
    /// From these bits.
    pub fn new(bits: [u8; 32]) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for FormKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_an_origin_that_a_browser_trusts() {
        for (text, origin) in [
            ("https://access.example.com", "https://access.example.com"),
            ("https://Access.example.com:8443/", "https://access.example.com:8443"),
            ("http://127.0.0.1:8420/", "http://127.0.0.1:8420"),
            ("http://[::1]:8420", "http://[::1]:8420"),
            ("http://bob.localhost:8420", "http://bob.localhost:8420"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().as_str(), origin);
        }
        for text in [
            "",
            "access.example.com",
            "http://access.example.com",
            "https://a.example/x",
            "https://u@a.example",
            "ftp://a.example",
            "https://a.example?x",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn teams_are_exact_people_and_groups() {
        let team = Team::parse(["user:Olga@example.com", "group:sre@example.com"]).unwrap();
        assert_eq!((team.people.len(), team.groups.len()), (1, 1));
        for text in [
            "domain:example.com",
            "allUsers",
            "serviceAccount:a@p.iam.gserviceaccount.com",
            "olga@example.com",
            "",
        ] {
            assert!(Team::parse([text]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_form_key_is_in_no_debug_text() {
        assert_eq!(format!("{:?}", FormKey::new([7; 32])), "FormKey(…)");
    }
}
