//! The thread that compares passwords, and looks after the files of keys beside: made once, before
//! the cores, and gone after them.

use crate::auth::directory::{Directory, Place};
use crate::auth::worker::{self, Counter};
use crate::boot::token_key::{KeyFiles, LOOK_EVERY};
use std::io;
use std::thread;

/// Starts it. It ends when the last core has dropped its [`Counter`].
///
/// # Errors
/// No thread is to be had.
pub fn start(mut files: KeyFiles, directory: Option<Place>) -> io::Result<Counter> {
    let (counter, inbox) = worker::pair();
    // Pinned nowhere: it is to take what the cores leave.
    let directory = directory.map(Directory::new);
    let life = move || worker::run(inbox, directory, LOOK_EVERY, || files.look());
    thread::Builder::new().name("passwords".to_owned()).spawn(life)?;
    Ok(counter)
}
