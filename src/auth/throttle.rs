//! Slows down whoever guesses passwords: by user and by address. Lives on the password thread.

use super::limits::{
    ADDRESS_FAILURE_MS, ADDRESS_FAILURES, FAILURE_PLACES, USER_FAILURE_MS, USER_FAILURES,
};
use ahash::RandomState;
use std::hash::Hash;
use std::net::IpAddr;

/// Failures of a number of keys; those of one place share it.
#[derive(Debug)]
struct Failures {
    /// When the last failure held against a place is over, in `tick_ms`.
    over_ms: Box<[u64]>,
    /// For how long one is.
    each_ms: u64,
    /// How many are let pass.
    allowed: u64,
}

impl Failures {
    fn new(allowed: u64, each_ms: u64) -> Self {
        Self { over_ms: vec![0; FAILURE_PLACES].into(), each_ms, allowed }
    }

    fn place(&self, hash: u64) -> usize {
        (hash % self.over_ms.len() as u64) as usize
    }

    fn has_room(&self, hash: u64, now_ms: u64) -> bool {
        let ahead = self.over_ms[self.place(hash)].saturating_sub(now_ms);
        ahead <= (self.allowed - 1) * self.each_ms
    }

    fn failed(&mut self, hash: u64, now_ms: u64) {
        let place = self.place(hash);
        self.over_ms[place] = self.over_ms[place].max(now_ms) + self.each_ms;
    }
}

/// Who failed how often.
#[derive(Debug)]
pub struct Throttle {
    users: Failures,
    addresses: Failures,
    hasher: RandomState,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            users: Failures::new(USER_FAILURES, USER_FAILURE_MS),
            addresses: Failures::new(ADDRESS_FAILURES, ADDRESS_FAILURE_MS),
            hasher: RandomState::new(),
        }
    }
}

impl Throttle {
    /// Whether an attempt may be made.
    pub fn admits(&self, user: &str, from: IpAddr, now_ms: u64) -> bool {
        self.users.has_room(self.hash(user), now_ms)
            && self.addresses.has_room(self.hash(network(from)), now_ms)
    }

    /// An attempt failed.
    pub fn failed(&mut self, user: &str, from: IpAddr, now_ms: u64) {
        let (user, from) = (self.hash(user), self.hash(network(from)));
        self.users.failed(user, now_ms);
        self.addresses.failed(from, now_ms);
    }

    fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// What one stranger has: an address, or the 64 bits of an IPv6 network.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64 | 1 << 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn address(number: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, number])
    }

    #[test]
    fn a_user_is_guessed_at_slowly_from_however_many_addresses() {
        let mut throttle = Throttle::default();
        let mut tried = 0;
        // A minute of one attempt every 100 ms, each from another address.
        for at in 0..600 {
            let now_ms = at * 100;
            if throttle.admits("nacos", address((at % 200) as u8), now_ms) {
                throttle.failed("nacos", address((at % 200) as u8), now_ms);
                tried += 1;
            }
        }
        assert_eq!(tried, USER_FAILURES + 60_000 / USER_FAILURE_MS - 1);
        assert!(throttle.admits("nacos", A, 60_000 + USER_FAILURE_MS), "and not for ever");
    }

    #[test]
    fn an_address_guesses_slowly_at_however_many_users() {
        let mut throttle = Throttle::default();
        let mut tried = 0;
        for at in 0..600 {
            let user = format!("u{at}");
            if throttle.admits(&user, A, at * 100) {
                throttle.failed(&user, A, at * 100);
                tried += 1;
            }
        }
        assert!((ADDRESS_FAILURES..ADDRESS_FAILURES + 61).contains(&tried), "{tried}");
        assert!(throttle.admits("fresh", address(7), 60_000), "others go on");
    }

    #[test]
    fn a_network_of_v6_is_one_stranger() {
        let a: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let b: IpAddr = "2001:db8:1:2:ffff::1".parse().unwrap();
        let c: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!(network(a), network(b));
        assert_ne!(network(a), network(c));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network(A));
    }
}
