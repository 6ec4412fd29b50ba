//! REST against WebSocket: the same small updates by polling, by long polling and pushed, over
//! loopback TCP.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench rest_vs_websocket` prints a table after
//! a minute and draws `examples/figures/rest_vs_websocket.svg`; with `-- --test` it takes seconds and draws
//! nothing.
//!
//! - **Updates** are JSON of about 40 bytes, 1, 10 and 100 a second, at random moments, so that no
//!   poll is in step with them. Each way must deliver all of them, in order.
//! - **Bytes** are counted at the server's socket, in both directions, from the first request to the
//!   end: heads, bodies, handshake and frames, without the headers of TCP and IP.
//! - **Requests** have the head that Chromium 156 sends with `fetch` (no cookies). The WebSocket's
//!   handshake has Chromium's headers too, except for the offer of compression. Responses have a
//!   short head: type, length and `no-store`; a poll without updates gets a 204. HTTP connections
//!   are kept alive; a poll returns all updates since the last one.
//! - **Delay** is the time from the creation of an update until the client has read it, by one
//!   clock: both ends are threads of this process.
//! - **CPU** is the CPU time of both ends' threads, from the kernel (Linux only).
//!
//! All of it runs at once: the load is low, and all ways run under the same conditions.

mod chart;
mod http;
mod push;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const RATES: [u32; 3] = [1, 10, 100];
const WAYS: [Way; 5] = [
    Way::Poll(Duration::from_millis(100)),
    Way::Poll(Duration::from_secs(1)),
    Way::Poll(Duration::from_secs(5)),
    Way::LongPoll,
    Way::Push,
];

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Poll(Duration),
    LongPoll,
    Push,
}

impl Way {
    fn name(self) -> String {
        match self {
            Self::Poll(interval) if interval.subsec_millis() > 0 => {
                format!("poll every {} ms", interval.as_millis())
            }
            Self::Poll(interval) => format!("poll every {} s", interval.as_secs()),
            Self::LongPoll => "long poll".into(),
            Self::Push => "WebSocket".into(),
        }
    }
}

/// The results of one way at one rate.
struct Outcome {
    rate: u32,
    way: Way,
    updates: u32,
    requests: u64,
    bytes: u64,
    /// Sorted.
    delays: Vec<Duration>,
    cpu: Option<Duration>,
}

impl Outcome {
    fn bytes_per_update(&self) -> f64 {
        self.bytes as f64 / f64::from(self.updates)
    }

    /// The delay that this share of the updates does not exceed, by the nearest rank.
    fn delay(&self, share: f64) -> Duration {
        let rank = (self.delays.len() as f64 * share).ceil() as usize;
        self.delays[rank.max(1) - 1]
    }
}

fn main() -> Result<()> {
    let test = std::env::args().any(|arg| arg == "--test");
    let seconds = if test { 2 } else { 60 };
    let mut lanes = Vec::new();
    for rate in RATES {
        let feed = Arc::new(Feed::default());
        for way in WAYS {
            let feed = Arc::clone(&feed);
            lanes.push(thread::spawn(move || run(rate, seconds, way, &feed)));
        }
        thread::spawn(move || feed.fill(rate, seconds));
    }
    let mut outcomes = Vec::new();
    for lane in lanes {
        outcomes.push(lane.join().map_err(|_| "a lane panicked")??);
    }
    print(&outcomes, seconds);
    if !test {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/figures/rest_vs_websocket.svg");
        std::fs::write(path, chart::draw(&outcomes))?;
    }
    Ok(())
}

fn print(outcomes: &[Outcome], seconds: u32) {
    println!("{seconds} s, all at once; bytes at the server's socket, both directions");
    for outcomes in outcomes.chunks(WAYS.len()) {
        let rate = outcomes[0].rate;
        println!(
            "\n{:<20} {:>12} {:>12} {:>12} {:>12} {:>9}",
            format!("{rate} update{} a second", if rate == 1 { "" } else { "s" }),
            "bytes/update",
            "median delay",
            "99 % within",
            "CPU/update",
            "requests"
        );
        for outcome in outcomes {
            println!(
                "{:<20} {:>12.0} {:>12} {:>12} {:>12} {:>9}",
                outcome.way.name(),
                outcome.bytes_per_update(),
                text(outcome.delay(0.5)),
                text(outcome.delay(0.99)),
                outcome.cpu.map_or("–".into(), |cpu| text(cpu / outcome.updates)),
                outcome.requests,
            );
        }
    }
}

