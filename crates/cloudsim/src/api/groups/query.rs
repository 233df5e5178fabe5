//! The part of Cloud Identity's queries that is served: clauses joined by `&&`. Everything else is
//! refused, never ignored.

use crate::error::ApiError;
use crate::world::Group;

/// The label that every Google group has.
pub(crate) const DISCUSSION_FORUM: &str = "cloudidentity.googleapis.com/groups.discussion_forum";

/// What a query over memberships asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MemberQuery<'a> {
    /// Address, in lower case.
    pub(super) member: String,
    pub(super) label: Option<&'a str>,
    /// `customers/ID`.
    pub(super) parent: Option<&'a str>,
}

/// One clause of a query over groups.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clause<'a> {
    /// `customers/ID`.
    Parent(&'a str),
    Label(&'a str),
    Domain(&'a str),
    Key(Test<'a>),
    DisplayName(Test<'a>),
}

/// A test of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Test<'a> {
    Equals(&'a str),
    StartsWith(&'a str),
    Contains(&'a str),
}

impl<'a> MemberQuery<'a> {
    /// `member_key_id == 'ADDRESS'`, perhaps with `'LABEL' in labels` and `parent == 'customers/ID'`.
    pub(super) fn read(query: &'a str) -> Result<Self, ApiError> {
        let (mut member, mut label, mut parent) = (None, None, None);
        for clause in query.split("&&").map(str::trim) {
            if let Some(value) = clause.strip_prefix("member_key_id") {
                member = Some(equal_to(value).ok_or_else(|| bad(query))?);
            } else if let Some(value) = clause.strip_prefix("parent") {
                parent = Some(equal_to(value).ok_or_else(|| bad(query))?);
            } else {
                label = Some(label_of(clause).ok_or_else(|| bad(query))?);
            }
        }
        let member = member.ok_or_else(|| bad(query))?.to_ascii_lowercase();
        Ok(Self { member, label, parent })
    }

    /// As [`MemberQuery::read`], with the label that the method requires.
    pub(super) fn read_with_label(query: &'a str) -> Result<Self, ApiError> {
        Self::read(query).and_then(|it| if it.label.is_some() { Ok(it) } else { Err(bad(query)) })
    }
}

/// The clauses of `groups:search`, of which one is the parent.
pub(super) fn clauses(query: &str) -> Result<Vec<Clause<'_>>, ApiError> {
    let read = query.split("&&").map(|it| clause(it.trim()).ok_or_else(|| bad(query)));
    let clauses = read.collect::<Result<Vec<_>, _>>()?;
    if clauses.iter().any(|clause| matches!(clause, Clause::Parent(_))) {
        Ok(clauses)
    } else {
        Err(bad(query))
    }
}

impl Clause<'_> {
    pub(super) fn matches(&self, group: &Group, customer: &str) -> bool {
        match self {
            Self::Parent(parent) => parent.strip_prefix("customers/") == Some(customer),
            Self::Label(label) => *label == DISCUSSION_FORUM,
            Self::Domain(domain) => {
                group.email.split_once('@').is_some_and(|(_, it)| it.eq_ignore_ascii_case(domain))
            }
            Self::Key(test) => test.holds(&group.email),
            Self::DisplayName(test) => test.holds(&group.name),
        }
    }
}

impl Test<'_> {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Equals(value) => text == *value,
            Self::StartsWith(value) => text.starts_with(value),
            Self::Contains(value) => text.contains(value),
        }
    }
}

fn clause(text: &str) -> Option<Clause<'_>> {
    if let Some(value) = text.strip_prefix("parent") {
        return equal_to(value).map(Clause::Parent);
    }
    if let Some(value) = text.strip_prefix("domain_name") {
        return equal_to(value).map(Clause::Domain);
    }
    if let Some(value) = text.strip_prefix("group_key") {
        return test(value).map(Clause::Key);
    }
    if let Some(value) = text.strip_prefix("display_name") {
        return test(value).map(Clause::DisplayName);
    }
    label_of(text).map(Clause::Label)
}

fn test(text: &str) -> Option<Test<'_>> {
    let argument = |name: &str| quoted(text.strip_prefix(name)?.strip_suffix(')')?);
    argument(".startsWith(")
        .map(Test::StartsWith)
        .or_else(|| argument(".contains(").map(Test::Contains))
        .or_else(|| equal_to(text).map(Test::Equals))
}

fn equal_to(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix("==").and_then(quoted)
}

fn label_of(clause: &str) -> Option<&str> {
    clause.strip_suffix("in labels").and_then(quoted)
}

/// The text between a pair of quotes that holds no further quote or escape.
fn quoted(text: &str) -> Option<&str> {
    let text = text.trim();
    let inner =
        ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    (!inner.is_empty() && !inner.contains(['\'', '"', '\\'])).then_some(inner)
}

fn bad(query: &str) -> ApiError {
    ApiError::invalid(format!("Error(2006): Invalid query: {query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_queries_are_understood() {
        let with_label = "member_key_id == 'Bob@Example.com' && 'cloudidentity.googleapis.com/groups.discussion_forum' in labels && parent == 'customers/C1'";
        let query = MemberQuery::read_with_label(with_label).unwrap();
        assert_eq!(query.member, "bob@example.com");
        assert_eq!((query.label, query.parent), (Some(DISCUSSION_FORUM), Some("customers/C1")));
        assert_eq!(MemberQuery::read("member_key_id==\"a@x\"").unwrap().member, "a@x");

        let sales = "parent == 'customers/C1' && group_key.startsWith('sales')";
        assert_eq!(
            clauses(sales).unwrap(),
            [Clause::Parent("customers/C1"), Clause::Key(Test::StartsWith("sales"))]
        );
        let tests =
            "parent == \"customers/C1\" && display_name.contains('test') && domain_name == 'x'";
        assert_eq!(clauses(tests).unwrap().len(), 3);
    }

    #[test]
    fn other_queries_are_refused() {
        for query in [
            "",
            "member_key_id == 'a@x' || true",
            "member_key_id == 'a@x' && x",
            "member_key_id == 'a' or 'b'",
            "member_key_id != 'a'",
        ] {
            assert_eq!(MemberQuery::read(query).unwrap_err().code(), 400, "{query}");
        }
        assert_eq!(MemberQuery::read_with_label("member_key_id == 'a@x'").unwrap_err().code(), 400);
        for query in [
            "",
            "group_key == 'a@x'",
            "parent == 'customers/C1' && group_key.endsWith('x')",
            "parent != 'customers/C1'",
            "parent == 'customers/C1' || true",
        ] {
            assert_eq!(clauses(query).unwrap_err().code(), 400, "{query}");
        }
    }
}
