//! Cuts a condition into its `&&` clauses, twice: by its tree and by its text, with one result.

use cel::common::ast::{CallExpr, Expr, IdedExpr, operators};

use super::lexer::{self, Kind, Token, render};
use super::parse::{Expression, Unreadable};

/// One `&&` clause: the tokens that are its text, parentheses around it included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clause<'t, 'a>(&'t [Token<'a>]);

impl<'t, 'a> Clause<'t, 'a> {
    /// The text of the clause as written.
    pub(super) fn as_written(self) -> String {
        render(self.0)
    }

    /// The text of the clause without one outer pair of parentheses.
    pub(super) fn unwrapped(self) -> String {
        render(without_parentheses(self.0).unwrap_or(self.0))
    }

    /// The tokens of the clause without any outer parentheses.
    pub(super) fn core(self) -> &'t [Token<'a>] {
        without_all_parentheses(self.0)
    }

    /// The names in the clause: identifiers, fields, functions.
    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|token| token.kind == Kind::Name).map(|token| token.text)
    }
}

/// A condition's tokens, for cutting.
#[derive(Debug)]
pub(super) struct Cuttable<'a> {
    expression: Expression,
    tokens: Vec<Token<'a>>,
}

impl<'a> Cuttable<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        Ok(Self { expression: Expression::parse(text)?, tokens: lexer::tokens(text)? })
    }

    /// The `&&` clauses in order, those in parentheses included. Each reads as its part of the tree.
    pub(super) fn clauses(&self) -> Result<Vec<Clause<'_, 'a>>, Unreadable> {
        let mut clauses = Vec::new();
        cut(&self.tokens, &mut clauses);
        let read = clauses
            .iter()
            .map(|clause| self.read(&clause.as_written()))
            .collect::<Result<Vec<_>, _>>()?;
        if read.iter().map(Expression::tree).ne(conjuncts(self.expression.tree())) {
            return Err(Unreadable::Ambiguous);
        }
        Ok(clauses)
    }

    /// A clause's expression; the whole text, where that is the clause, was read already.
    fn read(&self, clause: &str) -> Result<Expression, Unreadable> {
        if clause == self.expression.text() {
            return Ok(self.expression.clone());
        }
        Expression::parse(clause)
    }

    /// The `&&` clauses of the outermost level only: a conjunction in parentheses is one clause.
    pub(super) fn outermost(&self) -> Vec<Clause<'_, 'a>> {
        split(&self.tokens).into_iter().map(Clause).collect()
    }
}

/// The operands of a conjunction in order, however it is nested; the tree itself if it is none.
pub(super) fn conjuncts(tree: &IdedExpr) -> Vec<&IdedExpr> {
    if let Expr::Call(CallExpr { func_name, target: None, args }) = &tree.expr
        && func_name == operators::LOGICAL_AND
    {
        return args.iter().flat_map(conjuncts).collect();
    }
    vec![tree]
}

/// Clauses as one condition: one as it is, several in parentheses, none as the empty text.
pub(super) fn join(clauses: &[String]) -> String {
    match clauses {
        [] => String::new(),
        [only] => only.clone(),
        several => {
            several.iter().map(|clause| format!("({clause})")).collect::<Vec<_>>().join(" && ")
        }
    }
}

/// Recursion is bounded by the nesting that the lexer allows.
fn cut<'t, 'a>(tokens: &'t [Token<'a>], clauses: &mut Vec<Clause<'t, 'a>>) {
    let pieces = split(without_all_parentheses(tokens));
    if pieces.len() == 1 {
        clauses.push(Clause(tokens));
    } else {
        for piece in pieces {
            cut(piece, clauses);
        }
    }
}

/// Splits at `&&` outside of brackets; not where `||` or `?:` bind more loosely beside it.
fn split<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let depth = tokens.first().map_or(0, |token| token.depth);
    let outside = |token: &Token<'_>| token.depth == depth;
    if tokens.iter().any(|token| outside(token) && matches!(token.kind, Kind::Or | Kind::Question))
    {
        return vec![tokens];
    }
    tokens.split(|token| outside(token) && token.kind == Kind::And).collect()
}

fn without_all_parentheses<'t, 'a>(mut tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    while let Some(inner) = without_parentheses(tokens) {
        tokens = inner;
    }
    tokens
}

/// What a pair of parentheses around all of the tokens encloses.
fn without_parentheses<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t [Token<'a>]> {
    let [first, inner @ .., last] = tokens else { return None };
    let one_pair = first.text == "("
        && last.text == ")"
        && inner.iter().all(|token| token.depth > first.depth);
    one_pair.then_some(inner)
}
