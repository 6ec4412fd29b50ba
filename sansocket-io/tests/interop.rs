//! Our examples against other WebSocket implementations, each as client and as server.
//!
//! The scripts in `tests/interop/` run those in Python and JavaScript. `tests/interop/setup DIR`
//! installs them, and `SANSOCKET_PEERS=DIR` makes these tests use them. If a peer is not installed,
//! its tests are skipped; with `SANSOCKET_INTEROP=required` they fail.

#[path = "interop/process.rs"]
mod process;
#[path = "interop/tungstenite.rs"]
mod tungstenite;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use process::{Output, Process, example};
use tokio::runtime::Runtime;

/// Payload lengths around the boundaries between the length forms of a frame.
const SIZES: [usize; 6] = [0, 125, 126, 65535, 65536, 1 << 20];
/// Characters of one, two, three and four bytes.
const MIXED: &str = "aé€😀";
const FRAGMENTED: &str = "aé€😀aé€😀aé€😀";
const SUBPROTOCOL: &str = "beta";

fn text(size: usize) -> String {
    MIXED.repeat(size / 10) + &"x".repeat(size % 10)
}

fn binary(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n % 251) as u8).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    PythonWebsockets,
    PythonWsproto,
    NpmWs,
    TokioTungstenite,
}

impl Peer {
    /// The command that runs its script. `tokio-tungstenite` runs within this process.
    fn script(self) -> Option<Command> {
        let peers = env::var_os("SANSOCKET_PEERS").map(PathBuf::from);
        let python = || peers.as_ref().map_or("python3".into(), |peers| peers.join("venv/bin/python"));
        let (program, file) = match self {
            Self::PythonWebsockets => (python(), "peer_websockets.py"),
            Self::PythonWsproto => (python(), "peer_wsproto.py"),
            Self::NpmWs => ("node".into(), "peer_ws.mjs"),
            Self::TokioTungstenite => return None,
        };
        let mut command = Command::new(program);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(file));
        Some(command)
    }
}

/// A test with a peer that is installed.
struct Interop {
    peer: Peer,
    deadline: Instant,
}

/// The server of a peer. It runs until the end of the test.
enum Server {
    Script(Process),
    Here(Output, #[expect(dead_code, reason = "runs the server")] Runtime),
}

impl Server {
    fn output(&self) -> &Output {
        match self {
            Self::Script(process) => &process.output,
            Self::Here(output, _) => output,
        }
    }
}

impl Interop {
    fn with(peer: Peer) -> Option<Self> {
        // Builds all examples once, which can take longer than the deadline.
        example("client");
        let test = Self { peer, deadline: Instant::now() + Duration::from_secs(30) };
        let Some(mut script) = peer.script() else { return Some(test) };
        let absence = match Process::start(script.arg("version"), test.deadline) {
            Err(error) => format!("{script:?}: {error}"),
            Ok(mut process) => {
                if process.exit().success() {
                    return Some(test);
                }
                let log = process.output.log();
                log.lines().find(|line| line.contains("Error: ")).unwrap_or("its script fails").to_owned()
            }
        };
        let required = env::var_os("SANSOCKET_INTEROP").is_some_and(|value| value == "required");
        assert!(!required, "{peer:?} is absent: {absence}");
        // The output of `eprintln` would be captured.
        let _ = writeln!(io::stderr(), "skipped: {peer:?} is absent: {absence}");
        None
    }

    fn start(&self, command: &mut Command) -> Process {
        Process::start(command, self.deadline).unwrap()
    }

    /// Runs a set of the peer's checks against our server.
    fn check(&self, set: &str, flags: &[&str]) {
        let server = self.start(Command::new(example("echo_server")).arg("127.0.0.1:0").args(flags));
        let url = format!("ws://{}/", server.output.listening());
        let Some(mut script) = self.peer.script() else {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let check = async { tokio::time::timeout(left, tungstenite::check(&url, set)).await };
            return Runtime::new().unwrap().block_on(check).expect("deadline missed");
        };
        let mut client = self.start(script.args(["client", &url, set]));
        assert!(client.exit().success());
    }

