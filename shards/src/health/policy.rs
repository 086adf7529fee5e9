//! Which addresses may be probed. Anybody who may register may name an address, so a probe must
//! not become a way to reach what only this host can reach (the reference's own advisories:
//! `field-notes.md`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Never probed, whatever settings say: this network's own, link-local, metadata services of
/// clouds, multicast, broadcast.
const NEVER: &[Network] = &[
    Network::v4([0, 0, 0, 0], 8),
    Network::v4([169, 254, 0, 0], 16),
    Network::v4([100, 100, 100, 200], 32),
    Network::v4([168, 63, 129, 16], 32),
    Network::v4([192, 0, 0, 192], 32),
    Network::v4([224, 0, 0, 0], 4),
    Network::v4([255, 255, 255, 255], 32),
    Network::v6([0; 8], 128),
    Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
    Network::v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),
];

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that count.
    bits: u8,
}

impl Network {
    const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], bits: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits }
    }

    /// Reads `10.0.0.0/8`, or one address. `None`: neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether the address is in the range. Addresses of the other family never are.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let differing = own.to_bits() ^ ip.to_bits();
                differing.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let differing = own.to_bits() ^ ip.to_bits();
                differing.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// What settings allow beyond ordinary addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The server itself listens on loopback: whoever registers is on this host.
    pub loopback: bool,
    /// `nacre.health.allow-targets`.
    pub targets: Box<[Network]>,
}

impl Policy {
    /// Whether the address may be probed.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let inner = within(ip);
        let refused = |ip: IpAddr| NEVER.iter().any(|never| never.contains(ip));
        if refused(ip) || inner.is_some_and(refused) {
            return false;
        }
        let is_loopback = ip.is_loopback() || inner.is_some_and(|inner| inner.is_loopback());
        let named = |target: &Network| {
            target.contains(ip) || inner.is_some_and(|inner| target.contains(inner))
        };
        !is_loopback || self.loopback || self.targets.iter().any(named)
    }
}

/// The IPv4 address an IPv6 one stands for: mapped, compatible, NAT64, 6to4.
fn within(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(ip) = ip else { return None };
    let of = |high: u16, low: u16| {
        Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of(high, low),
        // `::1` is itself.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(policy: &Policy, ip: &str) -> bool {
        policy.allows(ip.parse().unwrap())
    }

    #[test]
    fn never_and_always() {
        let all = Policy { loopback: true, targets: ["0.0.0.0/0", "::/0"].map(net).into() };
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::ffff:0.0.0.0",
        ] {
            assert!(!allows(&all, ip), "{ip}");
        }
        for ip in ["10.0.0.1", "192.168.1.1", "8.8.8.8", "240.0.0.1", "fd00::1", "2001:db8::1"] {
            assert!(allows(&Policy::default(), ip), "{ip}");
        }
    }

    #[test]
    fn loopback_is_named_or_listened_on() {
        let loopbacks = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "2002:7f00:1::"];
        for ip in loopbacks {
            assert!(!allows(&Policy::default(), ip), "{ip}");
            assert!(allows(&Policy { loopback: true, ..Policy::default() }, ip), "{ip}");
        }
        let one = Policy { targets: [net("127.0.0.1")].into(), ..Policy::default() };
        assert!(allows(&one, "127.0.0.1") && allows(&one, "::ffff:127.0.0.1"));
        assert!(!allows(&one, "127.0.0.2") && !allows(&one, "::1"));
    }

    fn net(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn networks_are_read_and_cut() {
        assert!(net("10.0.0.0/8").contains("10.255.0.1".parse().unwrap()));
        assert!(!net("10.0.0.0/8").contains("11.0.0.1".parse().unwrap()));
        assert!(net("0.0.0.0/0").contains("9.9.9.9".parse().unwrap()));
        assert!(net("::/0").contains("::9".parse().unwrap()));
        assert!(!net("::/0").contains("9.9.9.9".parse().unwrap()));
        for wrong in ["", "/8", "10.0.0.0/33", "10.0.0.0/", "::1/129", "host", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
