//! The trace that a request belongs to, as the proxy in front of intake names it.
//!
//! It is written to logs and nothing rests on it: anybody can send such a header.

use axum::http::HeaderMap;

/// A trace, as Cloud Logging names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    /// 32 lower-case hexadecimal digits.
    pub(crate) id: String,
    /// 16 lower-case hexadecimal digits.
    pub(crate) span: String,
    pub(crate) is_sampled: bool,
}

impl Trace {
    /// From `traceparent` (<https://www.w3.org/TR/trace-context/#traceparent-header>), or else from
    /// `X-Cloud-Trace-Context` (<https://cloud.google.com/trace/docs/trace-context#legacy-http-header>).
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name)?.to_str().ok();
        text("traceparent")
            .and_then(Self::from_parent)
            .or_else(|| text("x-cloud-trace-context").and_then(Self::from_legacy))
    }

    /// `00-<trace>-<span>-<flags>`; later versions may add parts behind these.
    fn from_parent(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let (id, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let has_more = parts.next().is_some();
        if version == "ff" || (version == "00" && has_more) {
            return None;
        }
        let is_sampled = u8::from_str_radix(hex(flags, 2)?, 16).ok()? & 1 == 1;
        Some(Self { id: id_of(id, 32)?, span: id_of(span, 16)?, is_sampled })
    }

    /// `<trace>/<span, decimal>;o=<0 or 1>`, the last part optional.
    fn from_legacy(text: &str) -> Option<Self> {
        let (id, rest) = text.trim().split_once('/')?;
        let (span, options) = rest.split_once(';').unwrap_or((rest, ""));
        let span = span.parse::<u64>().ok().filter(|span| *span != 0)?;
        Some(Self {
            id: id_of(&id.to_ascii_lowercase(), 32)?,
            span: format!("{span:016x}"),
            is_sampled: options == "o=1",
        })
    }
}

/// An id of so many digits; one of zeros alone is none.
fn id_of(text: &str, n_digits: usize) -> Option<String> {
    hex(text, n_digits).filter(|id| id.bytes().any(|digit| digit != b'0')).map(str::to_owned)
}

fn hex(text: &str, n_digits: usize) -> Option<&str> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == n_digits && text.bytes().all(is_digit)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    fn of(pairs: &[(&'static str, &str)]) -> Option<Trace> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Trace::of(&headers)
    }

    #[test]
    fn both_headers_name_the_trace() {
        let expected =
            |is_sampled| Some(Trace { id: ID.into(), span: "b7ad6b7169203331".into(), is_sampled });
        let parent = format!("00-{ID}-b7ad6b7169203331-01");
        assert_eq!(of(&[("traceparent", &parent)]), expected(true));
        let later = format!("01-{ID}-b7ad6b7169203331-00-more");
        assert_eq!(of(&[("traceparent", &later)]), expected(false));
        let legacy = format!("{}/13235353014750950193;o=1", ID.to_uppercase());
        assert_eq!(of(&[("x-cloud-trace-context", &legacy)]), expected(true));
        let both = [("traceparent", "broken"), ("x-cloud-trace-context", &*legacy)];
        assert_eq!(of(&both), expected(true));
    }

    #[test]
    fn what_is_no_trace_is_none() {
        let zeros = "0".repeat(32);
        for parent in [
            "",
            "00",
            &format!("00-{ID}-b7ad6b7169203331"),
            &format!("ff-{ID}-b7ad6b7169203331-01"),
            &format!("00-{ID}-b7ad6b7169203331-01-more"),
            &format!("00-{ID}-0000000000000000-01"),
            &format!("00-{zeros}-b7ad6b7169203331-01"),
            &format!("00-{}-b7ad6b7169203331-01", ID.to_uppercase()),
            &format!("00-{ID}\"-b7ad6b7169203331-01"),
        ] {
            assert_eq!(of(&[("traceparent", parent)]), None, "{parent}");
        }
        for legacy in [ID, &format!("{ID}/"), &format!("{ID}/0;o=1"), &format!("{ID}/-1"), "x/1"] {
            assert_eq!(of(&[("x-cloud-trace-context", legacy)]), None, "{legacy}");
        }
    }
}
