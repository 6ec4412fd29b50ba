//! One open page: its log, the WebSocket that it talks over, and its race.

use crate::race::Run;
use crate::talk::Order;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;

/// More pages than this at once are refused: each may make the server hold a message or two of the largest size.
const MAX_SESSIONS: usize = 64;
/// Entries that wait to be sent; what does not fit is counted and dropped.
const MAX_WAITING: usize = 1024;

/// Microseconds of the server's clock.
pub fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_micros() as u64
}

#[derive(Default)]
pub struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

impl Sessions {
    /// A new session under a name that nobody can guess, and its log; `None` where there are too many.
    pub fn open(&self) -> Option<(String, Arc<Session>, mpsc::Receiver<String>)> {
        let mut sessions = lock(&self.0);
        if sessions.len() >= MAX_SESSIONS {
            return None;
        }
        let name = format!("{:016x}", rand::random::<u64>());
        let (log, entries) = mpsc::channel(MAX_WAITING);
        let session = Arc::new(Session {
            log,
            missed: AtomicU64::new(0),
            talks: AtomicU32::new(0),
            orders: Mutex::default(),
            run: Mutex::default(),
        });
        sessions.insert(name.clone(), Arc::clone(&session));
        Some((name, session, entries))
    }

    pub fn find(&self, name: &str) -> Option<Arc<Session>> {
        lock(&self.0).get(name).cloned()
    }

    pub fn close(&self, name: &str) {
        lock(&self.0).remove(name);
    }
}

pub struct Session {
    log: mpsc::Sender<String>,
    missed: AtomicU64,
    talks: AtomicU32,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    run: Mutex<Option<Arc<Run>>>,
}

impl Session {
    /// Tells the page: `fields` are those of a JSON object.
    pub fn log(&self, fields: &str) {
        let entry = format!(r#"{{"at":{},{fields}}}"#, now());
        if self.log.try_send(entry).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many entries the page has missed since the last call.
    pub fn take_missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }

    /// A new WebSocket to talk over, its number, and where its orders come from. Those of the one before it end.
    pub fn begin_talk(&self) -> (u32, mpsc::Receiver<Order>) {
        let (orders, to_follow) = mpsc::channel(16);
        *lock(&self.orders) = Some(orders);
        (self.talks.fetch_add(1, Ordering::Relaxed) + 1, to_follow)
    }

    /// Hands an order to the WebSocket that the page talks over; one that does not keep up is not waited for.
    pub fn order(&self, order: Order) {
        if let Some(orders) = &*lock(&self.orders) {
            let _ = orders.try_send(order);
        }
    }

    /// Ends whatever the page has begun.
    pub fn end(&self) {
        *lock(&self.orders) = None;
        self.set_run(None);
    }

    pub fn run(&self) -> Option<Arc<Run>> {
        lock(&self.run).clone()
    }

    pub fn set_run(&self, run: Option<Arc<Run>>) {
        if let Some(before) = std::mem::replace(&mut *lock(&self.run), run) {
            before.stop();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
