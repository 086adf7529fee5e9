//! The allocator as a room of the house: what is freed goes back to the host.

/// Has the allocator give this thread's free pages back to the host. It does so by itself only
/// while it is used; a core whose crowd has left is quiet. Takes milliseconds after a big crowd.
pub fn give_back() {
    // SAFETY: no argument refers to memory; the call only releases pages without live blocks.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Lets go of the pages of the program that only the start needed: the command line, settings,
/// opening the store. The kernel maps sixteen at a time, so that nearly all of a program is
/// resident after a start. What is needed again comes back from its cache of files, a fault for
/// sixteen pages, some hundred faults in all. Hints alone: where the kernel refuses, nothing has
/// changed.
pub fn give_back_program() {
    // SAFETY: `program_pages` is called during this call alone and only reads what it is given.
    unsafe { libc::dl_iterate_phdr(Some(program_pages), std::ptr::null_mut()) };
}

/// Looks at one loaded object: the first is the program itself, and where it ends, so does this.
unsafe extern "C" fn program_pages(
    info: *mut libc::dl_phdr_info,
    _bytes: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    const STOP: libc::c_int = 1;
    // SAFETY: the loader hands over a description and its table of segments, good for this call.
    let (base, segments) = unsafe {
        let info = &*info;
        if info.dlpi_phdr.is_null() {
            return STOP;
        }
        let segments = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        (info.dlpi_addr, segments)
    };
    for segment in segments {
        // Pages that were never written are as the file has them; those of relocations were.
        if segment.p_type != libc::PT_LOAD || segment.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = (base + segment.p_vaddr) & !(PAGE_BYTES - 1);
        let end = base + segment.p_vaddr + segment.p_memsz;
        // SAFETY: a read-only file mapping of the loader's; dropped pages are read from the file.
        unsafe {
            libc::madvise(start as *mut libc::c_void, (end - start) as usize, libc::MADV_DONTNEED)
        };
    }
    STOP
}

/// Start of a mapping is a multiple of this.
const PAGE_BYTES: u64 = 4_096;
