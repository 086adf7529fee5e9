//! A socket as hyper wants it: its own `Read` and `Write`, and a watch on what comes in.

use crate::http1::watch::Watch;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// One accepted connection, not blocking. It waits through its watch, which wakes the task that
/// polled it last: reads and writes of one connection are one task's.
#[derive(Debug)]
pub(super) struct Stream {
    inner: TcpStream,
    watch: Rc<Watch>,
}

impl Stream {
    pub(super) fn new(inner: TcpStream, watch: Rc<Watch>) -> Self {
        Self { inner, watch }
    }

    fn poll_write_with(
        &mut self,
        write: impl FnOnce(&mut TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let heard = &self.watch.heard;
        if !heard.may_write() {
            return Poll::Pending;
        }
        match write(&mut self.inner) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                heard.found_no_room();
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, watch } = &mut *self;
        if !watch.heard.may_read() {
            return Poll::Pending;
        }
        watch.with_page(|page| {
            let room = buf.remaining().min(page.len());
            let count = match inner.read(&mut page[..room]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    watch.heard.found_nothing();
                    return Poll::Pending;
                }
                read => read?,
            };
            if count < room {
                watch.heard.has_read_all();
            }
            if count > 0 && !watch.received(count) {
                return Poll::Ready(Err(ErrorKind::OutOfMemory.into()));
            }
            buf.put_slice(&page[..count]);
            Poll::Ready(Ok(()))
        })
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(|inner| inner.write(bytes))
    }

    /// Head and body leave in one call, the body without a copy of it.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(|inner| inner.write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.inner.shutdown(Shutdown::Write))
    }
}
