//! A page that shows both ends of a WebSocket connection, and its server: run `demo` and open the
//! printed URL. See `--help`.
//!
//! One binary serves all of it on one port. Every connection starts with HTTP, which this crate
//! also parses ([`Config::plain_requests`]): plain GETs are answered and the connection is kept
//! alive, until an upgrade. There are three kinds of WebSockets, one module each: `talk`, the
//! connection that the page shows; `watch`, which carries the server's log to the page and the
//! page's commands to the server; and in `race` the one that is compared with polling and long
//! polling. `tap` records the bytes of each socket.

#[path = "../../sansocket-io/examples/common/mod.rs"]
mod common;
#[path = "../../sansocket-io/examples/common/compression.rs"]
mod compression;
#[cfg(feature = "deflate")]
mod inflate;
mod json;
mod race;
mod session;
mod talk;
mod tap;
mod watch;

use common::{PageServer, Result, is_trusted};
use race::{Run, Transport};
use sansocket::WebSocket;
use sansocket_io::tokio::{Server, Tokio, TokioClock};
use sansocket_io::{Accept, Config, Event, Pooled, Reject, Request, Settings, Socket};
use session::{Session, Sessions};
use std::future::ready;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tap::Tap;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// The role of every connection. Which of them compress is decided when they are accepted.
#[cfg(feature = "deflate")]
type Role = sansocket::deflate::Deflate<sansocket::Server, Vec<u8>>;
#[cfg(not(feature = "deflate"))]
type Role = sansocket::Server;
type Connection = Socket<Role, Tokio<Tap>, TokioClock, Pooled>;

const USAGE: &str = "\
usage: demo [ADDR] [--host NAME]... [--connections N]

Serves a page that shows both ends of a WebSocket. ADDR is an address and a port. Without it, the port is
8080, or any if that one is in use, on 127.0.0.1. Built with the feature `deflate`, it compresses messages.

  --host NAME      a host name of this server, beside its address and localhost
  --connections N  the maximum number of connections (default: 512)
";

/// The maximum message size. The page has buttons for exactly this size, and for one byte more.
pub const MAX_MESSAGE: u64 = 1 << 20;
/// How many bytes of log entries wait for a page. More entries are dropped and counted.
const MAX_LOG: usize = 512 << 10;
/// How long the connections may take to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

