//! A WebSocket client for the terminal: sends lines of standard input as messages, prints events.
//! See `--help`.
//!
//! Three threads read lines, read the socket and write to the socket. The main thread owns the
//! machine, and only waits for reports from those threads.

#[path = "common/mod.rs"]
mod common;
#[path = "common/compression.rs"]
mod compression;
#[path = "common/pace.rs"]
mod pace;

use common::{Parsed, Result, printable};
use compression::{Compression, Encoder};
use pace::{Pace, WRITE_TIMEOUT};
use sansocket::{
    ClientRole, CloseCode, Config, Connect, ConnectError, ControlPayload, Event, Fragment, Inbox, Message,
    State, WebSocket,
};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Stdout, Write};
use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: client URL [OPTION]...

Sends lines of standard input as text messages, and prints events. URL begins with ws://.

  --protocol P     offer a subprotocol; the first one has the highest preference
  --header 'N: V'  add a header to the request

A line that begins with / is a command:

  /close [CODE [REASON]]  /ping [PAYLOAD]  /binary HEX  /file PATH  /fragments WORD...

//TEXT sends /TEXT. The end of the input closes with code 1000, Ctrl-C with 1001. The exit code is 0 if
the connection was closed cleanly with code 1000, 1001 or none, and 1 otherwise.
";

/// The size of a read, of a write of many messages, and of the fragments of a file.
const CHUNK: usize = 64 << 10;
/// The maximum message size.
const LARGE: u64 = 64 << 20;
/// How long a closed connection waits for the server to end the stream.
const LINGER: Duration = Duration::from_secs(2);
/// How long a write waits, before the deadline for unsent bytes is checked.
const TURN: Duration = Duration::from_millis(500);
/// How long Ctrl-C waits for the connection to be closed.
const STOP: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    common::start(&[USAGE, compression::USAGE].concat(), Options::parse, run)
}

struct Options {
    url: String,
    protocols: Vec<String>,
    headers: Vec<(String, String)>,
    compression: Compression,
}

impl Options {
    fn parse(args: &mut lexopt::Parser) -> Parsed<Self> {
        use lexopt::prelude::*;
        let (mut url, mut protocols, mut headers) = (None, vec![], vec![]);
        let mut compression = Compression::default();
        while let Some(arg) = args.next()? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("protocol") => protocols.push(args.value()?.string()?),
                Long("header") => {
                    let header = args.value()?.string()?;
                    let (name, value) =
                        header.split_once(':').ok_or_else(|| format!("--header {header}: not 'N: V'"))?;
                    headers.push((name.to_owned(), value.trim().to_owned()));
                }
                Long(name) if Compression::has_option(name) => compression.take(name.to_owned(), args)?,
                Value(value) if url.is_none() => url = Some(value.string()?),
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(Some(Self { url: url.ok_or("URL is missing")?, protocols, headers, compression }))
    }
}

fn run(Options { url, protocols, headers, compression }: Options) -> Result<ExitCode> {
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
    let connect = Connect::from_uri(&url).map_err(bad_argument)?.protocols(&offered).headers(&added);
    if connect.is_secure() {
        return Err("wss: TLS belongs to the transport, and this example only supports plain TCP".into());
    }
    let config = Config::new().max_frame(LARGE).max_message(LARGE);
    #[cfg(feature = "deflate")]
    if let Some(settings) = compression.settings() {
        let ws = WebSocket::deflate_client(config, rand::rng(), settings, Vec::new());
        return converse(ws, connect, compression, bad_argument);
    }
    converse(WebSocket::client(config, rand::rng()), connect, compression, bad_argument)
}

