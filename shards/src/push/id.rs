//! Push ids: unique and increasing per connection, and they say by themselves what they are for.
//!
//! The high bits count the connection's requests, the low bits are the number of the subscription
//! or listener, so that an ack finds it without a table of pushes under way. Clients send ids back
//! as they came, as text.

use crate::limits::{LISTENERS_PER_CORE_MAX, PUSH_INDEX_BITS, SUBSCRIPTIONS_PER_CORE_MAX};

const INDEX_MASK: u64 = (1 << PUSH_INDEX_BITS) - 1;

/// Set in the index of a listener.
const LISTENER: u64 = 1 << (PUSH_INDEX_BITS - 1);

const _: () = assert!((SUBSCRIPTIONS_PER_CORE_MAX as u64) < LISTENER, "half is for listeners");
const _: () = assert!((LISTENERS_PER_CORE_MAX as u64) < LISTENER - 1, "the last is for others");

/// What an id is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The subscription of this number.
    Subscription(u32),
    /// The listener of this number.
    Listener(u32),
    /// The connection: detection, reset, fuzzy watch.
    Connection,
}

/// The id of request `number` of a connection, for a subscription.
pub fn of_subscription(number: u64, index: u32) -> u64 {
    number << PUSH_INDEX_BITS | u64::from(index)
}

/// The id of request `number` of a connection, for a listener.
pub fn of_listener(number: u64, index: u32) -> u64 {
    number << PUSH_INDEX_BITS | LISTENER | u64::from(index)
}

/// The id of request `number` of a connection, for the connection itself.
pub fn of_connection(number: u64) -> u64 {
    number << PUSH_INDEX_BITS | INDEX_MASK
}

/// The number of the request, and what it was for.
pub fn parse(id: u64) -> (u64, Target) {
    let index = id & INDEX_MASK;
    let target = match index {
        INDEX_MASK => Target::Connection,
        index if index & LISTENER != 0 => Target::Listener((index ^ LISTENER) as u32),
        index => Target::Subscription(index as u32),
    };
    (id >> PUSH_INDEX_BITS, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_and_find_their_target() {
        let ids =
            [of_subscription(1, 7), of_connection(2), of_subscription(3, 0), of_listener(4, 9)];
        assert!(ids.is_sorted());
        assert_eq!(parse(ids[0]), (1, Target::Subscription(7)));
        assert_eq!(parse(ids[1]), (2, Target::Connection));
        assert_eq!(parse(ids[2]), (3, Target::Subscription(0)));
        assert_eq!(parse(ids[3]), (4, Target::Listener(9)));
        assert!(of_connection((1 << 37) - 1) <= i64::MAX as u64, "fits a Java long");
    }
}
