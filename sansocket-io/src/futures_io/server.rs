//! A server: accepts connections up to a limit, and ends them in order when it is shut down.

use super::connect::{server, tune, within};
use super::{AsyncIoClock, FuturesIo, ServerSocket};
use crate::peers::{Options, Peers, Report, before};
use crate::tcp::delay_after;
use crate::{Memory, Settings, Socket};
use ::futures_io::{AsyncRead, AsyncWrite};
use async_io::Timer;
use async_net::{AsyncToSocketAddrs, TcpListener, TcpStream};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use event_listener::Event;
use sansocket::Role;
use std::boxed::Box;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

/// The task of one connection of a [`Server`].
pub type ServerTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Listens, and runs a task for each connection, on any executor.
///
/// ```no_run
/// use sansocket_io::{Event, futures_io::Server};
///
/// fn main() -> std::io::Result<()> {
///     smol::block_on(async {
///         let server = Server::bind("127.0.0.1:9001").await?.max_connections(10_000);
///         let stop = std::future::pending::<()>(); // What Ctrl-C makes ready, for example.
///         let spawn = |task| smol::spawn(task).detach();
///         server
///             .run(stop, spawn, |mut socket, peer| async move {
///                 if let Err(error) = socket.accept(|request| Ok(request.accept())).await {
///                     return eprintln!("{peer}: {error}");
///                 }
///                 while let Some((event, reply)) = socket.next().await {
///                     if let Event::Message(message) = event {
///                         let _ = reply.send(message);
///                     }
///                 }
///             })
///             .await;
///         Ok(())
///     })
/// }
/// ```
///
/// When the future `stop` is ready, it accepts no more connections, sends a Close frame with 1001
/// on each, and waits until their handlers return. Those that have not after
/// [`grace`](Self::grace) are dropped.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    options: Options,
}

impl Server {
    /// Listens on an address. The defaults are [`Settings::new`], 1,000 connections, and 10 seconds
    /// for them to end.
    ///
    /// # Errors
    /// That of the operating system.
    pub async fn bind(address: impl AsyncToSocketAddrs) -> io::Result<Self> {
        Ok(TcpListener::bind(address).await?.into())
    }

    /// Where it listens.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets the limits of each connection. Those of [`run_with`](Self::run_with) have the settings
    /// that `prepare` gives them.
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

    /// Sets how long the connections may take to end once `stop` is ready.
    #[must_use]
    pub fn grace(self, time: Duration) -> Self {
        Self { options: Options { grace: time, ..self.options }, ..self }
    }

    /// Sets what is called with the error of a connection that is not served: no more file
    /// descriptors, or a TLS handshake that failed, for example. The server goes on. By default,
    /// errors are ignored.
    #[must_use]
    pub fn on_error(self, report: impl Fn(io::Error) + Send + Sync + 'static) -> Self {
        Self { options: Options { report: Report::new(report), ..self.options }, ..self }
    }

    /// Serves until `stop` is ready, and all connections have ended. `spawn` runs the task of each
    /// connection to its end, and does not wait for it. `handler` gets each connection before its
    /// opening handshake: it calls [`accept`](Socket::accept), and then [`next`](Socket::next)
    /// until that returns `None`.
    pub async fn run<H: Future<Output = ()> + Send + 'static>(
        self,
        stop: impl Future,
        spawn: impl Fn(ServerTask),
        handler: impl Fn(ServerSocket, SocketAddr) -> H + Clone + Send + 'static,
    ) {
        let settings = self.options.settings;
        let prepare = move |stream| async move { Ok(server(stream, settings)) };
        self.run_with(stop, spawn, prepare, handler).await;
    }

    /// As [`run`](Self::run), over another stream, or with another machine: `prepare` makes the
    /// connection from the TCP stream, with settings of its own. It has the
    /// [`Settings::connect_timeout`] of the server, for the TLS handshake for example.
    pub async fn run_with<R, S, M, P, H>(
        self,
        stop: impl Future,
        spawn: impl Fn(ServerTask),
        prepare: impl Fn(TcpStream) -> P + Clone + Send + 'static,
        handler: impl Fn(Socket<R, FuturesIo<S>, AsyncIoClock, M>, SocketAddr) -> H + Clone + Send + 'static,
    ) where
        R: Role,
        S: AsyncRead + AsyncWrite + Unpin,
        M: Memory,
        Socket<R, FuturesIo<S>, AsyncIoClock, M>: Send,
        P: Future<Output = io::Result<Socket<R, FuturesIo<S>, AsyncIoClock, M>>> + Send + 'static,
        H: Future<Output = ()> + Send + 'static,
    {
        let mut stop = pin!(stop);
        let peers = Arc::new(Peers::default());
        // Dropped at the end, and with this future.
        let tasks = Tasks(Arc::default());
        while let Some((stream, address)) = before(stop.as_mut(), self.accept(&tasks.0)).await {
            let (prepare, handler, peers) = (prepare.clone(), handler.clone(), Arc::clone(&peers));
            let (report, time) = (self.options.report.clone(), self.options.settings.connect_timeout);
            let serve = async move {
                let prepared = within(time, prepare(stream)).await;
                match prepared.unwrap_or_else(|| Err(ErrorKind::TimedOut.into())) {
                    Ok(mut socket) => {
                        let _guard = peers.add(socket.reply().sender());
                        handler(socket, address).await;
                    }
                    Err(error) => report.call(error),
                }
            };
            spawn(tasks.track(serve));
        }
        drop(self.listener);
        peers.close();
        within(Some(self.options.grace), tasks.0.at_most(0)).await;
    }

    /// The next connection, once there is room for it.
    async fn accept(&self, running: &Running) -> (TcpStream, SocketAddr) {
        running.at_most(self.options.max_connections - 1).await;
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) if tune(&stream).is_ok() => return (stream, address),
                // The peer is gone already.
                Ok(_) => {}
                Err(error) => {
                    let delay = delay_after(&error);
                    self.options.report.call(error);
                    if let Some(delay) = delay {
                        Timer::after(delay).await;
                    }
                }
            }
        }
    }
}

impl From<TcpListener> for Server {
    fn from(listener: TcpListener) -> Self {
        Self { listener, options: Options::default() }
    }
}

/// The tasks of a server. Once it is dropped, they are.
struct Tasks(Arc<Running>);

#[derive(Default)]
struct Running {
    count: AtomicUsize,
    /// A task has ended.
    ended: Event,
    /// The server is dropped.
    dropped: Event,
}

impl Tasks {
    /// Counts a task, and drops it with the server.
    fn track(&self, task: impl Future<Output = ()> + Send + 'static) -> ServerTask {
        self.0.count.fetch_add(1, SeqCst);
        let (place, dropped) = (Place(Arc::clone(&self.0)), self.0.dropped.listen());
        Box::pin(async move {
            let _place = place;
            before(pin!(dropped), task).await;
        })
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.dropped.notify(usize::MAX);
    }
}

impl Running {
    /// Waits until no more than `count` tasks run.
    async fn at_most(&self, count: usize) {
        loop {
            let ended = self.ended.listen();
            if self.count.load(SeqCst) <= count {
                return;
            }
            ended.await;
        }
    }
}

/// A running task.
struct Place(Arc<Running>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, SeqCst);
        self.0.ended.notify(usize::MAX);
    }
}
