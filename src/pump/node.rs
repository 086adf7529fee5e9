//! What the cores of one node share: fixed facts, and the two counters that must be node-wide.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by all cores. Relaxed atomics only: nothing else depends on their order.
#[derive(Debug)]
pub struct Node {
    /// Cores of this node.
    pub cores: u16,
    /// This node's address as pushes carry it (`Metadata.clientIp`).
    pub own_ip: Box<str>,
    /// Client connections the whole node admits; over it a connection is closed.
    pub connections_max: u64,
    connections: AtomicU64,
    stopping: AtomicBool,
}

impl Node {
    pub fn new(cores: u16, own_ip: &str, connections_max: u64) -> Self {
        Self {
            cores,
            own_ip: own_ip.into(),
            connections_max,
            connections: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    /// Counts a connection in, or says that the node is full.
    pub fn admit(&self) -> bool {
        if self.connections.fetch_add(1, Ordering::Relaxed) < self.connections_max {
            return true;
        }
        self.connections.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Counts a connection out.
    pub fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Client connections now.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Asks every core to stop; each sees it in its next turn.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_node_wide_and_exact() {
        let node = Node::new(2, "127.0.0.1", 2);
        assert!(node.admit() && node.admit());
        assert!(!node.admit());
        node.leave();
        assert!(node.admit());
        assert_eq!(node.connections(), 2);
    }
}
