//! Measures instructions and stack.

use core::hint::black_box;
use semihosting::println;

/// The CMSDK timer 0, which counts down at 25 MHz.
const TIMER: *mut u32 = 0x4000_0000 as *mut u32;

/// Starts the timer. It must be called before [`report`].
pub fn start_timer() {
    // SAFETY: the timer's registers (control, value, reload) are at this address. It starts at its
    // maximum.
    unsafe {
        TIMER.add(2).write_volatile(u32::MAX);
        TIMER.add(1).write_volatile(u32::MAX);
        TIMER.write_volatile(1);
    }
}

/// The number of instructions that `work` takes.
#[inline(never)]
fn count(work: impl FnOnce()) -> u32 {
    // SAFETY: as above.
    let now = || unsafe { TIMER.add(1).read_volatile() };
    let before = now();
    work();
    let ticks = before.wrapping_sub(now());
    // An instruction takes 1024 ns, a tick 40 ns.
    (ticks * 40 + 512) >> 10
}

/// Prints the number of instructions of `work`, without those of counting.
pub fn report(row: &str, column: &str, work: impl FnOnce()) {
    let nothing = count(|| {});
    println!("figure|{row}|{column}|{}", count(work) - nothing);
}

/// The number of painted words.
const DEPTH: usize = 4096;
const PAINT: u32 = 0xA5A5_A5A5;
/// The stack reserved for the painting loop.
const GAP: usize = 256;

/// Runs `call`. Returns its result and its stack, including the frames of this function: subtract
/// those of an empty call. It fills the stack below the call with a pattern, and afterwards searches
/// for the deepest overwritten word.
#[inline(never)]
pub fn painted<T, F: FnOnce() -> T>(call: F) -> (T, usize) {
    let here = 0u32;
    let top = black_box(&raw const here).cast_mut().wrapping_byte_sub(GAP);
    for below in 1..=DEPTH {
        // SAFETY: the stack is larger than this, and unused below the gap.
        unsafe { top.wrapping_sub(below).write_volatile(PAINT) };
    }
    #[inline(never)]
    fn alone<T, F: FnOnce() -> T>(call: F) -> T {
        // Moves the frame of the call below the gap.
        let gap = [0u8; GAP];
        black_box(&gap);
        let returned = within(call);
        black_box(&gap);
        returned
    }
    #[inline(never)]
    fn within<T, F: FnOnce() -> T>(call: F) -> T {
        call()
    }
    let returned = alone(call);
    // SAFETY: as above.
    let untouched =
        (1..=DEPTH).rev().take_while(|below| unsafe { top.wrapping_sub(*below).read_volatile() } == PAINT);
    (returned, (DEPTH - untouched.count()) * size_of::<u32>())
}
