//! One io_uring: its queues, its table of sockets, its receive buffers, its accept seats.

use super::buffers::{GROUP, ReceiveBuffers};
use super::counters::Counters;
use super::error::EngineError;
use super::limits::{
    ACCEPTS_IN_FLIGHT, COMPLETIONS_MAX, DROP_WAIT_MS, SPARE_SLOTS_MAX, SUBMISSIONS_MAX,
};
use super::listen;
use super::op::{Op, Tag};
use super::sys;
use io_uring::types::{CancelBuilder, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, squeue};
use std::collections::VecDeque;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{AsRawFd, RawFd};

/// Where the kernel writes the peer's address of one accept.
pub(super) struct Seat {
    pub address: libc::sockaddr_storage,
    pub length: libc::socklen_t,
    /// Which listener the accept is armed on, if it is.
    pub listener: Option<u8>,
}

/// One io_uring. Lives on the core that made it (SINGLE_ISSUER).
pub(super) struct Ring {
    uring: IoUring,
    pub buffers: ManuallyDrop<ReceiveBuffers>,
    /// Boxed, never resized: the kernel holds addresses into it.
    pub seats: ManuallyDrop<Box<[Seat]>>,
    /// Accepts armed now.
    pub seats_taken: usize,
    /// Slots that have a tenant, up to and including its close.
    pub occupied: u32,
    /// The kernel gives out higher slots than it must.
    sparse: bool,
    /// Where a timer's interval stays until it is submitted.
    timespec: ManuallyDrop<Box<Timespec>>,
    /// What did not fit into the submission queue.
    overflow: VecDeque<squeue::Entry>,
    /// Requests submitted whose last completion is not in. Those that report only failures
    /// (cancels, options) own no memory and are not counted.
    under_way: usize,
}

