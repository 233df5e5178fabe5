//! Whether intake accepts the assertions that IAP signs for it, and if not, what is different about them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use curfew_trust::{Assertion, IapConfig, IapError};
use serde_json::Value;

use super::report::Finding;

/// Who signs the assertions.
const ISSUER: &str = "https://cloud.google.com/iap";

/// As much of a claim as is shown.
const CLAIM_CHARS_MAX: usize = 200;

/// The forms of audiences (<https://cloud.google.com/iap/docs/signed-headers-howto#verifying_the_jwt_payload>); `*` is
/// a name, `#` a number.
const AUDIENCES: [(&str, &[&str]); 4] = [
    ("IAP directly on Cloud Run", &["projects", "#", "locations", "*", "services", "*"]),
    ("a global load balancer", &["projects", "#", "global", "backendServices", "#"]),
    ("a regional load balancer", &["projects", "#", "regions", "*", "backendServices", "#"]),
    ("App Engine", &["projects", "#", "apps", "*"]),
];

/// Whether the configured audience is one that IAP signs for.
pub(crate) fn judge_audience(audience: &str) -> Finding {
    let segments: Vec<&str> = audience.strip_prefix('/').unwrap_or(audience).split('/').collect();
    let known = AUDIENCES.iter().find(|(_, form)| {
        audience.starts_with('/')
            && form.len() == segments.len()
            && form.iter().zip(&segments).all(|(form, segment)| fits(form, segment))
    });
    match known {
        Some((place, _)) => Finding::passed(format!("{audience}: {place}")),
        None => Finding::failed(format!("{audience:?} is no audience that IAP signs for"))
            .mend("iap.audience: /projects/<number>/locations/<region>/services/<service>   # IAP directly on Cloud Run")
            .mend("gcloud compute backend-services list '--format=value(name,id,region)'   # its id, for /projects/<number>/global/backendServices/<id>"),
    }
}

fn fits(form: &str, segment: &str) -> bool {
    match form {
        "*" => !segment.is_empty(),
        "#" => !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()),
        word => word == segment,
    }
}

/// Whether IAP's keys are to be had.
pub(crate) fn judge_keys(url: &str, keys: &Result<usize, String>) -> Finding {
    match keys {
        Ok(0) => Finding::failed(format!("{url} publishes no key: nobody can sign in")),
        Ok(n) => Finding::passed(format!("{n} keys at {url}")),
        Err(why) => Finding::failed(format!("{url}: {why}: nobody can sign in"))
            .mend(format!("let this process reach {url}")),
    }
}

/// What the claims of an assertion say, before anybody has believed them. Nothing else of it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    issuer: Option<String>,
    audience: Option<String>,
    hosted_domain: Option<String>,
    issued: Option<DateTime<Utc>>,
    expires: Option<DateTime<Utc>>,
}

impl Claims {
    /// Reads what can be read.
    pub(crate) fn of(assertion: &str) -> Self {
        let payload = assertion.split('.').nth(1).unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |name: &str| {
            let value = claims.get(name)?.as_str()?;
            Some(value.chars().take(CLAIM_CHARS_MAX).collect::<String>())
        };
        let time = |name: &str| DateTime::from_timestamp(claims.get(name)?.as_i64()?, 0);
        Self {
            issuer: text("iss"),
            audience: text("aud"),
            hosted_domain: text("hd"),
            issued: time("iat"),
            expires: time("exp"),
        }
    }
}

/// An assertion that the production code has looked at.
pub(crate) fn judge_assertion(
    verdict: &Result<Assertion, IapError>,
    claims: &Claims,
    config: &IapConfig,
    now: DateTime<Utc>,
) -> Finding {
    let error = match verdict {
        Ok(assertion) => {
            let Assertion { person, expires_at, .. } = assertion;
            let until = expires_at.format("%H:%M:%SZ");
            return Finding::passed(format!("{} is signed in, until {until}", person.email));
        }
        Err(IapError::KeysUnavailable) => {
            return Finding::skipped("IAP's keys cannot be had, see iap.keys");
        }
        Err(error) => error,
    };
    let different = differences(claims, config, now);
    let said = if different.is_empty() {
        error.to_string()
    } else {
        format!("{error}: {}", different.join(", "))
    };
    let finding = Finding::failed(said);
    match &claims.audience {
        Some(audience) if *audience != config.audience => finding.mend(format!(
            "iap.audience: {audience:?}   # only if that is this service: whoever may sign in there may then sign in here"
        )),
        Some(_) | None => finding,
    }
}

/// What of the claims is not as it must be.
fn differences(claims: &Claims, config: &IapConfig, now: DateTime<Utc>) -> Vec<String> {
    let mut said = Vec::new();
    let mut differs = |what: &str, seen: &Option<String>, wanted: &str| match seen {
        Some(seen) if seen == wanted => {}
        Some(seen) => said.push(format!("its {what} is {seen:?}, configured is {wanted:?}")),
        None => said.push(format!("it has no {what}")),
    };
    differs("audience", &claims.audience, &config.audience);
    differs("issuer", &claims.issuer, ISSUER);
    if let Some(expires) = claims.expires.filter(|expires| *expires <= now) {
        let ago = now.signed_duration_since(expires).num_seconds();
        said.push(format!("it expired {ago} s ago, and lives ten minutes: take a fresh one"));
    }
    if let Some(issued) = claims.issued.filter(|issued| *issued > now) {
        let ahead = issued.signed_duration_since(now).num_seconds();
        said.push(format!("it was issued {ahead} s after this machine's time, see clock"));
    }
    let domains = &config.hosted_domains;
    let domain = claims.hosted_domain.as_deref().unwrap_or_default();
    if !domains.is_empty() && !domains.iter().any(|it| it.eq_ignore_ascii_case(domain)) {
        said.push(format!("its hd is {domain:?}, iap.hostedDomains has {}", domains.join(", ")));
    }
    said
}

