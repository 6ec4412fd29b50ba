//! A world without I/O: pipes in memory that move bytes in small pieces, virtual time, and an
//! executor that lets time pass when no task can go on.

use sansocket_io::{Clock, Transport};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The virtual time since the start. Each clone has one alarm.
#[derive(Default)]
pub struct Time {
    line: Arc<Mutex<Timeline>>,
    id: usize,
}

#[derive(Default)]
struct Timeline {
    now: Duration,
    alarms: BTreeMap<usize, (Duration, Waker)>,
    last_id: usize,
}

impl Clone for Time {
    fn clone(&self) -> Self {
        let mut line = self.line.lock().unwrap();
        line.last_id += 1;
        Self { line: self.line.clone(), id: line.last_id }
    }
}

impl Time {
    pub fn now(&self) -> Duration {
        self.line.lock().unwrap().now
    }

    /// Lets time pass without an alarm.
    pub fn pass(&self, time: Duration) {
        let mut line = self.line.lock().unwrap();
        line.now += time;
        assert!(line.now < Duration::from_secs(3600), "an hour has passed");
    }

    pub async fn sleep(&self, time: Duration) {
        let until = self.now() + time;
        let mut clock = self.clone();
        poll_fn(|cx| clock.poll_until(cx, until)).await;
    }

    /// Goes on to the next alarm. `false`: there is none.
    fn advance(&self) -> bool {
        let mut line = self.line.lock().unwrap();
        let Some(next) = line.alarms.values().map(|(at, _)| *at).min() else { return false };
        line.now = line.now.max(next);
        line.alarms.retain(|_, (at, waker)| {
            if *at <= next {
                waker.wake_by_ref();
            }
            *at > next
        });
        true
    }

    /// Runs a future to its end.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, SeqCst);
            }
        }
        let mut future = pin!(future);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let limit = self.now() + Duration::from_secs(3600);
        loop {
            let mut rounds = 0;
            while flag.0.swap(false, SeqCst) {
                rounds += 1;
                assert!(rounds < 10_000_000, "the tasks wake themselves for ever");
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            }
            assert!(self.advance(), "nothing will ever happen");
            assert!(self.now() < limit, "an hour has passed");
        }
    }
}

impl Clock for Time {
    fn now(&self) -> Duration {
        Self::now(self)
    }
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()> {
        let mut line = self.line.lock().unwrap();
        if line.now >= at {
            return Poll::Ready(());
        }
        line.alarms.insert(self.id, (at, cx.waker().clone()));
        Poll::Pending
    }
}

/// One direction of a connection.
struct Flow {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// The writer has ended it.
    ended: bool,
    /// The reader is gone.
    broken: bool,
    reset: bool,
    /// Of each side, the last one that waited.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Flow {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

/// One end of a connection in memory. Each call moves at most `piece` bytes, and the call after it
/// is pending although it need not be.
pub struct Pipe {
    incoming: Arc<Mutex<Flow>>,
    outgoing: Arc<Mutex<Flow>>,
    piece: usize,
    /// Whether the last call has read, or written.
    moved: [bool; 2],
    /// How reading fails after the end of the stream, instead of returning 0.
    pub end_error: Option<ErrorKind>,
}

/// Both ends. Each direction holds `capacity` bytes.
pub fn pipe(piece: usize, capacity: usize) -> (Pipe, Pipe) {
    let flow = || {
        Arc::new(Mutex::new(Flow {
            bytes: VecDeque::new(),
            capacity,
            ended: false,
            broken: false,
            reset: false,
            reader: None,
            writer: None,
        }))
    };
    let (a, b) = (flow(), flow());
    let end = |incoming: &Arc<_>, outgoing: &Arc<_>| Pipe {
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
        piece,
        moved: [false; 2],
        end_error: None,
    };
    (end(&a, &b), end(&b, &a))
}

impl Pipe {
    fn is_busy(&mut self, cx: &Context<'_>, direction: usize) -> bool {
        let busy = std::mem::take(&mut self.moved[direction]) && self.piece < 1000;
        if busy {
            cx.waker().wake_by_ref();
        }
        busy
    }

