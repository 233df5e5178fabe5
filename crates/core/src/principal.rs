//! People, accounts, and the members that an IAM policy names.

use std::fmt;

/// The longest address that RFC 5321 §4.5.3.1 lets a path carry.
const EMAIL_LENGTH_MAX: usize = 254;

/// The longest subject that is accepted: `accounts.google.com:` and a decimal id are well below it.
const SUBJECT_LENGTH_MAX: usize = 255;

/// Why a text is no principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PrincipalError(&'static str);

/// An e-mail address in its one canonical form: ASCII, lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

impl Email {
    /// Accepts `local@domain` of unquoted ASCII characters and lower-cases it, as IAM does.
    pub fn parse(text: &str) -> Result<Self, PrincipalError> {
        let (local, domain) =
            text.split_once('@').ok_or(PrincipalError("must be an e-mail address"))?;
        if text.len() > EMAIL_LENGTH_MAX {
            return Err(PrincipalError("must be an e-mail address of at most 254 characters"));
        }
        if !local.is_empty() && local.bytes().all(is_local) && is_domain(domain) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(PrincipalError("must be a plain e-mail address such as alice@example.com"))
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// Whether mail to both reaches one mailbox, as far as the addresses tell: what follows a `+` does not matter, and
    /// for Google's consumer accounts neither do dots, nor which of its two domains is written
    /// (<https://support.google.com/mail/answer/7436150>, <https://support.google.com/mail/answer/10313>).
    pub fn is_same_mailbox(&self, other: &Self) -> bool {
        self.mailbox() == other.mailbox()
    }

    fn mailbox(&self) -> (String, &str) {
        let (local, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let local = local.split_once('+').map_or(local, |(before, _)| before);
        match domain {
            "gmail.com" | "googlemail.com" => (local.replace('.', ""), "gmail.com"),
            _ => (local.to_owned(), domain),
        }
    }

    /// Whether this is the address of a service account, which is never a person.
    pub fn is_service_account(&self) -> bool {
        self.domain().ends_with(".gserviceaccount.com")
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+'-".contains(&byte)
}

/// A host name of at least two labels.
pub fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.contains('.') && text.split('.').all(label)
}

/// The immutable id of a signed-in person: `accounts.google.com:<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// Accepts printable ASCII without white space, at most 255 bytes.
    pub fn parse(text: &str) -> Result<Self, PrincipalError> {
        if (1..=SUBJECT_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic())
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(PrincipalError("must be 1 to 255 printable ASCII characters"))
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A signed-in person or service account. Two are the same if their subjects are, or else their mailboxes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// The immutable id.
    pub subject: Subject,
    /// The address at the time of signing in.
    pub email: Email,
}

impl Person {
    /// Whether both name one human being: same subject, or same mailbox. Rather once too often than not.
    pub fn is(&self, other: &Person) -> bool {
        self.subject == other.subject || self.email.is_same_mailbox(&other.email)
    }

    /// The member string by which IAM knows this person or service account.
    pub fn principal(&self) -> Principal {
        Principal::of(self.email.clone())
    }
}

/// Who may receive access: exactly one person or service account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// `user:alice@example.com`
    User(Email),
    /// `serviceAccount:deployer@p.iam.gserviceaccount.com`
    ServiceAccount(Email),
}

impl Principal {
    /// Accepts `user:` and `serviceAccount:` members in exact form; nothing else ever receives access.
    pub fn parse(text: &str) -> Result<Self, PrincipalError> {
        let (kind, address) = text.split_once(':').ok_or(Self::expected())?;
        let email = Email::parse(address)?;
        match (kind, email.is_service_account()) {
            ("user", false) => Ok(Self::User(email)),
            ("serviceAccount", true) => Ok(Self::ServiceAccount(email)),
            ("user" | "serviceAccount", _) => Err(PrincipalError(
                "kind and address disagree: people are user:, service accounts serviceAccount:",
            )),
            _ => Err(Self::expected()),
        }
    }

