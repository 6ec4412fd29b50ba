//! A server: accepts connections up to a limit, and ends them in order when it is stopped.

use super::connect::with_wait;
use super::wait::Wait;
use super::{ServerSocket, Socket, Stream, TcpStream};
use crate::Settings;
use crate::peers::{Options, Peers, Report};
use crate::tcp::delay_after;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use mio::net::TcpListener;
use mio::{Events, Interest, Token};
use sansocket::{Config, Role, WebSocket};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

/// Listens, and runs a thread for each connection.
///
/// ```no_run
/// use sansocket_io::{Event, blocking::Server};
///
/// fn main() -> std::io::Result<()> {
///     let server = Server::bind("127.0.0.1:9001")?.max_connections(1000);
///     let stop = server.stop_handle();
///     // On Ctrl-C, for example: stop.stop();
///     server.run(|mut socket, peer| {
///         if let Err(error) = socket.accept(|request| Ok(request.accept())) {
///             return eprintln!("{peer}: {error}");
///         }
///         while let Some((event, reply)) = socket.next() {
///             if let Event::Message(message) = event {
///                 let _ = reply.send(message);
///             }
///         }
///     });
///     Ok(())
/// }
/// ```
///
/// When it is stopped, it accepts no more connections, sends a Close frame with 1001 on each, and
/// waits until their handlers return. Those that have not after [`grace`](Self::grace) are aborted.
pub struct Server {
    listener: TcpListener,
    poll: mio::Poll,
    stop: StopHandle,
    options: Options,
}

/// Stops a [`Server`], from any thread.
#[derive(Clone)]
pub struct StopHandle(Arc<Stop>);

struct Stop {
    is_stopped: AtomicBool,
    /// How many threads serve connections.
    running: AtomicUsize,
    waker: mio::Waker,
}

impl StopHandle {
    /// Stops the server: [`Server::run`] returns once the connections have ended.
    pub fn stop(&self) {
        self.0.is_stopped.store(true, SeqCst);
        let _ = self.0.waker.wake();
    }
}

/// A running thread.
struct Running(Arc<Stop>);

impl Running {
    fn new(stop: &Arc<Stop>) -> Self {
        stop.running.fetch_add(1, SeqCst);
        Self(Arc::clone(stop))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
        let _ = self.0.waker.wake();
    }
}