/// Runs the connection, with compression or without.
fn converse<R: ClientRole>(
    mut ws: WebSocket<R>,
    connect: Connect<'_>,
    compression: Compression,
    bad_argument: impl Fn(ConnectError) -> lexopt::Error,
) -> Result<ExitCode> {
    let mut outbox = Vec::new();
    ws.connect(connect, &mut outbox).map_err(bad_argument)?;
    let stream = TcpStream::connect((connect.host(), connect.port()))
        .map_err(|error| format!("{}: {error}", connect.authority()))?;
    let good = Terminal::start(stream, ws, outbox, compression)?.talk()?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the other threads report to the main thread.
enum Report {
    /// Ctrl-C: see [`INTERRUPTED`].
    Interrupt,
    /// The requested lines.
    Lines(Vec<Line>),
    /// Bytes from the server.
    Read(Vec<u8>),
    /// The stream ended or failed.
    End(io::Result<()>),
    /// A part of the outbox was written.
    Written { sent: usize, left: usize },
}

/// A line, or `None` at the end of the input.
type Line = Option<io::Result<String>>;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

struct Terminal<R: ClientRole> {
    ws: WebSocket<R>,
    compression: Compression,
    encoder: Encoder,
    stream: TcpStream,
    started: Instant,
    outbox: Vec<u8>,
    out: BufWriter<Stdout>,
    reports: Receiver<Report>,
    wanted_lines: Sender<()>,
    writes: Sender<Vec<u8>>,
    /// Lines to send. Those behind `/file` wait until the file is sent.
    lines: VecDeque<Line>,
    /// Lines were requested and have not arrived.
    reading_lines: bool,
    /// The writer has not finished the last outbox.
    writing: bool,
    /// The server ended the stream.
    ended: bool,
    /// The file being sent.
    file: Option<File>,
    /// After Ctrl-C: the end of the wait, by `started`.
    give_up: Option<Duration>,
}

impl<R: ClientRole> Terminal<R> {
    fn start(stream: TcpStream, ws: WebSocket<R>, outbox: Vec<u8>, compression: Compression) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(TURN))?;
        // Bounded, so that TCP slows down a server that sends faster than we print.
        let (reporter, reports) = mpsc::sync_channel(4);
        let (wanted_lines, lines) = mpsc::channel();
        let (writes, wanted_writes) = mpsc::channel();
        let (reading, writing) = (stream.try_clone()?, stream.try_clone()?);
        let (of_lines, of_reads, of_writes) = (reporter.clone(), reporter.clone(), reporter.clone());
        let spawn = |work: Box<dyn FnOnce() + Send>| thread::Builder::new().spawn(work);
        spawn(Box::new(move || read_lines(&lines, &of_lines)))?;
        spawn(Box::new(move || read(reading, &of_reads)))?;
        spawn(Box::new(move || write(&writing, &wanted_writes, &of_writes)))?;
        ctrlc::set_handler(move || {
            // The second Ctrl-C does not wait.
            if INTERRUPTED.swap(true, SeqCst) {
                std::process::exit(1);
            }
            // If the queue is full, the main thread does not wait for a report.
            let _ = reporter.try_send(Report::Interrupt);
        })?;
        Ok(Self {
            ws,
            compression,
            encoder: Encoder::default(),
            stream,
            started: Instant::now(),
            outbox,
            out: BufWriter::new(io::stdout()),
            reports,
            wanted_lines,
            writes,
            lines: VecDeque::new(),
            reading_lines: false,
            writing: false,
            ended: false,
            file: None,
            give_up: None,
        })
    }

    /// Runs the connection. Returns whether it was closed cleanly, with a code that means success.
    fn talk(mut self) -> Result<bool> {
        let mut inbox = Inbox::new();
        let mut received = Vec::new();
        let (mut open, mut good) = (false, false);
        loop {
            let mut input = &mut received[..];
            while let Some(event) = self.ws.receive(&mut input, &mut inbox) {
                print(&mut self.out, &event)?;
                match event {
                    Event::Open(opened) => {
                        open = true;
                        self.encoder = self.compression.encoder(&opened, false);
                    }
                    Event::Close(close) => {
                        let codes = [CloseCode::NORMAL, CloseCode::GOING_AWAY, CloseCode::NO_STATUS];
                        good = close.clean && codes.contains(&close.code);
                    }
                    // Free the memory of a large message.
                    Event::Message(message) if message.as_bytes().len() > CHUNK => inbox = Inbox::new(),
                    _ => {}
                }
            }
            // Only transmit when the last write is finished: the outbox stays small, and of several
            // pending Pongs only the latest is sent.
            if !self.writing {
                self.ws.transmit(&mut self.outbox)?;
                if open {
                    self.go_on()?;
                }
                if !self.outbox.is_empty() {
                    self.writing = true;
                    self.writes.send(std::mem::take(&mut self.outbox))?;
                }
            }
            self.out.flush()?;
            if self.ws.is_closed() && !self.writing {
                self.linger();
                return Ok(good);
            }
            if self.give_up.is_some_and(|at| at <= self.started.elapsed()) {
                return Ok(false);
            }
            received = self.next()?;
        }
    }

    /// Sends lines and the next fragment of the file, or requests lines.
    fn go_on(&mut self) -> Result<()> {
        while self.ws.state() == State::Open && self.outbox.len() < CHUNK {
            if let Some(file) = self.file.take() {
                self.send_fragment(file);
            } else if let Some(line) = self.lines.pop_front() {
                self.take_line(line);
            } else {
                if !self.reading_lines {
                    self.reading_lines = true;
                    self.wanted_lines.send(())?;
                }
                break;
            }
        }
        Ok(())
    }

    fn send_fragment(&mut self, mut file: File) {
        let mut chunk = vec![0; CHUNK];
        let sent: Result<()> = match file.read(&mut chunk) {
            // Only an empty read shows the end of the file, so the last fragment is empty.
            Ok(len) => {
                let fragment = Fragment::new(&chunk[..len], len == 0);
                let sent = self.encoder.send_piece(&mut self.ws, fragment, &mut self.outbox);
                if len > 0 && sent.is_ok() {
                    self.file = Some(file);
                }
                sent.map_err(Into::into)
            }
            // A message that was started cannot be cancelled.
            Err(error) => self
                .ws
                .close(CloseCode::INTERNAL_ERROR, "file read failed", &mut self.outbox)
                .map_err(Into::into)
                .and(Err(error.into())),
        };
        if let Err(error) = sent {
            eprintln!("{error}");
        }
    }

    /// Waits for the next report, or until one of the machine's timers expires. Returns the bytes
    /// from the server.
    fn next(&mut self) -> Result<Vec<u8>> {
        let mut received = Vec::new();
        let report = match [self.ws.poll_timeout(), self.give_up].into_iter().flatten().min() {
            None => self.reports.recv().map_err(RecvTimeoutError::from),
            Some(at) => self.reports.recv_timeout(at.saturating_sub(self.started.elapsed())),
        };
        match report {
            Ok(Report::Interrupt) => {}
            Ok(Report::Read(bytes)) => received = bytes,
            Ok(Report::End(end)) => {
                if let Err(error) = end {
                    eprintln!("{error}");
                }
                self.ended = true;
                self.ws.receive_eof();
            }
            Ok(Report::Written { sent, left }) => {
                self.writing = left > 0;
                self.ws.output_sent(sent, left + self.outbox.len());
            }
            Ok(Report::Lines(lines)) => {
                self.reading_lines = false;
                self.lines = lines.into();
            }
            // Nothing arrived, so the peer is silent.
            Err(RecvTimeoutError::Timeout) => self.ws.handle_timeout(self.started.elapsed()),
            Err(error) => return Err(error.into()),
        }
        if INTERRUPTED.load(SeqCst) && self.give_up.is_none() {
            self.give_up = Some(self.started.elapsed() + STOP);
            match self.ws.state() {
                State::Connecting => self.ws.receive_eof(),
                // Fails if the connection is closing already.
                _ => _ = self.ws.close(CloseCode::GOING_AWAY, "", &mut self.outbox),
            }
        }
        // The timeouts of the opening and the closing handshake apply in any case.
        if self.ws.state() != State::Open {
            self.ws.handle_timeout(self.started.elapsed());
        }
        Ok(received)
    }

    fn take_line(&mut self, line: Line) {
        let done = match line {
            Some(Ok(line)) => self.command(&line),
            Some(Err(error)) => Err(error.into()),
            None => self.ws.close(CloseCode::NORMAL, "", &mut self.outbox).map_err(Into::into),
        };
        if let Err(error) = done {
            eprintln!("{error}");
        }
    }

    fn command(&mut self, line: &str) -> Result<()> {
        let (ws, encoder, outbox) = (&mut self.ws, &mut self.encoder, &mut self.outbox);
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "/close" if rest.is_empty() => ws.close_without_code(outbox)?,
            "/close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let code = code.parse().map_err(|_| format!("not a close code: {code}"))?;
                ws.close(CloseCode(code), reason, outbox)?;
            }
            "/ping" => ws.ping(rest.as_bytes(), outbox)?,
            "/binary" => encoder.send(ws, &from_hex(rest)?[..], outbox)?,
            "/file" => self.file = Some(File::open(rest).map_err(|error| format!("{rest}: {error}"))?),
            "/fragments" => {
                let mut words = rest.split_whitespace().peekable();
                words.peek().ok_or("/fragments WORD...")?;
                while let Some(word) = words.next() {
                    encoder.send_piece(ws, Fragment::new(word, words.peek().is_none()), outbox)?;
                }
            }
            _ if line.starts_with("//") => encoder.send(ws, &line[1..], outbox)?,
            _ if line.starts_with('/') => {
                return Err(format!("no such command: {command} (//TEXT sends /TEXT)").into());
            }
            _ => encoder.send(ws, line, outbox)?,
        }
        Ok(())
    }

    /// Waits for the end of the stream. Ending the process with unread input would make the kernel
    /// reset the connection, and the server could lose our Close frame.
    fn linger(&self) {
        // Fails if the connection is already gone.
        let mut ended = self.ended || self.stream.shutdown(Shutdown::Write).is_err();
        let deadline = Instant::now() + LINGER;
        while !ended {
            let report = self.reports.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            ended = matches!(report, Ok(Report::End(_)) | Err(_));
        }
    }
}

