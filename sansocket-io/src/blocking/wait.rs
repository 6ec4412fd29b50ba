//! How a thread waits for its connection: for the stream, the alarm of the clock, and other
//! threads.

use crate::Clock;
use core::fmt;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use mio::event::Source;
use mio::{Events, Interest, Token};
use std::io;
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

const STREAM: Token = Token(0);
const WAKER: Token = Token(1);
/// No alarm is set.
const NEVER: u64 = u64::MAX;

/// Waits for one connection. It runs the futures of the connection on the caller's thread.
pub(super) struct Wait {
    poll: mio::Poll,
    events: Events,
    signals: Arc<Signals>,
    waker: Waker,
}

/// What ends a wait. The stream, the clock and the wakers of the connection have it too.
pub(super) struct Signals {
    start: Instant,
    /// The alarm of the clock, in nanoseconds since the start.
    alarm: AtomicU64,
    /// Whether reading and writing the stream are worth a try.
    pub(super) readable: AtomicBool,
    pub(super) writable: AtomicBool,
    /// The peer has ended its side, or the stream has failed: no event will say so again.
    pub(super) ended: AtomicBool,
    /// `waker` was used since the connection was last polled.
    woken: AtomicBool,
    waker: mio::Waker,
}

impl Wait {
    pub(super) fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let signals = Arc::new(Signals {
            start: Instant::now(),
            alarm: AtomicU64::new(NEVER),
            readable: AtomicBool::new(true),
            writable: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            waker: mio::Waker::new(poll.registry(), WAKER)?,
        });
        let waker = Waker::from(signals.clone());
        Ok(Self { poll, events: Events::with_capacity(4), signals, waker })
    }

    /// Registers the stream of the connection.
    pub(super) fn register(&self, stream: &mut impl Source) -> io::Result<()> {
        self.poll.registry().register(stream, STREAM, Interest::READABLE | Interest::WRITABLE)
    }

    pub(super) const fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Runs a future of the connection to its end.
    pub(super) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = self.poll(|cx| future.as_mut().poll(cx)) {
                return output;
            }
            self.wait(None);
        }
    }

    /// Runs a future of the connection until `deadline`, then drops it: `None`.
    pub(super) fn block_until<F: Future>(&mut self, deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = self.poll(|cx| future.as_mut().poll(cx)) {
                return Some(output);
            }
            if deadline <= Instant::now() {
                return None;
            }
            self.wait(Some(deadline));
        }
    }

    fn poll<O>(&self, poll: impl FnOnce(&mut Context<'_>) -> Poll<O>) -> Poll<O> {
        // What happens from here on is seen by this call, or ends the next wait.
        self.signals.woken.store(false, SeqCst);
        self.signals.alarm.store(NEVER, Relaxed);
        poll(&mut Context::from_waker(&self.waker))
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        let signals = &*self.signals;
        let until = [signals.alarm(), deadline].into_iter().flatten().min();
        let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        // Nothing is lost if it fails (EINTR): the connection is polled once more.
        let _ = self.poll.poll(&mut self.events, timeout);
        for event in self.events.iter().filter(|event| event.token() == STREAM) {
            let ended = event.is_read_closed() || event.is_error();
            if ended {
                signals.ended.store(true, Relaxed);
            }
            if ended || event.is_readable() {
                signals.readable.store(true, Relaxed);
            }
            if ended || event.is_writable() || event.is_write_closed() {
                signals.writable.store(true, Relaxed);
            }
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").finish_non_exhaustive()
    }
}

impl Signals {
    /// When the alarm goes off. `None`: never.
    fn alarm(&self) -> Option<Instant> {
        match self.alarm.load(Relaxed) {
            NEVER => None,
            nanos => self.start.checked_add(Duration::from_nanos(nanos)),
        }
    }
}

impl Wake for Signals {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        // One system call for all messages that are sent before the connection's thread runs.
        if !self.woken.swap(true, SeqCst) {
            let _ = self.waker.wake();
        }
    }
}

/// The clock of a connection whose thread waits.
pub struct BlockingClock(pub(super) Arc<Signals>);

impl Clock for BlockingClock {
    fn now(&self) -> Duration {
        self.0.start.elapsed()
    }

    fn poll_until(&mut self, _: &mut Context<'_>, at: Duration) -> Poll<()> {
        if self.now() >= at {
            return Poll::Ready(());
        }
        self.0.alarm.store(u64::try_from(at.as_nanos()).unwrap_or(NEVER), Relaxed);
        Poll::Pending
    }
}

impl fmt::Debug for BlockingClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingClock").field(&self.0.start).finish()
    }
}
