//! The allocator as a room of the house: what is freed goes back to the host.

/// Has the allocator give this thread's free pages back to the host. It does so by itself only
/// while it is used; a core whose crowd has left is quiet. Takes milliseconds after a big crowd.
pub fn give_back() {
    // SAFETY: no argument refers to memory; the call only releases pages without live blocks.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
