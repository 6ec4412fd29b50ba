//! A server: accepts connections up to a limit, and ends them in order when it is shut down.

use super::{ServerSocket, Tokio, TokioClock, server, tune};
use crate::peers::{Options, Peers, Report, before};
use crate::tcp::delay_after;
use crate::{Memory, Settings, Socket};
use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use ::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use ::tokio::task::JoinSet;
use ::tokio::time::{sleep, timeout};
use core::pin::pin;
use core::time::Duration;
use sansocket::Role;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Listens, and runs a task for each connection.
///
/// ```no_run
/// use sansocket_io::{Event, tokio::Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = Server::bind("127.0.0.1:9001").await?.max_connections(10_000);
/// let stop = async { /* tokio::signal::ctrl_c().await, for example */ };
/// server
///     .run(stop, |mut socket, peer| async move {
///         if let Err(error) = socket.accept(|request| Ok(request.accept())).await {
///             return eprintln!("{peer}: {error}");
///         }
///         while let Some((event, reply)) = socket.next().await {
///             if let Event::Message(message) = event {
///                 let _ = reply.send(message);
///             }
///         }
///     })
///     .await;
/// # Ok(())
/// # }
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
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
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
        Self {
            options: Options { max_connections: max.clamp(1, Semaphore::MAX_PERMITS), ..self.options },
            ..self
        }
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

    /// Serves until `stop` is ready, and all connections have ended. `handler` gets each connection
    /// before its opening handshake: it calls [`accept`](Socket::accept), and then
    /// [`next`](Socket::next) until that returns `None`.
    pub async fn run<H: Future<Output = ()> + Send + 'static>(
        self,
        stop: impl Future,
        handler: impl Fn(ServerSocket, SocketAddr) -> H + Clone + Send + 'static,
    ) {
        let settings = self.options.settings;
        let prepare = move |stream| async move { Ok(server(stream, settings)) };
        self.run_with(stop, prepare, handler).await;
    }

    /// As [`run`](Self::run), over another stream, or with another machine: `prepare` makes the
    /// connection from the TCP stream, with settings of its own. It has the
    /// [`Settings::connect_timeout`] of the server, for the TLS handshake for example.
    ///
    /// ```no_run
    /// # #[cfg(feature = "deflate")]
    /// # async fn compressed(server: sansocket_io::tokio::Server) {
    /// use sansocket_io::sansocket::deflate;
    /// use sansocket_io::{Settings, tokio::deflate_server};
    /// let prepare =
    ///     |tcp| async { Ok(deflate_server(tcp, Settings::new(), deflate::Settings::server())) };
    /// server.run_with(std::future::pending::<()>(), prepare, |mut socket, _| async move {
    ///     if socket.accept(|request| Ok(request.accept())).await.is_ok() {
    ///         while socket.next().await.is_some() {}
    ///     }
    /// }).await;
    /// # }
    /// ```
    pub async fn run_with<R, S, M, P, H>(
        self,
        stop: impl Future,
        prepare: impl Fn(TcpStream) -> P + Clone + Send + 'static,
        handler: impl Fn(Socket<R, Tokio<S>, TokioClock, M>, SocketAddr) -> H + Clone + Send + 'static,
    ) where
        R: Role,
        S: AsyncRead + AsyncWrite + Unpin,
        M: Memory,
        Socket<R, Tokio<S>, TokioClock, M>: Send,
        P: Future<Output = io::Result<Socket<R, Tokio<S>, TokioClock, M>>> + Send + 'static,
        H: Future<Output = ()> + Send + 'static,
    {
        let mut stop = pin!(stop);
        let mut tasks = JoinSet::new();
        let peers = Arc::new(Peers::default());
        let free = Arc::new(Semaphore::new(self.options.max_connections));
        while let Some((stream, address, permit)) = before(stop.as_mut(), self.accept(&free)).await {
            // Those that have ended.
            while tasks.try_join_next().is_some() {}
            let (prepare, handler, peers) = (prepare.clone(), handler.clone(), Arc::clone(&peers));
            let report = self.options.report.clone();
            let time = self.options.settings.connect_timeout.unwrap_or(Duration::MAX);
            tasks.spawn(async move {
                let _permit = permit;
                match timeout(time, prepare(stream)).await.unwrap_or_else(|late| Err(late.into())) {
                    Ok(mut socket) => {
                        let _guard = peers.add(socket.reply().sender());
                        handler(socket, address).await;
                    }
                    Err(error) => report.call(error),
                }
            });
        }
        drop(self.listener);
        peers.close();
        let ended = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(self.options.grace, ended).await;
        // The rest is dropped with `tasks`.
    }

    /// The next connection, once there is room for it.
    async fn accept(&self, free: &Arc<Semaphore>) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed.
        let permit = Arc::clone(free).acquire_owned().await.ok();
        let (stream, address) = accept_reporting(&self.listener, &self.options.report).await;
        (stream, address, permit)
    }
}

/// The next connection of a listener, for the accept loop of an HTTP stack: with the options that
/// [`tune`] sets. It goes on after errors, of which most are those of a single connection, and
/// waits if there are no more file descriptors, for example.
pub async fn accept_tcp(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    accept_reporting(listener, &Report::default()).await
}

async fn accept_reporting(listener: &TcpListener, report: &Report) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) if tune(&stream).is_ok() => return (stream, address),
            // The peer is gone already.
            Ok(_) => {}
            Err(error) => {
                let delay = delay_after(&error);
                report.call(error);
                if let Some(delay) = delay {
                    sleep(delay).await;
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