/// Reads lines on request: the next one, and those that have arrived with it.
fn read_lines(wanted: &Receiver<()>, reporter: &SyncSender<Report>) {
    let mut input = BufReader::with_capacity(CHUNK, io::stdin());
    for () in wanted {
        let mut lines = Vec::new();
        while lines.is_empty() || input.buffer().contains(&b'\n') {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => lines.push(None),
                Ok(_) => {
                    if line.pop_if(|byte| *byte == b'\n').is_some() {
                        line.pop_if(|byte| *byte == b'\r');
                    }
                    let not_text = |_| io::Error::new(ErrorKind::InvalidData, "a line is not UTF-8");
                    lines.push(Some(String::from_utf8(line).map_err(not_text)));
                }
                Err(error) => lines.extend([Some(Err(error)), None]),
            }
        }
        if reporter.send(Report::Lines(lines)).is_err() {
            return;
        }
    }
}

fn read(mut stream: TcpStream, reporter: &SyncSender<Report>) {
    loop {
        let mut bytes = vec![0; CHUNK];
        let report = match stream.read(&mut bytes) {
            Ok(0) => Report::End(Ok(())),
            Ok(len) => {
                bytes.truncate(len);
                Report::Read(bytes)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Report::End(Err(error)),
        };
        let end = matches!(report, Report::End(_));
        if reporter.send(report).is_err() || end {
            return;
        }
    }
}

fn write(stream: &TcpStream, wanted: &Receiver<Vec<u8>>, reporter: &SyncSender<Report>) {
    let mut pace = Pace::new(WRITE_TIMEOUT);
    let mut broken = false;
    for bytes in wanted {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let sent = match if broken { Ok(rest.len()) } else { pace.write(stream, rest) } {
                Ok(sent) => sent,
                Err(error) => {
                    eprintln!("{error}");
                    // Drop further output, but let the reader continue: the server may have sent a
                    // Close frame. The reader reports the end of the stream.
                    broken = true;
                    let _ = stream.shutdown(Shutdown::Both);
                    continue;
                }
            };
            rest = &rest[sent..];
            if sent > 0 && reporter.send(Report::Written { sent, left: rest.len() }).is_err() {
                return;
            }
        }
    }
}