    /// The one kind of principal that the address can be.
    pub fn of(email: Email) -> Self {
        if email.is_service_account() { Self::ServiceAccount(email) } else { Self::User(email) }
    }

    /// The address without its kind.
    pub fn email(&self) -> &Email {
        match self {
            Self::User(email) | Self::ServiceAccount(email) => email,
        }
    }

    fn expected() -> PrincipalError {
        PrincipalError("must be user:<address> or serviceAccount:<address>")
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(email) => write!(f, "user:{email}"),
            Self::ServiceAccount(email) => write!(f, "serviceAccount:{email}"),
        }
    }
}

/// A member of an IAM binding, as far as eligibility reads it. Everything else never counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// One account by its exact address.
    Account(Principal),
    /// Everybody in a group, nested groups included.
    Group(Email),
    /// Everybody of a Workspace or Cloud Identity domain.
    Domain(String),
    /// `allUsers`, `deleted:…`, principal sets and whatever IAM may add: nobody, as far as we go.
    Other,
}

impl Member {
    /// Reads a member string; what is not understood is [`Member::Other`].
    pub fn parse(text: &str) -> Self {
        let Some((kind, rest)) = text.split_once(':') else { return Self::Other };
        match kind {
            "group" => Email::parse(rest).map_or(Self::Other, Self::Group),
            "domain" if is_domain(rest) => Self::Domain(rest.to_ascii_lowercase()),
            _ => Principal::parse(text).map_or(Self::Other, Self::Account),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lower_cased_and_plain() {
        assert_eq!(Email::parse("Alice@Example.COM").unwrap().as_str(), "alice@example.com");
        for bad in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "a b@example.com",
            "a@b@example.com",
            "\"a\"@example.com",
            "a@example",
            "a@-x.com",
            "älice@example.com",
            "a@example.com\n",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_mailbox_has_many_addresses() {
        let same = |a: &str, b: &str| {
            let (a, b) = (Email::parse(a).unwrap(), Email::parse(b).unwrap());
            assert_eq!(a.is_same_mailbox(&b), b.is_same_mailbox(&a), "{a} {b}");
            a.is_same_mailbox(&b)
        };
        for (a, b) in [
            ("alice@example.com", "Alice@EXAMPLE.com"),
            ("alice@example.com", "alice+x@example.com"),
            ("alice+a@example.com", "alice+b+c@example.com"),
            ("al.ice@gmail.com", "alice@gmail.com"),
            ("alice@googlemail.com", "alice@gmail.com"),
            ("a.l.i.c.e+x@googlemail.com", "alice@gmail.com"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("alice@example.com", "bob@example.com"),
            ("alice@example.com", "alice@example.org"),
            ("al.ice@example.com", "alice@example.com"),
            ("alice@gmail.com", "alice@example.com"),
            ("alice-x@example.com", "alice@example.com"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn only_exact_people_and_service_accounts_receive() {
        assert!(Principal::parse("user:alice@example.com").is_ok());
        assert!(Principal::parse("serviceAccount:d@p.iam.gserviceaccount.com").is_ok());
        for bad in [
            "allUsers",
            "group:a@example.com",
            "domain:example.com",
            "user:d@p.iam.gserviceaccount.com",
            "serviceAccount:alice@example.com",
            "user:a@example.com,user:b@example.com",
            "principalSet://x",
            "deleted:user:a@example.com?uid=1",
        ] {
            assert!(Principal::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn members_that_are_not_understood_are_nobody() {
        for other in [
            "allUsers",
            "allAuthenticatedUsers",
            "deleted:user:a@example.com?uid=1",
            "principal://iam/x",
            "user:",
            "group:x",
        ] {
            assert_eq!(Member::parse(other), Member::Other, "{other:?}");
        }
        assert_eq!(Member::parse("domain:Example.com"), Member::Domain("example.com".into()));
    }
}
