//! Query parameters: known by name, each once, bounded.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;

use crate::errors::{Reason, Refusal, clipped};

/// Items of a page if a caller does not say.
const PAGE_SIZE: u32 = 50;

/// The largest page; more is cut to this, as AIP-158 has it.
const PAGE_SIZE_MAX: u32 = 100;

/// The longest value: page tokens are the longest.
const VALUE_BYTES_MAX: usize = 2_048;

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
            if value.len() > VALUE_BYTES_MAX {
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

    /// The part of a whole list that `pageSize` and `pageToken` ask for, and the token of the next.
    pub(crate) fn page<T>(&self, items: Vec<T>) -> Result<(Vec<T>, Option<String>), Refusal> {
        let size = usize::try_from(self.page_size()?).unwrap_or_default();
        let from = match self.get("pageToken") {
            Some(token) => token.parse::<usize>().map_err(|_| bad_token())?,
            None => 0,
        };
        let to = from.saturating_add(size);
        let next = (to < items.len()).then(|| to.to_string());
        Ok((items.into_iter().skip(from).take(size).collect(), next))
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

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let items: Vec<u32> = (0..5).collect();
        let (first, next) = read("pageSize=3").unwrap().page(items.clone()).unwrap();
        assert_eq!((first, next.as_deref()), (vec![0, 1, 2], Some("3")));
        let (last, next) = read("pageSize=3&pageToken=3").unwrap().page(items.clone()).unwrap();
        assert_eq!((last, next), (vec![3, 4], None));
        assert!(read("pageToken=x").unwrap().page(items).is_err());
    }
}
