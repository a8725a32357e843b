//! The program's memory.

use crate::usage::heap::Heap;

/// mimalloc, which counts what it gives out.
pub type Allocator = Heap;

/// The allocator, for `#[global_allocator]`; every program that has it calls
/// [`keep_freed_memory`] first.
pub const ALLOCATOR: Allocator = Heap;

/// `mi_option_purge_delay` of mimalloc.h, in versions 2 and 3.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// No purging at all, in the words of mimalloc.h.
const NEVER: std::ffi::c_long = -1;

/// Keeps memory that was freed, for whoever needs some next. Otherwise whichever
/// allocation comes next returns it to the system by the megabyte now and then, on a shard
/// in the middle of an answer: of 10 million inserts some took more than a millisecond
/// (`purser-bench insert`). So the process stays as large as it ever was, which it must
/// have room for in any case. `MIMALLOC_PURGE_DELAY`, in milliseconds, decides otherwise.
pub fn keep_freed_memory() {
    // SAFETY: a plain C call that sets a number; it may be made at any time, from any
    // thread.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, NEVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_is_kept() {
        keep_freed_memory();
        // SAFETY: a plain C call that reads a number.
        #[allow(unsafe_code)]
        let delay = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay, NEVER);
    }
}
