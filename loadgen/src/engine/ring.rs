//! One io_uring with its table of direct descriptors.

use super::Event;
use super::address::Address;
use super::buffers::{self, Buffers};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{DestinationSlot, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// Submission entries; a fuller turn is handed over in parts.
const SUBMISSIONS: u32 = 4_096;

/// Completion entries: a turn's sends and receives of a busy run.
const COMPLETIONS: u32 = 16_384;

/// Option values by pointer; static, because the kernel reads them later.
static ON: i32 = 1;

/// What an entry was for, in the top byte of its user data.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    Prepare = 1,
    Connect,
    Receive,
    Send,
    Close,
}

/// One direct descriptor.
#[derive(Default)]
struct Slot {
    /// The addresses while connecting: the kernel reads them asynchronously.
    addresses: Option<Box<(Address, Option<Address>)>>,
    /// What is being sent, and how much of it is gone.
    sending: Option<Vec<u8>>,
    sent: u32,
    /// Counts uses, so that a late completion of an earlier use is not taken for this one's.
    generation: u16,
    /// Entries the kernel still owes an answer: connect, receive, send, close. A slot is used anew
    /// only at zero, so that an address, a buffer or a close of the last use never meets the next.
    owed: u8,
    open: bool,
    /// A connect is to begin as soon as nothing is owed; its addresses are kept.
    waiting: bool,
}

/// A million of them are held.
const _: () = assert!(size_of::<Slot>() <= 48);

pub(super) struct Ring {
    /// Dropped before `buffers` and `slots`: fields drop in order.
    uring: IoUring,
    slots: Vec<Slot>,
    buffers: Buffers,
    queued: Vec<Entry>,
    completed: Vec<cqueue::Entry>,
    rearm: Vec<u32>,
    /// Addresses of connects given up, which entries not yet handed over may point to.
    #[allow(clippy::vec_box, reason = "what the kernel may point to must not move")]
    retired: Vec<Box<(Address, Option<Address>)>>,
}

