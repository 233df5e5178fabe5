//! Page tokens: the place behind which a list goes on, whatever else of it comes and goes meanwhile.
//!
//! A token is a place and no permission: what a page shows is judged when it is asked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use curfew_core::id::Digest;
use curfew_core::index::OfferKey;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;

use crate::errors::Refusal;
use crate::params::bad_token;

/// A list, and what it is narrowed to: a token goes on with that very list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List<'a> {
    pub(crate) name: &'a str,
    pub(crate) search: &'a [Option<&'a str>],
}

/// The place of an item in a list, as text and back.
pub(crate) trait Place: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Place for OfferKey {
    fn write(&self) -> String {
        format!("{}\n{}\n{}", self.resource, self.role, self.condition)
    }

    fn read(text: &str) -> Option<Self> {
        // A condition may hold line feeds; what stands before it may not.
        let (resource, rest) = text.split_once('\n')?;
        let (role, condition) = rest.split_once('\n')?;
        Some(Self {
            resource: Resource::parse(resource).ok()?,
            role: Role::parse(role).ok()?,
            condition: condition.to_owned(),
        })
    }
}

impl Place for Resource {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Place for Email {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl List<'_> {
    /// The token of the page behind `place`.
    pub(crate) fn token(self, place: &impl Place) -> String {
        let place = place.write();
        URL_SAFE_NO_PAD.encode(format!("{}\n{place}", self.digest(&place).prefix()))
    }

    /// The place that a token of this list names.
    pub(crate) fn place<P: Place>(self, token: &str) -> Result<P, Refusal> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad_token)?;
        let (digest, place) = text.split_once('\n').ok_or_else(bad_token)?;
        if digest != self.digest(place).prefix() {
            return Err(bad_token());
        }
        P::read(place).ok_or_else(bad_token)
    }

    /// Of the list's name, each part of its search and a place, with lengths, so that no two read the same.
    fn digest(self, place: &str) -> Digest {
        let parts = [Some(self.name), Some(place)].into_iter().chain(self.search.iter().copied());
        let text: String = parts
            .map(|part| part.map_or("-".to_owned(), |part| format!("{}:{part}", part.len())))
            .collect();
        Digest::of(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: List<'_> = List { name: "entitlements", search: &[Some("a"), None] };

    fn key() -> OfferKey {
        OfferKey {
            resource: Resource::parse("projects/demo-web").unwrap(),
            role: Role::parse("roles/compute.viewer").unwrap(),
            condition: "a == \"ü\" &&\n b".into(),
        }
    }

    #[test]
    fn a_token_names_its_place() {
        assert_eq!(LIST.place::<OfferKey>(&LIST.token(&key())).unwrap(), key());
    }

    #[test]
    fn tokens_of_other_lists_and_made_up_ones_are_refused() {
        let token = LIST.token(&key());
        for other in [
            List { name: "resources", ..LIST },
            List { search: &[Some("b"), None], ..LIST },
            List { search: &[None, Some("a")], ..LIST },
            List { search: &[], ..LIST },
        ] {
            assert!(other.place::<OfferKey>(&token).is_err(), "{other:?}");
        }
        assert!(LIST.place::<Resource>(&token).is_err(), "another kind of place");
        for made_up in ["", "50", "x", "%%%", &token[1..], &format!("{token}A"), "AAAA"] {
            assert!(LIST.place::<OfferKey>(made_up).is_err(), "{made_up:?}");
        }
    }
}
