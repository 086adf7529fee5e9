//! Where clients connect from: enough addresses that ports suffice.

use crate::engine::Address;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port range where the kernel does not tell its own (its default).
const PORTS_DEFAULT: (usize, usize) = (32_768, 60_999);

/// Source addresses; on loopback any 127/8 address is ours.
#[derive(Default)]
pub(crate) struct Sources {
    addresses: Vec<Address>,
    clients_each: usize,
}

impl Sources {
    /// Those given, clients evenly over them. With none given: none are needed for few clients,
    /// and none are known but for loopback.
    pub(crate) fn new(target: IpAddr, clients: usize, bind: &[IpAddr]) -> Self {
        let address = |ip: IpAddr| Address::from(SocketAddr::new(ip, 0));
        if !bind.is_empty() {
            let addresses = bind.iter().copied().map(address).collect();
            return Self { addresses, clients_each: clients.div_ceil(bind.len()).max(1) };
        }
        let clients_each = clients_per_source();
        if clients <= clients_each || !matches!(target, IpAddr::V4(ip) if ip.is_loopback()) {
            return Self::default();
        }
        let source = |at: usize| Ipv4Addr::new(127, 1, (at >> 8) as u8, (at & 0xff) as u8);
        let addresses = (1..=clients.div_ceil(clients_each)).map(|at| address(source(at).into()));
        Self { addresses: addresses.collect(), clients_each }
    }

    /// The source a client binds, if any.
    pub(crate) fn of(&self, client: usize) -> Option<Address> {
        self.addresses.get(client.checked_div(self.clients_each)?).copied()
    }
}

/// The kernel looks for a free port one by one, first among every second port of the range: once
/// that half is full, each connect walks thousands of ports. We stay well inside it.
fn clients_per_source() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let text = text.unwrap_or_default();
    let mut bounds = text.split_whitespace().map(|bound| bound.parse::<usize>().ok());
    let (low, high) = match (bounds.next().flatten(), bounds.next().flatten()) {
        (Some(low), Some(high)) if low < high => (low, high),
        _ => PORTS_DEFAULT,
    };
    ((high - low) / 2 * 2 / 3).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_when_ports_would_not_suffice() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let each = clients_per_source();
        assert!(each > 0 && each < 32_768 / 2, "{each}");
        assert!(Sources::new(loopback, each, &[]).of(0).is_none());
        let many = Sources::new(loopback, 10 * each, &[]);
        assert_eq!(many.addresses.len(), 10);
        assert!((0..10 * each).all(|client| many.of(client).is_some()));
        let elsewhere = Ipv4Addr::new(192, 0, 2, 1).into();
        assert!(Sources::new(elsewhere, 10 * each, &[]).of(0).is_none());
    }

    #[test]
    fn given_sources_are_shared_evenly() {
        let bind: Vec<IpAddr> = (1..=3).map(|at| Ipv4Addr::new(127, 2, 0, at).into()).collect();
        let sources = Sources::new(bind[0], 10, &bind);
        assert_eq!((sources.addresses.len(), sources.clients_each), (3, 4));
        assert!((0..10).all(|client| sources.of(client).is_some()));
    }
}
