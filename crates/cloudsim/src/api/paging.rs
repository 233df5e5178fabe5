//! Pages of lists, with tokens that are opaque and good for the call that they came from.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::api::route::Query;
use crate::error::ApiError;

/// Parameters that may change from page to page, <https://google.aip.dev/158>.
const FREE_PARAMETERS: [&str; 3] = ["pageSize", "pageToken", "maxResults"];

/// Bytes of the digest of a call that its tokens carry.
const CALL_BYTES: usize = 12;

/// What a caller asked of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageRequest {
    size: Option<usize>,
    token: Option<String>,
    /// Digest of the call without its [`FREE_PARAMETERS`].
    call: Vec<u8>,
}

/// How large pages of one method are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageLimits {
    pub(crate) default: usize,
    pub(crate) max: usize,
}

/// One page.
#[derive(Debug, PartialEq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

impl PageRequest {
    /// Reads `size_parameter` and `pageToken`; empty parameters and a size of 0 count as absent.
    ///
    /// # Errors
    /// 400 for a size that is no number or below 0.
    pub(crate) fn read(query: &Query, size_parameter: &str) -> Result<Self, ApiError> {
        let size = match query.get(size_parameter) {
            None | Some("0") => None,
            Some(text) => Some(text.parse().map_err(|_| bad_size(size_parameter, text))?),
        };
        Ok(Self {
            size,
            token: query.get("pageToken").map(str::to_owned),
            call: digest_of_query(query),
        })
    }

    /// As [`PageRequest::read`] for Cloud Asset Inventory: "If set to zero or a negative value,
    /// server will pick an appropriate default."
    ///
    /// # Errors
    /// 400 for a size that is no number.
    pub(crate) fn read_lenient(query: &Query, size_parameter: &str) -> Result<Self, ApiError> {
        let size: i64 = match query.get(size_parameter) {
            None => 0,
            Some(text) => text.parse().map_err(|_| bad_size(size_parameter, text))?,
        };
        Ok(Self {
            size: usize::try_from(size).ok().filter(|size| *size > 0),
            token: query.get("pageToken").map(str::to_owned),
            call: digest_of_query(query),
        })
    }

    /// From a request body with `pageSize` and `pageToken`.
    pub(crate) fn from_body(body: &Value) -> Self {
        let size = body["pageSize"]
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| *size > 0);
        let token = body["pageToken"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        let mut rest = body.clone();
        if let Some(fields) = rest.as_object_mut() {
            fields.retain(|name, _| !FREE_PARAMETERS.contains(&name.as_str()));
        }
        Self { size, token, call: digest_of(&rest.to_string()) }
    }

    /// Refuses sizes above the limit, for methods that document "must not be greater".
    ///
    /// # Errors
    /// 400.
    pub(crate) fn at_most(self, limits: PageLimits) -> Result<Self, ApiError> {
        match self.size.filter(|size| *size > limits.max) {
            None => Ok(self),
            Some(size) => Err(ApiError::invalid(format!(
                "pageSize must not be greater than {}, and is {size}.",
                limits.max
            ))),
        }
    }

    /// The asked-for page of the items; `cap` is what the seed allows at most.
    pub(crate) fn cut<T>(
        &self,
        items: Vec<T>,
        limits: PageLimits,
        cap: Option<usize>,
    ) -> Result<Page<T>, ApiError> {
        let size = self
            .size
            .unwrap_or(limits.default)
            .min(limits.max)
            .min(cap.unwrap_or(usize::MAX))
            .max(1);
        let start = match &self.token {
            None => 0,
            Some(token) => self
                .offset_of(token)
                .filter(|start| *start <= items.len())
                .ok_or_else(|| ApiError::invalid("The page token is invalid."))?,
        };
        let end = start.saturating_add(size);
        let next = (end < items.len()).then(|| self.token_at(end));
        Ok(Page { items: items.into_iter().skip(start).take(size).collect(), next })
    }

