//! The query language of Cloud Asset Inventory's searches, as far as it is served.
//!
//! Served are `field:value` (the value's words occur one after the other in the field, whatever
//! their case; a trailing `*` makes the last word a prefix, `*` alone asks for any value),
//! `field=value` (the whole field), bare values (any field), quotes, `field:(a OR b)`, `NOT`, `AND`
//! (also by mere sequence), `OR` and parentheses. Refused are comparisons, unknown fields, and `AND`
//! beside `OR` without parentheses, which readers disagree on.
//! <https://cloud.google.com/asset-inventory/docs/query-syntax>.

use crate::error::ApiError;

/// Longest accepted query. Google publishes no figure; people and clients send some dozen words.
const QUERY_BYTES_MAX: usize = 2_048;

/// Deepest nesting of parentheses and `NOT`: reading and matching recurse.
const DEPTH_MAX: usize = 16;

/// What can be searched: a list of texts per field.
pub(super) trait Searched {
    /// The texts of one of the fields that the query was read for.
    fn texts(&self, field: &str) -> Vec<String>;
    /// The texts that bare values are looked for in.
    fn all_texts(&self) -> Vec<String>;
}

/// A query that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Not(Box<Query>),
    Term { field: Option<String>, value: Value },
}

/// What a term asks of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `=`.
    Whole(String),
    /// `:`, in lower case.
    Words { words: Vec<String>, is_prefix: bool },
    /// `*`.
    Present,
}

/// The fields that one search has; a name that ends in a dot stands for all that begin so.
pub(super) type Fields = &'static [&'static str];

impl Query {
    /// # Errors
    /// 400 for what is not served.
    pub(super) fn read(text: &str, fields: Fields) -> Result<Self, ApiError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(bad(text, "it is too long"));
        }
        let tokens = tokens(text).ok_or_else(|| bad(text, "a quote is not closed"))?;
        let mut reader = Reader { tokens: &tokens, fields };
        let query = reader.sequence(0).map_err(|reason| bad(text, &reason))?;
        if reader.tokens.is_empty() { Ok(query) } else { Err(bad(text, "a ')' is too many")) }
    }

    pub(super) fn matches(&self, searched: &impl Searched) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(searched)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(searched)),
            Self::Not(part) => !part.matches(searched),
            Self::Term { field, value } => {
                let texts = match field {
                    Some(field) => searched.texts(field),
                    None => searched.all_texts(),
                };
                texts.iter().any(|text| value.matches(text))
            }
        }
    }

    /// The values that are asked for in the field anywhere in the query.
    pub(super) fn values_of<'a>(&'a self, wanted: &str) -> Vec<&'a Value> {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(|part| part.values_of(wanted)).collect()
            }
            Self::Not(_) => Vec::new(),
            Self::Term { field, value } => {
                if field.as_deref() == Some(wanted) {
                    vec![value]
                } else {
                    Vec::new()
                }
            }
        }
    }
}

impl Value {
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Present => !text.is_empty(),
            Self::Whole(whole) => text == whole,
            Self::Words { words, is_prefix } => {
                let found = words_of(text);
                let Some((last, before)) = words.split_last() else { return false };
                found.windows(words.len()).any(|window| {
                    window.split_last().is_some_and(|(end, start)| {
                        start == before
                            && if *is_prefix { end.starts_with(last) } else { end == last }
                    })
                })
            }
        }
    }

    /// The value of `field:text`; `is_plain` is false for quoted text, in which `*` is no operator.
    fn words(text: &str, is_plain: bool) -> Result<Self, String> {
        if is_plain && text == "*" {
            return Ok(Self::Present);
        }
        let prefix = text.strip_suffix('*').filter(|_| is_plain);
        let plain = prefix.unwrap_or(text);
        if is_plain && plain.contains('*') {
            return Err("'*' is served at the end of a value only".to_owned());
        }
        let words = words_of(plain);
        if words.is_empty() {
            return Err(format!("'{text}' has no word"));
        }
        Ok(Self::Words { words, is_prefix: prefix.is_some() })
    }
}

fn words_of(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    /// Text outside quotes; `field:` and `field=` are parts of it.
    Word(String),
    Quoted(String),
}

/// `None` for a quote that is not closed.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' | '\'' => {
                let inner = rest.get(1..)?;
                let end = inner.find(first)?;
                (Token::Quoted(inner.get(..end)?.to_owned()), end + 2)
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || "()\"'".contains(c))
                    .unwrap_or(rest.len());
                (Token::Word(rest.get(..end)?.to_owned()), end)
            }
        };
        tokens.push(token);
        rest = rest.get(length..)?.trim_start();
    }
    Some(tokens)
}

