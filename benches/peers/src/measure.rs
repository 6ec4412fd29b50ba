//! Runs a row: checks each peer's work, then times it in rounds, with a short turn for each peer in
//! every round.

use crate::{
    heap::counted,
    peers::{Bench, Peer, Receiving, Sending},
    wire::{Kept, READ, Wire},
    work::{Content, Message, Role, Row, Stream, Work, messages},
};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// How long and how often to measure.
pub struct Effort {
    /// 0 measures nothing.
    pub rounds: usize,
    pub turn: Duration,
    /// The number of bytes in a pass, which has at least one message.
    pub pass: usize,
}

/// A peer's results in one row.
pub struct Measured {
    /// Nanoseconds per message: first quartile, median, third quartile.
    pub times: [f64; 3],
    /// Heap allocations per message, after the first pass.
    pub allocations: f64,
    rounds: Vec<f64>,
}

impl Measured {
    /// The median of the rounds' ratios.
    pub fn ratio(&self, other: &Self) -> f64 {
        quartiles(self.rounds.iter().zip(&other.rounds).map(|(own, other)| own / other).collect())[1]
    }

    /// Subtracts the part of the work that is not the peer's.
    fn subtract(&mut self, part: &Self) {
        self.rounds.iter_mut().for_each(|time| *time -= part.times[1]);
        self.times = quartiles(self.rounds.clone());
        self.allocations -= part.allocations;
    }
}

pub fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

/// A peer's work in a row, and the number of messages in a pass.
pub struct Job {
    pub bench: Box<dyn Bench>,
    pub count: usize,
}

/// The request of the handshakes: 526 bytes, as a browser sends them.
pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nConnection: Upgrade\r\n\
    Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
    AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\nOrigin: http://server.example.com\r\n\
    Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// The accept value for the key of [`REQUEST`], from RFC 6455 section 1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The server's response in the client's handshake.
