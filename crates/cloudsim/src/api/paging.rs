//! Pages of lists, with opaque tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::api::route::Query;
use crate::error::ApiError;

/// What a caller asked of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageRequest {
    size: Option<usize>,
    token: Option<String>,
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
    /// Reads `size_parameter` and `pageToken`; empty parameters count as absent.
    pub(crate) fn read(query: &Query, size_parameter: &str) -> Result<Self, ApiError> {
        let size = match query.get(size_parameter) {
            None | Some("0") => None,
            Some(text) => Some(text.parse().map_err(|_| {
                ApiError::invalid(format!(
                    "Invalid value at '{size_parameter}' (TYPE_INT32), \"{text}\""
                ))
            })?),
        };
        Ok(Self { size, token: query.get("pageToken").map(str::to_owned) })
    }

    /// From a request body with `pageSize` and `pageToken`.
    pub(crate) fn from_body(body: &Value) -> Self {
        let size = body["pageSize"]
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| *size > 0);
        let token = body["pageToken"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        Self { size, token }
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
            Some(token) => offset_of(token)
                .filter(|start| *start <= items.len())
                .ok_or_else(|| ApiError::invalid("The page token is invalid."))?,
        };
        let end = start.saturating_add(size);
        let next = (end < items.len()).then(|| URL_SAFE_NO_PAD.encode(format!("at:{end}")));
        Ok(Page { items: items.into_iter().skip(start).take(size).collect(), next })
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

fn offset_of(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("at:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PageLimits = PageLimits { default: 2, max: 3 };

    #[test]
    fn tokens_lead_through_all_items_once() {
        let mut request = PageRequest { size: None, token: None };
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
        let request = PageRequest { size: Some(100), token: None };
        assert_eq!(request.cut((0..5).collect(), LIMITS, None).unwrap().items.len(), 3);
        assert_eq!(request.cut((0..5).collect(), LIMITS, Some(1)).unwrap().items.len(), 1);
    }

    #[test]
    fn a_foreign_token_is_refused() {
        for token in ["", "zzz", "YXQ6OTk5"] {
            let request = PageRequest { size: None, token: Some(token.to_owned()) };
            assert_eq!(request.cut(vec![1], LIMITS, None).unwrap_err().code(), 400, "{token}");
        }
    }
}
