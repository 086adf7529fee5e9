//! Why a body was refused.

use std::fmt;

/// Why a body is not the message its type name promises. Displays as one helpful sentence.
///
/// Boxed, so that the results of the hot path stay in registers; only refusals allocate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(Box<Fault>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    /// A clause without a full stop.
    what: &'static str,
    /// The member being read, as the wire spells it; `None` outside of any known one.
    member: Option<&'static str>,
    /// In bytes from the start of the body.
    at: usize,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, at: usize) -> Self {
        Self(Box::new(Fault { what, member: None, at }))
    }

    /// Names the member; the innermost name stays.
    #[cold]
    pub(crate) fn within(mut self, member: &'static str) -> Self {
        self.0.member.get_or_insert(member);
        self
    }

    /// What is wrong, without the place.
    pub fn what(&self) -> &'static str {
        self.0.what
    }

    /// The member being read, as the wire spells it.
    pub fn member(&self) -> Option<&'static str> {
        self.0.member
    }

    /// Bytes from the start of the body.
    pub fn at(&self) -> usize {
        self.0.at
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.member {
            Some(member) => write!(f, "{} in '{member}', byte {}", self.0.what, self.0.at),
            None => write!(f, "{}, byte {}", self.0.what, self.0.at),
        }
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_and_where() {
        let error = ParseError::new("a whole number was expected", 17);
        assert_eq!(error.to_string(), "a whole number was expected, byte 17");
        let error = error.within("port").within("instance");
        assert_eq!(error.to_string(), "a whole number was expected in 'port', byte 17");
    }
}
