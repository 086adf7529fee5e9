//! A socket address in the kernel's own form.

use std::net::SocketAddr;

/// `sockaddr_in` or `sockaddr_in6`, and which of the two.
#[derive(Clone, Copy)]
pub union Address {
    family: libc::sa_family_t,
    four: libc::sockaddr_in,
    six: libc::sockaddr_in6,
}

impl Address {
    /// `AF_INET` or `AF_INET6`.
    pub(super) fn family(&self) -> i32 {
        // SAFETY: every variant begins with the family, and `From` is the only constructor.
        i32::from(unsafe { self.family })
    }

    /// Pointer and length for the kernel; valid as long as `self` does not move.
    pub(super) fn raw(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        let bytes = if self.family() == libc::AF_INET {
            size_of::<libc::sockaddr_in>()
        } else {
            size_of::<libc::sockaddr_in6>()
        };
        ((&raw const *self).cast(), bytes as libc::socklen_t)
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(addr) => Self {
                four: libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: addr.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*addr.ip()).to_be() },
                    sin_zero: [0; 8],
                },
            },
            SocketAddr::V6(addr) => Self {
                six: libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: addr.port().to_be(),
                    sin6_flowinfo: addr.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
                    sin6_scope_id: addr.scope_id(),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_in_network_order() {
        let four = Address::from("127.0.0.1:8848".parse::<SocketAddr>().unwrap());
        assert_eq!((four.family(), four.raw().1), (libc::AF_INET, 16));
        // SAFETY: made from an IPv4 address.
        let inner = unsafe { four.four };
        assert_eq!(inner.sin_port.to_ne_bytes(), 8848u16.to_be_bytes());
        assert_eq!(inner.sin_addr.s_addr.to_ne_bytes(), [127, 0, 0, 1]);
        let six = Address::from("[::1]:9848".parse::<SocketAddr>().unwrap());
        assert_eq!((six.family(), six.raw().1), (libc::AF_INET6, 28));
    }
}