    fn token_at(&self, offset: usize) -> String {
        let mut bytes = self.call.clone();
        bytes.extend(offset.to_string().bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` for a token that this call did not give out.
    fn offset_of(&self, token: &str) -> Option<usize> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let offset = bytes.strip_prefix(self.call.as_slice())?;
        std::str::from_utf8(offset).ok()?.parse().ok()
    }
}

impl Page<Value> {
    /// `{name: [...], "nextPageToken": ...}` as Google answers it: empty fields are left out.
    pub(crate) fn answer(self, name: &str) -> Value {
        let mut answer = json!({});
        if !self.items.is_empty() {
            answer[name] = Value::Array(self.items);
        }
        if let Some(next) = self.next {
            answer["nextPageToken"] = Value::String(next);
        }
        answer
    }
}

fn bad_size(parameter: &str, text: &str) -> ApiError {
    ApiError::invalid(format!("Invalid value at '{parameter}' (TYPE_INT32), \"{text}\""))
}

fn digest_of_query(query: &Query) -> Vec<u8> {
    let kept: Vec<_> = query
        .pairs()
        .iter()
        .filter(|(name, _)| !FREE_PARAMETERS.contains(&name.as_str()))
        .collect();
    digest_of(&json!([query.path(), kept]).to_string())
}

fn digest_of(call: &str) -> Vec<u8> {
    let whole = digest::digest(&digest::SHA256, call.as_bytes());
    whole.as_ref().iter().take(CALL_BYTES).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PageLimits = PageLimits { default: 2, max: 3 };

    #[test]
    fn tokens_lead_through_all_items_once() {
        let mut request = asked("v1/things", &[]);
        let mut seen = Vec::new();
        loop {
            let page = request.cut((0..5).collect(), LIMITS, None).unwrap();
            seen.extend(page.items);
            match page.next {
                Some(token) => request.token = Some(token),
                None => break,
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn sizes_are_limited_by_method_and_seed() {
        let request = asked("v1/things", &[("pageSize", "100")]);
        assert_eq!(request.cut((0..5).collect(), LIMITS, None).unwrap().items.len(), 3);
        assert_eq!(request.cut((0..5).collect(), LIMITS, Some(1)).unwrap().items.len(), 1);
        assert_eq!(request.at_most(LIMITS).unwrap_err().code(), 400);
    }

    #[test]
    fn a_negative_size_is_a_default_only_where_google_says_so() {
        let query = Query::new("v1/x", vec![("pageSize".to_owned(), "-1".to_owned())]);
        assert_eq!(PageRequest::read(&query, "pageSize").unwrap_err().code(), 400);
        let lenient = PageRequest::read_lenient(&query, "pageSize").unwrap();
        assert_eq!(lenient.cut((0..5).collect(), LIMITS, None).unwrap().items.len(), 2);
    }

    #[test]
    fn a_token_of_another_call_or_of_nobody_is_refused() {
        let first = asked("v1/things", &[("query", "a")]).cut((0..5).collect(), LIMITS, None);
        let token = first.unwrap().next.unwrap();
        let with = |path, query: &str, token: &str| {
            asked(path, &[("query", query), ("pageToken", token), ("pageSize", "1")]).cut(
                (0..5).collect::<Vec<_>>(),
                LIMITS,
                None,
            )
        };
        assert_eq!(with("v1/things", "a", &token).unwrap().items, [2]);
        for (path, query, token) in [
            ("v1/things", "b", token.as_str()),
            ("v1/others", "a", &token),
            ("v1/things", "a", "zzz"),
            ("v1/things", "a", "YXQ6OTk5"),
        ] {
            assert_eq!(with(path, query, token).unwrap_err().code(), 400, "{path} {query} {token}");
        }
    }

    fn asked(path: &str, query: &[(&str, &str)]) -> PageRequest {
        let pairs = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        PageRequest::read(&Query::new(path, pairs.collect()), "pageSize").unwrap()
    }
}
