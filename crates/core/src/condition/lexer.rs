//! Splits a condition into tokens, and bounds it before a recursive parser sees it.
//!
//! It knows only what cutting needs: literals, brackets, logical operators, names. Everything else is a
//! sign of one character; the parsers say whether the signs make sense.

use super::parse::{CONDITION_BYTES_MAX, NESTING_MAX, TOKENS_MAX, Unreadable};

/// What a token is, as far as cutting needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `(`, `[` or `{`
    Open,
    /// `)`, `]` or `}`
    Close,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `!`
    Not,
    /// `?`
    Question,
    /// An identifier, a keyword, or the letters that follow a digit.
    Name,
    /// A string or bytes literal in any form, or a run of digits.
    Literal,
    /// Any other punctuation, one character of it (`!=` is one token).
    Sign,
}

/// One token, with what stood before it.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// The white space before the token: spaces and line feeds only. Comments are already gone.
    pub(super) gap: String,
    /// How many brackets are open around the token; a bracket itself stands outside of what it encloses.
    pub(super) depth: usize,
}

/// The tokens of a condition with balanced brackets, at most [`TOKENS_MAX`] of them.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Unreadable> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err(Unreadable::TooLong { bytes: text.len() });
    }
    let mut reader = Reader { whole: text, rest: text };
    let mut nesting = Nesting::default();
    let mut tokens = Vec::new();
    loop {
        let gap = reader.gap()?;
        let at = reader.at();
        let Some((kind, text)) = reader.token()? else { break };
        let depth = nesting.enter(kind, text, at)?;
        tokens.push(Token { kind, text, gap, depth });
        if tokens.len() > TOKENS_MAX {
            return Err(Unreadable::TooManyTokens);
        }
    }
    nesting.finish(reader.at())?;
    Ok(tokens)
}

/// The tokens as text: without comments, without white space at either end, tabs as spaces and line ends
/// as line feeds.
pub(super) fn render(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        if index > 0 {
            text.push_str(&token.gap);
        }
        text.push_str(token.text);
    }
    text
}

/// Whether a character can hide text from a reader or reorder what is shown: control characters, line
/// separators, and what Unicode calls default ignorable, such as zero-width and bidirectional formatting
/// characters, fillers and variation selectors
/// (<https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>). The line feed is none.
pub(super) fn is_hidden(character: char) -> bool {
    match character {
        '\n' => false,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        other => other.is_control(),
    }
}

/// The brackets that are open, and the conditionals seen: both make a parser recurse.
#[derive(Default)]
struct Nesting {
    awaited: Vec<&'static str>,
    conditionals: usize,
}

impl Nesting {
    /// Counts a token in and says at which depth it stands.
    fn enter(&mut self, kind: Kind, text: &str, at: usize) -> Result<usize, Unreadable> {
        let depth = self.awaited.len();
        match kind {
            Kind::Open => self.awaited.push(closing(text)),
            Kind::Close if self.awaited.pop() == Some(text) => return Ok(depth.saturating_sub(1)),
            Kind::Close => return Err(Unreadable::UnbalancedBracket { at }),
            Kind::Question => self.conditionals = self.conditionals.saturating_add(1),
            Kind::And | Kind::Or | Kind::Not | Kind::Name | Kind::Literal | Kind::Sign => {}
        }
        if self.awaited.len().saturating_add(self.conditionals) > NESTING_MAX {
            return Err(Unreadable::TooNested);
        }
        Ok(depth)
    }

    fn finish(&self, at: usize) -> Result<(), Unreadable> {
        if self.awaited.is_empty() { Ok(()) } else { Err(Unreadable::UnbalancedBracket { at }) }
    }
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// How many bytes have been read.
    fn at(&self) -> usize {
        self.whole.len().saturating_sub(self.rest.len())
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let bytes = self.rest.find(|character| !wanted(character)).unwrap_or(self.rest.len());
        self.take(bytes)
    }

