//! Bounded parsing of a condition by two parsers that must agree.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::parser::{Parser, PrattParser};

use super::lexer::{self, Kind};

/// The longest condition that is read, in bytes. Conditions of eligible bindings are a few hundred bytes
/// long; IAM's limit of twelve logical operators leaves no use for more.
pub const CONDITION_BYTES_MAX: usize = 8 * 1024;

/// The most tokens of a condition. Each node of a tree without comprehensions costs one token at least,
/// so this bounds the tree too; and a parser copies the target of each call in a chain, so the work is
/// bounded by the square of it.
pub const TOKENS_MAX: usize = 1_000;

/// The most brackets open at once, conditionals (`?:`) counted in: both make the parsers recurse, some ten
/// frames for each. Held with [`DEPTH_MAX`] to what a stack of half a mebibyte takes in a debug build.
pub const NESTING_MAX: usize = 32;

/// The greatest depth of a tree. Chains (`a.b.c`, `1 + 1 + 1`) deepen it without brackets, and one of the
/// parsers and the evaluator recurse over them.
pub const DEPTH_MAX: usize = 64;

/// The longest part of a parser's own message that is repeated.
const MESSAGE_CHARACTERS_MAX: usize = 160;

/// Why a condition cannot be read. Positions are byte offsets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Longer than [`CONDITION_BYTES_MAX`].
    #[error("the condition is {bytes} bytes long, and at most {CONDITION_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// More tokens than [`TOKENS_MAX`].
    #[error("the condition has more than {TOKENS_MAX} words and signs")]
    TooManyTokens,
    /// More nesting than [`NESTING_MAX`].
    #[error("brackets and conditionals of the condition are nested more than {NESTING_MAX} deep")]
    TooNested,
    /// A tree deeper than [`DEPTH_MAX`].
    #[error("the condition chains more than {DEPTH_MAX} operations")]
    TooDeep,
    /// A character that has no place outside of strings and comments.
    #[error("the character {found:?} at byte {at} has no meaning in a condition")]
    UnknownCharacter {
        /// Where.
        at: usize,
        /// Which.
        found: char,
    },
    /// A control or formatting character, which could make the condition look like another one.
    #[error("the invisible character {found:?} at byte {at} is not allowed in a condition")]
    HiddenCharacter {
        /// Where.
        at: usize,
        /// Which.
        found: char,
    },
    /// A string or bytes literal without its closing quote.
    #[error("the string that begins at byte {at} does not end")]
    UnterminatedText {
        /// Where the literal begins.
        at: usize,
    },
    /// A bracket that closes nothing, or one that is never closed.
    #[error("the brackets do not match at byte {at}")]
    UnbalancedBracket {
        /// Where that shows.
        at: usize,
    },
    /// No expression of the language.
    #[error("the condition is no valid CEL expression: {message} (line {line}, column {column})")]
    Syntax {
        /// The parser's first complaint.
        message: String,
        /// Its line, from 1 on; 0 if the parser names none.
        line: usize,
        /// Its column, from 1 on; 0 if the parser names none.
        column: usize,
    },
    /// A macro such as `exists` or `map`: its cost cannot be bounded.
    #[error("the condition uses a comprehension (all, exists, exists_one, filter or map)")]
    Comprehension,
    /// A message literal, `Name{…}`.
    #[error("the condition builds a message, Name{{…}}")]
    Message,
    /// Two parsers, or the text and its tree, disagree.
    #[error("the condition can be read in two ways; write it more plainly")]
    Ambiguous,
}