impl Ring {
    pub(super) fn new(sockets: usize) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_clamp()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let mut buffers = Buffers::new();
        buffers.register(&uring.submitter())?;
        uring.submitter().register_files_sparse(sockets as u32)?;
        let slots = std::iter::repeat_with(Slot::default).take(sockets).collect();
        let (queued, completed, rearm, retired) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { uring, slots, buffers, queued, completed, rearm, retired })
    }

    pub(super) fn register_bell(&self, bell: RawFd) -> io::Result<()> {
        self.uring.submitter().register_eventfd(bell)
    }

    pub(super) fn connect(&mut self, at: u32, to: Address, from: Option<Address>) {
        let slot = &mut self.slots[at as usize];
        assert!(!slot.open, "a socket is connected once at a time");
        slot.generation = slot.generation.wrapping_add(1);
        slot.open = true;
        slot.waiting = true;
        self.retired.extend(slot.addresses.replace(Box::new((to, from))));
        self.begin_connect(at);
    }

    /// Connects a slot that waits for it, once nothing of its last use is left.
    fn begin_connect(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        let Some(addresses) = slot.addresses.as_ref().filter(|_| slot.waiting && slot.owed == 0)
        else {
            return;
        };
        slot.waiting = false;
        let (to, (to_raw, to_len)) = (addresses.0, addresses.0.raw());
        let from_raw = addresses.1.as_ref().map(Address::raw);
        let target = DestinationSlot::try_from_slot_target(at).expect("slots are few");
        let socket =
            opcode::Socket::new(to.family(), libc::SOCK_STREAM, 0).file_index(Some(target)).build();
        self.prepare(at, socket);
        self.set_option(at, libc::IPPROTO_TCP, libc::TCP_NODELAY);
        if let Some((from_raw, from_len)) = from_raw {
            // The port is chosen at connect, unique per pair of addresses, not per source alone.
            self.set_option(at, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
            self.prepare(at, opcode::Bind::new(Fixed(at), from_raw, from_len).build());
        }
        let connect = opcode::Connect::new(Fixed(at), to_raw, to_len).build();
        self.queue(at, Job::Connect, connect);
    }

    fn set_option(&mut self, at: u32, level: i32, name: i32) {
        let option = opcode::SetSockOpt::new(
            Fixed(at),
            level as u32,
            name as u32,
            (&raw const ON).cast(),
            size_of::<i32>() as u32,
        );
        self.prepare(at, option.build());
    }

    /// A step before connect: silent when it works, and the next waits for it.
    fn prepare(&mut self, at: u32, entry: Entry) {
        self.queue(at, Job::Prepare, entry.flags(Flags::IO_LINK | Flags::SKIP_SUCCESS));
    }

    pub(super) fn send(&mut self, at: u32, bytes: Vec<u8>) {
        let slot = &mut self.slots[at as usize];
        assert!(slot.sending.is_none(), "one send at a time per socket");
        slot.sent = 0;
        slot.sending = Some(bytes);
        self.queue_send(at);
    }

    fn queue_send(&mut self, at: u32) {
        let slot = &self.slots[at as usize];
        let rest = slot.sending.as_ref().map(|bytes| &bytes[slot.sent as usize..]);
        let Some(rest) = rest else { return };
        let entry = opcode::Send::new(Fixed(at), rest.as_ptr(), rest.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.queue(at, Job::Send, entry);
    }

    pub(super) fn close(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        if !slot.open {
            return;
        }
        slot.open = false;
        if std::mem::take(&mut slot.waiting) {
            slot.addresses = None;
            return;
        }
        if slot.owed > 0 {
            // An armed receive holds the socket: shutting down ends it, only then it can close.
            // The kernel gives this to a worker, so it is left out where nothing is armed.
            let shutdown = opcode::Shutdown::new(Fixed(at), libc::SHUT_RDWR).build();
            self.queue(at, Job::Prepare, shutdown.flags(Flags::IO_HARDLINK | Flags::SKIP_SUCCESS));
        }
        self.queue(at, Job::Close, opcode::Close::new(Fixed(at)).build());
    }

    fn receive(&mut self, at: u32) {
        let entry = opcode::RecvMulti::new(Fixed(at), buffers::GROUP).build();
        self.queue(at, Job::Receive, entry);
    }

    fn queue(&mut self, at: u32, job: Job, entry: Entry) {
        let slot = &mut self.slots[at as usize];
        slot.owed += u8::from(job != Job::Prepare);
        let generation = slot.generation;
        let data = u64::from(job as u8) << 56 | u64::from(generation) << 32 | u64::from(at);
        self.queued.push(entry.user_data(data));
    }

    /// Hands over what is queued and runs the kernel's deferred work. True when completions wait,
    /// or when there is more of that work: the kernel does a handful at a time, and for the rest,
    /// the later steps of a connect among them, no bell rings.
    pub(super) fn submit(&mut self) -> io::Result<bool> {
        self.push_queued()?;
        let idle = {
            let submissions = self.uring.submission();
            submissions.is_empty() && !submissions.taskrun() && !submissions.cq_overflow()
        };
        if !idle {
            self.uring.submit()?;
        }
        self.retired.clear();
        let more = self.uring.submission().taskrun();
        Ok(more || !self.uring.completion().is_empty())
    }

    pub(super) fn submit_and_wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.push_queued()?;
        let done = self.enter(timeout);
        self.retired.clear();
        done
    }

    fn enter(&mut self, timeout: Duration) -> io::Result<()> {
        if timeout.is_zero() {
            return self.uring.submit().map(drop);
        }
        let time = Timespec::from(timeout);
        let args = SubmitArgs::new().timespec(&time);
        match self.uring.submitter().submit_with_args(1, &args) {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ETIME | libc::EINTR | libc::EBUSY)
                ) =>
            {
                Ok(())
            }
            done => done.map(drop),
        }
    }

    /// Moves the queue into the ring; a full ring is handed over at once. A linked chain is cut
    /// when it falls on the boundary, so chains are kept whole by stopping a chain's length short.
    fn push_queued(&mut self) -> io::Result<()> {
        let mut rest = &self.queued[..];
        while !rest.is_empty() {
            let mut submissions = self.uring.submission();
            let room = submissions.capacity() - submissions.len();
            let mut count = rest.len().min(room);
            while count > 0 && count < rest.len() && is_linked(&rest[count - 1]) {
                count -= 1;
            }
            // SAFETY: addresses live in boxed slots until connect completes, sent bytes in their
            // slot until the send completes, options are static.
            unsafe { submissions.push_multiple(&rest[..count]) }
                .map_err(|_| io::Error::other("submission queue full"))?;
            drop(submissions);
            rest = &rest[count..];
            if !rest.is_empty() {
                self.uring.submit()?;
            }
        }
        self.queued.clear();
        Ok(())
    }

    pub(super) fn reap(&mut self, mut each: impl FnMut(u32, Event<'_>)) {
        let mut completed = std::mem::take(&mut self.completed);
        completed.extend(self.uring.completion());
        for entry in completed.drain(..) {
            self.complete(&entry, &mut each);
        }
        self.completed = completed;
        self.buffers.publish();
        while let Some(at) = self.rearm.pop() {
            self.receive(at);
        }
    }

    fn complete(&mut self, entry: &cqueue::Entry, each: &mut impl FnMut(u32, Event<'_>)) {
        let data = entry.user_data();
        let (at, generation) = (data as u32, (data >> 32) as u16);
        let job = data >> 56;
        let result = entry.result();
        let slot = &mut self.slots[at as usize];
        let current = slot.generation == generation;
        if job != Job::Prepare as u64 && !cqueue::more(entry.flags()) {
            slot.owed = slot.owed.saturating_sub(1);
        }
        match job {
            job if job == Job::Receive as u64 => self.received(entry, current, each),
            job if job == Job::Send as u64 => self.sent(at, result, current, each),
            job if job == Job::Connect as u64 && current => {
                slot.addresses = None;
                if result < 0 {
                    self.lost(at, Some(result), each);
                } else {
                    self.receive(at);
                    each(at, Event::Connected);
                }
            }
            // A failed step cancels those linked after it; its own code is the one worth telling.
            job if job == Job::Prepare as u64
                && current
                && result < 0
                && result != -libc::ECANCELED =>
            {
                self.lost(at, Some(result), each);
            }
            _ => {}
        }
        if self.slots[at as usize].waiting {
            self.begin_connect(at);
        }
    }

    fn received(
        &mut self,
        entry: &cqueue::Entry,
        current: bool,
        each: &mut impl FnMut(u32, Event<'_>),
    ) {
        let at = entry.user_data() as u32;
        let result = entry.result();
        let live = current && self.slots[at as usize].open;
        if let Some(id) = cqueue::buffer_select(entry.flags()) {
            if live && result > 0 {
                each(at, Event::Received(self.buffers.get(id, result as usize)));
            }
            self.buffers.put(id);
        }
        if cqueue::more(entry.flags()) || !current {
            return;
        }
        if result > 0 || result == -libc::ENOBUFS {
            if live {
                self.rearm.push(at);
            }
        } else {
            self.lost(at, (result < 0).then_some(result), each);
        }
    }

    fn sent(&mut self, at: u32, result: i32, current: bool, each: &mut impl FnMut(u32, Event<'_>)) {
        let slot = &mut self.slots[at as usize];
        let Some(len) = slot.sending.as_ref().map(Vec::len) else { return };
        if result > 0 {
            slot.sent += result as u32;
            if (slot.sent as usize) < len && slot.open {
                return self.queue_send(at);
            }
        }
        let bytes = slot.sending.take().unwrap_or_default();
        if current && result > 0 {
            each(at, Event::Sent(bytes));
        } else if current {
            self.lost(at, Some(result), each);
        }
    }

    /// Tells once that a socket is gone, and frees it.
    fn lost(&mut self, at: u32, result: Option<i32>, each: &mut impl FnMut(u32, Event<'_>)) {
        if !self.slots[at as usize].open {
            return;
        }
        self.close(at);
        each(at, Event::Lost(result.map(|code| io::Error::from_raw_os_error(-code))));
    }
}

fn is_linked(entry: &Entry) -> bool {
    // All steps of a chain but its last are `Prepare`.
    entry.get_user_data() >> 56 == Job::Prepare as u64
}
