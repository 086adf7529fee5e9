//! Why an engine could not start, and what to do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why an engine could not start. Each text names what is missing and the remedy.
#[derive(Debug)]
pub enum EngineError {
    /// `io_uring_setup` is forbidden: by a seccomp profile or by `kernel.io_uring_disabled`.
    Forbidden { sysctl: Option<u8> },
    /// The kernel has no io_uring.
    Absent,
    /// The kernel knows io_uring, but not the features the engine stands on.
    TooOld { what: &'static str },
    /// The locked-memory limit does not leave room for a ring.
    LockedMemory { limit_bytes: u64 },
    /// The file limit does not leave room for a table of sockets.
    Files { limit: u64 },
    /// An address could not be listened on.
    Listen { address: SocketAddr, what: &'static str, source: io::Error },
    /// Anything else the kernel said.
    Kernel { what: &'static str, source: io::Error },
}

impl EngineError {
    /// What a failed `io_uring_setup` means on this host.
    pub(super) fn from_setup(source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Forbidden { sysctl: io_uring_disabled() },
            Some(libc::ENOSYS) => Self::Absent,
            Some(libc::EINVAL) => Self::TooOld { what: "DEFER_TASKRUN rings (Linux 6.1)" },
            Some(libc::ENOMEM) => {
                Self::LockedMemory { limit_bytes: super::sys::limit_of(libc::RLIMIT_MEMLOCK) }
            }
            Some(libc::EMFILE | libc::ENFILE) => {
                Self::Files { limit: super::sys::limit_of(libc::RLIMIT_NOFILE) }
            }
            _ => Self::Kernel { what: "set up an io_uring", source },
        }
    }
}

fn io_uring_disabled() -> Option<u8> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden { sysctl: Some(value @ 1..) } => write!(
                f,
                "io_uring is switched off on this host (kernel.io_uring_disabled = {value}); \
                 allow it with: sysctl -w kernel.io_uring_disabled=0"
            ),
            Self::Forbidden { .. } => f.write_str(
                "io_uring is forbidden to this process, most often by a container's seccomp \
                 profile; allow io_uring_setup, io_uring_enter and io_uring_register, e.g. with \
                 docker run --security-opt seccomp=PROFILE.json, or in Kubernetes with \
                 securityContext.seccompProfile of type Localhost",
            ),
            Self::Absent => f.write_str(
                "this kernel has no io_uring (built without CONFIG_IO_URING, or emulated as by \
                 gVisor); run on Linux 6.1 or later, 6.8 recommended",
            ),
            Self::TooOld { what } => write!(
                f,
                "this kernel is too old: {what} are missing; run on Linux 6.1 or later, 6.8 \
                 recommended"
            ),
            Self::LockedMemory { limit_bytes } => write!(
                f,
                "no memory for an io_uring within the locked-memory limit of {limit_bytes} bytes; \
                 raise it (ulimit -l unlimited, LimitMEMLOCK=infinity in systemd, --ulimit \
                 memlock=-1 in docker) or grant CAP_IPC_LOCK"
            ),
            Self::Files { limit } => write!(
                f,
                "the open-files limit of {limit} leaves no room for connections; raise it \
                 (ulimit -n 1048576, LimitNOFILE=1048576 in systemd, --ulimit nofile=1048576 in \
                 docker)"
            ),
            Self::Listen { address, what, source } => {
                write!(f, "cannot listen on {address}: {what}: {source}")?;
                match source.raw_os_error() {
                    Some(libc::EADDRINUSE) => f.write_str(
                        "; another process holds the port, or it is in use as an outgoing port \
                         (reserve it with net.ipv4.ip_local_reserved_ports)",
                    ),
                    Some(libc::EADDRNOTAVAIL) => {
                        f.write_str("; no interface of this host has that address")
                    }
                    Some(libc::EACCES) => f.write_str(
                        "; ports below net.ipv4.ip_unprivileged_port_start need \
                         CAP_NET_BIND_SERVICE",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Kernel { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::Kernel { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failed start must name the remedy, not only the errno.
    #[test]
    fn each_error_names_its_remedy() {
        let seen = |errno| EngineError::from_setup(io::Error::from_raw_os_error(errno)).to_string();
        assert!(seen(libc::EPERM).contains("seccomp"), "{}", seen(libc::EPERM));
        assert!(seen(libc::ENOSYS).contains("6.1"));
        assert!(seen(libc::EINVAL).contains("too old"));
        assert!(seen(libc::ENOMEM).contains("LimitMEMLOCK"));
        assert!(seen(libc::EMFILE).contains("LimitNOFILE"));
        let off = EngineError::Forbidden { sysctl: Some(2) }.to_string();
        assert!(off.contains("kernel.io_uring_disabled=0"), "{off}");
    }
}
