//! REST against WebSocket: the same updates by polling, by long polling and pushed. Counts every
//! byte at the server's socket in both directions: heads, bodies, handshake and frames, but no TCP
//! and IP headers.

use crate::session::now;
use crate::tap::{Direction, Sink};
use crate::{Connection, Result};
use sansocket_io::{Accept, Sender};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// The maximum time of a long poll: shorter than the timeouts of proxies and browsers.
pub const LONGEST_POLL: Duration = Duration::from_secs(25);
const MAX_RATE: u32 = 100;
const MAX_SECONDS: u32 = 60;
/// How many updates are kept: more than arrive between two polls.
const MAX_KEPT: usize = 1024;

#[derive(Clone, Copy)]
pub enum Transport {
    Poll,
    LongPoll,
    Push,
}

#[derive(Default)]
struct Counter {
    requests: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// One race: its updates and counters.
pub struct Run {
    updates: Mutex<VecDeque<(u64, String)>>,
    latest: watch::Sender<u64>,
    push: Mutex<Option<Sender>>,
    counters: [Counter; 3],
    source: Mutex<Option<JoinHandle<()>>>,
}

impl Run {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            updates: Mutex::default(),
            latest: watch::Sender::new(0),
            push: Mutex::default(),
            counters: Default::default(),
            source: Mutex::default(),
        })
    }

    /// Starts the updates, once: `rate` per second for `seconds`. Each update is made at a random
    /// moment of its interval, so that polls cannot be synchronous with updates.
    pub fn go(self: &Arc<Self>, rate: u32, seconds: u32) {
        let (rate, seconds) = (rate.clamp(1, MAX_RATE), seconds.clamp(1, MAX_SECONDS));
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if source.is_some() {
            return;
        }
        let run = Arc::clone(self);
        *source = Some(tokio::spawn(async move {
            let start = Instant::now();
            let mut value = 20.0;
            for number in 0..rate * seconds {
                let moment = f64::from(number) + rand::random::<f64>();
                sleep_until(start + Duration::from_secs_f64(moment / f64::from(rate))).await;
                value += rand::random::<f64>() - 0.5;
                run.add(u64::from(number) + 1, value);
            }
        }));
    }

    pub fn stop(&self) {
        if let Some(source) = self.source.lock().unwrap_or_else(PoisonError::into_inner).take() {
            source.abort();
        }
    }

    fn add(&self, id: u64, value: f64) {
        let update = format!(r#"{{"id":{id},"at":{},"value":{value:.2}}}"#, now());
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        if updates.len() == MAX_KEPT {
            updates.pop_front();
        }
        if let Some(push) = &*self.push.lock().unwrap_or_else(PoisonError::into_inner) {
            // A page that reads too slowly loses updates.
            let _ = push.try_send(&*update);
        }
        updates.push_back((id, update));
        drop(updates);
        self.latest.send_replace(id);
    }

    /// The updates with an id above `after`.
    pub fn since(&self, after: u64) -> Vec<(u64, String)> {
        let updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        updates.iter().filter(|(id, _)| *id > after).cloned().collect()
    }

    /// Waits for an update with an id above `after`, at most for `longest`.
    pub async fn wait(&self, after: u64, longest: Duration) {
        let mut latest = self.latest.subscribe();
        let _ = timeout(longest, latest.wait_for(|latest| *latest > after)).await;
    }

    /// Counts a request of this transport. The returned sink counts its bytes.
    pub fn count(self: &Arc<Self>, transport: Transport) -> Sink {
        let run = Arc::clone(self);
        run.counters[transport as usize].requests.fetch_add(1, Relaxed);
        Box::new(move |_, direction, bytes| {
            let counter = &run.counters[transport as usize];
            let total = if direction == Direction::In { &counter.received } else { &counter.sent };
            total.fetch_add(bytes.len() as u64, Relaxed);
        })
    }

    pub fn counters(&self) -> String {
        let [poll, long_poll, push] = self.counters.each_ref().map(|counter| {
            let [requests, received, sent] =
                [&counter.requests, &counter.received, &counter.sent].map(|count| count.load(Relaxed));
            format!(r#"{{"requests":{requests},"received":{received},"sent":{sent}}}"#)
        });
        let (latest, at) = (*self.latest.borrow(), now());
        format!(
            r#"{{"counters":{{"poll":{poll},"longPoll":{long_poll},"push":{push}}},"latest":{latest},"at":{at}}}"#
        )
    }
}

/// Runs a push connection, to which each update is sent as a message.
pub async fn push(mut connection: Connection, run: &Arc<Run>, accept: Accept<'static>) -> Result<()> {
    connection.transport().0.wire().claim_connection(run.count(Transport::Push));
    let reply = connection.reply();
    reply.accept(accept)?;
    *run.push.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply.sender());
    while connection.next().await.is_some() {}
    Ok(())
}
