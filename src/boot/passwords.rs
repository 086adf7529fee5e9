//! The thread that compares passwords: made once, before the cores, and gone after them.

use crate::auth::worker::{self, Counter};
use std::io;
use std::thread;

/// Starts it. It ends when the last core has dropped its [`Counter`].
///
/// # Errors
/// No thread is to be had.
pub fn start() -> io::Result<Counter> {
    let (counter, inbox) = worker::pair();
    // Pinned nowhere: it is to take what the cores leave.
    thread::Builder::new().name("passwords".to_owned()).spawn(|| worker::run(inbox))?;
    Ok(counter)
}