/// A time in about three digits.
fn text(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..9.95 => format!("{micros:.1} µs"),
        ..999.5 => format!("{micros:.0} µs"),
        ..9_995.0 => format!("{:.1} ms", micros / 1e3),
        ..999_500.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

/// One server and one client, until the client has all updates.
fn run(rate: u32, seconds: u32, way: Way, feed: &Arc<Feed>) -> Result<Outcome> {
    let updates = rate * seconds;
    let counter = Arc::new(Counter::default());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (server_feed, server_counter) = (Arc::clone(feed), Arc::clone(&counter));
    let server = thread::spawn(move || -> Result<_> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let stream = Counted { stream, counter: server_counter };
        match way {
            Way::Push => push::serve(stream, &server_feed, updates)?,
            Way::Poll(_) | Way::LongPoll => http::serve(stream, &server_feed)?,
        }
        Ok(cpu_of_this_thread())
    });
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let before = cpu_of_this_thread();
    let mut log = Log { feed, updates, delays: Vec::new() };
    match way {
        Way::Push => push::listen(stream, &mut log)?,
        Way::Poll(interval) => http::poll(stream, &mut log, Some(interval))?,
        Way::LongPoll => http::poll(stream, &mut log, None)?,
    }
    let client_cpu = cpu_of_this_thread().zip(before).map(|(after, before)| after - before);
    let server_cpu = server.join().map_err(|_| "a server panicked")??;
    let mut delays = log.delays;
    delays.sort();
    Ok(Outcome {
        rate,
        way,
        updates,
        requests: counter.requests.load(Relaxed),
        bytes: counter.bytes.load(Relaxed),
        delays,
        cpu: client_cpu.zip(server_cpu).map(|(client, server)| client + server),
    })
}

/// The CPU time of this thread: the first field of schedstat.
fn cpu_of_this_thread() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The source of the updates.
struct Feed {
    start: Instant,
    updates: Mutex<VecDeque<(u32, String)>>,
    changed: Condvar,
}

impl Default for Feed {
    fn default() -> Self {
        Self { start: Instant::now(), updates: Mutex::default(), changed: Condvar::new() }
    }
}

impl Feed {
    fn fill(&self, rate: u32, seconds: u32) {
        // All clients have connected by then.
        let start = Instant::now() + Duration::from_millis(300);
        let mut value = 20.0;
        for number in 0..rate * seconds {
            let moment = (f64::from(number) + rand::random::<f64>()) / f64::from(rate);
            thread::sleep(
                (start + Duration::from_secs_f64(moment)).saturating_duration_since(Instant::now()),
            );
            value += rand::random::<f64>() - 0.5;
            let id = number + 1;
            let mut updates = self.updates.lock().unwrap();
            let at = self.start.elapsed().as_micros();
            updates.push_back((id, format!(r#"{{"id":{id},"at":{at},"value":{value:.2}}}"#)));
            drop(updates);
            self.changed.notify_all();
        }
    }

    /// The updates after this one, without waiting.
    fn since(&self, after: u32) -> Vec<(u32, String)> {
        Self::after(&self.updates.lock().unwrap(), after)
    }

    /// The updates after this one; waits until there are some.
    fn wait_since(&self, after: u32) -> Vec<(u32, String)> {
        let updates = self.updates.lock().unwrap();
        let none = |updates: &mut VecDeque<(u32, String)>| updates.back().is_none_or(|(id, _)| *id <= after);
        Self::after(&self.changed.wait_while(updates, none).unwrap(), after)
    }

    fn after(updates: &VecDeque<(u32, String)>, after: u32) -> Vec<(u32, String)> {
        let known = updates.partition_point(|(id, _)| *id <= after);
        updates.range(known..).cloned().collect()
    }
}

/// The delays of a client's updates, in order.
struct Log<'l> {
    feed: &'l Feed,
    updates: u32,
    delays: Vec<Duration>,
}

impl Log<'_> {
    fn last(&self) -> u32 {
        self.delays.len() as u32
    }

    fn is_complete(&self) -> bool {
        self.last() == self.updates
    }

    /// Records the updates in JSON that has just been read; an update must not be missing.
    fn take(&mut self, json: &str) -> Result<()> {
        let now = self.feed.start.elapsed();
        for update in json.split('{').skip(1) {
            let number = |name: &str| -> Option<u64> {
                let (_, rest) = update.split_once(name)?;
                rest.split([',', '}']).next()?.parse().ok()
            };
            let (id, at) = number("\"id\":").zip(number("\"at\":")).ok_or("no update")?;
            if id != u64::from(self.last()) + 1 {
                return Err(format!("update {id} after {}", self.last()).into());
            }
            self.delays.push(now.saturating_sub(Duration::from_micros(at)));
        }
        Ok(())
    }
}

#[derive(Default)]
struct Counter {
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// A server's socket, which counts its bytes.
struct Counted {
    stream: TcpStream,
    counter: Arc<Counter>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.counter.bytes.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.counter.bytes.fetch_add(written as u64, Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
