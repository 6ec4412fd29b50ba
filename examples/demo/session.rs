//! A session is one open page: its log, its `talk` connection and its race.

use crate::race::Run;
use crate::talk::Order;
use sansocket_io::Sender;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;

/// The maximum number of open pages. Each can make the server hold two large messages.
const MAX_SESSIONS: usize = 64;

/// Microseconds of the server's clock.
pub fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_micros() as u64
}

#[derive(Default)]
pub struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

impl Sessions {
    /// Creates a session, whose log is sent to the page. Returns its random name too; `None` if
    /// there are too many.
    pub fn open(&self, log: Sender) -> Option<(String, Arc<Session>)> {
        let mut sessions = lock(&self.0);
        if sessions.len() >= MAX_SESSIONS {
            return None;
        }
        let name = format!("{:016x}", rand::random::<u64>());
        let session = Arc::new(Session {
            log,
            missed: AtomicU64::new(0),
            talks: AtomicU32::new(0),
            orders: Mutex::default(),
            run: Mutex::default(),
        });
        sessions.insert(name.clone(), Arc::clone(&session));
        Some((name, session))
    }

    pub fn find(&self, name: &str) -> Option<Arc<Session>> {
        lock(&self.0).get(name).cloned()
    }

    pub fn close(&self, name: &str) {
        lock(&self.0).remove(name);
    }
}

pub struct Session {
    log: Sender,
    missed: AtomicU64,
    talks: AtomicU32,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    run: Mutex<Option<Arc<Run>>>,
}

impl Session {
    /// Logs an entry to the page. `at` is its time; `fields` are the fields of a JSON object.
    pub fn log(&self, at: u64, fields: &str) {
        let entry = format!(r#"{{"at":{at},{fields}}}"#);
        if self.log.try_send(entry).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of entries dropped since the last call.
    pub fn take_missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }

    /// Registers a new `talk` connection. Returns its number and its orders. The channel of the
    /// previous one closes.
    pub fn begin_talk(&self) -> (u32, mpsc::Receiver<Order>) {
        let (orders, receiver) = mpsc::channel(16);
        *lock(&self.orders) = Some(orders);
        (self.talks.fetch_add(1, Ordering::Relaxed) + 1, receiver)
    }

    /// Sends an order to the `talk` connection. The order is dropped if the queue is full.
    pub fn order(&self, order: Order) {
        if let Some(orders) = &*lock(&self.orders) {
            let _ = orders.try_send(order);
        }
    }

    /// Ends the page's `talk` connection and race.
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
