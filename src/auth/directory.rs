//! Users of an LDAP directory (`auth.md` 9): found by a search, proved by a bind in their name.
//!
//! Blocks, so only the password thread calls it. Speaks the little of LDAP v3 (RFC 4511) that this
//! takes, over TCP or TLS: simple binds and one search. A filter is sent as a structure, never as
//! text, so no name can change what is searched for. Everything read is bounded.

mod ber;
mod line;

pub use line::Trust;

use super::limits::{
    DIRECTORY_ANSWER_BYTES_MAX, DIRECTORY_ANSWERS_MAX, DIRECTORY_REST_MS, DIRECTORY_TRIES_MAX,
};
use ber::{Malformed, Reader, Writer, tag};
use line::Line;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// What users of the directory are called here, so that they meet no local ones.
pub const PREFIX: &str = "LDAP_";

/// Result codes (RFC 4511, 4.1.9) that are told apart.
const SUCCESS: i64 = 0;
const SIZE_LIMIT_EXCEEDED: i64 = 4;
const NO_SUCH_OBJECT: i64 = 32;
const INVALID_CREDENTIALS: i64 = 49;

/// Attributes of an entry, in a search that wants none (RFC 4511, 4.5.1.8).
const NO_ATTRIBUTES: &str = "1.1";

/// Where the directory is, and how users are found in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Host name or address.
    pub host: String,
    pub port: u16,
    /// Who vouches for it, where it is asked over TLS (`ldaps`).
    pub trust: Option<Trust>,
    pub base: String,
    /// Who searches: a name and a password, both blank for nobody.
    pub reader: String,
    pub password: String,
    /// The attribute that holds what users type.
    pub attribute: String,
    /// Whether `Bob` and `bob` are two.
    pub case_sensitive: bool,
    /// For each connect, write and read, ms.
    pub timeout_ms: u32,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, base, .. } = self;
        write!(f, "Place({host}:{port}, {base})")
    }
}

impl Place {
    /// What somebody is called here who is `name` there.
    pub fn name_of(&self, name: &str) -> String {
        match self.case_sensitive {
            true => format!("{PREFIX}{name}"),
            false => format!("{PREFIX}{}", name.to_lowercase()),
        }
    }
}

/// What the directory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Nobody of that name, more than one, or another password.
    Wrong,
    /// It cannot be asked.
    Unreachable,
}

/// The directory as the password thread asks it.
#[derive(Debug)]
pub struct Directory {
    place: Place,
    /// It was not to be reached: until then nobody waits for it again, in `tick_ms`.
    rests_until_ms: u64,
}

impl Directory {
    pub fn new(place: Place) -> Self {
        Self { place, rests_until_ms: 0 }
    }

    /// Whether this is the password of whoever the directory knows by that name. Takes two round
    /// trips, or at worst the timeout a few times over; while the directory is not to be reached,
    /// one login a second waits for it and all others hear so at once.
    pub fn check(&mut self, name: &str, password: &str, now_ms: u64) -> Verdict {
        // A bind without a password succeeds as nobody (RFC 4513, 5.1.2): it proves nothing.
        if name.trim().is_empty() || password.is_empty() {
            return Verdict::Wrong;
        }
        if now_ms < self.rests_until_ms {
            return Verdict::Unreachable;
        }
        match self.ask(name, password) {
            Ok(true) => Verdict::Right,
            Ok(false) => Verdict::Wrong,
            Err(error) => {
                self.rests_until_ms = now_ms + DIRECTORY_REST_MS;
                tracing::warn!(target: "nacre::auth", "ask the directory: {error}");
                Verdict::Unreachable
            }
        }
    }

    fn ask(&self, name: &str, password: &str) -> io::Result<bool> {
        let mut session = Session::open(&self.place)?;
        if !self.place.reader.is_empty()
            && !session.bind(&self.place.reader, &self.place.password)?
        {
            return Err(io::Error::other("it refuses the name or password of who searches"));
        }
        match session.find(&self.place, name)? {
            Some(entry) => session.bind(&entry, password),
            None => Ok(false),
        }
    }
}

/// One connection.
struct Session {
    line: Line,
    last_id: i64,
}

