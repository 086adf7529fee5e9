//! One core's verified tokens.

use super::limits::TOKENS_PER_GENERATION_MAX;
use super::token::Claims;
use nacre_shards::auth::{Action, Denial, Granted, Identities, Resource};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

type Generation = HashMap<Box<str>, Rc<Known>, TailState>;

/// A token that was verified: whose it is, and what he may.
#[derive(Debug)]
pub struct Known {
    pub claims: Rc<Claims>,
    granted: RefCell<Option<Granted>>,
}

impl Known {
    pub fn new(claims: Rc<Claims>) -> Self {
        Self { claims, granted: RefCell::new(None) }
    }

    /// The decision by this table: what was found in another one is found anew.
    ///
    /// # Errors
    /// [`Denial::Forbidden`].
    pub fn decide(
        &self,
        all: &Identities,
        action: Action,
        resource: &Resource<'_>,
    ) -> Result<(), Denial> {
        let mut granted = self.granted.borrow_mut();
        if let Some(granted) = granted.as_ref().filter(|granted| granted.epoch() == all.epoch()) {
            return granted.decide(action, resource);
        }
        granted.insert(all.granted(&self.claims.user)).decide(action, resource)
    }
}

/// Hashes the end of a token, under keys nobody outside knows. Those bytes are of its signature:
/// all tokens here were verified, so they differ as chance has it, and the rest of them (some 180
/// bytes) need not be looked at but for one comparison.
#[derive(Debug, Clone)]
struct TailState([u64; 2]);

struct Tail {
    keys: [u64; 2],
    hash: u64,
}

/// Bytes of the end that are hashed.
const TAIL_BYTES: usize = 16;

/// Odd, its bits as chance has it: the golden ratio's.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Default for TailState {
    fn default() -> Self {
        let random = ahash::RandomState::new();
        Self([random.hash_one(0), random.hash_one(1)])
    }
}

impl BuildHasher for TailState {
    type Hasher = Tail;

    fn build_hasher(&self) -> Tail {
        Tail { keys: self.0, hash: 0 }
    }
}

impl Hasher for Tail {
    fn write(&mut self, bytes: &[u8]) {
        let (high, low) = match bytes.last_chunk::<TAIL_BYTES>() {
            Some(tail) => halves(*tail),
            None => {
                let mut tail = [0; TAIL_BYTES];
                tail[..bytes.len()].copy_from_slice(bytes);
                halves(tail)
            }
        };
        let once = folded(high ^ self.keys[0], low ^ self.keys[1]);
        // Once is not enough: with some keys, ends that differ in a few bits would share places.
        self.hash = folded(once, MULTIPLIER);
    }

    /// The end of a text.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// Both halves of the product.
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

fn halves(tail: [u8; TAIL_BYTES]) -> (u64, u64) {
    let both = u128::from_le_bytes(tail);
    ((both >> 64) as u64, both as u64)
}

/// Two generations: what is used lives on, what is not goes when the young one is full.
#[derive(Debug, Default)]
pub struct Tokens {
    young: Generation,
    old: Generation,
}

impl Tokens {
    /// A token that was verified; its time is for the caller to look at. A hit costs a hash of
    /// sixteen bytes and one comparison.
    pub fn get(&mut self, token: &str) -> Option<Rc<Known>> {
        if let Some(known) = self.young.get(token) {
            return Some(Rc::clone(known));
        }
        let (token, known) = self.old.remove_entry(token)?;
        self.keep(token, Rc::clone(&known));
        Some(known)
    }

    pub fn add(&mut self, token: &str, claims: Claims) -> Rc<Known> {
        let known = Rc::new(Known::new(Rc::new(claims)));
        self.keep(token.into(), Rc::clone(&known));
        known
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

    fn keep(&mut self, token: Box<str>, known: Rc<Known>) {
        if self.young.len() >= TOKENS_PER_GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(user: &str) -> Claims {
        Claims { user: user.to_owned(), expires_s: 1 }
    }

    fn user(tokens: &mut Tokens, token: &str) -> Option<String> {
        tokens.get(token).map(|known| known.claims.user.clone())
    }

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let mut tokens = Tokens::default();
        tokens.add("mine", claims("me"));
        for number in 0..10 * TOKENS_PER_GENERATION_MAX {
            tokens.add(&number.to_string(), claims("other"));
            if number % 1_000 == 0 {
                assert_eq!(user(&mut tokens, "mine"), Some("me".into()));
            }
            assert!(tokens.len() <= 2 * TOKENS_PER_GENERATION_MAX);
        }
        assert_eq!(user(&mut tokens, "0"), None, "never used again");
        tokens.clear();
        assert_eq!((user(&mut tokens, "mine"), tokens.len()), (None, 0));
    }

    #[test]
    fn tokens_that_end_alike_are_told_apart() {
        let mut tokens = Tokens::default();
        for (token, of) in [("a.b.0123456789abcdef", "one"), ("c.d.0123456789abcdef", "two")] {
            tokens.add(token, claims(of));
        }
        assert_eq!(user(&mut tokens, "a.b.0123456789abcdef"), Some("one".into()));
        assert_eq!(user(&mut tokens, "c.d.0123456789abcdef"), Some("two".into()));
        for unknown in ["", "0123456789abcdef", "a.b.0123456789abcde", "x.b.0123456789abcdef"] {
            assert_eq!(user(&mut tokens, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn hashes_of_ends_are_spread_whatever_the_keys() {
        for _ in 0..300 {
            let keys = TailState::default();
            let low = |number: u32| keys.hash_one(format!("{number:040}").as_str()) % 1_024;
            let places: std::collections::HashSet<u64> = (0..1_024).map(low).collect();
            // Balls thrown at as many places leave a third of them empty: 647 are taken, seldom
            // less than 610.
            assert!(places.len() > 580, "{} places with {keys:?}", places.len());
        }
        let (one, two) = (TailState::default(), TailState::default());
        assert_ne!(one.hash_one("0123456789abcdef"), two.hash_one("0123456789abcdef"));
    }
}
