//! SIGTERM and SIGINT as something to wait for; SIGPIPE as nothing.
//!
//! Signals are blocked in the main thread before any other thread exists, so all inherit it and no
//! system call of a core is ever interrupted. The main thread reads them from a descriptor.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The signals that stop the server, turned into a readable descriptor.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

/// What [`Signals::wait`] heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// SIGTERM or SIGINT, by its number.
    Signal(i32),
    /// The other descriptor is readable.
    Other,
}

impl Signals {
    /// Takes the signals over for the whole process. Call it before the first thread is made.
    ///
    /// # Errors
    /// As `signalfd(2)`: no descriptor left.
    pub fn take() -> io::Result<Signals> {
        // SAFETY: SIG_IGN is a valid disposition; nothing else of the process handles SIGPIPE.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the whole set; the calls after it only change valid bits of
        // it and read it. All pointers live through the calls.
        let fd = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
            let error = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            if error != 0 {
                return Err(io::Error::from_raw_os_error(error));
            }
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd returned this descriptor to us alone.
        Ok(Signals { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Blocks until a signal arrives or `other` becomes readable, whichever is first.
    ///
    /// # Errors
    /// As `poll(2)` and `read(2)`.
    pub fn wait(&self, other: BorrowedFd<'_>) -> io::Result<Heard> {
        let entry = |fd: BorrowedFd<'_>| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut entries = [entry(self.fd.as_fd()), entry(other)];
        loop {
            // SAFETY: `entries` is an array of two valid pollfds; both descriptors outlive the call.
            let ready = unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) };
            if ready < 0 {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            if entries[0].revents != 0 {
                return self.read().map(Heard::Signal);
            }
            if entries[1].revents != 0 {
                return Ok(Heard::Other);
            }
        }
    }

    fn read(&self) -> io::Result<i32> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let bytes = size_of::<libc::signalfd_siginfo>();
        // SAFETY: `info` has room for `bytes` bytes.
        let read = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), bytes) };
        if read != bytes as isize {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a signalfd hands out whole entries only, and one was read.
        Ok(unsafe { info.assume_init() }.ssi_signo as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::stop::Stop;

    /// The mask is the thread's, so the signal is sent to this thread alone.
    fn raise(signal: i32) {
        // SAFETY: raise takes a number; the signal is blocked in this thread.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
    }

    #[test]
    fn signals_become_values_and_the_other_side_is_heard() {
        let signals = Signals::take().unwrap();
        let stop = Stop::new(1).unwrap();
        raise(libc::SIGTERM);
        assert_eq!(signals.wait(stop.ended()).unwrap(), Heard::Signal(libc::SIGTERM));
        raise(libc::SIGINT);
        assert_eq!(signals.wait(stop.ended()).unwrap(), Heard::Signal(libc::SIGINT));
        drop(stop.running());
        assert_eq!(signals.wait(stop.ended()).unwrap(), Heard::Other);
    }

    #[test]
    fn a_closed_pipe_is_an_error_not_the_end() {
        let _signals = Signals::take().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let error = io::Write::write(&mut writer, b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
