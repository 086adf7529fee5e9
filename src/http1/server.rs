//! Accepting, serving and closing, on one core.

use crate::http1::ears::Ears;
use crate::http1::limits;
use crate::http1::reply::{self, Reply};
use crate::http1::stream::Stream;
use crate::http1::watch::{Place, Verdict, Watch, Watches};
use crate::http1::{Ends, Request};
use futures_lite::future;
use glommio::io::PollableFd;
use glommio::timer;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{StatusCode, Version, header};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// What one core counted since its start.
#[derive(Debug, Default)]
pub struct Counters {
    pub accepted: Cell<u64>,
    /// Closed at once: all places were taken.
    pub refused: Cell<u64>,
    /// The kernel refused an accept.
    pub accept_errors: Cell<u64>,
    pub requests: Cell<u64>,
    /// Closed: the head did not end in time.
    pub slow_heads: Cell<u64>,
    /// Closed: the answer did not come in time.
    pub slow_answers: Cell<u64>,
    /// Closed: nothing was asked for long, or an answer was not read.
    pub idle_closed: Cell<u64>,
    /// Closed: unfinished heads of the core took all their room.
    pub heads_refused: Cell<u64>,
    /// Closed: what came was not HTTP, or the peer left within a message.
    pub broken: Cell<u64>,
    /// Answers by the first digit of their status: 2, 4, 5; others are rare.
    pub fine: Cell<u64>,
    pub refusals: Cell<u64>,
    pub failures: Cell<u64>,
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// The HTTP/1 side of one core; several listeners share its limits.
#[derive(Debug, Clone)]
pub struct Server {
    watches: Rc<Watches>,
    ears: Rc<Ears>,
}

impl Server {
    /// A server of at most so many connections at a time, on the executor of this core.
    ///
    /// # Errors
    /// The file limit.
    pub fn with_places(connections_max: usize) -> io::Result<Server> {
        let watches = Rc::new(Watches::new(connections_max));
        let ears = Rc::new(Ears::new()?);
        glommio::spawn_local(Rc::clone(&ears).listen(Rc::clone(&watches))).detach();
        Ok(Server { watches, ears })
    }

    /// A descriptor that is readable while one of its connections has something to hear.
    pub fn ears(&self) -> BorrowedFd<'_> {
        self.ears.descriptor()
    }

    pub fn counters(&self) -> &Counters {
        &self.watches.counters
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.watches.len()
    }

    /// Bytes of heads that have not ended.
    pub fn head_bytes(&self) -> usize {
        self.watches.head_bytes()
    }

    /// Serves until `until` resolves, then closes the listener. Call [`Server::close`] afterwards.
    ///
    /// `handle` is called once per request, on this core. Every core has a listener of its own on
    /// the same address.
    ///
    /// # Errors
    /// A listener that is none, or an executor that is shutting down.
    pub async fn serve<H, F>(
        &self,
        listener: TcpListener,
        until: impl Future,
        handle: H,
    ) -> io::Result<()>
    where
        H: Fn(Ends, Request) -> F + Clone + 'static,
        F: Future<Output = Reply> + 'static,
    {
        listener.set_nonblocking(true)?;
        let listener = PollableFd::new(listener).map_err(io::Error::from)?;
        let mut until = pin!(async { Accepted::Stop(until.await) });
        let mut at_once = 0;
        loop {
            let accept = async { Accepted::Stream(accept(&listener, &mut at_once).await) };
            let stream = match future::or(until.as_mut(), accept).await {
                Accepted::Stop(_) => return Ok(()),
                Accepted::Stream(Ok(stream)) => stream,
                Accepted::Stream(Err(_)) => {
                    count(&self.counters().accept_errors);
                    timer::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MS)).await;
                    continue;
                }
            };
            self.take(stream, handle.clone());
        }
    }

    fn take<H, F>(&self, stream: TcpStream, handle: H)
    where
        H: Fn(Ends, Request) -> F + 'static,
        F: Future<Output = Reply> + 'static,
    {
        let Some(place) = self.watches.enter() else {
            count(&self.counters().refused);
            return;
        };
        count(&self.counters().accepted);
        // Who has gone already has no address any more.
        let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
        let ends = Ends { peer, local, patience: place.watch().patience() };
        if self.ears.add(&stream, place.watch().id()).is_err() {
            count(&self.counters().accept_errors);
            return;
        }
        // A refusal leaves answers slower, nothing else.
        let _ = stream.set_nodelay(true);
        let watches = Rc::clone(&self.watches);
        glommio::spawn_local(async move {
            if connection(stream, ends, &place, &watches, handle).await.is_err() {
                count(&watches.counters.broken);
            }
        })
        .detach();
    }

    /// Judges deadlines once a second, for ever; spawn it once per core.
    pub async fn keep_deadlines(&self) {
        loop {
            timer::sleep(Duration::from_secs(1)).await;
            self.watches.sweep();
        }
    }

    /// Ends all connections: each after the answer it waits for, all after
    /// [`limits::DRAIN_SECONDS`] at the latest.
    pub async fn close(&self) {
        self.watches.end_all(Verdict::Finish);
        for _ in 0..u32::from(limits::DRAIN_SECONDS) * 100 {
            if self.watches.len() == 0 {
                return;
            }
            timer::sleep(Duration::from_millis(10)).await;
        }
        self.watches.end_all(Verdict::Expired);
    }
}

