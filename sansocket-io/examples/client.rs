//! A WebSocket client for the terminal: sends lines of standard input as messages, prints events.
//! See `--help`.

#[path = "common/mod.rs"]
mod common;
#[path = "common/compression.rs"]
mod compression;

use common::{Parsed, Result, printable};
use compression::{Compression, Encoder};
use sansocket_io::sansocket::{ClientRole, ConnectError, ControlPayload, Fragment};
#[cfg(feature = "deflate")]
use sansocket_io::tokio::deflate_client;
use sansocket_io::tokio::{Tokio, TokioClock, client, connect_tcp};
use sansocket_io::{
    CloseCode, Config, Connect, Delays, Event, Message, Pooled, Reply, Room, Settings, Socket, State,
};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{ExitCode, exit};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::sleep;

const USAGE: &str = "\
usage: client URL [OPTION]...

Sends lines of standard input as text messages, and prints events. URL begins with ws://, or with
wss:// if this is built with the feature `rustls`.

  --protocol P     offer a subprotocol; the first one has the highest preference
  --header 'N: V'  add a header to the request
  --roots FILE     the certificates that are trusted (PEM), for wss://
  --reconnect      connect again after a failure

A line that begins with / is a command:

  /close [CODE [REASON]]  /ping [PAYLOAD]  /binary HEX  /file PATH  /fragments WORD...

//TEXT sends /TEXT. The end of the input closes with code 1000, Ctrl-C with 1001. The exit code is 0 if
the connection was closed cleanly with code 1000, 1001 or none, and 1 otherwise.
";

/// The size of the fragments of a file. With more unsent bytes than this, nothing more is sent.
const CHUNK: usize = 64 << 10;
/// The maximum message size.
const LARGE: u64 = 64 << 20;
/// How long Ctrl-C waits for the connection to be closed.
const STOP: Duration = Duration::from_secs(5);
/// The codes that mean success.
const GOOD: [CloseCode; 3] = [CloseCode::NORMAL, CloseCode::GOING_AWAY, CloseCode::NO_STATUS];

fn main() -> ExitCode {
    let usage = [USAGE, compression::USAGE].concat();
    common::start(&usage, parse, |options| Runtime::new()?.block_on(run(&options)))
}

struct Options {
    url: String,
    protocols: Vec<String>,
    headers: Vec<(String, String)>,
    roots: Option<String>,
    reconnect: bool,
    compression: Compression,
}

fn parse(args: &mut lexopt::Parser) -> Parsed<Options> {
    use lexopt::prelude::*;
    let (mut url, mut protocols, mut headers, mut roots) = (None, vec![], vec![], None);
    let (mut reconnect, mut compression) = (false, Compression::default());
    while let Some(arg) = args.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("protocol") => protocols.push(args.value()?.string()?),
            Long("header") => {
                let header = args.value()?.string()?;
                let (name, value) = header.split_once(':').ok_or_else(|| format!("{header}: not 'N: V'"))?;
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
            Long("roots") => roots = Some(args.value()?.string()?),
            Long("reconnect") => reconnect = true,
            Long(name) if Compression::has_option(name) => compression.take(name.to_owned(), args)?,
            Value(value) if url.is_none() => url = Some(value.string()?),
            _ => return Err(arg.unexpected()),
        }
    }
    let url = url.ok_or("URL is missing")?;
    Ok(Some(Options { url, protocols, headers, roots, reconnect, compression }))
}