    pub fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.is_busy(cx, 0) {
            return Poll::Pending;
        }
        let mut flow = self.incoming.lock().unwrap();
        if flow.reset {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        let count = buffer.len().min(flow.bytes.len()).min(self.piece);
        if count == 0 && flow.ended {
            return Poll::Ready(self.end_error.map_or(Ok(0), |kind| Err(kind.into())));
        }
        if count == 0 {
            flow.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for (to, from) in buffer.iter_mut().zip(flow.bytes.drain(..count)) {
            *to = from;
        }
        flow.wake();
        self.moved[0] = true;
        Poll::Ready(Ok(count))
    }

    pub fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_busy(cx, 1) {
            return Poll::Pending;
        }
        let mut flow = self.outgoing.lock().unwrap();
        if flow.broken || flow.reset {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(flow.capacity - flow.bytes.len()).min(self.piece);
        if count == 0 {
            flow.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        flow.bytes.extend(&bytes[..count]);
        flow.wake();
        self.moved[1] = true;
        Poll::Ready(Ok(count))
    }

    pub fn end(&mut self) {
        let mut flow = self.outgoing.lock().unwrap();
        flow.ended = true;
        flow.wake();
    }

    /// The other end can read what was written, and write no more.
    pub fn stop_reading(&mut self) {
        let mut flow = self.incoming.lock().unwrap();
        flow.broken = true;
        flow.wake();
    }

    pub fn reset(&mut self) {
        for flow in [&self.incoming, &self.outgoing] {
            let mut flow = flow.lock().unwrap();
            flow.reset = true;
            flow.wake();
        }
    }

    pub async fn write_all(&mut self, bytes: &[u8]) {
        self.try_write_all(bytes).await.unwrap();
    }

    pub async fn try_write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|cx| self.write(cx, bytes)).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Reads up to the end of the stream.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let (mut all, mut buffer) = (vec![], [0; 4096]);
        loop {
            match poll_fn(|cx| self.read(cx, &mut buffer)).await.unwrap() {
                0 => return all,
                count => all.extend(&buffer[..count]),
            }
        }
    }

    /// Reads exactly this many bytes.
    pub async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut at = 0;
        while at < count {
            match poll_fn(|cx| self.read(cx, &mut bytes[at..])).await.unwrap() {
                0 => panic!("the stream ended after {at} bytes"),
                count => at += count,
            }
        }
        bytes
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.end();
        self.stop_reading();
    }
}

impl Transport for Pipe {
    type Error = io::Error;
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.read(cx, buffer)
    }
    fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, if first.is_empty() { second } else { first })
    }
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio")]
mod of_tokio {
    use super::*;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for Pipe {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let read = self.read(cx, buffer.initialize_unfilled());
            read.map_ok(|count| buffer.advance(count))
        }
    }

    impl AsyncWrite for Pipe {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.write(cx, bytes)
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.end();
            Poll::Ready(Ok(()))
        }
    }
}

#[cfg(feature = "futures-io")]
mod of_futures_io {
    use super::*;
    use futures_io::{AsyncRead, AsyncWrite};

    impl AsyncRead for Pipe {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.read(cx, buffer)
        }
    }

    impl AsyncWrite for Pipe {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.write(cx, bytes)
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.end();
            Poll::Ready(Ok(()))
        }
    }
}

#[cfg(feature = "embedded-io-async")]
mod of_embedded_io_async {
    use super::*;
    use embedded_io_async::{ErrorType, Read, Write};
    use sansocket_io::embedded_io_async::Halves;

    impl ErrorType for Pipe {
        type Error = io::Error;
    }

