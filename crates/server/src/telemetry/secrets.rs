//! What must not be in a log, whoever put it there: a last line of defence behind code that logs no secret.

/// What stands in place of a secret.
pub(super) const HIDDEN: &str = "[hidden]";

/// Words in the name of a field whose value is a secret.
const NAMES: [&str; 8] = [
    "assertion",
    "authorization",
    "cookie",
    "credential",
    "passw",
    "private_key",
    "secret",
    "token",
];

/// How signed tokens begin: a JSON object in base64url (`{"`), as IAP's assertions and identity tokens do
/// (RFC 7519, 3).
const SIGNED_TOKEN: &str = "eyJ";

/// How Google's access tokens begin, `ya29.` of accounts and service accounts.
const ACCESS_TOKEN: &str = "ya29.";

/// Whether a field of this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|secret| name.contains(secret))
}

/// Whether a text holds what looks like a bearer token.
pub(super) fn holds_token(text: &str) -> bool {
    text.contains(ACCESS_TOKEN)
        || text.match_indices(SIGNED_TOKEN).any(|(at, _)| {
            let rest = text.get(at..).unwrap_or_default();
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let token = rest.split(|c| !is_part(c)).next().unwrap_or_default();
            token.matches('.').count() >= 2
        })
}