fn server(request: &[u8]) -> Vec<u8> {
    let key = request.windows(19).position(|name| name.eq_ignore_ascii_case(b"sec-websocket-key: "));
    let key = &request[key.expect("a key") + 19..][..24];
    let accept = tungstenite::handshake::derive_accept_key(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// The server's part of the client's handshake: a request is written, and the response is read.
fn server_alone() -> Job {
    let mut wire = Wire::answering(server);
    let request = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut buffer = [0; 1024];
    let bench = Box::new(move || {
        wire.reset();
        wire.write(request.as_bytes());
        wire.read(&mut buffer);
    });
    Job { bench, count: 1 }
}

/// Makes the peer's bench for a row, and checks that it does the work.
fn prepare(peer: &Peer, row: &Row, amount: usize) -> Option<Job> {
    match row.work {
        Work::Receive { role, content, len, fragments, read } => {
            let stream = Stream::new(role, content, len, fragments, amount);
            let case = Receiving::new(&stream, role, fragments, read);
            let count = case.count;
            let mut bench = (peer.receive)(case)?;
            // The second pass shows that the first left no state behind.
            for _ in 0..2 {
                same(peer, row, &bench.received(), &stream.messages);
            }
            Some(Job { bench, count })
        }
        Work::Echo { len } => {
            let stream = Stream::new(Role::Server, Content::Binary, len, 1, amount);
            let case = || Receiving::new(&stream, Role::Server, 1, READ);
            let mut checked = case();
            let kept = checked.wire.keep();
            let count = checked.count;
            check_sent(peer, row, (peer.echo)(checked)?, &kept, Role::Server, &stream.messages);
            Some(Job { bench: (peer.echo)(case())?, count })
        }
        Work::Send { role, len } => {
            let message = Stream::new(role, Content::Binary, len, 1, 0).messages.remove(0);
            let case = || Sending::new(message.payload.clone().into(), role, amount);
            let mut checked = case();
            let kept = checked.wire.keep();
            let count = checked.count;
            let sent = vec![message.clone(); count];
            check_sent(peer, row, (peer.send)(checked)?, &kept, role, &sent);
            Some(Job { bench: (peer.send)(case())?, count })
        }
        Work::Accept => {
            let accept = peer.accept?;
            let mut wire = Wire::again(REQUEST.as_bytes().into(), READ);
            let kept = wire.keep();
            accept(&mut wire);
            let response = String::from_utf8(kept.lock().unwrap().clone()).unwrap().to_ascii_lowercase();
            assert!(response.starts_with("http/1.1 101 "), "{}: {response}", peer.name);
            assert!(response.contains(&ACCEPT.to_ascii_lowercase()), "{}: {response}", peer.name);
            let mut wire = Wire::again(REQUEST.as_bytes().into(), READ);
            Some(Job { bench: Box::new(move || accept(&mut wire)), count: 1 })
        }
        Work::Connect => {
            let connect = peer.connect?;
            let mut wire = Wire::answering(server);
            // Each peer asserts that it is open; this checks that the key is new each time.
            let kept = wire.keep();
            for _ in 0..2 {
                wire.reset();
                connect(&mut wire);
            }
            let kept = kept.lock().unwrap();
            let (first, second) = kept.split_at(kept.len() / 2);
            assert!(kept.starts_with(b"GET /chat HTTP/1.1\r\n") && first != second, "{}", peer.name);
            let mut wire = Wire::answering(server);
            let bench = Box::new(move || {
                wire.reset();
                connect(&mut wire);
            });
            Some(Job { bench, count: 1 })
        }
    }
}

fn same(peer: &Peer, row: &Row, got: &[Message], sent: &[Message]) {
    assert!(got == sent, "{}: {}: the messages differ from the originals", peer.name, row.name);
}

fn check_sent(peer: &Peer, row: &Row, mut bench: Box<dyn Bench>, kept: &Kept, role: Role, sent: &[Message]) {
    for _ in 0..2 {
        kept.lock().unwrap().clear();
        bench.pass();
        match messages(&kept.lock().unwrap(), role) {
            Ok(got) => same(peer, row, &got, sent),
            Err(error) => panic!("{}: {}: {error}", peer.name, row.name),
        }
    }
}

/// The CPU time of this thread.
pub fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

impl Job {
    fn passes(&mut self, passes: usize) -> Duration {
        let start = cpu_time();
        for _ in 0..passes {
            self.bench.pass();
        }
        cpu_time() - start
    }

    /// The number of passes in `turn`.
    fn calibrate(&mut self, turn: Duration) -> usize {
        let mut passes = 1;
        loop {
            let took = self.passes(passes);
            if took >= turn / 2 {
                return (passes as f64 * turn.as_secs_f64() / took.as_secs_f64()).ceil() as usize;
            }
            passes *= 2;
        }
    }
}

/// Runs one row, or several that are compared: checks every peer, then times them unless there are
/// no rounds. Returns the results of each row, in the order of the peers.
pub fn run(rows: &[Row], peers: &[&Peer], effort: &Effort) -> Vec<Vec<Option<Measured>>> {
    let all = rows.iter().flat_map(|row| peers.iter().map(move |peer| (row, peer)));
    let mut jobs: Vec<Option<Job>> = all.map(|(row, peer)| prepare(peer, row, effort.pass)).collect();
    if effort.rounds == 0 {
        for (row, jobs) in rows.iter().zip(jobs.chunks(peers.len())) {
            let without = peers.iter().zip(jobs).filter(|(_, job)| job.is_none()).map(|(peer, _)| peer.name);
            let without = without.collect::<Vec<_>>().join("; ");
            let done = jobs.iter().flatten().count();
            println!(
                "{}: {done} checked{}{without}",
                row.name,
                if without.is_empty() { "" } else { "; not supported by: " }
            );
        }
        return Vec::new();
    }
    let connecting = rows.iter().all(|row| row.work == Work::Connect);
    if connecting {
        jobs.push(Some(server_alone()));
    }
    let mut measured = time(jobs, effort);
    if connecting {
        let alone = measured.pop().flatten().unwrap();
        measured.iter_mut().flatten().for_each(|measured| measured.subtract(&alone));
    }
    let mut measured = measured.into_iter();
    rows.iter().map(|_| measured.by_ref().take(peers.len()).collect()).collect()
}

/// Times the jobs of one row, of each peer that does the work.
pub fn time(mut jobs: Vec<Option<Job>>, effort: &Effort) -> Vec<Option<Measured>> {
    let allocations = |job: &mut Job| {
        job.bench.pass();
        let (_, allocations, _) = counted(|| job.passes(4));
        allocations as f64 / (4 * job.count) as f64
    };
    let allocations = jobs.iter_mut().map(|job| job.as_mut().map_or(0.0, allocations));
    let allocations: Vec<f64> = allocations.collect();
    let passes = jobs.iter_mut().map(|job| job.as_mut().map_or(0, |job| job.calibrate(effort.turn)));
    let passes: Vec<usize> = passes.collect();
    let mut rounds = vec![Vec::with_capacity(effort.rounds); jobs.len()];
    for round in 0..effort.rounds {
        // Another peer is first in each round.
        for turn in 0..jobs.len() {
            let at = (round + turn) % jobs.len();
            if let Some(job) = &mut jobs[at] {
                let took = job.passes(passes[at]);
                rounds[at].push(took.as_secs_f64() * 1e9 / (passes[at] * job.count) as f64);
            }
        }
    }
    let measured = rounds.into_iter().zip(allocations).map(|(rounds, allocations)| {
        (!rounds.is_empty()).then(|| Measured { times: quartiles(rounds.clone()), allocations, rounds })
    });
    measured.collect()
}