fn print(out: &mut impl Write, event: &Event<'_>) -> io::Result<()> {
    let escaped = |payload: &ControlPayload| payload.escape_ascii().to_string();
    match event {
        Event::Open(open) => {
            write!(out, "open")?;
            if let Some(protocol) = open.protocol() {
                write!(out, " protocol={protocol}")?;
            }
            if let Some(extensions) = open.header("Sec-WebSocket-Extensions") {
                write!(out, " extensions={}", extensions.escape_ascii())?;
            }
            writeln!(out)
        }
        Event::Message(Message::Text(text)) => writeln!(out, "text: {}", printable(text)),
        Event::Message(Message::Binary(bytes)) => writeln!(out, "binary: {}", to_hex(bytes)),
        Event::Ping(payload) => writeln!(out, "ping: {}", escaped(payload)),
        Event::Pong(payload) => writeln!(out, "pong: {}", escaped(payload)),
        Event::Error(error) => writeln!(out, "error: {error}"),
        Event::Close(close) => writeln!(out, "close: {}", printable(&close.to_string())),
        // Its status is in the error that follows.
        Event::BadRequest(_) | Event::Refused(_) => Ok(()),
        // Only servers get requests, and pieces need `Delivery::Pieces`.
        Event::Request(_) | Event::Piece(_) => Ok(()),
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| digits[usize::from(digit)] as char)
        .collect()
}

fn from_hex(hex: &str) -> Result<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    match digits.as_deref().map(<[u8]>::as_chunks::<2>) {
        Some((pairs, [])) => Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect()),
        _ => Err("/binary takes pairs of hexadecimal digits".into()),
    }
}
