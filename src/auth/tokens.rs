//! One core's verified tokens.

use super::limits::TOKENS_PER_GENERATION_MAX;
use super::token::Claims;
use std::collections::HashMap;
use std::rc::Rc;

type Generation = HashMap<Box<str>, Rc<Claims>, ahash::RandomState>;

/// Two generations: what is used lives on, what is not goes when the young one is full.
#[derive(Debug, Default)]
pub struct Tokens {
    young: Generation,
    old: Generation,
}

impl Tokens {
    /// The claims of a token that was verified; its time is for the caller to look at. A hit costs
    /// one hash of the token and one comparison.
    pub fn get(&mut self, token: &str) -> Option<Rc<Claims>> {
        if let Some(claims) = self.young.get(token) {
            return Some(claims.clone());
        }
        let (token, claims) = self.old.remove_entry(token)?;
        self.keep(token, claims.clone());
        Some(claims)
    }

    pub fn add(&mut self, token: &str, claims: Rc<Claims>) {
        self.keep(token.into(), claims);
    }

    /// Another key signs from now on.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn keep(&mut self, token: Box<str>, claims: Rc<Claims>) {
        if self.young.len() >= TOKENS_PER_GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, claims);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(user: &str) -> Rc<Claims> {
        Rc::new(Claims { user: user.to_owned(), expires_s: 1 })
    }

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let mut tokens = Tokens::default();
        tokens.add("mine", claims("me"));
        for number in 0..10 * TOKENS_PER_GENERATION_MAX {
            tokens.add(&number.to_string(), claims("other"));
            if number % 1_000 == 0 {
                assert_eq!(tokens.get("mine").map(|claims| claims.user.clone()), Some("me".into()));
            }
            assert!(tokens.len() <= 2 * TOKENS_PER_GENERATION_MAX);
        }
        assert_eq!(tokens.get("0"), None, "never used again");
        tokens.clear();
        assert_eq!((tokens.get("mine"), tokens.len()), (None, 0));
    }
}
