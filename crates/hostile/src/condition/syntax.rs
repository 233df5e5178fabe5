//! A reader of the Common Expression Language, written from its specification alone
//! (<https://github.com/google/cel-spec/blob/master/doc/langdef.md>, "Syntax"), sharing nothing with the product's.
//!
//! It reads what a condition may hold, which is everything but macros with a variable and message literals.

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// A literal.
    Literal(Literal),
    /// A variable.
    Name(String),
    /// `operand.field`
    Field(Box<Expr>, String),
    /// `has(operand.field)`, in any case of `has`.
    Has(Box<Expr>, String),
    /// `f(…)`, or `target.f(…)`.
    Call(String, Option<Box<Expr>>, Vec<Expr>),
    /// `operand[index]`
    Index(Box<Expr>, Box<Expr>),
    /// `[…]`
    List(Vec<Expr>),
    /// `{key: value, …}`
    Map(Vec<(Expr, Expr)>),
    /// `!x`, once for each sign.
    Not(Box<Expr>),
    /// `-x`, once for each sign.
    Minus(Box<Expr>),
    /// An arithmetic or comparing operator, or `in`.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `a && b && …`
    And(Vec<Expr>),
    /// `a || b || …`
    Or(Vec<Expr>),
    /// `test ? yes : no`
    Choice(Box<[Expr; 3]>),
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Reads an expression; `None` for what is none.
pub(super) fn read(text: &str) -> Option<Expr> {
    let mut reader = Reader { rest: text };
    let expr = reader.expr()?;
    reader.skip();
    reader.rest.is_empty().then_some(expr)
}

