//! Text that must be equal, or that stars stand in.

use memchr::memmem::Finder;

/// Text that must be equal, or that stars stand in. `Default`: any.
#[derive(Debug, Clone, Default)]
pub struct Pattern {
    text: String,
    /// Between the stars; `None`: there are none.
    pieces: Option<Pieces>,
}

#[derive(Debug, Clone)]
struct Pieces {
    first: Box<[u8]>,
    /// None is empty.
    between: Box<[Finder<'static>]>,
    last: Box<[u8]>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.pieces.is_some()) == (&other.text, other.pieces.is_some())
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Equal text.
    pub fn exact(text: &str) -> Self {
        Self { text: text.to_owned(), pieces: None }
    }

    /// Text with stars.
    pub fn of(text: &str) -> Self {
        let mut pieces = text.split('*').map(str::as_bytes);
        let (first, last) = (pieces.next(), pieces.next_back());
        let between = pieces.filter(|piece| !piece.is_empty());
        let between = between.map(|piece| Finder::new(piece).into_owned()).collect();
        let pieces = last.map(|last| {
            let first = first.unwrap_or_default();
            Pieces { first: first.into(), between, last: last.into() }
        });
        Self { text: text.to_owned(), pieces }
    }

    /// Text that stands somewhere, unless it says with stars where.
    pub fn part(text: &str) -> Self {
        match text.is_empty() || text.contains('*') {
            true => Self::of(text),
            false => Self::of(&format!("*{text}*")),
        }
    }

    pub fn is_any(&self) -> bool {
        self.text.is_empty()
    }

    /// What it comes to among texts in order; `None`: those that are meant do not stand together.
    pub(super) fn stretch(&self) -> Option<Stretch<'_>> {
        if self.pieces.is_none() && !self.is_any() {
            return Some(Stretch::One(&self.text));
        }
        let beginning = self.text.trim_end_matches('*');
        let is_open = beginning.is_empty();
        match beginning.contains('*') {
            true => None,
            false if is_open => Some(Stretch::All),
            false => Some(Stretch::Beginning(beginning)),
        }
    }

    /// What every text begins with that is meant.
    pub(super) fn beginning(&self) -> &str {
        match self.pieces {
            Some(_) => self.text.split('*').next().unwrap_or_default(),
            None => &self.text,
        }
    }

    /// Whether a text is meant: the first and the last piece at the ends, the rest in order. Costs
    /// at most the text's length for each piece; some 10 ns for each in a name.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_bytes(text.as_bytes())
    }

    /// The same of a text's bytes.
    pub(super) fn matches_bytes(&self, text: &[u8]) -> bool {
        let Some(Pieces { first, between, last }) = &self.pieces else {
            return self.is_any() || self.text.as_bytes() == text;
        };
        let Some(rest) = text.strip_prefix(&**first) else { return false };
        let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
        for piece in between {
            let Some(at) = piece.find(rest) else { return false };
            rest = &rest[at + piece.needle().len()..];
        }
        true
    }
}

/// Texts in order that stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch<'a> {
    All,
    One(&'a str),
    Beginning(&'a str),
}