    /// Starts the peer's server; returns it and its URL.
    fn serve(&self) -> (Server, String) {
        let server = match self.peer.script() {
            Some(mut script) => Server::Script(self.start(script.arg("server"))),
            None => {
                let (printer, output) = Output::new("tokio-tungstenite".to_owned(), self.deadline);
                let runtime = Runtime::new().unwrap();
                runtime.spawn(tungstenite::serve(printer));
                Server::Here(output, runtime)
            }
        };
        let url = format!("ws://{}", server.output().listening());
        (server, url)
    }

    fn our_client(&self, url: &str, path: &str, flags: &[&str]) -> Process {
        self.start(Command::new(example("client")).arg(format!("{url}{path}")).args(flags))
    }

    /// Runs our client without input until it has printed `lines`.
    fn converse(&self, url: &str, path: &str, flags: &[&str], lines: &[&str]) {
        let mut client = self.our_client(url, path, flags);
        for line in lines {
            client.output.expect(line);
        }
        close(&mut client, None, "close: 1000 (clean)");
    }
}

/// Makes our client close, by a command or by the end of its input.
#[track_caller]
fn close(client: &mut Process, command: Option<&str>, event: &str) {
    match command {
        Some(command) => client.send(command),
        None => client.end_input(),
    }
    client.output.expect(event);
    // The codes of applications do not mean success.
    assert_eq!(client.exit().success(), !event.starts_with("close: 3000 "));
}

fn talks_to_our_echo_server(test: &Interop) {
    test.check("echo", &["--protocol", SUBPROTOCOL, "--protocol", "alpha", "--bye", "bye"]);
}

fn gets_pieces_from_our_echo_server(test: &Interop) {
    test.check("pieces", &["--pieces"]);
}

fn exceeds_our_limit(test: &Interop) {
    test.check("limit", &["--max-message", "4096"]);
}

fn is_refused_by_our_echo_server(test: &Interop) {
    test.check("origin", &["--origin", "http://good.example"]);
}

fn our_client_exchanges_messages(test: &Interop) {
    let (_server, url) = test.serve();
    let mut client = test.our_client(&url, "/echo", &[]);
    client.output.expect("open");
    for size in SIZES {
        client.send(text(size));
        client.output.expect(&format!("text: {}", text(size)));
        if size <= 65536 {
            client.send(format!("/binary {}", hex(&binary(size))));
        } else {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{:?}-{size}", test.peer));
            fs::write(&file, binary(size)).unwrap();
            client.send(format!("/file {}", file.display()));
        }
        client.output.expect(&format!("binary: {}", hex(&binary(size))));
    }
    client.send("/fragments one two three");
    client.output.expect("text: onetwothree");
    client.send("/ping ours");
    client.output.expect("pong: ours");
    close(&mut client, None, "close: 1000 (clean)");

    test.converse(&url, "/ping", &[], &["open", "ping: theirs", "text: pong theirs"]);
    let fragmented = format!("text: {FRAGMENTED}");
    test.converse(&url, "/fragments", &[], &["open", "ping: between", &fragmented]);

    // Only these two report the frames of a message.
    if matches!(test.peer, Peer::PythonWebsockets | Peer::PythonWsproto) {
        let mut client = test.our_client(&url, "/frames", &[]);
        client.output.expect("open");
        client.send("/fragments one two three");
        let frames = client.output.next();
        // The last fragment can be empty.
        assert!(["text: 3 frames", "text: 4 frames"].contains(&frames.as_deref().unwrap()), "{frames:?}");
        close(&mut client, None, "close: 1000 (clean)");
    }
}

fn our_client_shakes_hands(test: &Interop) {
    let (_server, url) = test.serve();
    test.converse(
        &url,
        "/echo",
        &["--protocol", "alpha", "--protocol", SUBPROTOCOL],
        &["open protocol=beta"],
    );
    test.converse(&url, "/headers", &["--header", "X-Interop: seen"], &["open", "text: seen"]);
    test.converse(&url, "/glued", &[], &["open", "text: glued", "binary: 00ff"]);

    let mut client = test.our_client(&url, "/refuse", &[]);
    let line = client.output.next().unwrap_or_default();
    assert!(line.starts_with("error: ") && line.contains("403"), "{line}");
    assert_eq!(client.exit().code(), Some(1));
}

fn our_client_closes(test: &Interop) {
    let (server, url) = test.serve();
    for (command, event, seen) in [
        (Some("/close 3000 ours"), "close: 3000 ours (clean)", "closed 3000 ours"),
        (Some("/close"), "close: 1005 (clean)", "closed 1005"),
        (None, "close: 1000 (clean)", "closed 1000"),
    ] {
        let mut client = test.our_client(&url, "/echo", &[]);
        client.output.expect("open");
        close(&mut client, command, event);
        server.output().expect(seen);
    }

    let mut client = test.our_client(&url, "/close", &[]);
    client.output.expect("open");
    client.output.expect("close: 1001 going (clean)");
    assert!(client.exit().success());
    server.output().expect("closed 1001");

    let mut client = test.our_client(&url, "/drop", &[]);
    client.output.expect("open");
    client.output.expect("error: the stream ended without a Close frame");
    client.output.expect("close: 1006 (not clean)");
    assert_eq!(client.exit().code(), Some(1));
}

macro_rules! tests {
    ($($peer:ident: { $($name:ident: $run:ident,)* })*) => {
        $($(
            #[test]
            fn $name() {
                if let Some(test) = Interop::with(Peer::$peer) {
                    $run(&test);
                }
            }
        )*)*
    };
}

tests! {
    PythonWebsockets: {
        python_websockets_talks_to_our_echo_server: talks_to_our_echo_server,
        python_websockets_gets_pieces_from_our_echo_server: gets_pieces_from_our_echo_server,
        python_websockets_exceeds_our_limit: exceeds_our_limit,
        python_websockets_is_refused_by_our_echo_server: is_refused_by_our_echo_server,
        our_client_exchanges_messages_with_python_websockets: our_client_exchanges_messages,
        our_client_shakes_hands_with_python_websockets: our_client_shakes_hands,
        our_client_closes_with_python_websockets: our_client_closes,
    }
    PythonWsproto: {
        python_wsproto_talks_to_our_echo_server: talks_to_our_echo_server,
        python_wsproto_gets_pieces_from_our_echo_server: gets_pieces_from_our_echo_server,
        python_wsproto_exceeds_our_limit: exceeds_our_limit,
        python_wsproto_is_refused_by_our_echo_server: is_refused_by_our_echo_server,
        our_client_exchanges_messages_with_python_wsproto: our_client_exchanges_messages,
        our_client_shakes_hands_with_python_wsproto: our_client_shakes_hands,
        our_client_closes_with_python_wsproto: our_client_closes,
    }
    NpmWs: {
        npm_ws_talks_to_our_echo_server: talks_to_our_echo_server,
        npm_ws_gets_pieces_from_our_echo_server: gets_pieces_from_our_echo_server,
        npm_ws_exceeds_our_limit: exceeds_our_limit,
        npm_ws_is_refused_by_our_echo_server: is_refused_by_our_echo_server,
        our_client_exchanges_messages_with_npm_ws: our_client_exchanges_messages,
        our_client_shakes_hands_with_npm_ws: our_client_shakes_hands,
        our_client_closes_with_npm_ws: our_client_closes,
    }
    TokioTungstenite: {
        tokio_tungstenite_talks_to_our_echo_server: talks_to_our_echo_server,
        tokio_tungstenite_gets_pieces_from_our_echo_server: gets_pieces_from_our_echo_server,
        tokio_tungstenite_exceeds_our_limit: exceeds_our_limit,
        tokio_tungstenite_is_refused_by_our_echo_server: is_refused_by_our_echo_server,
        our_client_exchanges_messages_with_tokio_tungstenite: our_client_exchanges_messages,
        our_client_shakes_hands_with_tokio_tungstenite: our_client_shakes_hands,
        our_client_closes_with_tokio_tungstenite: our_client_closes,
    }
}
