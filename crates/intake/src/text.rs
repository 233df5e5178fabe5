//! Free text of people: what of it is accepted. Every sink still escapes it in its own way.

use crate::errors::{Reason, Refusal};

/// The longest ticket reference, in characters.
pub(crate) const TICKET_LENGTH_MAX: usize = 100;

/// The longest free text, in characters; see [`curfew_core::spec::JUSTIFICATION_LENGTH_MAX`].
pub(crate) const TEXT_LENGTH_MAX: usize = curfew_core::spec::JUSTIFICATION_LENGTH_MAX;

/// A text of several lines: 1 to [`TEXT_LENGTH_MAX`] characters, not only white space.
pub(crate) fn prose(field: &str, text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::field(
            Reason::FieldRequired,
            field,
            "must say why, in 1 to 1000 characters.",
        ));
    }
    check(field, text, TEXT_LENGTH_MAX, |character| matches!(character, '\n' | '\t'))
}

/// As [`prose`], but may be empty.
pub(crate) fn optional_prose(field: &str, text: &str) -> Result<String, Refusal> {
    if text.is_empty() { Ok(String::new()) } else { prose(field, text) }
}

/// A reference of one line: 1 to [`TICKET_LENGTH_MAX`] characters.
pub(crate) fn ticket(field: &str, text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::field(
            Reason::FieldInvalid,
            field,
            "must have 1 to 100 characters: leave it out if there is none.",
        ));
    }
    check(field, text, TICKET_LENGTH_MAX, |_| false)
}

fn check(
    field: &str,
    text: &str,
    length_max: usize,
    allowed_control: fn(char) -> bool,
) -> Result<String, Refusal> {
    let length = text.chars().count();
    if length > length_max {
        let message = format!("has {length} characters: at most {length_max} are accepted.");
        return Err(Refusal::field(Reason::FieldInvalid, field, message));
    }
    match text.chars().find(|character| is_invisible(*character) && !allowed_control(*character)) {
        Some(character) => {
            let message =
                format!("holds the invisible character U+{:04X}: remove it.", u32::from(character));
            Err(Refusal::field(Reason::FieldInvalid, field, message))
        }
        None => Ok(text.to_owned()),
    }
}

/// Characters that a reader does not see and that change what is seen: controls, line and paragraph separators,
/// directional marks, overrides and isolates (<https://www.unicode.org/reports/tr9/>), byte order marks, tags.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_language_are_accepted() {
        for text in [
            "BUG-1: \"<b>&\" 'x'",
            "zwei\nZeilen\tEinzug",
            "理由",
            "سبب",
            "סיבה",
            "👩‍💻 on call",
            &"ü".repeat(1_000),
        ] {
            assert_eq!(prose("justification", text).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_seen_is_refused_by_its_number() {
        for (text, number) in [
            ("a\0", "U+0000"),
            ("a\rb", "U+000D"),
            ("a\u{1b}[2J", "U+001B"),
            ("a\u{202e}b", "U+202E"),
            ("a\u{200f}b", "U+200F"),
            ("a\u{61c}b", "U+061C"),
            ("a\u{2066}b", "U+2066"),
            ("a\u{2028}b", "U+2028"),
            ("\u{feff}a", "U+FEFF"),
            ("a\u{85}b", "U+0085"),
            ("a\u{e0041}", "U+E0041"),
        ] {
            let refusal = prose("justification", text).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("justification"));
            assert!(refusal.message.contains(number), "{refusal:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(prose("reason", "").unwrap_err().reason, Reason::FieldRequired);
        assert_eq!(prose("reason", " \n ").unwrap_err().reason, Reason::FieldRequired);
        assert!(prose("reason", &"ü".repeat(1_001)).is_err());
        assert!(ticket("ticket", &"é".repeat(100)).is_ok());
        assert!(ticket("ticket", &"é".repeat(101)).is_err());
        assert!(ticket("ticket", "a\nb").is_err());
        assert!(ticket("ticket", " ").is_err());
        assert_eq!(optional_prose("reason", "").unwrap(), "");
    }
}
