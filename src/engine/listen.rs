//! Listening sockets: one per address and core, sharing the port.

use super::error::EngineError;
use super::limits::LISTEN_BACKLOG;
use super::sys;
use std::io;
use std::mem::size_of;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A listening socket of this core.
#[derive(Debug)]
pub(super) struct Listener {
    pub fd: OwnedFd,
    pub address: SocketAddr,
}

/// Opens a listener that shares its port with those of other cores. What accepted sockets should
/// have (TCP_NODELAY) is set here, because they inherit it.
pub(super) fn open(address: SocketAddr) -> Result<Listener, EngineError> {
    let failed = |what| move |source| EngineError::Listen { address, what, source };
    let fd = socket(address).map_err(failed("open a socket"))?;
    set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).map_err(failed("share the port"))?;
    set(&fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1).map_err(failed("set TCP_NODELAY"))?;
    bind(&fd, address).map_err(failed("bind"))?;
    // SAFETY: `fd` is an open socket; no pointer is passed.
    if unsafe { libc::listen(fd.as_raw_fd(), LISTEN_BACKLOG) } != 0 {
        return Err(failed("listen")(io::Error::last_os_error()));
    }
    let address = bound_address(&fd).map_err(failed("read the bound address"))?;
    Ok(Listener { fd, address })
}

/// Fails when somebody listens on the address already. The listeners of all cores share their port
/// (SO_REUSEPORT), so without this check a second process of the same user would silently take
/// half of the connections. Call once per process, before the first [`open`].
///
/// Errors: [`EngineError::Listen`].
pub fn check_free(address: SocketAddr) -> Result<(), EngineError> {
    let failed = |what| move |source| EngineError::Listen { address, what, source };
    let fd = socket(address).map_err(failed("open a socket"))?;
    bind(&fd, address).map_err(failed("bind"))
}

/// A socket to listen with. IPv6 is IPv6 only, so that `0.0.0.0` and `::` can both be listened on.
pub(crate) fn socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointer is passed; the result is checked by `own`.
    let fd = sys::own(unsafe { libc::socket(family, kind, 0) })?;
    set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    if address.is_ipv6() {
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    Ok(fd)
}

/// Sets an option whose value is an int.
pub(crate) fn set(fd: &OwnedFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the option's value is an i32 that lives through the call, its length is given.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds a socket to an address.
pub(crate) fn bind(fd: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let fd: RawFd = fd.as_raw_fd();
    let result = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            // SAFETY: `raw` is an initialised sockaddr_in of the length given.
            unsafe { libc::bind(fd, (&raw const raw).cast(), length) }
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            let length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            // SAFETY: `raw` is an initialised sockaddr_in6 of the length given.
            unsafe { libc::bind(fd, (&raw const raw).cast(), length) }
        }
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn bound_address(fd: &OwnedFd) -> io::Result<SocketAddr> {
    let mut storage = empty_address();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `storage` has room for `length` bytes and both live through the call.
    let result =
        unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut storage).cast(), &raw mut length) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(decode(&storage))
}

/// A zeroed address for the kernel to fill.
pub(super) fn empty_address() -> libc::sockaddr_storage {
    // SAFETY: sockaddr_storage is plain data for which all zeros is a valid value.
    unsafe { std::mem::zeroed() }
}

/// The address the kernel wrote. An unknown family (never seen for TCP) becomes `[::]:0`.
pub(super) fn decode(storage: &libc::sockaddr_storage) -> SocketAddr {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says sockaddr_in, which is smaller than the storage and may sit
            // at its alignment.
            let raw =
                unsafe { &*(storage as *const libc::sockaddr_storage).cast::<libc::sockaddr_in>() };
            SocketAddr::from((raw.sin_addr.s_addr.to_ne_bytes(), u16::from_be(raw.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says sockaddr_in6, which is smaller than the storage and may sit
            // at its alignment.
            let raw = unsafe {
                &*(storage as *const libc::sockaddr_storage).cast::<libc::sockaddr_in6>()
            };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            let port = u16::from_be(raw.sin6_port);
            SocketAddr::V6(SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id))
        }
        _ => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}
