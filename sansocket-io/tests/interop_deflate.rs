//! Our examples with compression against other implementations, each as client and as server: a
//! thousand messages each, of up to 70,000 bytes, with Pings between them. Each case has other
//! windows, with context takeover or without, and our levels and deliveries. See
//! `tests/interop.rs`.
//!
//! | | | |
//! |---|---|---|
//! | `deflate.py` | websockets, aiohttp | `tests/interop/setup DIR` |
//! | `deflate.mjs` | ws, undici (as client) | the same |
//! | `deflate_rust` | sockudo-ws, yawc | the same |
//! | `deflate.cpp` | Boost.Beast | the same, after `apt-get install g++ libboost-dev` |
//! | `deflate.go` | gorilla/websocket, nhooyr.io/websocket | not in CI, because Go takes 450 MB |
//!
//! ```sh
//! apt-get install golang-go golang-github-gorilla-websocket-dev golang-nhooyr-websocket-dev
//! tests/interop/setup DIR
//! SANSOCKET_PEERS=DIR cargo test --features deflate --test interop_deflate -- --ignored
//! ```

#[allow(dead_code)]
#[path = "interop/process.rs"]
mod process;

use process::{Output, Process, example};
use std::env;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// The program of a library; `None` if the peers are not installed.
fn program(library: &str) -> Option<Command> {
    let Some(peers) = env::var_os("SANSOCKET_PEERS").map(PathBuf::from) else {
        let required = env::var_os("SANSOCKET_INTEROP").is_some_and(|value| value == "required");
        assert!(!required, "the peers are absent");
        let _ = writeln!(io::stderr(), "skipped: the peers are absent");
        return None;
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    let (program, script) = match library {
        "websockets" | "aiohttp" => (peers.join("venv/bin/python"), Some("deflate.py")),
        "ws" | "undici" => ("node".into(), Some("deflate.mjs")),
        "sockudo-ws" | "yawc" => (peers.join("deflate_rust"), None),
        "beast" => (peers.join("deflate_cpp"), None),
        _ => (peers.join("deflate_go"), None),
    };
    let mut command = Command::new(program);
    command.args(script.map(|script| scripts.join(script))).arg(library);
    Some(command)
}

/// Starts the deadline after the examples are built.
fn deadline() -> Instant {
    example("echo_server");
    Instant::now() + Duration::from_secs(60)
}

/// The options of a case: those of our example, and the peer's.
type Case<'a> = (&'a [&'a str], &'a [&'a str]);

/// The library's client talks to our echo server.
fn client_of(library: &str, cases: &[Case<'_>]) {
    for case @ (ours, theirs) in cases {
        let Some(mut program) = program(library) else { return };
        let deadline = deadline();
        let mut command = Command::new(example("echo_server"));
        command.args(["127.0.0.1:0", "--deflate"]).args(*ours);
        let server = Process::start(&mut command, deadline).unwrap();
        let wire = Wire::to(server.output.listening());
        let url = format!("ws://{}/", wire.address);
        let mut client = Process::start(program.args(["client", &url]).args(*theirs), deadline).unwrap();
        wire.check(library, case, &client.output);
        assert!(client.exit().success(), "{library} {case:?}");
    }
}

/// Our client echoes what the library's server sends.
fn server_of(library: &str, cases: &[Case<'_>]) {
    for case @ (ours, theirs) in cases {
        let Some(mut program) = program(library) else { return };
        let deadline = deadline();
        let server = Process::start(program.arg("server").args(*theirs), deadline).unwrap();
        let wire = Wire::to(server.output.listening());
        let url = format!("ws://{}", wire.address);
        let mut command = Command::new(example("autobahn_client"));
        command.args([&url, "sansocket", "--deflate"]).args(*ours);
        let mut client = Process::start(&mut command, deadline).unwrap();
        wire.check(library, case, &server.output);
        assert!(client.exit().success(), "{library} {case:?}");
    }
}

/// Forwards connections to a server, and counts the bytes in each direction.
struct Wire {
    address: String,
    counts: Arc<[AtomicUsize; 2]>,
}

impl Wire {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let counts: Arc<[AtomicUsize; 2]> = Arc::default();
        let wire = Self { address, counts: Arc::clone(&counts) };
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                let ends = [[client.try_clone(), server.try_clone()], [Ok(server), Ok(client)]];
                for (direction, ends) in ends.into_iter().enumerate() {
                    let [from, to] = ends.map(Result::unwrap);
                    let counts = Arc::clone(&counts);
                    // An error ends the direction, as the end of the stream does.
                    thread::spawn(move || forward(from, to, &counts[direction]));
                }
            }
        });
        wire
    }

    /// The peer has exchanged all messages, and both directions were compressed. (undici only
    /// decompresses.)
    fn check(&self, library: &str, case: &Case<'_>, peer: &Output) {
        let line = peer.next().unwrap_or_default();
        let total = line.strip_prefix("1000 messages, ").and_then(|line| line.strip_suffix(" bytes"));
        let total: usize = total.unwrap_or_else(|| panic!("{library} {case:?}: {line}")).parse().unwrap();
        let compressed = if library == "undici" { &self.counts[1..] } else { &self.counts[..] };
        for count in compressed {
            let count = count.load(SeqCst);
            assert!(count < total / 2, "{library} {case:?}: {count} bytes on the wire for {total}");
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, count: &AtomicUsize) -> io::Result<()> {
    to.set_nodelay(true)?;
    let mut buffer = [0; 1460];
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return to.shutdown(Shutdown::Write);
        }
        count.fetch_add(len, SeqCst);
        to.write_all(&buffer[..len])?;
    }
}

/// For peers with any window, with context takeover and without. Together, the cases have each of
/// our levels and deliveries. Our windows are not smaller than those that the peer is told to use:
/// otherwise a server of `ws` refuses the request.
const CASES: [Case<'_>; 6] = [
    (&[], &[]),
    (&["--pieces"], &["9", "yes"]),
    (&["--level", "codes", "--window", "12"], &["10", "no"]),
    (&["--no-takeover", "--level", "better"], &["15", "yes"]),
    (&["--window", "9", "--pieces"], &[]),
    (&["--window", "11", "--pieces", "--level", "better"], &["11", "yes"]),
];

/// For peers whose only option is context takeover.
const WINDOW_15: [Case<'_>; 4] = [
    (&[], &["yes"]),
    (&["--pieces"], &["no"]),
    (&["--no-takeover", "--level", "better"], &["yes"]),
    (&["--level", "codes", "--pieces"], &["yes"]),
];

#[test]
fn clients_of_python_websockets() {
    client_of("websockets", &CASES);
}

#[test]
fn servers_of_python_websockets() {
    server_of("websockets", &CASES);
}

#[test]
fn clients_of_aiohttp() {
    let cases = CASES.map(|(ours, theirs)| (ours, theirs.get(..1).unwrap_or_default()));
    client_of("aiohttp", &cases);
}

#[test]
fn servers_of_aiohttp() {
    server_of("aiohttp", &CASES.map(without_options));
}

#[test]
fn clients_of_npm_ws() {
    client_of("ws", &CASES);
}

#[test]
fn servers_of_npm_ws() {
    server_of("ws", &CASES);
}

#[test]
fn clients_of_undici() {
    client_of("undici", &CASES.map(without_options));
}

#[test]
fn clients_of_beast() {
    client_of("beast", &CASES);
}

#[test]
fn servers_of_beast() {
    server_of("beast", &CASES);
}

#[test]
fn clients_of_sockudo_ws() {
    client_of("sockudo-ws", &CASES);
}

#[test]
fn servers_of_sockudo_ws() {
    server_of("sockudo-ws", &CASES);
}

#[test]
fn clients_of_yawc() {
    client_of("yawc", &CASES);
}

/// It declines a list of offers: ours with a limit of the server's window have a second without,
/// except for pieces.
#[test]
fn servers_of_yawc() {
    let has_one_offer = |ours: &[&str]| !ours.contains(&"--window") || ours.contains(&"--pieces");
    let cases: Vec<_> = CASES.into_iter().filter(|(ours, _)| has_one_offer(ours)).collect();
    server_of("yawc", &cases);
}

/// It answers every offer in the same way, which is a valid answer to our second offer: no context
/// takeover, and any window.
#[test]
#[ignore = "needs Go: see above"]
fn servers_of_gorilla_websocket() {
    server_of("gorilla", &WINDOW_15);
    server_of("gorilla", &[(&["--window", "10"], &[])]);
}

/// Our server cannot limit its window, so there are no pieces with a smaller window.
#[test]
#[ignore = "needs Go: see above"]
fn clients_of_gorilla_websocket() {
    client_of("gorilla", &WINDOW_15);
    client_of("gorilla", &[(&["--window", "10"], &[])]);
}

/// Without windows: it fails the connection if the server limits its own window, which RFC 7692
/// section 7.1.2.1 allows without an offer, and refuses the request of a client that offers to
/// limit the server's.
#[test]
#[ignore = "needs Go: see above"]
fn clients_of_nhooyr_websocket() {
    client_of("nhooyr", &WINDOW_15);
}

#[test]
#[ignore = "needs Go: see above"]
fn servers_of_nhooyr_websocket() {
    server_of("nhooyr", &WINDOW_15);
}

fn without_options<'a>((ours, _): Case<'a>) -> Case<'a> {
    (ours, &[])
}
