//! Helpers for blocking servers: the accept loop with a limit and an orderly stop, reads that
//! respect the machine's timers, writes that respect a deadline, and an orderly end of the stream.

#[path = "../common/pace.rs"]
mod pace;

use crate::common::{BUSY, Result};
use pace::{Pace, is_timeout};
use sansocket::{Buffer, CloseCode, Role, State, WebSocket};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

pub use pace::WRITE_TIMEOUT;

/// Minimum and maximum of a read or write timeout. (A timeout of zero is an error.) After the
/// maximum, a connection checks whether the server stops.
const WAIT: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(500));
/// The timeout of reads and writes that alternate.
const TURN: Duration = Duration::from_millis(10);
/// How long a closed connection waits for the peer to end the stream.
const LINGER: Duration = Duration::from_secs(2);
/// How long a server that stops waits for its connections.
const STOP: Duration = Duration::from_secs(5);
/// The maximum number of connections that wait for the end of a refusal. Any more are dropped.
const MAX_REFUSED: usize = 64;

static STOPPING: AtomicBool = AtomicBool::new(false);
static SERVED: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Accepts connections on `address`, and runs `serve` on a thread for each, until SIGINT (Ctrl-C)
/// or SIGTERM. Then waits until all connections are closed: [`Socket::read`] sends Close frames. A
/// connection over the limit `connections` gets a response with status 503.
pub fn listen(
    address: &str,
    connections: usize,
    serve: impl Fn(&TcpStream) -> Result<()> + Clone + Send + 'static,
) -> Result<()> {
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    let (interrupt, interrupted) = mpsc::channel();
    ctrlc::set_handler(move || _ = interrupt.send(()))?;
    let mut out = io::stdout();
    writeln!(out, "listening on {}", listener.local_addr()?)?;
    out.flush()?;
    thread::Builder::new().spawn(move || accept(&listener, connections, &serve))?;
    interrupted.recv()?;
    STOPPING.store(true, SeqCst);
    let deadline = Instant::now() + STOP;
    while SERVED.load(SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(TURN);
    }
    Ok(())
}

fn accept(
    listener: &TcpListener,
    connections: usize,
    serve: &(impl Fn(&TcpStream) -> Result<()> + Clone + Send + 'static),
) {
    while !STOPPING.load(SeqCst) {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            // For example "too many open files": retry, because other connections may end.
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let slot = Slot::take(&SERVED, connections);
        let admitted = slot.is_some();
        let Some(slot) = slot.or_else(|| Slot::take(&REFUSED, MAX_REFUSED)) else { continue };
        let serve = serve.clone();
        let spawned = thread::Builder::new().spawn(move || {
            let _slot = slot;
            if let Err(error) = if admitted { serve(&stream) } else { refuse(&stream) } {
                eprintln!("{peer}: {error}");
            }
        });
        if let Err(error) = spawned {
            eprintln!("{peer}: no thread: {error}");
        }
    }
}

/// A counted connection. Only the accept loop takes slots.
struct Slot(&'static AtomicUsize);

impl Slot {
    fn take(taken: &'static AtomicUsize, most: usize) -> Option<Self> {
        (taken.load(SeqCst) < most).then(|| {
            taken.fetch_add(1, SeqCst);
            Self(taken)
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn refuse(mut stream: &TcpStream) -> Result<()> {
    // Wait for the request: some clients take a response that precedes it for an error.
    stream.set_read_timeout(Some(LINGER))?;
    let _ = stream.read(&mut [0; 4096]);
    stream.write_all(BUSY)?;
    linger(stream)
}

/// A stream with the time since it was opened, and the deadline of its peer.
pub struct Socket<'s> {
    stream: &'s TcpStream,
    started: Instant,
    pace: Pace,
}

impl<'s> Socket<'s> {
    pub fn new(stream: &'s TcpStream, write_timeout: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WAIT.1))?;
        Ok(Self { stream, started: Instant::now(), pace: Pace::new(write_timeout) })
    }

    /// Makes [`write`](Self::write) return soon, so that it can alternate with
    /// [`read`](Self::read).
    #[allow(dead_code, reason = "some servers write all before they read on")]
    pub fn take_turns(&self) -> io::Result<()> {
        self.stream.set_write_timeout(Some(TURN))
    }

    /// Reads into `buffer` until bytes arrive, one of the machine's timers expires or the server
    /// stops; only briefly while bytes are `unsent`. Returns the number of bytes.
    pub fn read<R: Role>(
        &mut self,
        ws: &mut WebSocket<R>,
        buffer: &mut [u8],
        outbox: &mut impl Buffer,
        unsent: usize,
    ) -> io::Result<usize> {
        if STOPPING.load(SeqCst) {
            match ws.state() {
                State::Connecting => {
                    ws.receive_eof();
                    return Ok(0);
                }
                // In other states there is nothing to close.
                _ if ws.close(CloseCode::GOING_AWAY, "", outbox).is_ok() => return Ok(0),
                _ => {}
            }
        }
        let (shortest, longest) = WAIT;
        let longest = if unsent > 0 { TURN } else { longest };
        let wait = ws.poll_timeout().map_or(longest, |at| at.saturating_sub(self.started.elapsed()));
        self.stream.set_read_timeout(Some(wait.clamp(shortest, longest)))?;
        let filled = match self.stream.read(buffer) {
            Ok(0) => {
                ws.receive_eof();
                0
            }
            Ok(filled) => filled,
            Err(error) if is_timeout(&error) => 0,
            Err(error) => return Err(error),
        };
        // A peer that sends while the server still reads is not too slow.
        self.pace.sent(filled, unsent);
        // The timers of an open connection measure the peer's silence, so they only matter if
        // nothing was read. The timeouts of the opening and the closing handshake apply in any
        // case.
        if filled == 0 || ws.state() != State::Open {
            ws.handle_timeout(self.started.elapsed());
        }
        Ok(filled)
    }

    /// Writes a part of `bytes`, as [`Pace::write`].
    pub fn write<R: Role>(&mut self, ws: &mut WebSocket<R>, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.pace.write(self.stream, bytes)?;
        // A peer that takes bytes is alive, although it cannot answer a Ping behind them.
        ws.output_sent(sent, bytes.len() - sent);
        Ok(sent)
    }

    pub fn write_all<R: Role>(&mut self, ws: &mut WebSocket<R>, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = self.write(ws, bytes)?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }
}

/// Shuts down our side of the stream and waits for the peer to end its side. Dropping a socket that
/// has unread input would make the kernel reset the connection, and the peer could lose our last
/// bytes.
pub fn linger(mut stream: &TcpStream) -> Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + LINGER;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if is_timeout(&error) => {}
            Err(_) => return Ok(()),
        }
    }
}
