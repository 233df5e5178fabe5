//! Decisions drawn from a fuzzer's bytes, so that what it learns about bytes it learns about decisions.

/// A supply of decisions. When the bytes are used up every decision is the first one, so a generator whose first
/// alternative is the smallest always ends.
#[derive(Debug, Clone)]
pub struct Choices<'a> {
    left: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Draws from these bytes, in order.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// One byte; 0 once they are used up.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        *first
    }

    /// A number below `bound`, which is at least 1 and at most 65,536.
    pub fn below(&mut self, bound: usize) -> usize {
        let low = usize::from(self.byte());
        let value = if bound > 256 { low << 8 | usize::from(self.byte()) } else { low };
        value % bound.max(1)
    }

    /// Eight bytes as a number.
    pub fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// One of these; there is at least one.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        *all.get(self.below(all.len())).expect("a table that is not empty")
    }

    /// True once in `n` times, and never when the bytes are used up.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n.saturating_sub(1)
    }

    /// Whatever is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// Whether all bytes are used up.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

/// Damages a text in up to `most` places: parts are dropped, doubled, swapped for fragments, or filled with noise.
pub fn damage(text: &str, fragments: &[&str], most: usize, choices: &mut Choices<'_>) -> String {
    let mut text = text.to_owned();
    for _ in 0..choices.below(most.saturating_add(1)) {
        let (one, other) = (boundary(&text, choices), boundary(&text, choices));
        let start = one.min(other);
        let mut end = one.max(other).min(start.saturating_add(12));
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let end = end.max(start);
        match choices.below(5) {
            0 => text.insert_str(start, choices.of(fragments)),
            1 => text.replace_range(start..end, ""),
            2 => text.replace_range(start..end, choices.of(fragments)),
            3 => {
                let copy = text.get(start..end).unwrap_or_default().to_owned();
                text.insert_str(start, &copy);
            }
            _ => text.insert(start, char::from(choices.byte())),
        }
    }
    text
}

fn boundary(text: &str, choices: &mut Choices<'_>) -> usize {
    let mut at = choices.below(text.len().saturating_add(1).min(65_536));
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}
