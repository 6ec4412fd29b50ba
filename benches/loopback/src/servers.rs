//! The echo servers, each a process of its own, and each in the idiom that makes it fastest.

mod asynchronous;
mod threads;

use std::{
    io::{self, BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// What the load compares.
pub const SERVERS: [Server; 9] = [
    Server { name: "sansocket-io", about: "`tokio::Server`; replies are sent while the message is borrowed" },
    Server {
        name: "tungstenite",
        about: "a thread for each connection; writes are collected until it reads again",
    },
    Server { name: "tokio-tungstenite", about: "`feed`, and `flush` once no message is ready" },
    Server { name: "fastwebsockets", about: "`FragmentCollector`; it writes each frame separately" },
    Server { name: "tokio-websockets", about: "`feed`, and `flush` once no message is ready" },
    Server { name: "sockudo-ws", about: "`feed`, and `flush` once no message is ready" },
    Server { name: "wtx", about: "it writes each frame separately" },
    Server { name: BUN, about: "`Bun.serve`, with uWebSockets inside" },
    Server { name: FLUSHER, about: "`send`, which flushes each message" },
];

pub const BUN: &str = "bun";
/// The server that the pipelined rows are compared with.
pub const FLUSHER: &str = "tokio-tungstenite, send";

pub struct Server {
    pub name: &'static str,
    pub about: &'static str,
}

/// The path of bun, once npm has installed it.
const BUN_PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bun/node_modules/.bin/bun");
const BUN_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bun/server.js");

/// A running server, which ends with this value.
pub struct Process {
    child: Child,
    pub port: u16,
}

impl Process {
    pub fn start(name: &str) -> io::Result<Self> {
        let mut command = match name {
            BUN => Command::new(BUN_PROGRAM),
            _ => Command::new(std::env::current_exe()?),
        };
        match name {
            BUN => command.arg(BUN_SCRIPT),
            _ => command.arg("--serve").arg(name),
        };
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line)?;
        let port = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { child, port })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The version of bun, if it is installed.
pub fn bun_version() -> Option<String> {
    let output = Command::new(BUN_PROGRAM).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a server on a port of the kernel's choice, which it prints.
pub fn serve(name: &str) -> io::Result<()> {
    match name {
        "tungstenite" => threads::serve(),
        _ => asynchronous::serve(name),
    }
}
