//! A ring of buffers the kernel takes from when bytes arrive.

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers per ring. A turn consumes a few hundred at most; more only cools the cache.
const COUNT: u16 = 1_024;

/// Bytes per buffer: several answers, or one push of ten instances.
const BYTES: usize = 4_096;

/// The buffer group of the only buffer ring of an io_uring.
pub(super) const GROUP: u16 = 0;

/// Kernel pages; the ring must start on one.
const PAGE_BYTES: usize = 4_096;

/// The buffers, and the ring that names the free ones. Must outlive the io_uring it is
/// registered with.
pub(super) struct Buffers {
    entries: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl Buffers {
    /// Allocates without registering.
    pub(super) fn new() -> Self {
        // SAFETY: both layouts have a size; failure is handled.
        let (entries, memory) =
            unsafe { (alloc_zeroed(ring_layout()), alloc_zeroed(memory_layout())) };
        if entries.is_null() || memory.is_null() {
            handle_alloc_error(memory_layout());
        }
        Self { entries: entries.cast(), memory, tail: 0 }
    }

    /// Registers and gives all buffers to the kernel.
    pub(super) fn register(&mut self, submitter: &Submitter<'_>) -> io::Result<()> {
        // SAFETY: the ring memory is page-aligned, of the stated length, and lives in `self`,
        // which `Ring` drops after its io_uring.
        unsafe {
            submitter.register_buf_ring_with_flags(self.entries as u64, COUNT, GROUP, 0)?;
        }
        for id in 0..COUNT {
            self.put(id);
        }
        self.publish();
        Ok(())
    }

    /// The bytes the kernel put into a buffer.
    pub(super) fn get(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < COUNT && len <= BYTES, "the kernel names only buffers it was given");
        // SAFETY: in bounds by the assertion; the kernel has handed this buffer back and does
        // not write to it until `put` and `publish`, which need `&mut self`.
        unsafe { std::slice::from_raw_parts(self.memory.add(usize::from(id) * BYTES), len) }
    }

    /// Queues a buffer for the kernel; [`Buffers::publish`] makes it visible.
    pub(super) fn put(&mut self, id: u16) {
        debug_assert!(id < COUNT);
        let at = usize::from(self.tail % COUNT);
        // SAFETY: `at` is inside the ring; the kernel reads an entry only below the tail.
        unsafe {
            let entry = &mut *self.entries.add(at);
            entry.set_addr(self.memory.add(usize::from(id) * BYTES) as u64);
            entry.set_len(BYTES as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel every buffer put so far.
    pub(super) fn publish(&self) {
        // SAFETY: the tail is a field of the first entry, aligned and alive; only the kernel
        // reads it, and this thread alone writes.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with these layouts; the io_uring is gone by now.
        unsafe {
            dealloc(self.entries.cast(), ring_layout());
            dealloc(self.memory, memory_layout());
        }
    }
}

fn ring_layout() -> Layout {
    let bytes = usize::from(COUNT) * size_of::<BufRingEntry>();
    Layout::from_size_align(bytes, PAGE_BYTES).expect("a small power-of-two alignment")
}

fn memory_layout() -> Layout {
    Layout::from_size_align(usize::from(COUNT) * BYTES, PAGE_BYTES).expect("a small alignment")
}