enum Accepted<S, T> {
    Stop(S),
    Stream(T),
}

/// The next connection, one that does not block. `at_once` counts those there was no wait for.
async fn accept(listener: &PollableFd<TcpListener>, at_once: &mut usize) -> io::Result<TcpStream> {
    loop {
        if *at_once < limits::ACCEPTS_AT_ONCE {
            *at_once += 1;
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match accept_with(listener.get_ref(), flags) {
                Err(Errno::WOULDBLOCK) => {}
                accepted => return Ok(accepted?.into()),
            }
        }
        *at_once = 0;
        listener.readable().await.map_err(io::Error::from)?;
    }
}

/// One connection from accept to close. An end that was our own decision is `Ok`.
async fn connection<H, F>(
    stream: TcpStream,
    ends: Ends,
    place: &Place,
    watches: &Rc<Watches>,
    handle: H,
) -> Result<(), hyper::Error>
where
    H: Fn(Ends, Request) -> F,
    F: Future<Output = Reply>,
{
    let watch = place.watch();
    let stream = Stream::new(stream, Rc::clone(watch));
    let service = service_fn(|request: Request| {
        count(&watches.counters.requests);
        watch.answering();
        let reply = names_a_host(&request).then(|| handle(ends.clone(), request));
        async {
            let reply = match reply {
                Some(reply) => reply.await,
                None => reply::text(StatusCode::BAD_REQUEST, "the request names no host, or two"),
            };
            watch.answered();
            let counters = &watches.counters;
            match reply.status().as_u16() {
                200..300 => count(&counters.fine),
                400..500 => count(&counters.refusals),
                500.. => count(&counters.failures),
                _ => {}
            }
            Ok::<_, Infallible>(reply)
        }
    });
    let served = http1::Builder::new()
        .max_buf_size(limits::HEAD_BYTES_MAX)
        // Our own watch keeps time: hyper's timers must be Send, a core's are not.
        .header_read_timeout(None)
        .serve_connection(stream, service);
    watched(served, watch).await
}

/// RFC 9112 3.2: a request of HTTP/1.1 names one host, or is refused.
fn names_a_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let named = hosts.next().is_some() || request.version() != Version::HTTP_11;
    named && hosts.next().is_none()
}

/// Polls the connection unless the watch says that it must end.
async fn watched<I, S, B>(
    served: http1::Connection<I, S>,
    watch: &Watch,
) -> Result<(), hyper::Error>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut served = pin!(served);
    let mut finishing = false;
    poll_fn(|cx| {
        match watch.verdict(cx.waker()) {
            Verdict::Expired => return Poll::Ready(Ok(())),
            Verdict::Finish if !finishing => {
                finishing = true;
                served.as_mut().graceful_shutdown();
            }
            Verdict::Finish | Verdict::GoOn => {}
        }
        served.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests;
