//! A TCP socket shared between the HTTP/2 layer and the test that wants to be rude with it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The socket, and whether its owner reads at the moment.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    reading: AtomicBool,
    resumed: Notify,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Arc<Self> {
        Arc::new(Self { stream, reading: AtomicBool::new(true), resumed: Notify::new() })
    }

    /// From now on closing sends RST instead of FIN and drops what was not sent.
    pub(super) fn reset_on_close(&self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// Stops or resumes taking bytes from the kernel: a client that does not read.
    pub(super) fn set_reading(&self, reading: bool) {
        self.reading.store(reading, Ordering::SeqCst);
        if reading {
            self.resumed.notify_one();
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.stream.local_addr()
    }
}

/// The HTTP/2 layer's half: reads and writes, and closes when it is dropped with the last share.
pub(super) struct SocketIo {
    socket: Arc<Socket>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl SocketIo {
    pub(super) fn new(socket: Arc<Socket>) -> Self {
        Self { socket, waiting: None }
    }
}

impl AsyncRead for SocketIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.socket.reading.load(Ordering::SeqCst) {
                let socket = self.socket.clone();
                let waiting = self.waiting.get_or_insert_with(|| {
                    Box::pin(async move { socket.resumed.notified().await })
                });
                std::task::ready!(waiting.as_mut().poll(context));
                self.waiting = None;
            }
            std::task::ready!(self.socket.stream.poll_read_ready(context))?;
            match self.socket.stream.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for SocketIo {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.socket.stream.poll_write_ready(context))?;
            match self.socket.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The descriptor closes with the last share; FIN then follows every written byte.
        Poll::Ready(Ok(()))
    }
}
