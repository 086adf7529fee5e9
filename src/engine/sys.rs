//! The few system calls without a safe wrapper elsewhere.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The soft limit of a resource; `u64::MAX` when unlimited.
pub(super) fn limit_of(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the duration of the call.
    if unsafe { libc::getrlimit(resource, &mut limit) } == 0 { limit.rlim_cur } else { u64::MAX }
}

/// A non-blocking eventfd: what wakes a core, written by its rings and by other cores.
///
/// Errors: as `eventfd(2)`, in practice only the file limit.
pub fn event_fd() -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed; the result is checked before it is used.
    let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    own(fd)
}

/// Takes over a descriptor a system call just returned.
pub(super) fn own(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` is a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Says "no more from us" on a connection, through a descriptor that is closed afterwards.
pub(super) fn finish_sending(fd: OwnedFd) {
    use std::os::fd::AsRawFd;
    // SAFETY: `fd` is open; shutdown takes no pointer. A failure means the peer is gone already,
    // which the armed receive reports.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) };
}

/// Has the kernel look for free slots of a ring's table of sockets from the lowest on again. By
/// itself it goes on from the last one it gave out or took back.
pub(super) fn search_from_lowest(ring: RawFd, slots: u32) {
    /// As `io_uring.h` has it, which the crate in use does not wrap.
    #[repr(C)]
    struct FileIndexRange {
        offset: u32,
        length: u32,
        reserved: u64,
    }
    const REGISTER_FILE_ALLOC_RANGE: libc::c_uint = 25;
    let range = FileIndexRange { offset: 0, length: slots, reserved: 0 };
    // SAFETY: the kernel copies the range during the call. A failure leaves things as they are:
    // slots are given out all the same, only higher ones.
    unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            ring,
            REGISTER_FILE_ALLOC_RANGE,
            &raw const range,
            0,
        )
    };
}

/// Blocks until a descriptor is readable; false when that took too long. What a core does with its
/// wake-up descriptor where its executor has nothing to do, or there is none.
pub fn wait_readable(fd: impl AsFd, patience: Option<Duration>) -> bool {
    let fd = fd.as_fd().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let timeout_ms =
        patience.map_or(-1, |time| i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: one valid pollfd, for the length given.
    unsafe { libc::poll(&raw mut poll, 1, timeout_ms) == 1 }
}