struct Reader<'a> {
    tokens: &'a [Token],
    fields: Fields,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.tokens.first(), Some(Token::Word(it)) if it == word);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Terms up to the end or to a `)`.
    fn sequence(&mut self, depth: usize) -> Result<Query, String> {
        let (mut parts, mut ors, mut ands) = (Vec::new(), 0, 0);
        while !matches!(self.tokens.first(), None | Some(Token::Close)) {
            if !parts.is_empty() {
                if self.take_word("OR") {
                    ors += 1;
                } else {
                    self.take_word("AND");
                    ands += 1;
                }
            }
            parts.push(self.term(depth)?);
        }
        if ors > 0 && ands > 0 {
            return Err("AND and OR side by side need parentheses".to_owned());
        }
        Ok(if ors > 0 { Query::Any(parts) } else { Query::All(parts) })
    }

    fn term(&mut self, depth: usize) -> Result<Query, String> {
        if depth > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        if self.take_word("NOT") {
            return Ok(Query::Not(Box::new(self.term(depth + 1)?)));
        }
        match self.next() {
            None => Err("a term is missing".to_owned()),
            Some(Token::Close) => Err("a ')' is too many".to_owned()),
            Some(Token::Open) => self.closed(depth),
            Some(Token::Quoted(text)) => value(None, text, ':', false),
            Some(Token::Word(word)) => self.word(word, depth),
        }
    }

    /// What follows an opening parenthesis.
    fn closed(&mut self, depth: usize) -> Result<Query, String> {
        let inner = self.sequence(depth + 1)?;
        match self.next() {
            Some(Token::Close) => Ok(inner),
            _ => Err("a '(' is not closed".to_owned()),
        }
    }

    fn word(&mut self, word: &str, depth: usize) -> Result<Query, String> {
        if matches!(word, "AND" | "OR") {
            return Err(format!("{word} needs a term on both sides"));
        }
        let operator = word.find([':', '=', '<', '>']);
        // A bare full resource name begins with slashes, not with a field.
        let Some((field, rest)) =
            operator.filter(|at| *at > 0).and_then(|at| word.split_at_checked(at))
        else {
            return value(None, word, ':', true);
        };
        if !is_field(field, self.fields) {
            return Err(format!("the field '{field}' is not served by the simulated cloud"));
        }
        let operator = rest.chars().next().unwrap_or(':');
        let text = rest.get(1..).unwrap_or_default();
        if !matches!(operator, ':' | '=') || text.starts_with('=') {
            return Err("comparisons are not served by the simulated cloud".to_owned());
        }
        if field == "policy" && operator == '=' {
            return Err("the policy field can only be used with the : operator".to_owned());
        }
        if !text.is_empty() {
            return value(Some(field), text, operator, true);
        }
        match self.next() {
            Some(Token::Quoted(text)) => value(Some(field), text, operator, false),
            Some(Token::Open) => {
                let inner = self.closed(depth)?;
                within(field, operator, inner)
            }
            Some(Token::Word(_) | Token::Close) | None => {
                Err(format!("the field '{field}' has no value"))
            }
        }
    }
}

fn value(field: Option<&str>, text: &str, operator: char, is_plain: bool) -> Result<Query, String> {
    let value = match operator {
        '=' => Value::Whole(text.to_owned()),
        _ => Value::words(text, is_plain)?,
    };
    Ok(Query::Term { field: field.map(str::to_owned), value })
}

/// `field:(a OR b)`: the bare values inside are those of the field.
fn within(field: &str, operator: char, inner: Query) -> Result<Query, String> {
    let all = |parts: Vec<Query>| {
        parts.into_iter().map(|part| within(field, operator, part)).collect::<Result<_, _>>()
    };
    match inner {
        Query::All(parts) => all(parts).map(Query::All),
        Query::Any(parts) => all(parts).map(Query::Any),
        Query::Not(part) => Ok(Query::Not(Box::new(within(field, operator, *part)?))),
        Query::Term { field: None, value } if operator == ':' => {
            Ok(Query::Term { field: Some(field.to_owned()), value })
        }
        Query::Term { .. } => Err(format!("'{field}{operator}(…)' is not served like this")),
    }
}

fn is_field(name: &str, fields: Fields) -> bool {
    fields.iter().any(|field| {
        if field.ends_with('.') {
            name.len() > field.len() && name.starts_with(field)
        } else {
            name == *field
        }
    })
}

fn bad(query: &str, reason: &str) -> ApiError {
    ApiError::invalid(format!("Invalid query '{query}': {reason}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = &["name", "policy", "labels", "labels."];

    struct Thing;

    impl Searched for Thing {
        fn texts(&self, field: &str) -> Vec<String> {
            match field {
                "name" => vec!["//x/projects/demo-web".to_owned()],
                "policy" => vec!["user:amy@gmail.com".to_owned(), "roles/compute.admin".to_owned()],
                "labels.env" => vec!["dev".to_owned()],
                _ => Vec::new(),
            }
        }

        fn all_texts(&self) -> Vec<String> {
            ["name", "policy"].iter().flat_map(|field| self.texts(field)).collect()
        }
    }

    #[test]
    fn the_documented_forms_match() {
        for (query, expected) in [
            ("", true),
            ("policy:amy@gmail.com", true),
            ("policy:AMY", true),
            ("policy:am", false),
            ("policy:am*", true),
            ("policy:roles/compute.admin", true),
            ("policy:gmail.amy", false),
            ("policy:\"amy gmail\"", true),
            ("name=//x/projects/demo-web", true),
            ("name=demo-web", false),
            ("name:(demo-data OR demo-web) policy:amy", true),
            ("name:(demo-data OR demo-x)", false),
            ("NOT policy:bob AND name:demo", true),
            ("(policy:bob OR policy:amy) AND NOT (name:data)", true),
            ("compute", true),
            ("labels.env:*", true),
            ("labels.env:prod", false),
            ("labels.team:*", false),
        ] {
            assert_eq!(Query::read(query, FIELDS).unwrap().matches(&Thing), expected, "{query}");
        }
    }

    #[test]
    fn what_is_not_served_is_refused() {
        let deep = format!("{}a{}", "(".repeat(40), ")".repeat(40));
        let long = "a ".repeat(QUERY_BYTES_MAX);
        for query in [
            "createTime<2021",
            "name>=x",
            "other:x",
            "policy=x",
            "name:",
            "name:'x",
            "(name:x",
            "name:x)",
            "a OR b c",
            "a OR",
            "AND a",
            "name:a*b",
            "name:(name:x)",
            "labels.:x",
            "NOT",
            ":",
            &deep,
            &long,
        ] {
            assert_eq!(Query::read(query, FIELDS).unwrap_err().code(), 400, "{query:.40}");
        }
    }
}
