//! Ctrl-C asks for the report so far; a second one ends the process at once.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the signal handler, which may do nothing else.
static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn ask(_signal: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// From now on the first SIGINT is remembered instead of ending the process. Waits end early.
pub fn watch() -> io::Result<()> {
    // SAFETY: a zeroed sigaction is a valid one: no flags, an empty mask, the default handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ask as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESETHAND;
    // SAFETY: the handler only stores into an atomic; both pointers live through the call.
    if unsafe { libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether somebody asked for the end.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