/// Without an assertion.
pub(crate) fn not_given() -> Finding {
    Finding::skipped("no assertion is given: only one shows that the audience is the right one")
        .mend("serve any program that shows its headers under the same IAP for a moment, open it, and save the value of x-goog-iap-jwt-assertion (docs/doctor.md)")
        .mend("curfew doctor --part intake --assertion FILE   # within ten minutes; - reads it from standard input")
}

#[cfg(test)]
mod tests {
    use curfew_core::principal::{Email, Person, Subject};
    use curfew_core::spec::Authentication;

    use super::super::report::Outcome;
    use super::*;

    const AUDIENCE: &str = "/projects/1/locations/europe-west1/services/curfew";

    fn config() -> IapConfig {
        IapConfig {
            audience: AUDIENCE.into(),
            hosted_domains: vec!["example.com".into()],
            key_url: curfew_trust::iap::GOOGLE_KEY_URL.into(),
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn assertion(aud: &str, iss: &str, hd: &str, age: i64) -> String {
        let issued = now().timestamp() - age;
        let claims = serde_json::json!({
            "aud": aud, "iss": iss, "hd": hd, "iat": issued, "exp": issued + 600, "email": "alice@example.com",
        });
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2VjcmV0", part("{}".into()), part(claims.to_string()))
    }

    fn refused(error: IapError, assertion: &str) -> Finding {
        judge_assertion(&Err(error), &Claims::of(assertion), &config(), now())
    }

    #[test]
    fn the_four_audiences_are_told_and_anything_else_is_not_one() {
        for audience in [
            AUDIENCE,
            "/projects/12/global/backendServices/34",
            "/projects/12/regions/europe-west1/backendServices/34",
            "/projects/12/apps/web-1",
        ] {
            assert_eq!(judge_audience(audience).outcome, Outcome::Passed, "{audience}");
        }
        for audience in [
            "",
            "curfew",
            "projects/12/apps/web-1",
            "/projects/web-1/apps/web-1",
            "/projects/12/apps/",
            "/projects/12/apps/web-1/",
            "/projects/12/global/backendServices/curfew",
            "https://access.example.com",
            "1234-abc.apps.googleusercontent.com",
        ] {
            assert_eq!(judge_audience(audience).outcome, Outcome::Failed, "{audience}");
        }
    }

    #[test]
    fn what_is_different_about_an_assertion_is_named_with_both_values() {
        let other = "/projects/1/global/backendServices/7";
        let finding = refused(IapError::WrongAudience, &assertion(other, ISSUER, "example.com", 1));
        assert_eq!(finding.outcome, Outcome::Failed);
        assert!(finding.message.contains(other) && finding.message.contains(AUDIENCE));
        assert!(finding.mend[0].starts_with(&format!("iap.audience: {other:?}")));
        let domain = "example.com";
        for (error, text, word) in [
            (IapError::WrongIssuer, assertion(AUDIENCE, "https://x", domain, 1), "issuer"),
            (IapError::Expired, assertion(AUDIENCE, ISSUER, domain, 700), "expired 100 s ago"),
            (IapError::NotYetValid, assertion(AUDIENCE, ISSUER, domain, -90), "issued 90 s after"),
            (IapError::HostedDomain, assertion(AUDIENCE, ISSUER, "other.com", 1), "\"other.com\""),
            (IapError::Malformed("x"), "no assertion".into(), "it has no audience"),
        ] {
            let finding = refused(error, &text);
            assert_eq!(finding.outcome, Outcome::Failed);
            assert!(finding.message.contains(word), "{word}: {finding:?}");
            assert!(finding.mend.is_empty());
        }
    }

    #[test]
    fn nothing_that_could_be_used_again_is_shown() {
        let text = assertion(AUDIENCE, ISSUER, "example.com", 1);
        let finding = refused(IapError::BadSignature, &text);
        let shown = format!("{finding:?}");
        for part in text.split('.') {
            assert!(!shown.contains(part) || part.len() < 4, "{part}");
        }
        assert_eq!(finding.message, IapError::BadSignature.to_string());
    }

    #[test]
    fn one_that_verifies_tells_who_it_is() {
        let subject = Subject::parse("accounts.google.com:1").unwrap();
        let person = Person { subject, email: Email::parse("alice@example.com").unwrap() };
        let signed_in =
            Assertion { person, authentication: Authentication::default(), expires_at: now() };
        let finding = judge_assertion(&Ok(signed_in), &Claims::default(), &config(), now());
        assert_eq!(finding.outcome, Outcome::Passed);
        assert!(finding.message.starts_with("alice@example.com"));
        let unknown = refused(IapError::KeysUnavailable, "");
        assert_eq!(unknown.outcome, Outcome::Skipped);
    }

    #[test]
    fn keys_must_be_there() {
        let judged = |keys| judge_keys("https://x", &keys).outcome;
        assert_eq!(judged(Ok(2)), Outcome::Passed);
        assert_eq!(judged(Ok(0)), Outcome::Failed);
        assert_eq!(judged(Err("no answer".into())), Outcome::Failed);
    }
}