    /// White space and comments. Of a gap with comments, the last line break and indentation are left.
    fn gap(&mut self) -> Result<String, Unreadable> {
        let mut gap = String::new();
        let mut commented = false;
        loop {
            let white = self.take_while(|character| matches!(character, ' ' | '\t' | '\r' | '\n'));
            gap.push_str(&white.replace("\r\n", "\n").replace('\r', "\n").replace('\t', " "));
            if !self.rest.starts_with("//") {
                break;
            }
            self.comment()?;
            commented = true;
        }
        let kept = if commented { gap.rfind('\n').unwrap_or(0) } else { 0 };
        Ok(gap.split_off(kept))
    }

    /// A comment ends at a line feed and nowhere else, so nothing that merely looks like the end of a
    /// line may stand in it: what follows would look like a clause and be none.
    fn comment(&mut self) -> Result<(), Unreadable> {
        let at = self.at();
        let comment = self.take_while(|character| character != '\n');
        let line = comment.strip_suffix('\r').unwrap_or(comment);
        refuse_hidden(line, at, |character| character != '\t' && is_hidden(character))
    }

    fn token(&mut self) -> Result<Option<(Kind, &'a str)>, Unreadable> {
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let token = match first {
            '(' | '[' | '{' => (Kind::Open, self.take(1)),
            ')' | ']' | '}' => (Kind::Close, self.take(1)),
            '&' if self.rest.starts_with("&&") => (Kind::And, self.take(2)),
            '|' if self.rest.starts_with("||") => (Kind::Or, self.take(2)),
            '!' if self.rest.starts_with("!=") => (Kind::Sign, self.take(2)),
            '!' => (Kind::Not, self.take(1)),
            '?' => (Kind::Question, self.take(1)),
            '.' | ',' | ':' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' => {
                (Kind::Sign, self.take(1))
            }
            '0'..='9' => (Kind::Literal, self.take_while(|character| character.is_ascii_digit())),
            '"' | '\'' => (Kind::Literal, self.quoted(0, false)?),
            'a'..='z' | 'A'..='Z' | '_' => self.name_or_prefixed()?,
            hidden if is_hidden(hidden) => {
                return Err(Unreadable::HiddenCharacter { at: self.at(), found: hidden });
            }
            other => return Err(Unreadable::UnknownCharacter { at: self.at(), found: other }),
        };
        Ok(Some(token))
    }

    /// A name; or a literal, if the name is one of the prefixes `r`, `b`, `rb`, `br` and a quote follows.
    fn name_or_prefixed(&mut self) -> Result<(Kind, &'a str), Unreadable> {
        let is_letter = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let length = self.rest.find(|character| !is_letter(character)).unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        let prefix = ["r", "b", "rb", "br"].iter().any(|prefix| name.eq_ignore_ascii_case(prefix));
        if prefix && after.starts_with(['"', '\'']) {
            let raw = name.contains(['r', 'R']);
            return Ok((Kind::Literal, self.quoted(length, raw)?));
        }
        Ok((Kind::Name, self.take(length)))
    }

    /// A literal whose quote stands after `prefix` bytes.
    fn quoted(&mut self, prefix: usize, raw: bool) -> Result<&'a str, Unreadable> {
        let at = self.at();
        let body = self.rest.get(prefix..).unwrap_or_default();
        let length = quoted_length(body, raw).ok_or(Unreadable::UnterminatedText { at })?;
        let literal = self.take(prefix.saturating_add(length));
        refuse_hidden(literal, at, is_hidden)?;
        Ok(literal)
    }
}

fn refuse_hidden(
    text: &str,
    start: usize,
    hidden: impl Fn(char) -> bool,
) -> Result<(), Unreadable> {
    match text.char_indices().find(|&(_, character)| hidden(character)) {
        Some((offset, found)) => {
            Err(Unreadable::HiddenCharacter { at: start.saturating_add(offset), found })
        }
        None => Ok(()),
    }
}

/// The length of a literal from its opening quote to its closing one; `None` if that is missing, or if a
/// line ends before it in a literal of one line.
fn quoted_length(body: &str, raw: bool) -> Option<usize> {
    let quotes =
        ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| body.starts_with(quotes))?;
    let mut characters = body.char_indices().skip(quotes.len());
    while let Some((at, character)) = characters.next() {
        if body.get(at..)?.starts_with(quotes) {
            return at.checked_add(quotes.len());
        }
        if character == '\n' && quotes.len() == 1 {
            return None;
        }
        if character == '\\' && !raw {
            characters.next();
        }
    }
    None
}