impl Server {
    /// Listens on an address. The defaults are [`Settings::new`], 1,000 connections, and 10 seconds
    /// for them to end.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::new(std::net::TcpListener::bind(address)?)
    }

    /// A server of a listener.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let poll = mio::Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let stop = Stop { is_stopped: AtomicBool::new(false), running: AtomicUsize::new(0), waker };
        Ok(Self { listener, poll, stop: StopHandle(Arc::new(stop)), options: Options::default() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets the limits of each connection.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { options: Options { settings, ..self.options }, ..self }
    }

    /// Sets how many connections it has at a time. Others wait in the backlog of the operating
    /// system.
    #[must_use]
    pub fn max_connections(self, max: usize) -> Self {
        Self { options: Options { max_connections: max.max(1), ..self.options }, ..self }
    }

    /// Sets how long the connections may take to end once the server is stopped.
    #[must_use]
    pub fn grace(self, time: Duration) -> Self {
        Self { options: Options { grace: time, ..self.options }, ..self }
    }

    /// Sets what is called with the error of a connection that is not served: no more file
    /// descriptors, for example. The server goes on. By default, errors are ignored.
    #[must_use]
    pub fn on_error(self, report: impl Fn(io::Error) + Send + Sync + 'static) -> Self {
        Self { options: Options { report: Report::new(report), ..self.options }, ..self }
    }

    /// What stops it.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Serves until it is stopped, and all connections have ended. `handler` gets each connection
    /// before its opening handshake, on a thread of its own: it calls
    /// [`accept`](super::Socket::accept), and then [`next`](super::Socket::next) until that returns
    /// `None`.
    pub fn run(self, handler: impl Fn(ServerSocket, SocketAddr) + Send + Sync + 'static) {
        self.run_with(|stream, config| Ok((stream, WebSocket::server(config))), handler);
    }

    /// As [`run`](Self::run), over another stream, or with another machine: `prepare` makes both,
    /// of the TCP stream and the configuration in the settings of the server, on the thread of
    /// the connection.
    ///
    /// ```no_run
    /// # #[cfg(feature = "deflate")]
    /// # fn compressed(server: sansocket_io::blocking::Server) {
    /// use sansocket_io::sansocket::{WebSocket, deflate};
    /// let deflate = deflate::Settings::server();
    /// let prepare = move |stream, config| {
    ///     Ok((stream, WebSocket::deflate_server(config, deflate, Vec::new())))
    /// };
    /// server.run_with(prepare, |mut socket, _| {
    ///     if socket.accept(|request| Ok(request.accept())).is_ok() {
    ///         while socket.next().is_some() {}
    ///     }
    /// });
    /// # }
    /// ```
    pub fn run_with<R: Role + 'static, S: Stream + 'static>(
        self,
        prepare: impl Fn(TcpStream, Config) -> io::Result<(S, WebSocket<R>)> + Send + Sync + 'static,
        handler: impl Fn(Socket<R, S>, SocketAddr) + Send + Sync + 'static,
    ) {
        let Self { listener, mut poll, stop: StopHandle(stop), options } = self;
        let Options { settings, max_connections, grace, report } = options;
        let (calls, peers) = (Arc::new((prepare, handler)), Arc::new(Peers::default()));
        let mut pending = None;
        let mut events = Events::with_capacity(4);
        // Nothing is lost if it fails (EINTR): all is checked once more.
        let mut wait = |timeout| _ = poll.poll(&mut events, timeout);
        while !stop.is_stopped.load(SeqCst) {
            if stop.running.load(SeqCst) >= max_connections {
                wait(None);
                continue;
            }
            let (waits, stream, address) = match accept(&listener, &mut pending) {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(None);
                    continue;
                }
                Err(error) => {
                    let delay = delay_after(&error);
                    report.call(error);
                    if delay.is_some() {
                        wait(delay);
                    }
                    continue;
                }
            };
            let (running, calls, peers) = (Running::new(&stop), Arc::clone(&calls), Arc::clone(&peers));
            let reports = report.clone();
            // Without a thread, the connection is dropped.
            let spawned = thread::Builder::new().spawn(move || {
                let _running = running;
                let (prepare, handler) = &*calls;
                match with_wait(waits, stream.into(), prepare, settings) {
                    Ok(mut socket) => {
                        let _peer = peers.add(socket.reply().sender());
                        handler(socket, address);
                    }
                    Err(error) => reports.call(error),
                }
            });
            if let Err(error) = spawned {
                report.call(error);
            }
        }
        drop(listener);
        peers.close();
        let deadline = Instant::now().checked_add(grace);
        while stop.running.load(SeqCst) > 0 {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return peers.abort();
            }
            wait(left);
        }
    }
}

type Accepted = (mio::net::TcpStream, SocketAddr);

/// The next connection, with what its thread waits with. Without file descriptors for that, the
/// connection is `pending` until the next call.
fn accept(
    listener: &TcpListener,
    pending: &mut Option<Accepted>,
) -> io::Result<(Wait, mio::net::TcpStream, SocketAddr)> {
    let (stream, address) = pending.take().map_or_else(|| listener.accept(), Ok)?;
    match Wait::new() {
        Ok(waits) => Ok((waits, stream, address)),
        Err(error) => {
            if delay_after(&error).is_some() {
                *pending = Some((stream, address));
            }
            Err(error)
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopHandle").field(&self.0.is_stopped).finish()
    }
}
