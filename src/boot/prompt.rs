//! A password from whoever sits at the terminal, unseen; or from a program, as a line.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};

/// Bytes of a line that are read: more than any password may have.
const LINE_BYTES_MAX: u64 = 1_024;

/// What Ctrl-C is while it interrupts nobody.
const INTERRUPT: char = '\u{3}';

/// A line without its end.
///
/// # Errors
/// Nothing comes; two lines typed at a terminal differ.
pub fn password() -> io::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return line();
    }
    let first = unseen("Password: ")?;
    if unseen("The same again: ")? != first {
        return Err(io::Error::other("the two differ"));
    }
    Ok(first)
}

fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().take(LINE_BYTES_MAX).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::Error::other("type it, or give it as a line of standard input"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn unseen(prompt: &str) -> io::Result<String> {
    let before = tcgetattr(io::stdin())?;
    let mut silent = before.clone();
    // As getpass(3): who is interrupted would leave the terminal mute.
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    silent.local_modes.insert(LocalModes::ECHONL);
    let _restored = Restored(before);
    eprint!("{prompt}");
    io::stderr().flush()?;
    tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
    let typed = line()?;
    if typed.contains(INTERRUPT) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(typed)
}

/// The terminal as it was, whatever happens.
struct Restored(Termios);

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
