//! What the servers share: their options, their connections, to end them when they stop, and the
//! errors of those that they cannot serve.

use crate::{Sender, Settings};
use core::fmt;
use core::time::Duration;
use sansocket::CloseCode;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(any(feature = "futures-io", feature = "tokio"))]
use {
    core::future::poll_fn,
    core::pin::{Pin, pin},
    core::task::Poll,
};

/// What is called with the error of a connection that is not served.
#[derive(Clone)]
pub(crate) struct Report(Arc<dyn Fn(io::Error) + Send + Sync>);

impl Report {
    pub(crate) fn new(report: impl Fn(io::Error) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    pub(crate) fn call(&self, error: io::Error) {
        (self.0)(error);
    }
}

/// Ignores errors.
impl Default for Report {
    fn default() -> Self {
        Self::new(drop)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").finish_non_exhaustive()
    }
}

/// What a server is told before it runs.
#[derive(Debug)]
pub(crate) struct Options {
    /// The limits of each connection.
    pub(crate) settings: Settings,
    pub(crate) max_connections: usize,
    /// How long the connections may take to end once the server is stopped.
    pub(crate) grace: Duration,
    pub(crate) report: Report,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Settings::new(),
            max_connections: 1000,
            grace: Duration::from_secs(10),
            report: Report::default(),
        }
    }
}

/// The open connections.
#[derive(Default)]
pub(crate) struct Peers(Mutex<Table>);

#[derive(Default)]
struct Table {
    senders: HashMap<u64, Sender>,
    last_id: u64,
    is_closed: bool,
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, until the guard is dropped.
    pub(crate) fn add(self: &Arc<Self>, sender: Sender) -> PeerGuard {
        let mut table = self.lock();
        if table.is_closed {
            close(&sender);
        }
        table.last_id += 1;
        let id = table.last_id;
        table.senders.insert(id, sender);
        PeerGuard { peers: Arc::clone(self), id }
    }

    /// Closes all connections, and those that are added later.
    pub(crate) fn close(&self) {
        let mut table = self.lock();
        table.is_closed = true;
        table.senders.values().for_each(close);
    }

    /// Ends all connections at once.
    #[cfg(feature = "blocking")]
    pub(crate) fn abort(&self) {
        self.lock().senders.values().for_each(Sender::abort);
    }
}

/// "1001 indicates that an endpoint is \"going away\", such as a server going down" (RFC 6455
/// section 7.4.1).
fn close(sender: &Sender) {
    // The code can be sent.
    let _ = sender.close(CloseCode::GOING_AWAY, "");
}

pub(crate) struct PeerGuard {
    peers: Arc<Peers>,
    id: u64,
}

impl Drop for PeerGuard {
    fn drop(&mut self) {
        self.peers.lock().senders.remove(&self.id);
    }
}

/// The output of `future`; `None` if `stop` is ready before.
#[cfg(any(feature = "futures-io", feature = "tokio"))]
pub(crate) async fn before<F: Future>(mut stop: Pin<&mut impl Future>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match stop.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(cx).map(Some),
    })
    .await
}
