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

/// Does long work on a thread beside the core, one at a time.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    glommio::executor().spawn_blocking(work).await
}

/// Lets other tasks of the core run for so long.
pub async fn pause(duration: std::time::Duration) {
    glommio::timer::sleep(duration).await;
}
