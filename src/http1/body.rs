//! Bodies of requests, read whole within a bound.

use bytes::{Bytes, BytesMut};
use hyper::body::Body;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRefusal {
    /// More than the bound; nothing beyond it was kept. Answer 413.
    TooLong,
    /// The peer sent something else than it announced, or left.
    Broken,
    /// The bodies of this core take all their room. Answer 503.
    NoRoom,
}

/// What the bodies of one core may take together; cheap to clone.
#[derive(Debug, Clone)]
pub struct Room {
    left: Rc<Cell<usize>>,
    whole: usize,
}

impl Room {
    pub fn new(bytes: usize) -> Self {
        Self { left: Rc::new(Cell::new(bytes)), whole: bytes }
    }

    /// Bytes of all bodies in it now.
    pub fn taken(&self) -> usize {
        self.whole - self.left.get()
    }

    fn take(&self, bytes: usize) -> bool {
        let left = self.left.get().checked_sub(bytes);
        left.inspect(|left| self.left.set(*left)).is_some()
    }

    fn give_back(&self, bytes: usize) {
        self.left.set(self.left.get() + bytes);
    }
}

/// A body that was read; its room is given back with it.
#[derive(Debug)]
pub struct Kept {
    bytes: Bytes,
    taken: usize,
    room: Room,
}

impl Kept {
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.room.give_back(self.taken);
    }
}

/// [`read`] within the room of the core: what arrives is counted as it arrives, not as announced.
///
/// # Errors
/// See [`BodyRefusal`].
pub async fn read_within<B>(body: B, bytes_max: usize, room: &Room) -> Result<Kept, BodyRefusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut kept = Kept { bytes: Bytes::new(), taken: 0, room: room.clone() };
    let taken = &mut kept.taken;
    let bytes = pieces(body, bytes_max, |bytes| {
        *taken += if room.take(bytes) { bytes } else { return false };
        true
    })
    .await?;
    kept.bytes = bytes;
    Ok(kept)
}

/// Reads a body of at most `bytes_max` bytes. A body announced longer is not read at all.
///
/// # Errors
/// See [`BodyRefusal`].
pub async fn read<B>(body: B, bytes_max: usize) -> Result<Bytes, BodyRefusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    pieces(body, bytes_max, |_| true).await
}

async fn pieces<B>(
    mut body: B,
    bytes_max: usize,
    mut has_room: impl FnMut(usize) -> bool,
) -> Result<Bytes, BodyRefusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyRefusal::TooLong);
    }
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| BodyRefusal::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.as_ref().map_or(0, Bytes::len) + joined.len();
        if so_far + data.len() > bytes_max {
            return Err(BodyRefusal::TooLong);
        }
        if !has_room(data.len()) {
            return Err(BodyRefusal::NoRoom);
        }
        // One piece, the common case, is not copied.
        match first.take() {
            None if joined.is_empty() => first = Some(data),
            None => joined.extend_from_slice(&data),
            Some(piece) => {
                joined.extend_from_slice(&piece);
                joined.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use hyper::body::Frame;
    use std::collections::VecDeque;
    use std::task::{Context, Poll};

    struct Pieces(VecDeque<Result<&'static [u8], ()>>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            let piece = self.0.pop_front();
            Poll::Ready(piece.map(|piece| piece.map(|b| Frame::data(Bytes::from_static(b)))))
        }
    }

    #[test]
    fn pieces_are_joined_within_the_bound() {
        type Case = (&'static [&'static [u8]], usize, Result<&'static [u8], BodyRefusal>);
        let cases: &[Case] = &[
            (&[], 0, Ok(b"")),
            (&[b"abc"], 3, Ok(b"abc")),
            (&[b"ab", b"", b"c", b"d"], 4, Ok(b"abcd")),
            (&[b"abc"], 2, Err(BodyRefusal::TooLong)),
            (&[b"a", b"b", b"c"], 2, Err(BodyRefusal::TooLong)),
        ];
        for (pieces, max, expected) in cases {
            let body = Pieces(pieces.iter().map(|piece| Ok(*piece)).collect());
            let read = block_on(read(body, *max));
            assert_eq!(read.as_deref(), expected.as_deref(), "{pieces:?} {max}");
        }
    }

    #[test]
    fn bodies_share_a_room_and_give_it_back() {
        let room = Room::new(5);
        let of = |pieces: &[&'static [u8]]| Pieces(pieces.iter().map(|piece| Ok(*piece)).collect());
        let first = block_on(read_within(of(&[b"abc"]), 9, &room)).unwrap();
        assert_eq!(&first.bytes()[..], b"abc");
        let second = block_on(read_within(of(&[b"d", b"ef"]), 9, &room));
        assert_eq!(second.map(|_| ()), Err(BodyRefusal::NoRoom));
        assert_eq!(room.taken(), 3, "what was refused is given back");
        drop(first);
        assert_eq!(room.taken(), 0);
    }

    #[test]
    fn a_broken_body() {
        let body = Pieces([Ok(&b"a"[..]), Err(())].into());
        assert_eq!(block_on(read(body, 9)), Err(BodyRefusal::Broken));
    }

    #[test]
    fn what_is_announced_too_long_is_not_read() {
        let body = crate::http1::reply::Content::new("abc");
        assert_eq!(block_on(read(body, 2)), Err(BodyRefusal::TooLong));
    }
}
