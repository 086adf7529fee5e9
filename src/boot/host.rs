//! What the machine offers, as plain facts. Judging them is [`crate::boot::probe`].

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Facts about this process on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// As `uname -r` says it.
    pub kernel: String,
    /// Whether a ring with the flags the engine uses could be made, or the error number.
    pub ring: Result<(), i32>,
    /// `kernel.io_uring_disabled`: 1 and 2 forbid; `None` where the kernel has no such switch.
    pub io_uring_disabled: Option<u8>,
    /// A seccomp filter is in force for this process, as in most containers.
    pub seccomp: bool,
    /// RLIMIT_MEMLOCK, soft, in bytes; `u64::MAX` is no limit.
    pub memlock_bytes: u64,
    /// CAP_IPC_LOCK: the limit above does not count.
    pub ipc_lock: bool,
    /// RLIMIT_NOFILE, soft, after it was raised to the hard limit.
    pub nofile: u64,
}

impl Host {
    /// Asks the kernel. Raises the soft limit of open files to the hard one on the way: that needs no
    /// right, and every connection beyond the soft limit would be turned away for nothing.
    pub fn ask() -> Host {
        raise_nofile();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Host {
            kernel: first_line("/proc/sys/kernel/osrelease"),
            ring: make_ring(),
            io_uring_disabled: first_line("/proc/sys/kernel/io_uring_disabled").parse().ok(),
            seccomp: field(&status, "Seccomp:").is_some_and(|mode| mode != "0"),
            memlock_bytes: limit(libc::RLIMIT_MEMLOCK).0,
            ipc_lock: field(&status, "CapEff:")
                .and_then(|bits| u64::from_str_radix(bits, 16).ok())
                .is_some_and(|bits| bits & (1 << CAP_IPC_LOCK) != 0),
            nofile: limit(libc::RLIMIT_NOFILE).0,
        }
    }
}

/// Bit number of the capability (`capabilities(7)`).
const CAP_IPC_LOCK: u32 = 14;

/// CPUs this process may run on, ascending: a container's cpuset counts, not the machine's size.
pub fn cpus() -> Vec<u16> {
    // SAFETY: a cpu_set_t is plain bits; all zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let bytes = size_of::<libc::cpu_set_t>();
    // SAFETY: the kernel writes at most `bytes` bytes to `set`, which lives through the call.
    if unsafe { libc::sched_getaffinity(0, bytes, &mut set) } != 0 {
        return vec![0];
    }
    let member = |cpu: &u16| {
        // SAFETY: `cpu` is below CPU_SETSIZE, so the bit lies within `set`.
        unsafe { libc::CPU_ISSET(usize::from(*cpu), &set) }
    };
    (0..libc::CPU_SETSIZE as u16).filter(member).collect()
}

/// The parts of `io_uring_setup`'s parameter we fill in; the kernel fills in the rest.
#[repr(C)]
#[derive(Default)]
struct RingParams {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    rest: [u32; 3],
    offsets: [u64; 10],
}

// The kernel reads and writes exactly this many bytes (`struct io_uring_params`).
const _: () = assert!(size_of::<RingParams>() == 120);

/// IORING_SETUP_TASKRUN_FLAG, SINGLE_ISSUER and DEFER_TASKRUN: what the engine's rings are made with.
/// The last one came with Linux 6.1.
const RING_FLAGS: u32 = 1 << 9 | 1 << 12 | 1 << 13;

/// Makes the smallest ring of the engine's kind and closes it again.
fn make_ring() -> Result<(), i32> {
    let mut params = RingParams { flags: RING_FLAGS, ..RingParams::default() };
    // SAFETY: the kernel reads and writes one io_uring_params, whose size is asserted above, and
    // `params` lives through the call.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 2, &raw mut params) };
    if fd < 0 {
        return Err(io::Error::last_os_error().raw_os_error().unwrap_or_default());
    }
    // SAFETY: the call returned this descriptor to us alone.
    drop(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    Ok(())
}

/// Soft and hard limit.
fn limit(resource: libc::__rlimit_resource_t) -> (u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the duration of the call.
    let done = unsafe { libc::getrlimit(resource, &mut limit) };
    if done == 0 { (limit.rlim_cur, limit.rlim_max) } else { (u64::MAX, u64::MAX) }
}

fn raise_nofile() {
    let (soft, hard) = limit(libc::RLIMIT_NOFILE);
    if soft < hard {
        let raised = libc::rlimit { rlim_cur: hard, rlim_max: hard };
        // SAFETY: the kernel only reads `raised`. A refusal leaves the old limit, which is judged.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) };
    }
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_answers() {
        let host = Host::ask();
        assert!(host.kernel.starts_with(|first: char| first.is_ascii_digit()), "{host:?}");
        assert!(host.nofile > 0 && host.memlock_bytes > 0, "{host:?}");
        let (soft, hard) = limit(libc::RLIMIT_NOFILE);
        assert_eq!(soft, hard);
    }

    #[test]
    fn cpus_are_ascending_and_ours() {
        let cpus = cpus();
        assert!(!cpus.is_empty());
        assert!(cpus.windows(2).all(|pair| pair[0] < pair[1]));
        let threads = std::thread::available_parallelism().unwrap().get();
        assert!(threads <= cpus.len(), "a quota may only lower the number");
    }

    #[test]
    fn fields_of_the_status_file() {
        let status = "Name:\tx\nCapEff:\t0000000000004000\nSeccomp:\t2\n";
        assert_eq!(field(status, "Seccomp:"), Some("2"));
        assert_eq!(field(status, "CapEff:"), Some("0000000000004000"));
        assert_eq!(field(status, "Absent:"), None);
    }
}
