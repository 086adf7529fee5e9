//! What the cores of one node share: fixed facts, and the one counter that must be node-wide.

use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by all cores. The count is relaxed: nothing else depends on its order.
#[derive(Debug)]
pub struct Node {
    /// Cores of this node.
    pub cores: u16,
    /// This node's address as pushes carry it (`Metadata.clientIp`).
    pub own_ip: Box<str>,
    /// Client connections the whole node admits; over it a connection is closed.
    pub connections_max: u64,
    connections: AtomicU64,
}

impl Node {
    pub fn new(cores: u16, own_ip: &str, connections_max: u64) -> Self {
        Self { cores, own_ip: own_ip.into(), connections_max, connections: AtomicU64::new(0) }
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
