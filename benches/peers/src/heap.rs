//! An allocator that counts on request: the heap use of a message or a connection.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::Relaxed},
};

struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicIsize = AtomicIsize::new(0);

/// While times are measured, this is one load and one well-predicted branch.
#[inline]
fn count(bytes: isize) {
    if ON.load(Relaxed) {
        ALLOCATIONS.fetch_add((bytes > 0).into(), Relaxed);
        HELD.fetch_add(bytes, Relaxed);
    }
}

// The crate has no unsafe code; the benchmarks need it for the allocator's trait.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc_zeroed(layout) }
    }
    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(-layout.size().cast_signed());
        count(size.cast_signed());
        unsafe { System.realloc(memory, layout, size) }
    }
    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work`; also returns the number of allocations and the number of bytes still held at its
/// end.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, usize, isize) {
    ALLOCATIONS.store(0, Relaxed);
    HELD.store(0, Relaxed);
    ON.store(true, Relaxed);
    let value = work();
    ON.store(false, Relaxed);
    (value, ALLOCATIONS.load(Relaxed), HELD.load(Relaxed))
}
