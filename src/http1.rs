//! HTTP/1.1 of one core: hyper on sockets that one epoll instance listens to.
//!
//! Invariants: at most [`limits::CONNECTIONS_MAX`] connections a core, at most
//! [`limits::HEAD_BYTES_CORE_MAX`] bytes of unfinished heads in all; no connection outlives its
//! deadline; nothing a peer sends panics. It knows no path and no Nacos word: a handler does.

pub mod body;
pub mod date;
mod ears;
pub mod form;
pub mod limits;
pub mod reply;
pub mod server;
mod stream;
mod watch;

use limits::BESIDE_NICE;
use rustix::process::{getpriority_process, setpriority_process};

pub use watch::Patience;

pub use hyper::body::Incoming;
pub use hyper::{Method, StatusCode, header};

/// A request as handlers see it.
pub type Request = hyper::Request<hyper::body::Incoming>;

/// The two ends of the connection a request came on.
#[derive(Debug, Clone)]
pub struct Ends {
    pub peer: std::net::SocketAddr,
    /// The address of ours it reached.
    pub local: std::net::SocketAddr,
    /// How long the answer may take.
    pub patience: Patience,
}

/// Does long work on a thread beside the core, one at a time. Where there are no more CPUs than
/// cores, the thread stands back for them.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = move || {
        stand_back();
        work()
    };
    glommio::executor().spawn_blocking(work).await
}

/// Gives the calling thread a tenth of the CPU of one that wants it as well. Not to be allowed to
/// is no reason not to work.
fn stand_back() {
    let nice = getpriority_process(None).unwrap_or(0);
    if nice < BESIDE_NICE {
        _ = setpriority_process(None, BESIDE_NICE);
    }
}

/// Lets other tasks of the core run for so long.
pub async fn pause(duration: std::time::Duration) {
    glommio::timer::sleep(duration).await;
}