/// Words that are no variable; the first four are no field either.
const RESERVED: &[&str] = &[
    "false",
    "in",
    "null",
    "true",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const KEYWORDS: usize = 4;

/// Operators that bind equally, the loosest first.
const BINARY: [&[&str]; 3] =
    [&["<=", ">=", "==", "!=", "<", ">", "in"], &["+", "-"], &["*", "/", "%"]];

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            if !self.rest.starts_with("//") {
                return;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.skip();
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest;
        true
    }

    fn need(&mut self, sign: &str) -> Option<()> {
        self.eat(sign).then_some(())
    }

    fn expr(&mut self) -> Option<Expr> {
        let test = self.or()?;
        if !self.eat("?") {
            return Some(test);
        }
        let yes = self.or()?;
        self.need(":")?;
        Some(Expr::Choice(Box::new([test, yes, self.expr()?])))
    }

    fn or(&mut self) -> Option<Expr> {
        let mut all = vec![self.and()?];
        while self.eat("||") {
            all.push(self.and()?);
        }
        if all.len() == 1 { all.pop() } else { Some(Expr::Or(all)) }
    }

    fn and(&mut self) -> Option<Expr> {
        let mut all = vec![self.binary(0)?];
        while self.eat("&&") {
            all.push(self.binary(0)?);
        }
        if all.len() == 1 { all.pop() } else { Some(Expr::And(all)) }
    }

    fn binary(&mut self, level: usize) -> Option<Expr> {
        let Some(operators) = BINARY.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            left = Expr::Binary(operator, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Some(left)
    }

    fn operator(&mut self, all: &[&'static str]) -> Option<&'static str> {
        self.skip();
        let operator = all.iter().find(|operator| self.rest.starts_with(**operator))?;
        if *operator == "in" {
            return (self.peek_word() == "in")
                .then(|| self.rest = &self.rest[2..])
                .map(|()| *operator);
        }
        self.rest = self.rest.strip_prefix(operator)?;
        Some(operator)
    }

    fn unary(&mut self) -> Option<Expr> {
        let sign = if self.eat("!") {
            '!'
        } else if self.eat("-") {
            '-'
        } else {
            return self.member();
        };
        let mut signs = 1_usize;
        while self.eat(sign.encode_utf8(&mut [0; 4])) {
            signs += 1;
        }
        if sign == '-'
            && self.rest.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        {
            // A sign right before a number belongs to it: the least integer has no positive counterpart.
            let number = self.number(true)?;
            let whole = self.follow(Expr::Literal(number))?;
            return Some(wrap(whole, signs - 1, Expr::Minus));
        }
        let operand = self.member()?;
        Some(wrap(operand, signs, if sign == '!' { Expr::Not } else { Expr::Minus }))
    }

    fn member(&mut self) -> Option<Expr> {
        let primary = self.primary()?;
        self.follow(primary)
    }

    /// Fields, methods and indices after a primary expression.
    fn follow(&mut self, mut operand: Expr) -> Option<Expr> {
        loop {
            if self.eat("[") {
                let index = self.expr()?;
                self.need("]")?;
                operand = Expr::Index(Box::new(operand), Box::new(index));
            } else if self.eat(".") {
                let field = self.word(KEYWORDS)?;
                operand = if self.eat("(") {
                    Expr::Call(field, Some(Box::new(operand)), self.items(")", false)?)
                } else {
                    Expr::Field(Box::new(operand), field)
                };
            } else {
                return Some(operand);
            }
        }
    }

    fn primary(&mut self) -> Option<Expr> {
        if self.eat("(") {
            let inner = self.expr()?;
            return self.need(")").map(|()| inner);
        }
        if self.eat("[") {
            return self.items("]", true).map(Expr::List);
        }
        if self.eat("{") {
            return self.entries().map(Expr::Map);
        }
        if let Some((prefix, raw, bytes)) = self.quoted() {
            self.rest = &self.rest[prefix..];
            return self.body(raw, bytes).map(Expr::Literal);
        }
        if self.rest.starts_with(|first: char| first.is_ascii_digit())
            || self.rest.starts_with('.')
                && self.rest[1..].starts_with(|c: char| c.is_ascii_digit())
        {
            return self.number(false).map(Expr::Literal);
        }
        self.named()
    }

    fn named(&mut self) -> Option<Expr> {
        let literal = match self.peek_word() {
            "null" => Some(Literal::Null),
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            _ => None,
        };
        if let Some(literal) = literal {
            self.rest = &self.rest[self.peek_word().len()..];
            return Some(Expr::Literal(literal));
        }
        let rooted = self.eat(".");
        self.skip();
        let name = self.word(RESERVED.len())?;
        let name = if rooted { format!(".{name}") } else { name };
        if !self.eat("(") {
            return Some(Expr::Name(name));
        }
        let args = self.items(")", false)?;
        let has = name.eq_ignore_ascii_case("has");
        match (has, args.as_slice()) {
            (true, [Expr::Field(operand, field)]) => {
                Some(Expr::Has(operand.clone(), field.clone()))
            }
            // The macro takes a field only; spelt otherwise it is a function like any other.
            (true, [_]) if name == "has" => None,
            _ => Some(Expr::Call(name, None, args)),
        }
    }

    fn items(&mut self, close: &str, trailing_comma: bool) -> Option<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(self.expr()?);
            if !self.eat(",") {
                self.need(close)?;
                break;
            }
            self.skip();
            if !trailing_comma && self.rest.starts_with(close) {
                return None;
            }
        }
        Some(items)
    }

    fn entries(&mut self) -> Option<Vec<(Expr, Expr)>> {
        let mut entries = Vec::new();
        while !self.eat("}") {
            let key = self.expr()?;
            self.need(":")?;
            entries.push((key, self.expr()?));
            if !self.eat(",") {
                self.need("}")?;
                break;
            }
        }
        Some(entries)
    }

    fn peek_word(&self) -> &str {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        &self.rest[..end.unwrap_or(self.rest.len())]
    }

    /// A name that is none of the first `reserved` reserved words.
    fn word(&mut self, reserved: usize) -> Option<String> {
        self.skip();
        let word = self.peek_word().to_owned();
        if word.is_empty()
            || word.as_bytes()[0].is_ascii_digit()
            || RESERVED[..reserved].contains(&&*word)
        {
            return None;
        }
        self.rest = &self.rest[word.len()..];
        Some(word)
    }

    fn digits(&mut self, hexadecimal: bool) -> &str {
        let is_digit =
            |c: char| if hexadecimal { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        let end = self.rest.find(|c: char| !is_digit(c)).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits
    }

    fn number(&mut self, negative: bool) -> Option<Literal> {
        let sign = if negative { "-" } else { "" };
        if let Some(rest) = self.rest.strip_prefix("0x") {
            self.rest = rest;
            let digits = self.digits(true).to_owned();
            return self.whole(&format!("{sign}{digits}"), 16, negative);
        }
        let whole = self.digits(false).to_owned();
        let mut text = whole.clone();
        let fraction = self
            .rest
            .strip_prefix('.')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if let Some(rest) = fraction {
            self.rest = rest;
            text = format!("{text}.{}", self.digits(false));
        }
        let exponent = self.rest.strip_prefix(['e', 'E']);
        if let Some(rest) = exponent {
            let (sign, rest) =
                rest.strip_prefix(['+', '-']).map_or(("", rest), |after| (&rest[..1], after));
            self.rest = rest;
            let digits = self.digits(false);
            if digits.is_empty() {
                return None;
            }
            text = format!("{text}e{sign}{digits}");
        }
        if text == whole {
            return self.whole(&format!("{sign}{whole}"), 10, negative);
        }
        let value: f64 = format!("{sign}{text}").parse().ok()?;
        Some(Literal::Double(value))
    }

    fn whole(&mut self, digits: &str, radix: u32, negative: bool) -> Option<Literal> {
        if let Some(rest) = self.rest.strip_prefix(['u', 'U']) {
            self.rest = rest;
            return if negative {
                None
            } else {
                u64::from_str_radix(digits, radix).ok().map(Literal::Uint)
            };
        }
        i64::from_str_radix(digits, radix).ok().map(Literal::Int)
    }

    /// Whether a string or bytes literal stands here: how long its prefix is, whether it is raw, and of bytes.
    fn quoted(&self) -> Option<(usize, bool, bool)> {
        let quote = self.rest.find(['"', '\''])?;
        match self.rest[..quote].to_ascii_lowercase().as_str() {
            "" => Some((quote, false, false)),
            "r" => Some((quote, true, false)),
            "b" => Some((quote, false, true)),
            "br" | "rb" => Some((quote, true, true)),
            _ => None,
        }
    }

    fn body(&mut self, raw: bool, bytes: bool) -> Option<Literal> {
        let quotes =
            ["\"\"\"", "'''", "\"", "'"].into_iter().find(|it| self.rest.starts_with(it))?;
        self.rest = &self.rest[quotes.len()..];
        let mut body = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(quotes) {
                self.rest = rest;
                break;
            }
            let first = self.rest.chars().next()?;
            if first == '\\' && !raw {
                self.rest = &self.rest[1..];
                self.escaped(bytes, &mut body)?;
                continue;
            }
            if quotes.len() == 1 && matches!(first, '\n' | '\r') {
                return None;
            }
            body.extend(first.encode_utf8(&mut [0; 4]).bytes());
            self.rest = &self.rest[first.len_utf8()..];
        }
        if bytes {
            return Some(Literal::Bytes(body));
        }
        String::from_utf8(body).ok().map(Literal::Text)
    }

    fn escaped(&mut self, bytes: bool, body: &mut Vec<u8>) -> Option<()> {
        let kind = self.rest.chars().next()?;
        self.rest = &self.rest[kind.len_utf8()..];
        let plain = match kind {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' | '?' | '"' | '\'' | '`' => u8::try_from(kind).ok(),
            _ => None,
        };
        if let Some(plain) = plain {
            body.push(plain);
            return Some(());
        }
        let code = match kind {
            'x' | 'X' => self.code(2, 16)?,
            'u' if !bytes => self.code(4, 16)?,
            'U' if !bytes => self.code(8, 16)?,
            '0'..='3' => (u32::from(kind) - u32::from('0')) * 64 + self.code(2, 8)?,
            _ => return None,
        };
        if bytes {
            body.push(u8::try_from(code).ok()?);
        } else {
            body.extend(char::from_u32(code)?.encode_utf8(&mut [0; 4]).bytes());
        }
        Some(())
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<u32> {
        let text =
            self.rest.get(..digits).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(text, radix).ok()?;
        self.rest = &self.rest[digits..];
        Some(code)
    }
}

fn wrap(operand: Expr, times: usize, with: fn(Box<Expr>) -> Expr) -> Expr {
    (0..times).fold(operand, |inner, _| with(Box::new(inner)))
}
