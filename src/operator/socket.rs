//! The socket in the data directory, and one core serving it: a bounded number of askers, each with
//! one question, a bounded time to ask it and to read the answer.

use super::office::Office;
use super::wire::{Line, Out, REQUEST_BYTES_MAX, Refusal, Request};
use bytes::Bytes;
use futures_lite::future;
use glommio::io::PollableFd;
use glommio::timer;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::Value;
use std::cell::Cell;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// Its name in the data directory.
pub const FILE: &str = "nacre.sock";

/// Nobody but the server's own user may ask: whoever can may do everything.
const MODE: u32 = 0o600;

/// Askers at a time; one more is turned away with words.
pub const ASKERS_MAX: usize = 8;

/// Connections the kernel keeps for us until they are taken.
const BACKLOG: i32 = 16;

/// How long an asker may take to ask.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// How long an asker may leave an answer unread: a backup waits for its disk.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// From an accept that failed, for want of descriptors, to the next.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Bytes of an address of a socket, without the zero behind it.
const ADDRESS_BYTES_MAX: usize = 107;

/// The address of the socket in a directory. A path too long for one goes by the directory's
/// descriptor, which has to stay open meanwhile.
pub(super) fn address(data: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = data.join(FILE);
    if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return Ok((path, None));
    }
    let folder = File::open(data)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}/{FILE}", folder.as_raw_fd()));
    Ok((short, Some(folder)))
}

/// Opens the socket; whoever calls holds the directory's lock, so one that is there is a dead
/// node's. It is nobody's before it has its mode: until it listens, connecting is refused.
///
/// # Errors
/// The directory cannot be written.
pub fn open(data: &Path) -> io::Result<UnixListener> {
    close(data);
    let (path, _folder) = address(data)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(&path)?)?;
    fs::set_permissions(data.join(FILE), Permissions::from_mode(MODE))?;
    rustix::net::listen(&fd, BACKLOG)?;
    Ok(UnixListener::from(fd))
}

/// Takes the socket's name away.
pub fn close(data: &Path) {
    // One that stays is refused by the kernel and replaced by the next start.
    let _ = fs::remove_file(data.join(FILE));
}

/// Serves until `until` resolves.
pub async fn serve(listener: UnixListener, office: Office, until: impl Future) {
    let Ok(listener) = PollableFd::new(listener) else { return };
    let askers = Rc::new(Cell::new(0));
    let mut until = pin!(async {
        until.await;
        false
    });
    loop {
        match listener.get_ref().accept() {
            Ok((stream, _)) => take(stream, &office, &askers),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let ready = async { listener.readable().await.is_ok() };
                if !future::or(until.as_mut(), ready).await {
                    return;
                }
            }
            Err(_) => {
                let waited = async {
                    timer::sleep(ACCEPT_AGAIN).await;
                    true
                };
                if !future::or(until.as_mut(), waited).await {
                    return;
                }
            }
        }
    }
}

/// One of the [`ASKERS_MAX`] places.
struct Asker(Rc<Cell<usize>>);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn take(stream: UnixStream, office: &Office, askers: &Rc<Cell<usize>>) {
    let Ok(mut line) = Answering::new(stream) else { return };
    let is_full = askers.get() >= ASKERS_MAX;
    askers.set(askers.get() + 1);
    let (asker, office) = (Asker(askers.clone()), office.clone());
    glommio::spawn_local(async move {
        let _asker = asker;
        let answered = if is_full {
            Err(Refusal::unseen(format!("{ASKERS_MAX} are asking already; try again")))
        } else {
            match line.question().await {
                Ok(request) => office.answer(request, &mut line).await,
                Err(refusal) => Err(refusal),
            }
        };
        let last = match answered {
            Ok(value) => Line::Done(value),
            Err(refusal) => Line::Refused(refusal),
        };
        // Who has gone needs no answer.
        let _ = line.line(&last).await;
    })
    .detach();
}

/// One asker's end.
struct Answering(PollableFd<UnixStream>);

impl Answering {
    /// # Errors
    /// It cannot be waited for, or it is not the server's user or root.
    fn new(stream: UnixStream) -> io::Result<Self> {
        let asker = rustix::net::sockopt::socket_peercred(&stream)?.uid;
        if asker != rustix::process::geteuid() && !asker.is_root() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        stream.set_nonblocking(true)?;
        Ok(Self(PollableFd::new(stream).map_err(io::Error::from)?))
    }

    async fn question(&mut self) -> Result<Request, Refusal> {
        let late = async {
            timer::sleep(ASK_WITHIN).await;
            Err(Refusal::unseen(format!("no question within {} s", ASK_WITHIN.as_secs())))
        };
        let line = future::or(self.read_line(), late).await?;
        serde_json::from_slice(&line).map_err(|error| {
            let version = env!("CARGO_PKG_VERSION");
            Refusal::unseen(format!("nacre {version} does not understand the question: {error}"))
        })
    }

    async fn read_line(&self) -> Result<Vec<u8>, Refusal> {
        let mut line = Vec::new();
        let mut chunk = [0; 4_096];
        loop {
            match self.0.get_ref().read(&mut chunk) {
                Ok(0) => return Err(Refusal::unseen("the question ended early")),
                Ok(read) => line.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.0.readable().await.map_err(io::Error::from)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                line.truncate(end);
                return Ok(line);
            }
            if line.len() > REQUEST_BYTES_MAX {
                let text = format!("a question of more than {REQUEST_BYTES_MAX} bytes");
                return Err(Refusal::unseen(text));
            }
        }
    }

    async fn line(&self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.write(&bytes).await
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.get_ref().write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let room = async { self.0.writable().await.map_err(io::Error::from) };
                    let late = async {
                        timer::sleep(READ_WITHIN).await;
                        Err(io::ErrorKind::TimedOut.into())
                    };
                    future::or(room, late).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Out for Answering {
    async fn part(&mut self, part: Value) -> io::Result<()> {
        self.line(&Line::Part(part)).await
    }

    async fn bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        self.line(&Line::Bytes(bytes.len())).await?;
        self.write(&bytes).await
    }
}