async fn run(options: &Options) -> Result<ExitCode> {
    let Options { url, protocols, headers, .. } = options;
    let offered: Vec<&str> = protocols.iter().map(String::as_str).collect();
    let added: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let bad_argument = |error| {
        let argument = match error {
            ConnectError::InvalidProtocol => format!("--protocol {}", protocols.join(" --protocol ")),
            ConnectError::InvalidHeader => "--header".to_owned(),
            _ => url.clone(),
        };
        lexopt::Error::from(format!("{argument}: {error}"))
    };
    let connect = Connect::from_uri(url).map_err(bad_argument)?.protocols(&offered).headers(&added);
    connect.check().map_err(bad_argument)?;
    let mut terminal = Terminal::start(options)?;
    loop {
        let ended = terminal.talk(connect).await;
        if !options.reconnect || matches!(ended, Ok(Some(_))) {
            return Ok(if ended? == Some(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        ended.err().inspect(|error| eprintln!("{error}"));
        tokio::select! {
            () = sleep(terminal.delays.next_delay()) => {}
            _ = terminal.interrupts.recv() => return Ok(ExitCode::FAILURE),
        }
    }
}

struct Terminal<'o> {
    options: &'o Options,
    lines: Receiver<io::Result<String>>,
    /// Ctrl-C, once.
    interrupts: Receiver<()>,
    delays: Delays,
}

impl<'o> Terminal<'o> {
    fn start(options: &'o Options) -> Result<Self> {
        let (sender, lines) = mpsc::channel(64);
        thread::spawn(move || {
            for line in io::stdin().lines() {
                let failed = line.as_ref().is_err_and(|error| error.kind() != ErrorKind::InvalidData);
                if sender.blocking_send(line).is_err() || failed {
                    return;
                }
            }
        });
        let (sender, interrupts) = mpsc::channel(1);
        ctrlc::set_handler(move || {
            // The second one does not wait.
            if sender.try_send(()).is_err() {
                exit(1);
            }
        })?;
        Ok(Self { options, lines, interrupts, delays: Delays::new() })
    }

    /// Runs a connection. Returns whether it was closed with a code that means success; `None` if
    /// it has failed.
    async fn talk(&mut self, connect: Connect<'_>) -> Result<Option<bool>> {
        let settings = Settings::new().config(Config::new().max_frame(LARGE).max_message(LARGE));
        let stream = tokio::select! {
            stream = open(&connect, &settings, self.options.roots.as_deref()) => stream,
            _ = self.interrupts.recv() => return Ok(Some(false)),
        };
        let stream = stream.map_err(|error| format!("{}: {error}", connect.authority()))?;
        #[cfg(feature = "deflate")]
        if let Some(deflate) = self.options.compression.settings() {
            return self.converse(deflate_client(stream, settings, deflate)?, connect).await;
        }
        self.converse(client(stream, settings)?, connect).await
    }

    /// Runs a connection, with compression or without.
    async fn converse<R: ClientRole>(
        &mut self,
        mut socket: Socket<R, Tokio<Box<dyn Stream>>, TokioClock, Pooled>,
        connect: Connect<'_>,
    ) -> Result<Option<bool>> {
        socket.reply().connect(connect)?;
        let mut good = None;
        let mut sending = Sending { encoder: Encoder::default(), file: None };
        loop {
            let is_open = socket.reply().state() == State::Open;
            // Lines wait until the file is sent, and the server has read.
            let is_busy = sending.file.is_some() || socket.reply().unsent() >= CHUNK;
            let next = tokio::select! {
                next = socket.next_or_room(if is_busy { CHUNK } else { 0 }) => next,
                line = self.lines.recv(), if is_open && !is_busy => {
                    let sent = match line {
                        Some(line) => sending.line(socket.reply(), line),
                        None => socket.reply().close(CloseCode::NORMAL, "").map_err(Into::into),
                    };
                    sent.unwrap_or_else(|error| eprintln!("{error}"));
                    continue;
                }
                Some(()) = self.interrupts.recv() => {
                    self.interrupts.close();
                    // Fails if the handshake is not complete.
                    if socket.reply().close(CloseCode::GOING_AWAY, "").is_err() {
                        return Ok(Some(false));
                    }
                    tokio::spawn(async {
                        sleep(STOP).await;
                        exit(1)
                    });
                    continue;
                }
            };
            match next {
                Ok(Some((event, _))) => {
                    // Nobody reads the output.
                    if print(&mut io::stdout().lock(), &event).is_err() {
                        return Ok(Some(false));
                    }
                    match event {
                        Event::Open(open) => {
                            self.delays = Delays::new();
                            sending.encoder = self.options.compression.encoder(&open, false);
                        }
                        Event::Close(close) if close.clean => good = Some(GOOD.contains(&close.code)),
                        _ => {}
                    }
                }
                Ok(None) => break,
                Err(Room) => {
                    sending.fragment(socket.reply()).unwrap_or_else(|error| eprintln!("{error}"));
                }
            }
        }
        socket.failure().inspect(|failure| eprintln!("{failure}"));
        Ok(good)
    }
}

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

#[cfg_attr(not(feature = "rustls"), expect(unused_variables))]
async fn open(connect: &Connect<'_>, settings: &Settings, roots: Option<&str>) -> Result<Box<dyn Stream>> {
    if !connect.is_secure() {
        return Ok(Box::new(connect_tcp(connect, settings).await?));
    }
    #[cfg(feature = "rustls")]
    if let Some(roots) = roots {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        use sansocket_io::tokio::{connect_tls_stream, tokio_rustls::rustls};
        let mut trusted = rustls::RootCertStore::empty();
        trusted.add_parsable_certificates(CertificateDer::pem_file_iter(roots)?.flatten());
        let config = rustls::ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
        return Ok(Box::new(connect_tls_stream(connect, config.into(), settings).await?));
    }
    Err("wss:// is TLS, which needs the feature `rustls` and --roots FILE".into())
}

/// What is being sent.
struct Sending {
    encoder: Encoder,
    file: Option<File>,
}

/// What sends on a connection.
type Server<R> = Reply<R, Tokio<Box<dyn Stream>>, TokioClock, Pooled>;

impl Sending {
    /// Executes a line of the input.
    fn line<R: ClientRole>(&mut self, server: &mut Server<R>, line: io::Result<String>) -> Result<()> {
        let line = line?;
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match command {
            "/close" if rest.is_empty() => {
                let (ws, outbox) = server.parts_mut();
                ws.close_without_code(outbox)?;
            }
            "/close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let code = code.parse().map_err(|_| format!("not a close code: {code}"))?;
                server.close(CloseCode(code), reason)?;
            }
            "/ping" => server.ping(rest.as_bytes())?,
            "/binary" => self.encoder.send(server, &from_hex(rest)?[..])?,
            "/file" => self.file = Some(File::open(rest).map_err(|error| format!("{rest}: {error}"))?),
            "/fragments" => {
                let mut words = rest.split_whitespace().peekable();
                words.peek().ok_or("/fragments WORD...")?;
                while let Some(word) = words.next() {
                    self.encoder.send_piece(server, Fragment::new(word, words.peek().is_none()))?;
                }
            }
            _ if line.starts_with("//") => self.encoder.send(server, &line[1..])?,
            _ if line.starts_with('/') => {
                return Err(format!("no such command: {command} (//TEXT sends /TEXT)").into());
            }
            _ => self.encoder.send(server, &*line)?,
        }
        Ok(())
    }

    /// Sends the next fragment of the file.
    fn fragment<R: ClientRole>(&mut self, server: &mut Server<R>) -> Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk) {
            // Only an empty read shows the end of the file, so the last fragment is empty.
            Ok(len) => {
                self.encoder.send_piece(server, Fragment::new(&chunk[..len], len == 0))?;
                self.file = (len > 0).then_some(file);
                Ok(())
            }
            // A message that was started cannot be cancelled.
            Err(error) => {
                server.close(CloseCode::INTERNAL_ERROR, "file read failed")?;
                Err(error.into())
            }
        }
    }
}

