//! Our examples with compression against other implementations, each as client and as server: a
//! thousand messages each, with context takeover and without. See `tests/interop.rs`.

#[allow(dead_code)]
#[path = "interop/process.rs"]
mod process;

use process::{Process, example};
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The script of a library; `None` if the peers are not installed.
fn script(library: &str) -> Option<Command> {
    let Some(peers) = env::var_os("SANSOCKET_PEERS").map(PathBuf::from) else {
        let required = env::var_os("SANSOCKET_INTEROP").is_some_and(|value| value == "required");
        assert!(!required, "the peers are absent");
        let _ = writeln!(io::stderr(), "skipped: the peers are absent");
        return None;
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    let mut command = match library {
        "ws" | "undici" => Command::new("node"),
        _ => Command::new(peers.join("venv/bin/python")),
    };
    command.arg(here.join(if library == "ws" || library == "undici" { "deflate.mjs" } else { "deflate.py" }));
    command.arg(library);
    Some(command)
}

/// Starts the deadline after the examples are built.
fn deadline() -> Instant {
    example("echo_server");
    Instant::now() + Duration::from_secs(60)
}

/// The library's client, with these options, talks to our echo server.
fn client_of(library: &str, cases: &[(&[&str], &[&str])]) {
    for (of_server, of_client) in cases {
        let Some(mut script) = script(library) else { return };
        let deadline = deadline();
        let mut command = Command::new(example("echo_server"));
        command.args(["127.0.0.1:0", "--deflate"]).args(*of_server);
        let server = Process::start(&mut command, deadline).unwrap();
        let url = format!("ws://{}/", server.output.listening());
        let mut client = Process::start(script.args(["client", &url]).args(*of_client), deadline).unwrap();
        client.output.expect("1000 messages");
        assert!(client.exit().success(), "{library} {of_server:?} {of_client:?}");
    }
}

/// Our client echoes what the library's server sends, whole and in pieces.
fn server_of(library: &str) {
    for option in [&["--deflate"][..], &["--deflate", "--pieces"]] {
        let Some(mut script) = script(library) else { return };
        let deadline = deadline();
        let server = Process::start(script.arg("server"), deadline).unwrap();
        let url = format!("ws://{}", server.output.listening());
        let mut command = Command::new(example("autobahn_client"));
        let mut client = Process::start(command.args([&url, "sansocket"]).args(option), deadline).unwrap();
        server.output.expect("1000 messages");
        assert!(client.exit().success(), "{library} {option:?}");
    }
}

const OURS: [&[&str]; 5] = [
    &[],
    &["--pieces"],
    &["--level", "codes", "--window", "10"],
    &["--no-takeover", "--level", "better"],
    &["--window", "9", "--pieces"],
];

#[test]
fn clients_of_python_websockets() {
    let theirs: [&[&str]; 5] = [&[], &["9", "yes"], &["12", "no"], &["15", "yes"], &["10", "no"]];
    client_of("websockets", &OURS.into_iter().zip(theirs).collect::<Vec<_>>());
}

#[test]
fn clients_of_aiohttp() {
    let theirs: [&[&str]; 5] = [&[], &["9"], &["12"], &["15"], &["11"]];
    client_of("aiohttp", &OURS.into_iter().zip(theirs).collect::<Vec<_>>());
}

#[test]
fn clients_of_npm_ws() {
    let theirs: [&[&str]; 5] = [&[], &["9", "yes"], &["12", "no"], &["15", "yes"], &["10", "no"]];
    client_of("ws", &OURS.into_iter().zip(theirs).collect::<Vec<_>>());
}

#[test]
fn clients_of_undici() {
    client_of("undici", &OURS.map(|ours| (ours, &[][..])));
}

#[test]
fn servers_of_python_websockets() {
    server_of("websockets");
}

#[test]
fn servers_of_aiohttp() {
    server_of("aiohttp");
}

#[test]
fn servers_of_npm_ws() {
    server_of("ws");
}
