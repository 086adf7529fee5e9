//! A glommio stream as hyper wants it: its own `Read` and `Write`, and a watch on what comes in.

use crate::http1::watch::Watch;
use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// One accepted connection.
#[derive(Debug)]
pub(super) struct Stream {
    inner: TcpStream,
    watch: Rc<Watch>,
}

impl Stream {
    pub(super) fn new(inner: TcpStream, watch: Rc<Watch>) -> Self {
        Self { inner, watch }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, watch } = &mut *self;
        watch.with_page(|page| {
            let room = buf.remaining().min(page.len());
            let count = ready!(Pin::new(inner).poll_read(cx, &mut page[..room]))?;
            if count > 0 && !watch.received(count) {
                return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
            }
            buf.put_slice(&page[..count]);
            Poll::Ready(Ok(()))
        })
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