/// An expression that was read within bounds, by two parsers with one result.
///
/// It holds no comprehension and no message literal, and its depth is at most [`DEPTH_MAX`], so walking
/// and evaluating it need little stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    tree: IdedExpr,
    operators: usize,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// Anything that is too large, that is no CEL, or that two parsers read differently.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        // The iterative parser goes first: only what it finds shallow reaches the recursive one.
        let expression = Self::parse_own(text)?;
        if comparable(Parser::new().parse(text))? != expression.tree {
            return Err(Unreadable::Ambiguous);
        }
        Ok(expression)
    }

    /// Reads an expression by one parser alone, for a text of our own making that is then compared with the tree that
    /// it is meant to have.
    pub(super) fn parse_own(text: &str) -> Result<Self, Unreadable> {
        let tokens = lexer::tokens(text)?;
        let operators = tokens
            .iter()
            .filter(|token| matches!(token.kind, Kind::And | Kind::Or | Kind::Not))
            .count();
        let tree = comparable(PrattParser::new().parse(text))?;
        Ok(Self { text: text.to_owned(), tree, operators })
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The syntax tree; every node has the id 0, so that equal expressions have equal trees.
    pub fn tree(&self) -> &IdedExpr {
        &self.tree
    }
}

/// How many logical operators (`&&`, `||`, `!`) the text holds. IAM allows twelve.
pub fn logical_operators(expression: &Expression) -> usize {
    expression.operators
}

/// A parser's result with its shape checked and its ids removed.
fn comparable(parsed: Result<IdedExpr, cel::ParseErrors>) -> Result<IdedExpr, Unreadable> {
    let mut tree = parsed.map_err(|errors| syntax(&errors))?;
    check_shape(&tree)?;
    remove_ids(&mut tree);
    Ok(tree)
}

fn syntax(errors: &cel::ParseErrors) -> Unreadable {
    let (message, position) = match errors.errors.first() {
        Some(error) => (error.msg.as_str(), error.pos),
        None => ("no expression", (0, 0)),
    };
    Unreadable::Syntax {
        message: message.chars().take(MESSAGE_CHARACTERS_MAX).collect(),
        line: usize::try_from(position.0).unwrap_or(0),
        column: usize::try_from(position.1).unwrap_or(0),
    }
}

/// Walks without recursion: the tree is not yet known to be shallow.
fn check_shape(root: &IdedExpr) -> Result<(), Unreadable> {
    let mut pending = vec![(root, 1_usize)];
    while let Some((node, depth)) = pending.pop() {
        if depth > DEPTH_MAX {
            return Err(Unreadable::TooDeep);
        }
        let below = depth.saturating_add(1);
        pending.extend(children(&node.expr)?.into_iter().map(|child| (child, below)));
    }
    Ok(())
}

fn children(expression: &Expr) -> Result<Vec<&IdedExpr>, Unreadable> {
    match expression {
        Expr::Call(call) => Ok(call.target.as_deref().into_iter().chain(&call.args).collect()),
        Expr::Select(select) => Ok(vec![&select.operand]),
        Expr::List(list) => Ok(list.elements.iter().collect()),
        Expr::Map(map) => {
            let entries = map.entries.iter().map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => Ok([&entry.key, &entry.value]),
                EntryExpr::StructField(_) => Err(Unreadable::Message),
            });
            Ok(entries.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        }
        Expr::Ident(_) | Expr::Literal(_) => Ok(Vec::new()),
        Expr::Comprehension(_) => Err(Unreadable::Comprehension),
        Expr::Struct(_) => Err(Unreadable::Message),
        Expr::Unspecified => Err(Unreadable::Ambiguous),
    }
}

/// Recurses over a tree that [`check_shape`] found shallow.
fn remove_ids(node: &mut IdedExpr) {
    node.id = 0;
    match &mut node.expr {
        Expr::Call(call) => call
            .target
            .iter_mut()
            .map(|target| &mut **target)
            .chain(&mut call.args)
            .for_each(remove_ids),
        Expr::Select(select) => remove_ids(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(remove_ids),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                entry.id = 0;
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    remove_ids(&mut entry.key);
                    remove_ids(&mut entry.value);
                }
            }
        }
        Expr::Ident(_)
        | Expr::Literal(_)
        | Expr::Comprehension(_)
        | Expr::Struct(_)
        | Expr::Unspecified => {}
    }
}