fn print(out: &mut impl Write, event: &Event<'_>) -> io::Result<()> {
    let escaped = |payload: &ControlPayload| payload.escape_ascii().to_string();
    match event {
        Event::Open(open) => {
            let protocol = open.protocol().map(|protocol| format!(" protocol={protocol}"));
            let extensions = open.header("Sec-WebSocket-Extensions");
            let extensions = extensions.map(|value| format!(" extensions={}", value.escape_ascii()));
            writeln!(out, "open{}{}", protocol.unwrap_or_default(), extensions.unwrap_or_default())
        }
        Event::Message(Message::Text(text)) => writeln!(out, "text: {}", printable(text)),
        Event::Message(Message::Binary(bytes)) => {
            write!(out, "binary: ")?;
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
            writeln!(out)
        }
        Event::Ping(payload) => writeln!(out, "ping: {}", escaped(payload)),
        Event::Pong(payload) => writeln!(out, "pong: {}", escaped(payload)),
        Event::Error(error) => writeln!(out, "error: {error}"),
        Event::Close(close) => writeln!(out, "close: {}", printable(&close.to_string())),
        // The status of a refusal is in the error that follows. The others do not come.
        Event::Refused(_) | Event::Request(_) | Event::BadRequest(_) | Event::Piece(_) => Ok(()),
    }
}

fn from_hex(hex: &str) -> Result<Vec<u8>> {
    let is_hex = hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Option<_> = (0..hex.len()).step_by(2).map(byte).collect();
    bytes.filter(|_| is_hex).ok_or_else(|| "/binary takes pairs of hexadecimal digits".into())
}
