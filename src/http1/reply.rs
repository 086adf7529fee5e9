//! Answers: one status and one content, whose length is known before it is sent, unless it is made
//! while it is sent.

use crate::http1::limits::GZIP_BYTES_MIN;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_lite::Stream;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use std::fmt;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A content that is there as a whole, or whose pieces are made one by one as they are sent. An
/// error of one ends the connection: the peer sees that the rest is missing.
#[derive(Default)]
pub struct Content {
    now: Option<Bytes>,
    later: Option<Pin<Box<dyn Stream<Item = io::Result<Bytes>>>>>,
}

impl Content {
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { now: (!bytes.is_empty()).then_some(bytes), later: None }
    }

    /// What is there as a whole, for tests and for wrapping.
    pub fn bytes(&self) -> &[u8] {
        self.now.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.later {
            Some(_) => out.write_str("pieces"),
            None => self.now.fmt(out),
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(bytes) = self.now.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(pieces) = &mut self.later else { return Poll::Ready(None) };
        let piece = ready!(pieces.as_mut().poll_next(cx));
        if piece.is_none() {
            self.later = None;
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.now.is_none() && self.later.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.later {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.bytes().len() as u64),
        }
    }
}

/// An answer as handlers give it.
pub type Reply = Response<Content>;

/// Plain text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    with_type(status, "text/plain;charset=UTF-8", body)
}

/// JSON, already written.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    with_type(status, "application/json", body)
}

/// Any content. Browsers are told to believe the type: an answer may repeat what a stranger sent.
pub fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let body = Content::new(body);
    let length = body.bytes().len();
    let mut reply = typed(status, content_type, body);
    reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    reply
}

/// Content that is made while it is sent, each piece when the one before it was taken.
pub fn in_pieces(
    status: StatusCode,
    content_type: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + 'static,
) -> Reply {
    typed(status, content_type, Content { now: None, later: Some(Box::pin(pieces)) })
}

fn typed(status: StatusCode, content_type: &'static str, body: Content) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// Compresses a long answer for a peer whose `accept-encoding` takes gzip. Short ones are not worth
/// it: a list of ten is 4 KiB, and compressing it would cost more than everything else about it.
pub fn compressed(mut reply: Reply, accepts: Option<&str>) -> Reply {
    let takes = |accepts: &str| {
        accepts.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            is_gzip && !parts.any(|quality| matches!(quality, "q=0" | "q=0.0" | "q=0.00"))
        })
    };
    let long = reply.body().bytes().len() >= GZIP_BYTES_MIN;
    let plain = !reply.headers().contains_key(header::CONTENT_ENCODING);
    if !long || !plain || !accepts.is_some_and(takes) {
        return reply;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let Ok(bytes) = gzip.write_all(reply.body().bytes()).and_then(|()| gzip.finish()) else {
        return reply;
    };
    *reply.body_mut() = Content::new(bytes);
    let length = HeaderValue::from(reply.body().bytes().len());
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    reply
}

/// Adds a header whose value is ours.
pub fn and(mut reply: Reply, name: HeaderName, value: &'static str) -> Reply {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn only_long_answers_are_compressed_and_only_for_those_who_ask() {
        let long = vec![b'x'; GZIP_BYTES_MIN];
        for (accepts, bytes, expected) in [
            (Some("gzip,deflate,sdch"), &long[..], true),
            (Some("deflate, GZIP;q=0.5"), &long, true),
            (Some("gzip;q=0, identity"), &long, false),
            (Some("identity"), &long, false),
            (None, &long, false),
            (Some("gzip"), &long[1..], false),
        ] {
            let reply = text(StatusCode::OK, bytes.to_vec());
            let reply = compressed(reply, accepts);
            let coded = reply.headers().contains_key(header::CONTENT_ENCODING);
            assert_eq!(coded, expected, "{accepts:?}");
            let length = reply.body().bytes().len().to_string();
            assert_eq!(reply.headers()[header::CONTENT_LENGTH], *length);
            if expected {
                let mut back = Vec::new();
                GzDecoder::new(reply.body().bytes()).read_to_end(&mut back).unwrap();
                assert_eq!(back, bytes);
            }
        }
    }
}