struct File {
    path: &'static str,
    kind: &'static str,
    body: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

const FILES: [File; 8] = [
    File { path: "/", kind: HTML, body: include_str!("page/index.html") },
    File { path: "/style.css", kind: CSS, body: include_str!("page/style.css") },
    File { path: "/page.js", kind: JS, body: include_str!("page/page.js") },
    File { path: "/frame.js", kind: JS, body: include_str!("page/frame.js") },
    File { path: "/log.js", kind: JS, body: include_str!("page/log.js") },
    File { path: "/race.js", kind: JS, body: include_str!("page/race.js") },
    File { path: "/chart.js", kind: JS, body: include_str!("page/chart.js") },
    File { path: "/racer.js", kind: JS, body: include_str!("page/racer.js") },
];

/// The page loads nothing from other origins. The isolation gives its scripts a more precise clock.
const FILE_HEADERS: &str = "Content-Security-Policy: default-src 'self'; img-src 'self' data:\r\n\
                            Cross-Origin-Opener-Policy: same-origin\r\n\
                            Cross-Origin-Embedder-Policy: require-corp\r\n\
                            Cache-Control: no-cache\r\n";

fn main() -> ExitCode {
    let parse = |args: &mut _| PageServer::parse(args, 512);
    common::start(USAGE, parse, |options| {
        Builder::new_current_thread().enable_all().build()?.block_on(run(options))?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn run(PageServer { address, hosts, connections }: PageServer) -> Result<()> {
    let hosts: Arc<[String]> = hosts.into();
    let listener = match &address {
        Some(address) => TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?,
        None => match TcpListener::bind("127.0.0.1:8080").await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => TcpListener::bind("127.0.0.1:0").await?,
            bound => bound?,
        },
    };
    let address = listener.local_addr()?;
    let host = if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    println!("listening on {address}\nopen http://{host}/ in a browser");
    let sessions = Arc::new(Sessions::default());
    let serve = move |connection: Connection, peer| {
        let (sessions, hosts) = (Arc::clone(&sessions), Arc::clone(&hosts));
        async move {
            if let Err(error) = serve(connection, &sessions, &hosts).await {
                eprintln!("{peer}: {error}");
            }
        }
    };
    let server = Server::from(listener).max_connections(connections).grace(GRACE);
    server.run_with(interrupt()?, |stream| ready(Ok(connection(stream))), serve).await;
    Ok(())
}

/// A new connection.
fn connection(stream: TcpStream) -> Connection {
    let settings = Settings::new().max_queued(MAX_LOG);
    Socket::new(Tokio(Tap::new(stream)), TokioClock::new(), machine(), Pooled::default(), settings)
}

/// The machine of a new connection, which accepts upgrades and plain requests.
fn machine() -> WebSocket<Role> {
    let config = Config::new().plain_requests(true).max_frame(MAX_MESSAGE).max_message(MAX_MESSAGE);
    #[cfg(feature = "deflate")]
    // A window of 32 KiB, because some browsers do not let a server limit theirs.
    return WebSocket::deflate_server(config, sansocket::deflate::Settings::client(), Vec::new());
    #[cfg(not(feature = "deflate"))]
    WebSocket::server(config)
}

/// Accepts the request without compression, even if that is offered.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables))]
fn decline_deflate(connection: &mut Connection) {
    #[cfg(feature = "deflate")]
    connection.reply().parts_mut().0.decline_deflate();
}

/// What a request asks for. It borrows nothing, so it can be kept until the answer is ready.
enum Route {
    File(&'static File),
    /// `true`: with compression, if the browser offers it.
    Talk(Arc<Session>, Accept<'static>, bool),
    Watch(Accept<'static>),
    Poll(Arc<Run>, u64),
    LongPoll(Arc<Run>, u64),
    Push(Arc<Run>, Accept<'static>),
    Refuse(u16),
}

impl Route {
    /// `trusted`: whether a WebSocket may be opened.
    fn of(request: &Request<'_>, sessions: &Sessions, trusted: bool) -> Self {
        let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let session = || value("session").and_then(|id| sessions.find(id));
        let run = || session().and_then(|session| session.run());
        let after = value("after").and_then(|after| after.parse().ok()).unwrap_or(0);
        if request.is_upgrade() && !trusted {
            return Self::Refuse(403);
        }
        match (path, request.is_upgrade()) {
            ("/talk", true) => session().map_or(Self::Refuse(404), |session| {
                Self::Talk(session, request.accept(), value("compress") != Some("no"))
            }),
            ("/race/push", true) => run().map_or(Self::Refuse(404), |run| Self::Push(run, request.accept())),
            ("/watch", true) => Self::Watch(request.accept()),
            ("/talk" | "/race/push" | "/watch", false) => Self::Refuse(426),
            ("/race/poll", _) => run().map_or(Self::Refuse(404), |run| Self::Poll(run, after)),
            ("/race/long-poll", _) => run().map_or(Self::Refuse(404), |run| Self::LongPoll(run, after)),
            _ => FILES.iter().find(|file| file.path == path).map_or(Self::Refuse(404), Self::File),
        }
    }
}

/// Runs one connection: any number of plain requests, then perhaps a WebSocket.
async fn serve(mut connection: Connection, sessions: &Sessions, hosts: &[String]) -> Result<()> {
    let local = connection.transport().0.local_addr()?.ip();
    let wire = connection.transport().0.wire();
    loop {
        let (route, last) = match connection.next().await {
            Some((Event::Request(request), _)) => {
                let last =
                    request.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
                (Route::of(&request, sessions, is_trusted(&request, local, hosts, &[])), last)
            }
            // The machine answers a malformed request itself. An idle connection may end.
            Some(_) => continue,
            None => return Ok(()),
        };
        // The others are measured, or have nothing to show.
        if !matches!(route, Route::Talk(..)) {
            decline_deflate(&mut connection);
        }
        match route {
            Route::File(file) => {
                wire.claim_nothing();
                let headers = format!("Content-Type: {}\r\n{FILE_HEADERS}", file.kind);
                respond(&mut connection, "200 OK", &headers, file.body, last)?;
            }
            Route::Poll(run, after) => {
                wire.claim_exchange(run.count(Transport::Poll));
                respond_updates(&mut connection, &run, after, last)?;
            }
            Route::LongPoll(run, after) => {
                wire.claim_exchange(run.count(Transport::LongPoll));
                tokio::select! {
                    () = run.wait(after, race::LONGEST_POLL) => {
                        respond_updates(&mut connection, &run, after, last)?;
                    }
                    // Before the answer, there is only an event if the connection ends.
                    _ = connection.next() => {}
                }
            }
            Route::Push(run, accept) => return race::push(connection, &run, accept).await,
            Route::Talk(session, accept, compress) => {
                return talk::talk(connection, &session, accept, compress).await;
            }
            Route::Watch(accept) => return watch::watch(connection, sessions, accept).await,
            Route::Refuse(status) => {
                wire.claim_nothing();
                connection.reply().reject(Reject::status(status))?;
            }
        }
    }
}

/// Nothing is compressed, so nothing is inflated.
#[cfg(not(feature = "deflate"))]
mod inflate {
    use crate::tap::Inflated;

    #[derive(Default)]
    pub struct Inflate;

    impl Inflate {
        pub fn begin_frame(&mut self, _: u8) -> bool {
            false
        }

        pub fn take(&mut self, _: &[u8], _: bool) {}

        pub fn inflated(&self) -> Option<Inflated<'_>> {
            None
        }
    }
}

fn respond_updates(connection: &mut Connection, run: &Run, after: u64, last: bool) -> Result<()> {
    let updates = run.since(after);
    if updates.is_empty() {
        return respond(connection, "204 No Content", "Cache-Control: no-store\r\n", "", last);
    }
    let updates: Vec<_> = updates.into_iter().map(|(_, update)| update).collect();
    let body = format!("[{}]", updates.join(","));
    let headers = "Content-Type: application/json\r\nCache-Control: no-store\r\n";
    respond(connection, "200 OK", headers, &body, last)
}

/// Answers a plain request and keeps the connection alive: a new machine handles the next request.
/// (`WebSocket::reject` would end the connection.)
fn respond(connection: &mut Connection, status: &str, headers: &str, body: &str, last: bool) -> Result<()> {
    let (ws, outbox) = connection.reply().parts_mut();
    write!(outbox, "HTTP/1.1 {status}\r\n{headers}")?;
    if last {
        write!(outbox, "Connection: close\r\n")?;
    }
    if !status.starts_with("204") {
        write!(outbox, "Content-Length: {}\r\n", body.len())?;
    }
    write!(outbox, "\r\n{body}")?;
    *ws = machine();
    if last {
        // The client wants the connection to end.
        ws.receive_eof();
    }
    Ok(())
}

#[cfg(unix)]
fn interrupt() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn interrupt() -> std::io::Result<impl Future> {
    Ok(tokio::signal::ctrl_c())
}
