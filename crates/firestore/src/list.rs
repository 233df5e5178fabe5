//! Lists of requests, newest first, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use curfew_ports::{ListQuery, Page, PortError, RetryClass, Version};
use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{Document, StructuredQuery};
use gcloud_sdk::prost_types::Timestamp;

use crate::answer;
use crate::document::Requests;
use crate::names::{Names, REQUESTS, id_of};
use crate::query::{REQUESTED_AT, newest_first};
use crate::rpc::Fold;
use crate::value::{Fields, text_at, value_at};

/// Requests on one page, whatever the caller asks for: a document may have 1 MiB.
pub(crate) const PAGE_SIZE_MAX: usize = 100;

/// Documents looked at for one page where the index serves only the first of several filters. A page may be shorter
/// than asked for then, and the next one goes on where this one stopped looking.
const SCAN_MAX: usize = 1_000;

/// A list that was asked for, checked.
#[derive(Debug)]
pub(crate) struct List {
    /// Field and value, the most selective first. The index serves the first; the others are matched here, as
    /// Firestore has no index for their combinations.
    filters: Vec<(&'static str, String)>,
    cursor: Option<Cursor>,
    page_size: usize,
}

/// The place of a document in the order of lists: after this one a page goes on. Opaque to callers, who may ask for
/// any place: what they may see does not depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    requested_at: Version,
    id: String,
}

impl List {
    pub(crate) fn new(query: &ListQuery) -> Result<Self, PortError> {
        let invalid =
            |why: &str| PortError::new(RetryClass::Invalid, format!("list requests: {why}"));
        let filters = [
            ("specView.requester.subject", &query.requester),
            ("specView.resource", &query.resource),
            ("status.phase", &query.phase),
        ];
        let filters = filters.into_iter().filter_map(|(path, value)| Some((path, value.clone()?)));
        let cursor = match &query.page_token {
            Some(token) => {
                Some(Cursor::parse(token).ok_or_else(|| invalid("malformed page token"))?)
            }
            None => None,
        };
        let page_size =
            usize::try_from(query.page_size).unwrap_or(PAGE_SIZE_MAX).min(PAGE_SIZE_MAX);
        if page_size == 0 {
            return Err(invalid("a page has at least one request"));
        }
        Ok(Self { filters: filters.collect(), cursor, page_size })
    }

    /// The query; it asks for one document more than the page can need, which tells whether there is a next page.
    pub(crate) fn query(&self, names: &Names) -> Result<StructuredQuery, PortError> {
        let served = self.filters.first().map(|(path, value)| (*path, value.as_str()));
        let cursor = match &self.cursor {
            Some(Cursor { requested_at, id }) => {
                let name = names.checked(REQUESTS, id)?;
                Some((answer::version_timestamp(*requested_at), name))
            }
            None => None,
        };
        let limit = i32::try_from(self.scan_max() + 1).unwrap_or(i32::MAX);
        Ok(newest_first(served, cursor, limit))
    }

    fn scan_max(&self) -> usize {
        if self.filters.len() > 1 { SCAN_MAX } else { self.page_size }
    }

    fn matches(&self, fields: &Fields) -> bool {
        self.filters.iter().skip(1).all(|(path, value)| text_at(fields, path) == Some(value))
    }
}

/// One page as its documents come in.
#[derive(Debug)]
pub(crate) struct PageFold<'a> {
    list: &'a List,
    requests: Requests,
    scanned: usize,
    last: Option<Cursor>,
    more: bool,
}

impl<'a> PageFold<'a> {
    pub(crate) fn new(list: &'a List) -> Self {
        Self { list, requests: Requests::default(), scanned: 0, last: None, more: false }
    }

    pub(crate) fn finish(self) -> Page {
        let next_page_token = self.last.filter(|_| self.more).map(|last| last.token());
        Page { requests: self.requests.finish(), next_page_token }
    }
}

impl Fold for PageFold<'_> {
    fn take(&mut self, document: Document) -> bool {
        if self.requests.len() == self.list.page_size || self.scanned == self.list.scan_max() {
            self.more = true;
            return false;
        }
        self.scanned += 1;
        self.last = Cursor::of(&document);
        if self.list.matches(&document.fields) {
            self.requests.take(document);
        }
        true
    }
}

impl Cursor {
    /// The query lists no document whose time of request is none.
    fn of(document: &Document) -> Option<Self> {
        let value = value_at(&document.fields, REQUESTED_AT)?;
        let ValueType::TimestampValue(at) = value else { return None };
        Some(Self { requested_at: answer::version(at)?, id: id_of(&document.name).to_owned() })
    }

    fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}", self.requested_at.0, self.id))
    }

    fn parse(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (at, id) = text.split_once('.')?;
        let requested_at = Version(at.parse().ok()?);
        let stored = answer::version_timestamp(requested_at);
        let cursor = Self { requested_at, id: id.to_owned() };
        // One spelling for one place, and a time that Firestore can hold.
        (cursor.token() == token && is_stored_time(&stored) && crate::names::is_document_id(id))
            .then_some(cursor)
    }
}

/// 0001-01-01 to 9999-12-31, as `google.protobuf.Timestamp` allows.
fn is_stored_time(at: &Timestamp) -> bool {
    (-62_135_596_800..=253_402_300_799).contains(&at.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_place_and_survives_the_way_there_and_back() {
        let cursor = Cursor { requested_at: Version(-5), id: "a.b".into() };
        assert_eq!(Cursor::parse(&cursor.token()), Some(cursor));
    }

    #[test]
    fn a_token_of_another_shape_is_refused() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let bad = [
            String::new(),
            "!".into(),
            encode("1"),
            encode("1."),
            encode("x.a"),
            encode("01.a"),
            encode("1.a/b"),
            encode("9223372036854775807.a"),
            encode(&format!("1.{}", "a".repeat(1_501))),
            URL_SAFE_NO_PAD.encode([0xff, b'.', b'a']),
        ];
        for token in bad {
            assert_eq!(Cursor::parse(&token), None, "{token:?}");
            let query = ListQuery { page_token: Some(token), page_size: 1, ..Default::default() };
            assert_eq!(List::new(&query).unwrap_err().class, RetryClass::Invalid);
        }
    }

    #[test]
    fn a_page_without_room_is_refused_and_a_huge_one_is_cut() {
        let with = |page_size| List::new(&ListQuery { page_size, ..Default::default() });
        assert_eq!(with(0).unwrap_err().class, RetryClass::Invalid);
        assert_eq!(with(u32::MAX).unwrap().page_size, PAGE_SIZE_MAX);
    }
}