    /// As in a socket of embassy-net: a dropped future has done nothing, and its waker stays.
    impl Read for Pipe {
        async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            poll_fn(|cx| Self::read(self, cx, buffer)).await
        }
    }

    impl Write for Pipe {
        async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            poll_fn(|cx| Self::write(self, cx, bytes)).await
        }
        async fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The two directions of a pipe, apart.
    pub fn halves(pipe: Pipe) -> Halves<Pipe, Pipe> {
        let half = Pipe {
            incoming: pipe.incoming.clone(),
            outgoing: pipe.outgoing.clone(),
            moved: [true; 2],
            ..pipe
        };
        Halves { reader: half, writer: pipe }
    }
}
#[cfg(feature = "embedded-io-async")]
pub use of_embedded_io_async::halves;

#[cfg(feature = "blocking")]
mod of_blocking {
    use super::*;
    use sansocket_io::blocking::{Blocking, Stream};
    use std::io::{Read, Write};

    /// A pipe that would block, in the transport of the threads. Who polls it waits for the pipe,
    /// as a thread would.
    pub struct Nonblocking(Blocking<Source>);

    pub struct Source {
        pipe: Pipe,
        waker: Waker,
    }

    impl Nonblocking {
        pub fn new(pipe: Pipe) -> Self {
            Self(Blocking(Source { pipe, waker: Waker::noop().clone() }))
        }
        fn of(&mut self, cx: &Context<'_>) -> &mut Blocking<Source> {
            self.0.0.waker.clone_from(cx.waker());
            &mut self.0
        }
    }

    fn or_would_block<O>(polled: Poll<io::Result<O>>) -> io::Result<O> {
        match polled {
            Poll::Ready(result) => result,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            or_would_block(self.pipe.read(&mut Context::from_waker(&self.waker), buffer))
        }
    }

    impl Write for Source {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            or_would_block(self.pipe.write(&mut Context::from_waker(&self.waker), bytes))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Source {
        fn shutdown(&mut self) -> io::Result<()> {
            self.pipe.end();
            Ok(())
        }
    }

    impl Transport for Nonblocking {
        type Error = io::Error;
        fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            self.of(cx).poll_read(cx, buffer)
        }
        fn poll_write(
            &mut self,
            cx: &mut Context<'_>,
            first: &[u8],
            second: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.of(cx).poll_write(cx, first, second)
        }
        fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.of(cx).poll_flush(cx)
        }
        fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.of(cx).poll_shutdown(cx)
        }
    }
}
#[cfg(feature = "blocking")]
pub use of_blocking::Nonblocking;

/// A task of an executor: it is polled only if its own waker was used, so a wake-up that is lost
/// stops it for ever.
struct Task<F: Future> {
    future: Pin<Box<F>>,
    output: Option<F::Output>,
    woken: Arc<Woken>,
}

struct Woken {
    this: AtomicBool,
    executor: Mutex<Waker>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.this.store(true, SeqCst);
        self.executor.lock().unwrap().wake_by_ref();
    }
}

impl<F: Future> Task<F> {
    fn new(future: F) -> Self {
        let woken = Woken { this: AtomicBool::new(true), executor: Mutex::new(Waker::noop().clone()) };
        Self { future: Box::pin(future), output: None, woken: Arc::new(woken) }
    }

    /// Whether it is done.
    fn poll(&mut self, cx: &Context<'_>) -> bool {
        self.woken.executor.lock().unwrap().clone_from(cx.waker());
        if self.output.is_none() && self.woken.this.swap(false, SeqCst) {
            let waker = Waker::from(self.woken.clone());
            if let Poll::Ready(output) = self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.output = Some(output);
            }
        }
        self.output.is_some()
    }
}

/// Runs two futures at the same time, each a task of its own, to the end of both.
pub async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (Task::new(a), Task::new(b));
    poll_fn(|cx| {
        let done = [a.poll(cx), b.poll(cx)];
        if done == [true; 2] { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (a.output.unwrap(), b.output.unwrap())
}

/// Polls a future at most `times` times, then drops it: `None`.
pub async fn cancelled_after<F: Future>(times: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        left -= 1;
        if left == 0 { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// How many bytes on the heap this thread, which runs one test, has allocated and not given back.
pub fn allocated() -> usize {
    ALLOCATED.get()
}

// SAFETY: it only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get().wrapping_add(layout.size()));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.set(ALLOCATED.get().wrapping_sub(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;
