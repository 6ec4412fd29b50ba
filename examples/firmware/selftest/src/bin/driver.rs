//! Measures an echo server in a task, as a bare loop and over the driver crate: the size of the
//! task's future, and the maximum stack of its polls.
#![no_std]
#![no_main]

#[path = "../../../measure/src/echo.rs"]
mod echo;

use core::convert::Infallible;
use core::future::poll_fn;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use embedded_io_async::{ErrorType, Read, Write};
use sansocket_io::Clock;
use selftest::figures::painted;
use selftest::{CLOSE, PING, REQUEST, TEXT, frame};
use semihosting::println;

/// A peer whose bytes arrive in slices, each after a wait. It ends the stream after the last.
struct Peer<'p> {
    slices: core::slice::Chunks<'p, u8>,
    is_ready: bool,
    written: usize,
}

impl Peer<'_> {
    /// Waits at every second call.
    fn wait(&mut self) -> impl Future<Output = ()> {
        poll_fn(|_| {
            self.is_ready = !black_box(self.is_ready);
            if self.is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

impl ErrorType for Peer<'_> {
    type Error = Infallible;
}

impl Read for Peer<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        self.wait().await;
        let slice = self.slices.next().unwrap_or_default();
        buffer[..slice.len()].copy_from_slice(slice);
        Ok(slice.len())
    }
}

impl Write for Peer<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.wait().await;
        self.written += bytes.len();
        Ok(bytes.len())
    }
    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Time;

impl Clock for Time {
    fn now(&self) -> Duration {
        black_box(Duration::from_secs(1))
    }
    fn poll_until(&mut self, _: &mut Context<'_>, at: Duration) -> Poll<()> {
        if black_box(at) <= self.now() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Polls a task to its end. Returns the size of its future and the maximum stack of a poll.
#[inline(never)]
fn measure(task: impl Future<Output = ()>) -> (usize, usize) {
    let size = size_of_val(&task);
    let mut task = pin!(task);
    let nothing = painted(|| {}).1;
    let mut most = 0;
    loop {
        let mut context = Context::from_waker(Waker::noop());
        let (polled, stack) = painted(|| task.as_mut().poll(&mut context));
        most = stack.max(most);
        if polled.is_ready() {
            return (size, most - nothing);
        }
    }
}

fn report(name: &str, (size, stack): (usize, usize)) {
    println!("figure|{name}: the task's future|bytes|{size}");
    println!("figure|{name}: stack of a poll|bytes|{stack}");
}

#[selftest::entry]
fn main() -> ! {
    let mut stream = heapless::Vec::<u8, 4096>::new();
    // The server accepts requests for `/`.
    let request = core::str::from_utf8(REQUEST).expect("a request is text");
    let (_, rest) = request.split_once("/chat").expect("its target");
    for part in ["GET /", rest] {
        stream.extend_from_slice(part.as_bytes()).expect("room");
    }
    for (first, payload) in [
        (TEXT, &[b'x'; 200][..]),
        (TEXT, &[b'y'; 700]),
        (PING, b"still there?"),
        (0x01, b"a fragment"),
        (0x80, b"and the last"),
        (CLOSE, &1000u16.to_be_bytes()),
    ] {
        stream.extend_from_slice(&frame::<800>(first, true, payload)).expect("room");
    }
    let peer = || Peer { slices: stream.chunks(300), is_ready: false, written: 0 };
    let (mut one, mut other) = (peer(), peer());
    report("bare loop", measure(async { echo::bare(&mut one, Time, |_| {}).await.expect("an echo") }));
    report("sansocket-io", measure(async { echo::driven(&mut other, Time, |_| {}).await.expect("an echo") }));
    assert_eq!(one.written, other.written);
    assert!(one.written > 1000);
    println!("figure|both: the machine|bytes|{}", echo::MACHINE);
    println!("figure|both: the buffers|bytes|{}", echo::BUFFERS);
    semihosting::process::exit(0)
}