impl Session {
    fn open(place: &Place) -> io::Result<Self> {
        let timeout = Duration::from_millis(u64::from(place.timeout_ms.max(1)));
        let mut last = io::Error::other("its name has no address");
        let addresses = (place.host.as_str(), place.port).to_socket_addrs()?;
        for address in addresses.take(DIRECTORY_TRIES_MAX) {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(timeout))?;
                    stream.set_write_timeout(Some(timeout))?;
                    stream.set_nodelay(true)?;
                    let line = match &place.trust {
                        Some(trust) => trust.line(&place.host, stream)?,
                        None => Line::Plain(stream),
                    };
                    return Ok(Self { line, last_id: 0 });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Whether a name and a password go together.
    fn bind(&mut self, name: &str, password: &str) -> io::Result<bool> {
        self.send(tag::BIND, |bind| {
            bind.integer(tag::INTEGER, 3);
            bind.bytes(tag::OCTETS, name.as_bytes());
            bind.bytes(tag::SIMPLE, password.as_bytes());
        })?;
        let answer = self.receive()?;
        let (kind, code, _) = answer.operation()?;
        match code {
            _ if kind != tag::BOUND => Err(unexpected("a bind was answered with something else")),
            SUCCESS => Ok(true),
            INVALID_CREDENTIALS | NO_SUCH_OBJECT => Ok(false),
            code => Err(io::Error::other(format!("a bind ended with result code {code}"))),
        }
    }

    /// The one entry of this name; `None` if there is none, or another one.
    fn find(&mut self, place: &Place, name: &str) -> io::Result<Option<String>> {
        const SUBTREE: i64 = 2;
        const ALWAYS: i64 = 3;
        self.send(tag::SEARCH, |search| {
            search.bytes(tag::OCTETS, place.base.as_bytes());
            search.integer(tag::ENUMERATED, SUBTREE);
            search.integer(tag::ENUMERATED, ALWAYS);
            // One more than may be found.
            search.integer(tag::INTEGER, 2);
            search.integer(tag::INTEGER, i64::from(place.timeout_ms.div_ceil(1_000)));
            search.bytes(tag::BOOLEAN, &[0]);
            search.nested(tag::EQUALITY, |filter| {
                filter.bytes(tag::OCTETS, place.attribute.as_bytes());
                filter.bytes(tag::OCTETS, name.as_bytes());
            });
            search.nested(tag::SEQUENCE, |wanted| {
                wanted.bytes(tag::OCTETS, NO_ATTRIBUTES.as_bytes());
            });
        })?;
        let mut found = Vec::new();
        for _ in 0..DIRECTORY_ANSWERS_MAX {
            let answer = self.receive()?;
            match answer.operation()? {
                (tag::ENTRY, _, name) => found.push(name),
                (tag::FOUND, SUCCESS | SIZE_LIMIT_EXCEEDED | NO_SUCH_OBJECT, _) => {
                    // A nameless entry would be bound as nobody.
                    let only = found.pop().filter(|name| found.is_empty() && !name.is_empty());
                    return Ok(only);
                }
                (tag::FOUND, code, _) => {
                    return Err(io::Error::other(format!("a search ended with {code}")));
                }
                // Other directories that may know more: not asked.
                _ => {}
            }
        }
        Err(unexpected("a search has no end"))
    }

    fn send(&mut self, operation: u8, write: impl FnOnce(&mut Writer)) -> io::Result<()> {
        self.last_id += 1;
        let mut message = Writer::default();
        message.nested(tag::SEQUENCE, |message| {
            message.integer(tag::INTEGER, self.last_id);
            message.nested(operation, write);
        });
        self.line.write_all(message.written())
    }

    /// The next message to the last request.
    fn receive(&mut self) -> io::Result<Answer> {
        let mut head = [0; 2];
        self.line.read_exact(&mut head)?;
        let mut length = usize::from(head[1]);
        if head[0] != tag::SEQUENCE {
            return Err(unexpected("it speaks no LDAP"));
        }
        if length >= 0x80 {
            let mut long = [0; 4];
            let long = long.get_mut(..length & 0x7f).ok_or_else(|| unexpected("a long answer"))?;
            self.line.read_exact(long)?;
            length = long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        }
        if length > DIRECTORY_ANSWER_BYTES_MAX {
            return Err(unexpected("a long answer"));
        }
        let mut bytes = vec![0; length];
        self.line.read_exact(&mut bytes)?;
        Ok(Answer { bytes, id: self.last_id })
    }
}

impl Drop for Session {
    /// The orderly end; whether it arrives matters to nobody.
    fn drop(&mut self) {
        let mut message = Writer::default();
        message.nested(tag::SEQUENCE, |message| {
            message.integer(tag::INTEGER, self.last_id + 1);
            message.bytes(tag::UNBIND, &[]);
        });
        let _ = self.line.write_all(message.written());
        self.line.close();
    }
}

/// The inside of one message.
struct Answer {
    bytes: Vec<u8>,
    /// Of the request it has to be for.
    id: i64,
}

impl Answer {
    /// What it is, its result code where it has one, its entry's name where it is one.
    fn operation(&self) -> io::Result<(u8, i64, String)> {
        self.read().map_err(|_| unexpected("an answer that is none"))?.ok_or_else(|| {
            // Such as the notice that it will close the connection.
            unexpected("an answer to nothing")
        })
    }

    fn read(&self) -> Result<Option<(u8, i64, String)>, Malformed> {
        let mut message = Reader::new(&self.bytes);
        if message.integer(tag::INTEGER)? != self.id {
            return Ok(None);
        }
        let (kind, inside) = message.any()?;
        let mut inside = Reader::new(inside);
        match kind {
            tag::BOUND | tag::FOUND => {
                Ok(Some((kind, inside.integer(tag::ENUMERATED)?, String::new())))
            }
            tag::ENTRY => {
                let name = std::str::from_utf8(inside.expect(tag::OCTETS)?);
                Ok(Some((kind, SUCCESS, name.map_err(|_| Malformed)?.to_owned())))
            }
            _ => Ok(Some((kind, SUCCESS, String::new()))),
        }
    }
}

fn unexpected(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
