//! Addresses, members, resources and roles: one thing has one spelling, and what is unclear is nothing.

use curfew_core::principal::{Email, Member, Principal};
use curfew_core::resource::Resource;
use curfew_core::role::Role;

use crate::choices::{Choices, damage};

const SAMPLES: &[&str] = &[
    "alice@example.com",
    "Alice.B+x@Example.COM",
    "deployer@demo-web.iam.gserviceaccount.com",
    "user:alice@example.com",
    "serviceAccount:deployer@demo-web.iam.gserviceaccount.com",
    "group:devs@example.com",
    "domain:example.com",
    "deleted:user:alice@example.com?uid=123",
    "allUsers",
    "projects/demo-web",
    "projects/example.com:demo-web",
    "folders/123",
    "organizations/1",
    "roles/compute.viewer",
    "projects/demo-web/roles/deployer",
    "roles/owner",
];

const FRAGMENTS: &[&str] = &[
    "@",
    ".",
    ":",
    "/",
    "-",
    "+",
    "_",
    "%",
    "'",
    "\"",
    " ",
    "\t",
    "\n",
    "\0",
    "..",
    "é",
    "\u{200b}",
    "\u{202e}",
    "ａ",
    "user:",
    "group:",
    "roles/",
    "projects/",
    "folders/0",
    "gmail.com",
    "xn--",
    "А",
    "ı",
    "K",
];

/// A name of some kind, damaged, or the bytes themselves as text.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.once_in(3) {
        return check_text(&String::from_utf8_lossy(choices.rest()));
    }
    let sample = choices.of(SAMPLES);
    check_text(&damage(sample, FRAGMENTS, 4, &mut choices));
}

fn check_text(text: &str) {
    if let Ok(email) = Email::parse(text) {
        check_email(text, &email);
    }
    if let Ok(principal) = Principal::parse(text) {
        let written = principal.to_string();
        assert_eq!(Principal::parse(&written).as_ref(), Ok(&principal), "{text:?}");
        assert_eq!(written.to_ascii_lowercase(), text.to_ascii_lowercase(), "{text:?} is another");
        assert_eq!(Member::parse(text), Member::Account(principal), "{text:?}");
    }
    check_member(text);
    if let Ok(resource) = Resource::parse(text) {
        assert_eq!(resource.to_string(), text, "a second spelling of a resource");
    }
    if let Ok(role) = Role::parse(text) {
        assert_eq!(role.as_str(), text, "a second spelling of a role");
        let basic = ["roles/owner", "roles/editor", "roles/viewer"];
        assert!(!basic.contains(&text), "a basic role: {text:?}");
        assert!(is_plain(text), "{text:?}");
    }
}

fn check_email(text: &str, email: &Email) {
    assert_eq!(email.as_str(), text.to_ascii_lowercase(), "{text:?} is changed");
    assert!(is_plain(text) && text.matches('@').count() == 1, "{text:?} is accepted");
    assert_eq!(
        Email::parse(email.as_str()).as_ref(),
        Ok(email),
        "{text:?} has two canonical forms"
    );
    assert_eq!(Email::parse(&text.to_ascii_uppercase()).as_ref(), Ok(email), "{text:?} has a case");
    assert!(email.domain().contains('.') && email.as_str().ends_with(email.domain()), "{text:?}");
    assert!(email.is_same_mailbox(email), "{text:?}");
    let is_account = email.as_str().ends_with(".gserviceaccount.com");
    assert_eq!(email.is_service_account(), is_account, "{text:?}");
    let kinds = [format!("user:{text}"), format!("serviceAccount:{text}")]
        .map(|it| Principal::parse(&it).is_ok());
    assert_eq!(kinds, [!is_account, is_account], "{text:?} is a person and a service account");
}

/// What is not one account, group or domain is nobody.
fn check_member(text: &str) {
    let kind = text.split(':').next().unwrap_or_default();
    let expected = match Member::parse(text) {
        Member::Account(Principal::User(_)) => "user",
        Member::Account(Principal::ServiceAccount(_)) => "serviceAccount",
        Member::Group(_) => "group",
        Member::Domain(_) => "domain",
        Member::Other => return,
    };
    assert_eq!(kind, expected, "{text:?} counts");
    assert!(is_plain(text), "{text:?} counts");
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{corpus, seeded};

    #[test]
    fn one_thing_has_one_spelling() {
        for data in seeded(0xe_4a11, 60_000, 60) {
            check(&data);
        }
        for data in corpus("names") {
            check(&data);
        }
        for sample in SAMPLES {
            check_text(sample);
        }
    }
}
