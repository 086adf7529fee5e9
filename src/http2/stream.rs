//! The open streams of a connection (RFC 9113, 5.1).
//!
//! Client stream ids only grow, so a vector in order of opening is sorted: found by bisection,
//! opened at the end. A stream is here from its HEADERS until both sides have ended it or one has
//! reset it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::flow::{ReceiveWindow, SendWindow};

/// Room kept when most streams are gone: one bidirectional stream and one call.
const STREAMS_KEPT: usize = 2;
/// Above this capacity, room is given back as soon as three quarters are unused.
const STREAMS_RESTING: usize = 16;

/// Marks a stream without `content-length`.
pub const LENGTH_UNKNOWN: u32 = u32::MAX;

/// The peer has ended its side.
pub const REMOTE_CLOSED: u8 = 1;
/// We have ended ours.
pub const LOCAL_CLOSED: u8 = 2;
/// Our end is decided, but waits behind held DATA.
pub const END_QUEUED: u8 = 4;
/// Our HEADERS are out.
pub const HEAD_SENT: u8 = 8;

/// How a response, or a part of it, ends.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// More will follow.
    Open,
    /// With END_STREAM on the last frame.
    Stream,
    /// With trailers.
    Trailers(super::hpack::Block<'a>),
}

/// The end of held output.
#[derive(Debug)]
pub enum HeldEnd {
    /// None yet.
    Open,
    /// END_STREAM on the last DATA.
    Stream,
    /// The repeated good trailers.
    Done,
    /// Trailers of their own.
    Plain(Box<[u8]>),
}

/// Output that windows or the socket did not admit: shared slices, not copies.
#[derive(Debug)]
pub struct Held {
    /// In order.
    pub chunks: VecDeque<Bytes>,
    /// Sum of the chunks.
    pub bytes: usize,
    /// What comes behind.
    pub end: HeldEnd,
}

/// A stream, and what the layer above keeps of it.
#[derive(Debug)]
pub struct Stream<C> {
    /// Its id.
    pub id: u32,
    /// What we may send.
    pub send: SendWindow,
    /// What came.
    pub receive: ReceiveWindow,
    /// What `content-length` still promises, or [`LENGTH_UNKNOWN`].
    pub length_left: u32,
    /// [`REMOTE_CLOSED`], [`LOCAL_CLOSED`], [`END_QUEUED`], [`HEAD_SENT`].
    pub flags: u8,
    /// Output that waits.
    pub held: Option<Box<Held>>,
    /// The layer above.
    pub call: C,
}

impl<C> Stream<C> {
    /// Whether a flag is set.
    pub fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Both sides have ended.
    pub fn is_over(&self) -> bool {
        self.is(REMOTE_CLOSED) && self.is(LOCAL_CLOSED)
    }
}

/// The streams, oldest first.
#[derive(Debug)]
pub struct Streams<C> {
    list: Vec<Stream<C>>,
}

impl<C> Default for Streams<C> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

impl<C> Streams<C> {
    /// Streams open now.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Position of a stream, valid until one is removed.
    pub fn position(&self, id: u32) -> Option<usize> {
        // Answers mostly concern the last stream, or one of few.
        match self.list.last() {
            Some(last) if last.id == id => Some(self.list.len() - 1),
            _ => self.list.binary_search_by_key(&id, |stream| stream.id).ok(),
        }
    }

    /// A stream by id.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Stream<C>> {
        self.position(id).map(|at| &mut self.list[at])
    }

    /// A stream by id.
    pub fn get(&self, id: u32) -> Option<&Stream<C>> {
        self.position(id).map(|at| &self.list[at])
    }

    /// A stream by position.
    pub fn at_mut(&mut self, position: usize) -> &mut Stream<C> {
        &mut self.list[position]
    }

    /// Adds a stream whose id is above all others.
    pub fn open(&mut self, stream: Stream<C>) {
        debug_assert!(self.list.last().is_none_or(|last| last.id < stream.id));
        if self.list.capacity() == 0 {
            self.list.reserve_exact(STREAMS_KEPT);
        }
        self.list.push(stream);
    }

    /// Removes a stream by position.
    pub fn remove(&mut self, position: usize) -> Stream<C> {
        let stream = self.list.remove(position);
        let capacity = self.list.capacity();
        if capacity > STREAMS_RESTING && self.list.len() * 4 <= capacity {
            self.list.shrink_to(capacity / 2);
        }
        stream
    }

    /// Gives back room that an idle connection does not need.
    pub fn settle(&mut self) {
        if self.list.len() <= STREAMS_KEPT && self.list.capacity() > STREAMS_KEPT {
            self.list.shrink_to(STREAMS_KEPT);
        }
    }

    /// All streams, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Stream<C>> {
        self.list.iter()
    }

    /// All streams, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream<C>> {
        self.list.iter_mut()
    }

    /// Takes all streams out.
    pub fn take_all(&mut self) -> Vec<Stream<C>> {
        std::mem::take(&mut self.list)
    }

    /// Bytes of heap held here, apart from what streams own.
    pub fn heap_bytes(&self) -> usize {
        self.list.capacity() * size_of::<Stream<C>>()
    }
}

/// Marks a stream that we reset ourselves.
const BY_US: u32 = 1 << 31;

/// The last few streams that ended, to tell a peer's mistake from a frame that was under way.
#[derive(Debug, Default, Clone, Copy)]
pub struct Departed {
    ids: [u32; 4],
    next: u8,
}

/// How a stream that is gone came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The peer had ended or reset it: nothing may follow.
    ByPeer,
    /// We reset it: frames may have been under way.
    ByUs,
    /// Too long ago to tell.
    Forgotten,
}

impl Departed {
    /// Notes the end of a stream.
    pub fn note(&mut self, id: u32, by_us: bool) {
        self.ids[usize::from(self.next)] = if by_us { id | BY_US } else { id };
        self.next = (self.next + 1) % self.ids.len() as u8;
    }

    /// How this stream ended.
    pub fn find(&self, id: u32) -> Departure {
        if self.ids.contains(&id) {
            Departure::ByPeer
        } else if self.ids.contains(&(id | BY_US)) {
            Departure::ByUs
        } else {
            Departure::Forgotten
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: u32) -> Stream<()> {
        Stream {
            id,
            send: SendWindow::new(0),
            receive: ReceiveWindow::default(),
            length_left: LENGTH_UNKNOWN,
            flags: 0,
            held: None,
            call: (),
        }
    }

    #[test]
    fn streams_are_found_whatever_was_removed() {
        let mut streams = Streams::default();
        for id in (1..200).step_by(2) {
            streams.open(stream(id));
        }
        for id in (1..200).step_by(4) {
            let position = streams.position(id).unwrap();
            assert_eq!(streams.remove(position).id, id);
        }
        for id in 0..200 {
            let expected = id % 4 == 3;
            assert_eq!(streams.get_mut(id).is_some_and(|stream| stream.id == id), expected);
        }
    }

    #[test]
    fn room_of_a_burst_is_given_back() {
        let mut streams = Streams::default();
        for id in 0..256 {
            streams.open(stream(id));
        }
        while streams.len() > 1 {
            streams.remove(streams.len() - 1);
        }
        assert!(streams.list.capacity() <= STREAMS_RESTING);
        streams.settle();
        assert_eq!(streams.list.capacity(), STREAMS_KEPT);
    }
}
