//! Query parameters: known by name, each once, bounded.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;
use curfew_core::condition::CONDITION_BYTES_MAX;

use crate::errors::{Reason, Refusal, clipped};
use crate::page_token::{List, Place};

/// Items of a page if a caller does not say.
const PAGE_SIZE: u32 = 50;

/// The largest page; more is cut to this, as AIP-158 has it.
const PAGE_SIZE_MAX: u32 = 100;

/// The longest value.
const VALUE_BYTES_MAX: usize = 2_048;

/// The longest page token: one may hold a whole condition, four characters for three bytes, and a name or two.
const TOKEN_BYTES_MAX: usize = CONDITION_BYTES_MAX * 4 / 3 + VALUE_BYTES_MAX;

/// The parameters of one call.
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads the query of `uri`; refuses names that are not in `known`.
    pub(crate) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Refusal> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            Refusal::new(
                Reason::ParameterInvalid,
                "The query cannot be read: write it as name=value&name=value.",
            )
        })?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            let refused = |message: &str| Err(invalid(&clipped(&name), message));
            if !known.contains(&name.as_str()) {
                return refused(&format!("is not known here: use {}.", known.join(", ")));
            }
            let is_token = name == "pageToken";
            if value.len() > if is_token { TOKEN_BYTES_MAX } else { VALUE_BYTES_MAX } {
                return refused("is too long.");
            }
            if params.contains_key(&name) {
                return refused("is there twice: say it once.");
            }
            params.insert(name, value);
        }
        Ok(Self(params))
    }

    /// No parameter at all: every list from its start.
    pub(crate) fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// The value, unless it is absent or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value as whatever it stands for.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Refusal> {
        self.get(name).map(parse).transpose().map_err(|error| invalid(name, &format!("{error}.")))
    }

    /// `pageSize`, from 1 to [`PAGE_SIZE_MAX`].
    pub(crate) fn page_size(&self) -> Result<u32, Refusal> {
        let size = self.parsed("pageSize", |text| {
            text.parse::<u32>().map_err(|_| "must be a number from 0 to 100")
        })?;
        Ok(size.filter(|size| *size > 0).unwrap_or(PAGE_SIZE).min(PAGE_SIZE_MAX))
    }

    /// How many items to show, and behind which place of `list`.
    pub(crate) fn page_of<P: Place>(&self, list: List<'_>) -> Result<(usize, Option<P>), Refusal> {
        let size = usize::try_from(self.page_size()?).unwrap_or_default();
        let after = self.get("pageToken").map(|token| list.place(token)).transpose()?;
        Ok((size, after))
    }
}

pub(crate) fn invalid(name: &str, message: &str) -> Refusal {
    Refusal::field(Reason::ParameterInvalid, name, message)
}

pub(crate) fn bad_token() -> Refusal {
    Refusal::field(
        Reason::PageTokenInvalid,
        "pageToken",
        "was not issued for this list: leave it out to start anew.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/x?{query}").parse().unwrap()
    }

    fn read(query: &str) -> Result<Params, Refusal> {
        Params::read(&uri(query), &["query", "pageSize", "pageToken"])
    }

    #[test]
    fn unknown_repeated_and_endless_parameters_are_refused_by_name() {
        for (query, field) in [
            ("q=1", "q"),
            ("query=a&query=b", "query"),
            (&format!("query={}", "a".repeat(2_049)), "query"),
        ] {
            assert_eq!(read(query).err().unwrap().field.as_deref(), Some(field));
        }
        assert_eq!(read("query=a+b%2Fc").unwrap().get("query"), Some("a b/c"));
        assert_eq!(read("query=").unwrap().get("query"), None);
    }

    #[test]
    fn pages_are_bounded() {
        for (query, size) in
            [("", 50), ("pageSize=0", 50), ("pageSize=7", 7), ("pageSize=100000", 100)]
        {
            assert_eq!(read(query).unwrap().page_size().unwrap(), size, "{query}");
        }
        for query in ["pageSize=-1", "pageSize=x", "pageSize=1e3", "pageSize=99999999999"] {
            assert!(read(query).unwrap().page_size().is_err(), "{query}");
        }
    }
}
