//! Receive buffers: one region per ring, lent to the kernel through a shared ring of descriptors.
//!
//! A buffer is the kernel's until a completion names it, ours until [`ReceiveBuffers::give_back`].

use io_uring::types::BufRingEntry;
use std::io;
use std::mem::size_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The group number under which a ring knows its buffers; each ring has only one.
pub(super) const GROUP: u16 = 0;

const PAGE_BYTES: usize = 4_096;

/// The buffers of one ring. Lives on the core that owns the ring.
pub(super) struct ReceiveBuffers {
    /// Descriptors first (page aligned, as the kernel asks), then the buffers.
    region: NonNull<u8>,
    region_bytes: usize,
    buffers_at: usize,
    count: u16,
    buffer_bytes: u32,
    /// Our end of the descriptor ring; the kernel sees it after [`Self::publish`].
    tail: u16,
}

impl ReceiveBuffers {
    /// Reserves address space; pages become resident when the kernel first writes to them.
    pub fn new(count: u16, buffer_bytes: u32) -> io::Result<Self> {
        assert!(count.is_power_of_two() && buffer_bytes > 0);
        let buffers_at =
            (usize::from(count) * size_of::<BufRingEntry>()).next_multiple_of(PAGE_BYTES);
        let region_bytes = buffers_at + usize::from(count) * buffer_bytes as usize;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping; nothing else refers to the result.
        let region =
            unsafe { libc::mmap(std::ptr::null_mut(), region_bytes, protection, flags, -1, 0) };
        if region == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Huge pages would make the first byte of a buffer cost 2 MiB of resident memory.
        // SAFETY: advice on a mapping made above; failure is harmless.
        unsafe { libc::madvise(region, region_bytes, libc::MADV_NOHUGEPAGE) };
        let region = NonNull::new(region.cast()).expect("mmap does not return null");
        let mut buffers = Self { region, region_bytes, buffers_at, count, buffer_bytes, tail: 0 };
        for buffer in 0..count {
            buffers.give_back(buffer);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Address of the descriptor ring, to be registered with the kernel.
    pub fn descriptors_address(&self) -> u64 {
        self.region.as_ptr() as u64
    }

    pub fn count(&self) -> u16 {
        self.count
    }

    /// The first `length` bytes of a buffer a completion has named.
    ///
    /// Panics when the kernel names a buffer that does not exist.
    pub fn bytes(&self, buffer: u16, length: usize) -> &[u8] {
        assert!(buffer < self.count && length <= self.buffer_bytes as usize);
        // SAFETY: in bounds by the assertion; the buffer is ours until `give_back`, which needs
        // `&mut self`, so the kernel does not write to it while the slice lives.
        unsafe { std::slice::from_raw_parts(self.address(buffer), length) }
    }

    /// Puts a buffer at the end of the descriptor ring. Visible after [`Self::publish`].
    pub fn give_back(&mut self, buffer: u16) {
        let at = usize::from(self.tail & (self.count - 1));
        let address = self.address(buffer) as u64;
        // SAFETY: `at` is inside the descriptor ring; the kernel reads an entry only once the tail
        // beyond it is published, and there are as many entries as buffers. The fields are set one
        // by one because the first entry's last field is the tail itself.
        unsafe {
            let entry = &mut *self.region.as_ptr().cast::<BufRingEntry>().add(at);
            entry.set_addr(address);
            entry.set_len(self.buffer_bytes);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see the buffers given back since the last call.
    pub fn publish(&mut self) {
        // SAFETY: the region starts with an initialised descriptor ring.
        let tail = unsafe { BufRingEntry::tail(self.region.as_ptr().cast()) };
        // SAFETY: `tail` is an aligned u16 inside the region, shared with the kernel, written only
        // here; the release order makes the entries visible before it.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }

    fn address(&self, buffer: u16) -> *mut u8 {
        let offset = self.buffers_at + usize::from(buffer) * self.buffer_bytes as usize;
        // SAFETY: callers pass `buffer < count`, so the offset is inside the region.
        unsafe { self.region.as_ptr().add(offset) }
    }
}

impl Drop for ReceiveBuffers {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`. The ring drops this only after the kernel has
        // confirmed that no request uses it (`Ring::drop`).
        unsafe { libc::munmap(self.region.as_ptr().cast(), self.region_bytes) };
    }
}