impl Ring {
    pub fn new(
        slots: u32,
        receive_buffers: u16,
        receive_buffer_bytes: u32,
        wake: RawFd,
    ) -> Result<Self, EngineError> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .dontfork()
            .setup_cqsize(COMPLETIONS_MAX)
            .build(SUBMISSIONS_MAX)
            .map_err(EngineError::from_setup)?;
        let failed = |what| move |source| EngineError::Kernel { what, source };
        let submitter = uring.submitter();
        submitter.register_files_sparse(slots).map_err(|source| match source.raw_os_error() {
            Some(libc::EMFILE) => {
                EngineError::Files { limit: super::sys::limit_of(libc::RLIMIT_NOFILE) }
            }
            _ => EngineError::Kernel { what: "register a table of sockets", source },
        })?;
        submitter.register_eventfd(wake).map_err(failed("register the wake-up descriptor"))?;
        let buffers = ReceiveBuffers::new(receive_buffers, receive_buffer_bytes)
            .map_err(failed("reserve receive buffers"))?;
        // SAFETY: the descriptors are page aligned, hold `count` entries, and live until after the
        // ring is quiet (`Drop`).
        unsafe {
            submitter.register_buf_ring_with_flags(
                buffers.descriptors_address(),
                buffers.count(),
                GROUP,
                0,
            )
        }
        .map_err(failed("register receive buffers"))?;
        let seat = || Seat { address: listen::empty_address(), length: 0, listener: None };
        Ok(Self {
            uring,
            buffers: ManuallyDrop::new(buffers),
            seats: ManuallyDrop::new((0..ACCEPTS_IN_FLIGHT).map(|_| seat()).collect()),
            seats_taken: 0,
            occupied: 0,
            sparse: false,
            timespec: ManuallyDrop::new(Box::new(Timespec::new())),
            overflow: VecDeque::new(),
            under_way: 0,
        })
    }

    /// Queues a request whose completion will come back.
    ///
    /// # Safety
    ///
    /// What the request points to must stay valid and untouched until its last completion.
    pub unsafe fn push(&mut self, entry: squeue::Entry, tag: Tag) {
        self.under_way += 1;
        // SAFETY: passed on to the caller.
        unsafe { self.queue(entry.user_data(tag.pack())) }
    }

    /// Queues a request that reports only its failure.
    ///
    /// # Safety
    ///
    /// What the request points to must be static.
    pub unsafe fn push_silent(&mut self, entry: squeue::Entry, tag: Tag) {
        let entry = entry.user_data(tag.pack()).flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: passed on to the caller.
        unsafe { self.queue(entry) }
    }

    /// # Safety
    ///
    /// As for [`Self::push`].
    unsafe fn queue(&mut self, entry: squeue::Entry) {
        // SAFETY: the caller's promise is the one `push` asks for.
        if self.overflow.is_empty() && unsafe { self.uring.submission().push(&entry) }.is_ok() {
            return;
        }
        self.overflow.push_back(entry);
    }

    /// A slot was given out to a new tenant.
    pub fn occupy(&mut self, index: u32) {
        self.occupied += 1;
        self.sparse |= index >= self.occupied + SPARE_SLOTS_MAX;
    }

    /// Where clients come and go the kernel gives out one slot after the other up to the last of
    /// the table, and whatever is kept by slot would grow with it. So it is sent back to the lowest
    /// free one.
    pub fn keep_dense(&mut self, slots: u32) {
        if std::mem::take(&mut self.sparse) {
            sys::search_from_lowest(self.uring.as_raw_fd(), slots);
        }
    }

    /// Cancels the request with this tag. Its own completion says so.
    pub fn cancel(&mut self, target: Tag) {
        let cancel = io_uring::opcode::AsyncCancel::new(target.pack()).build();
        let tag = Tag::new(Op::Cancel, target.index, target.generation);
        // SAFETY: the request points to nothing.
        unsafe { self.push_silent(cancel, tag) };
    }

    /// Wakes the core in `delay_ms`.
    pub fn arm_timer(&mut self, delay_ms: u64, tag: Tag) {
        **self.timespec =
            Timespec::new().sec(delay_ms / 1_000).nsec((delay_ms % 1_000) as u32 * 1_000_000);
        let spec: *const Timespec = &raw const **self.timespec;
        // SAFETY: the kernel copies the interval when the request is submitted; the box lives as
        // long as the ring.
        unsafe { self.push(io_uring::opcode::Timeout::new(spec).build(), tag) };
        // A refusal (EBUSY) leaves it queued, and the box lives on.
        let _ = self.uring.submit();
    }

    /// Whether an enter would do anything.
    pub fn has_work(&mut self) -> bool {
        let submission = self.uring.submission();
        let work = !submission.is_empty() || submission.taskrun() || submission.cq_overflow();
        drop(submission);
        work || !self.overflow.is_empty() || !self.uring.completion().is_empty()
    }

    /// Submits what is queued and lets the kernel post what is due. One system call, none when
    /// there is nothing to do.
    pub fn enter(&mut self, counters: &mut Counters) {
        while !self.overflow.is_empty() {
            counters.enters += 1;
            if !self.submit_overflow() {
                break;
            }
        }
        let mut submission = self.uring.submission();
        submission.sync();
        let queued = submission.len();
        let due = submission.taskrun() || submission.cq_overflow();
        drop(submission);
        if queued > 0 || due {
            counters.enters += 1;
            // GETEVENTS: deferred task work runs only in such a call. A failure (EBUSY, EINTR,
            // EAGAIN) leaves the queue as it is for the next turn.
            // SAFETY: no argument is passed, the ring is ours.
            let _ = unsafe {
                let flags = EnterFlags::GETEVENTS.bits();
                self.uring.submitter().enter::<libc::sigset_t>(queued as u32, 0, flags, None)
            };
        }
    }

    /// Submits what is queued, without a look at what happened.
    pub fn submit(&mut self, counters: &mut Counters) {
        while !self.overflow.is_empty() {
            counters.enters += 1;
            if !self.submit_overflow() {
                return;
            }
        }
        let mut submission = self.uring.submission();
        submission.sync();
        let queued = submission.len();
        drop(submission);
        if queued > 0 {
            counters.enters += 1;
            // Not `submit`: it would have the kernel receive what has arrived meanwhile, and of
            // many pushes the last would wait for that. A failure leaves the queue as it is for
            // the next turn.
            // SAFETY: no argument is passed, the ring is ours.
            let _ = unsafe {
                let flags = EnterFlags::empty().bits();
                self.uring.submitter().enter::<libc::sigset_t>(queued as u32, 0, flags, None)
            };
        }
    }

    /// Submits and refills the submission queue; false when nothing moved.
    fn submit_overflow(&mut self) -> bool {
        if self.uring.submit().is_err() {
            return false;
        }
        let mut submission = self.uring.submission();
        submission.sync();
        let before = self.overflow.len();
        while let Some(entry) = self.overflow.front() {
            // SAFETY: whoever queued the entry promised that it stays valid.
            if unsafe { submission.push(entry) }.is_err() {
                break;
            }
            self.overflow.pop_front();
        }
        self.overflow.len() < before
    }

    /// Requests whose last completion is not in.
    #[cfg(test)]
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Copies completions out; the slice is empty when there are none.
    pub fn reap<'b>(&mut self, batch: &'b mut [MaybeUninit<cqueue::Entry>]) -> &'b [cqueue::Entry] {
        let completions = self.uring.completion().fill(batch);
        for completion in completions.iter() {
            let silent = matches!(
                Tag::unpack(completion.user_data()).op,
                Op::Cancel | Op::Option | Op::Ignored
            );
            if !silent && !cqueue::more(completion.flags()) {
                self.under_way -= 1;
            }
        }
        completions
    }

    /// Whether completions write the wake-up descriptor; off while the core is awake anyway.
    pub fn wake_on_completion(&mut self, wanted: bool) {
        let completion = self.uring.completion();
        if wanted { completion.enable_eventfd() } else { completion.disable_eventfd() }
    }

    /// Cancels everything and waits for the last completion, so that the kernel holds no address
    /// of ours any more. False when it did not finish in time.
    pub fn quiesce(&mut self) -> bool {
        let mut batch = [const { MaybeUninit::uninit() }; 64];
        let timeout = Timespec::new().sec(DROP_WAIT_MS / 1_000);
        while !self.overflow.is_empty() && self.submit_overflow() {}
        let _ = self.uring.submit();
        // NotFound means that nothing was left to cancel.
        let _ = self.uring.submitter().register_sync_cancel(Some(timeout), CancelBuilder::any());
        let mut rounds = 0;
        while self.under_way > 0 && rounds < DROP_WAIT_MS {
            let tick = Timespec::new().nsec(1_000_000);
            let args = io_uring::types::SubmitArgs::new().timespec(&tick);
            match self.uring.submitter().submit_with_args(1, &args) {
                Err(error) if error.raw_os_error() == Some(libc::ETIME) => rounds += 1,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => rounds += 1,
                _ => {}
            }
            while !self.reap(&mut batch).is_empty() {}
        }
        self.under_way == 0
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if !self.quiesce() {
            // The kernel may still write to these: leak them rather than corrupt memory.
            return;
        }
        let _ = self.uring.submitter().unregister_buf_ring(GROUP);
        // SAFETY: dropped once, here, and not used afterwards; no request is under way.
        unsafe {
            ManuallyDrop::drop(&mut self.buffers);
            ManuallyDrop::drop(&mut self.seats);
            ManuallyDrop::drop(&mut self.timespec);
        }
    }
}
