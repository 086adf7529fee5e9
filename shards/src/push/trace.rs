//! Who was told what when, and what came of it: the last events of this home core, for an operator.
//!
//! An event is a few words written into a ring; nothing is looked up, nothing is allocated once a
//! ring is full, and an acknowledgement is an event of its own, put together with its push only
//! when somebody asks. Topics share rings by their hash, so that a service with 100,000 subscribers
//! can drown the events of the few that share its ring, and of nobody else. What is lost that way
//! is never silent: a ring knows how much it has overwritten, and what a subscriber was told *last*
//! is read from its own record.

use crate::limits::{TRACE_RING_EVENTS, TRACE_RINGS};

/// What happened to one push, or to a client that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Happened {
    /// A subscribe was answered with this revision.
    Answered,
    /// A push left.
    Sent,
    /// The client said that it has it.
    Acknowledged,
    /// The client said no.
    Refused,
    /// Nothing came in time.
    Unanswered,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Hash of the service or config.
    pub topic: u64,
    /// Of the state that was pushed; 0 where the wire carries none.
    pub revision: u64,
    pub unix_ms: u64,
    /// The milliseconds of the connection's id, which also tell the tenants of a slot apart.
    pub conn_id_ms: u64,
    pub slot: u32,
    /// Low 29 bits of the push's number on its connection, and what happened.
    number: u32,
}

const _: () = assert!(size_of::<Event>() == 40, "rings are sized by it");

/// Bytes of all rings of one core when they are full.
pub const TRACE_BYTES_MAX: usize = TRACE_RINGS * TRACE_RING_EVENTS * size_of::<Event>();

const _: () = assert!(TRACE_BYTES_MAX <= 704 * 1_024, "the budget of a core");

/// Bits of [`Event::number`] that say what happened.
const HAPPENED_BITS: u32 = 3;

impl Event {
    /// The push's number on its connection, its low bits.
    pub fn number(&self) -> u32 {
        self.number >> HAPPENED_BITS
    }

    pub fn happened(&self) -> Happened {
        match self.number & ((1 << HAPPENED_BITS) - 1) {
            0 => Happened::Answered,
            1 => Happened::Sent,
            2 => Happened::Acknowledged,
            3 => Happened::Refused,
            _ => Happened::Unanswered,
        }
    }
}

/// What is noted of an event besides its topic.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    pub happened: Happened,
    pub revision: u64,
    pub unix_ms: u64,
    pub conn_id_ms: u64,
    pub slot: u32,
    pub number: u32,
}

#[derive(Debug, Default)]
struct Ring {
    events: Vec<Event>,
    written: u64,
}

/// The events of one home core. Memory comes with the first event of each ring.
#[derive(Debug)]
pub struct Trace {
    rings: Box<[Ring]>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { rings: std::iter::repeat_with(Ring::default).take(TRACE_RINGS).collect() }
    }
}

impl Trace {
    /// Notes an event: some forty bytes written in order, about 5 ns.
    pub fn note(&mut self, topic: u64, note: Note) {
        let number = note.number << HAPPENED_BITS | note.happened as u32;
        let Note { revision, unix_ms, conn_id_ms, slot, .. } = note;
        let event = Event { topic, revision, unix_ms, conn_id_ms, slot, number };
        let ring = &mut self.rings[ring_of(topic)];
        if ring.events.len() < TRACE_RING_EVENTS {
            ring.events.push(event);
        } else {
            ring.events[(ring.written % TRACE_RING_EVENTS as u64) as usize] = event;
        }
        ring.written += 1;
    }

    /// The events of a topic that are still there, oldest first.
    pub fn events(&self, topic: u64) -> impl Iterator<Item = &Event> {
        let ring = &self.rings[ring_of(topic)];
        let oldest = (ring.written % TRACE_RING_EVENTS as u64) as usize;
        let (new, old) = ring.events.split_at(oldest.min(ring.events.len()));
        old.iter().chain(new).filter(move |event| event.topic == topic)
    }

    /// Events of the topic's ring that were overwritten since the start.
    pub fn overwritten(&self, topic: u64) -> u64 {
        let ring = &self.rings[ring_of(topic)];
        ring.written - ring.events.len() as u64
    }

    /// Bytes held now, at most [`TRACE_BYTES_MAX`] beside the rings' own few words.
    pub fn bytes(&self) -> usize {
        self.rings.iter().map(|ring| ring.events.capacity() * size_of::<Event>()).sum()
    }
}

fn ring_of(topic: u64) -> usize {
    (topic % TRACE_RINGS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(happened: Happened, number: u32) -> Note {
        let unix_ms = 1_700_000_000_000 + u64::from(number);
        Note { happened, revision: 7, unix_ms, conn_id_ms: 42, slot: 3, number }
    }

    #[test]
    fn events_come_back_in_order_and_with_all_they_had() {
        let mut trace = Trace::default();
        let all = [
            Happened::Answered,
            Happened::Sent,
            Happened::Acknowledged,
            Happened::Refused,
            Happened::Unanswered,
        ];
        for (number, happened) in (0..).zip(all) {
            trace.note(9, note(happened, number));
        }
        let found: Vec<_> = trace.events(9).map(|e| (e.number(), e.happened())).collect();
        assert_eq!(found, (0..).zip(all).collect::<Vec<_>>());
        let event = trace.events(9).next().unwrap();
        assert_eq!((event.revision, event.conn_id_ms, event.slot), (7, 42, 3));
        assert_eq!(trace.events(9 + TRACE_RINGS as u64).count(), 0, "another topic of the ring");
    }

    #[test]
    fn a_loud_topic_drowns_its_ring_only_and_memory_is_bounded() {
        let mut trace = Trace::default();
        assert_eq!(trace.bytes(), 0, "a core nobody subscribes at pays nothing");
        trace.note(1, note(Happened::Sent, 1));
        let loud = TRACE_RING_EVENTS as u32 * 3 + 5;
        for number in 0..loud {
            trace.note(2, note(Happened::Sent, number));
        }
        assert_eq!(trace.events(1).count(), 1);
        let left: Vec<u32> = trace.events(2).map(Event::number).collect();
        assert_eq!(left, (loud - TRACE_RING_EVENTS as u32..loud).collect::<Vec<_>>());
        assert_eq!(trace.overwritten(2), u64::from(loud) - TRACE_RING_EVENTS as u64);
        assert_eq!(trace.overwritten(1), 0);
        for topic in 0..4 * TRACE_RINGS as u64 {
            for number in 0..TRACE_RING_EVENTS as u32 {
                trace.note(topic, note(Happened::Sent, number));
            }
        }
        assert_eq!(trace.bytes(), TRACE_BYTES_MAX);
    }
}
