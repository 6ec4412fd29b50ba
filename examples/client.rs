//! A WebSocket client for the terminal: sends lines of standard input as messages, prints events.
//!
//! ```text
//! client URL [--protocol P]... [--header 'N: V']...
//! ```
//!
//! A line is sent as a text message, unless it is a command:
//!
//! ```text
//! /close [CODE [REASON]]    /ping [PAYLOAD]    /binary HEX    /file PATH    /fragments WORD...
//! ```
//!
//! The exit code is 0 after a clean close. Three threads read lines, read the socket and write to
//! the socket. The main thread owns the machine, and only waits for reports from those threads.

use sansocket::{
    CloseCode, Config, Connect, ControlPayload, Event, Fragment, Inbox, Message, State, WebSocket,
};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The size of a read, and of the fragments of a file.
const CHUNK: usize = 64 << 10;
/// The maximum message size.
const LARGE: u64 = 64 << 20;
/// A server that reads nothing for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closed connection waits for the server to end the stream.
const LINGER: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the connection was closed cleanly.
fn run() -> Result<bool> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: client URL [--protocol P]... [--header 'N: V']...";
    let [url, flags @ ..] = args.as_slice() else { return Err(usage.into()) };
    let mut protocols = Vec::new();
    let mut headers = Vec::new();
    for flag in flags.chunks(2) {
        match flag {
            [name, value] if name == "--protocol" => protocols.push(value.as_str()),
            [name, value] if name == "--header" => {
                let (name, value) = value.split_once(':').ok_or("a header is 'NAME: VALUE'")?;
                headers.push((name, value.trim()));
            }
            _ => return Err(usage.into()),
        }
    }
    let connect = Connect::from_uri(url)?.protocols(&protocols).headers(&headers);
    if connect.is_secure() {
        return Err("wss: TLS belongs to the transport, and this example only supports plain TCP".into());
    }
    let stream = TcpStream::connect((connect.host(), connect.port()))?;
    Terminal::start(stream, connect)?.talk()
}

/// What the other threads report to the main thread.
enum Report {
    /// The requested line; `None` at the end of the input.
    Line(Option<io::Result<String>>),
    /// Bytes from the server.
    Read(Vec<u8>),
    /// The stream ended or failed.
    End(io::Result<()>),
    /// The outbox was written.
    Written,
}

struct Terminal {
    ws: WebSocket<sansocket::Client<rand::rngs::ThreadRng>>,
    stream: TcpStream,
    started: Instant,
    outbox: Vec<u8>,
    reports: Receiver<Report>,
    lines: Sender<()>,
    writes: Sender<Vec<u8>>,
    /// A line was requested and has not arrived.
    reading_line: bool,
    /// The writer has not finished the last outbox.
    writing: bool,
    /// The server ended the stream.
    ended: bool,
    /// The file being sent.
    file: Option<File>,
}

impl Terminal {
    fn start(stream: TcpStream, connect: Connect<'_>) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let mut ws = WebSocket::client(Config::new().max_frame(LARGE).max_message(LARGE), rand::rng());
        let mut outbox = Vec::new();
        ws.connect(connect, &mut outbox)?;

        // Bounded, so that TCP slows down a server that sends faster than we print.
        let (reporter, reports) = mpsc::sync_channel(4);
        let (lines, wanted_lines) = mpsc::channel();
        let (writes, wanted_writes) = mpsc::channel();
        let (reading, writing) = (stream.try_clone()?, stream.try_clone()?);
        let reporters = (reporter.clone(), reporter.clone());
        thread::spawn(move || read_lines(&wanted_lines, &reporter));
        thread::spawn(move || read(reading, &reporters.0));
        thread::spawn(move || write(writing, &wanted_writes, &reporters.1));
        let started = Instant::now();
        let (reading_line, writing, ended, file) = (false, false, false, None);
        Ok(Self { ws, stream, started, outbox, reports, lines, writes, reading_line, writing, ended, file })
    }

    /// Runs the connection. Returns whether it was closed cleanly.
    fn talk(mut self) -> Result<bool> {
        let mut inbox = Inbox::new();
        let mut received = Vec::new();
        let mut open = false;
        let mut clean = false;
        loop {
            let mut input = &mut received[..];
            while let Some(event) = self.ws.receive(&mut input, &mut inbox) {
                open |= matches!(event, Event::Open(_));
                clean |= matches!(&event, Event::Close(close) if close.clean);
                print(&event)?;
            }
            // Only transmit when the last write is finished: the outbox stays small, and of several
            // pending Pongs only the latest is sent.
            if !self.writing {
                self.ws.transmit(&mut self.outbox)?;
                if open && self.outbox.is_empty() {
                    self.go_on()?;
                }
                if !self.outbox.is_empty() {
                    self.writing = true;
                    self.writes.send(std::mem::take(&mut self.outbox))?;
                }
            }
            if self.ws.is_closed() && !self.writing {
                self.linger();
                return Ok(clean);
            }
            received = self.next()?;
        }
    }

    /// Sends the next fragment of the file, or requests the next line.
    fn go_on(&mut self) -> Result<()> {
        let Some(file) = &mut self.file else {
            if !self.reading_line && self.ws.state() == State::Open {
                self.reading_line = true;
                self.lines.send(())?;
            }
            return Ok(());
        };
        let mut chunk = vec![0; CHUNK];
        let sent: Result<bool> = match file.read(&mut chunk) {
            // Only an empty read shows the end of the file, so the last fragment is empty.
            Ok(len) => {
                let fragment = Fragment::new(&chunk[..len], len == 0);
                self.ws.send_piece(fragment, &mut self.outbox).map(|()| len == 0).map_err(Into::into)
            }
            // A message that was started cannot be cancelled.
            Err(error) => self
                .ws
                .close(CloseCode::INTERNAL_ERROR, "file read failed", &mut self.outbox)
                .map_err(Into::into)
                .and(Err(error.into())),
        };
        match sent {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => eprintln!("{error}"),
        }
        self.file = None;
        Ok(())
    }

    /// Waits for the next report, or until one of the machine's timers expires. Returns the bytes
    /// from the server.
    fn next(&mut self) -> Result<Vec<u8>> {
        let mut received = Vec::new();
        let report = match self.ws.poll_timeout() {
            None => self.reports.recv().map_err(RecvTimeoutError::from),
            Some(at) => self.reports.recv_timeout(at.saturating_sub(self.started.elapsed())),
        };
        match report {
            Ok(Report::Read(bytes)) => received = bytes,
            Ok(Report::End(end)) => {
                if let Err(error) = end {
                    eprintln!("{error}");
                }
                self.ended = true;
                self.ws.receive_eof();
            }
            Ok(Report::Written) => self.writing = false,
            Ok(Report::Line(line)) => {
                self.reading_line = false;
                self.take_line(line);
            }
            // Nothing arrived, so the peer is silent.
            Err(RecvTimeoutError::Timeout) => self.ws.handle_timeout(self.started.elapsed()),
            Err(error) => return Err(error.into()),
        }
        // The timeouts of the opening and the closing handshake apply in any case.
        if self.ws.state() != State::Open {
            self.ws.handle_timeout(self.started.elapsed());
        }
        Ok(received)
    }

    fn take_line(&mut self, line: Option<io::Result<String>>) {
        let done = match line {
            Some(Ok(line)) => self.command(&line),
            Some(Err(error)) => Err(error.into()),
            None if self.ws.state() == State::Open => {
                self.ws.close(CloseCode::NORMAL, "", &mut self.outbox).map_err(Into::into)
            }
            None => Ok(()),
        };
        if let Err(error) = done {
            eprintln!("{error}");
        }
    }

    fn command(&mut self, line: &str) -> Result<()> {
        let (ws, outbox) = (&mut self.ws, &mut self.outbox);
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "/close" if rest.is_empty() => ws.close_without_code(outbox)?,
            "/close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                ws.close(CloseCode(code.parse()?), reason, outbox)?;
            }
            "/ping" => ws.ping(rest.as_bytes(), outbox)?,
            "/binary" => ws.send(&from_hex(rest)?[..], outbox)?,
            "/file" => self.file = Some(File::open(rest).map_err(|error| format!("{rest}: {error}"))?),
            "/fragments" => {
                let mut words = rest.split_whitespace().peekable();
                words.peek().ok_or("/fragments WORD...")?;
                while let Some(word) = words.next() {
                    ws.send_piece(Fragment::new(word, words.peek().is_none()), outbox)?;
                }
            }
            _ if command.starts_with('/') => return Err(format!("no such command: {command}").into()),
            _ => ws.send(line, outbox)?,
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

/// Reads one line per request. Lines that were typed early wait in the pipe.
fn read_lines(wanted: &Receiver<()>, reporter: &SyncSender<Report>) {
    let mut lines = io::stdin().lines();
    for () in wanted {
        if reporter.send(Report::Line(lines.next())).is_err() {
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

fn write(mut stream: TcpStream, wanted: &Receiver<Vec<u8>>, reporter: &SyncSender<Report>) {
    let mut broken = false;
    for bytes in wanted {
        if !broken && let Err(error) = stream.write_all(&bytes) {
            eprintln!("{error}");
            // Drop further output, but let the reader continue: the server may have sent a Close
            // frame. The reader reports the end of the stream.
            broken = true;
            let _ = stream.shutdown(Shutdown::Both);
        }
        if reporter.send(Report::Written).is_err() {
            return;
        }
    }
}

fn print(event: &Event<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let escaped = |payload: &ControlPayload| payload.escape_ascii().to_string();
    match event {
        Event::Open(open) => match open.protocol() {
            Some(protocol) => writeln!(out, "open protocol={protocol}"),
            None => writeln!(out, "open"),
        },
        Event::Message(Message::Text(text)) => writeln!(out, "text: {text}"),
        Event::Message(Message::Binary(bytes)) => writeln!(out, "binary: {}", to_hex(bytes)),
        Event::Ping(payload) => writeln!(out, "ping: {}", escaped(payload)),
        Event::Pong(payload) => writeln!(out, "pong: {}", escaped(payload)),
        Event::Error(error) => writeln!(out, "error: {error}"),
        Event::Close(close) => writeln!(out, "close: {close}"),
        // Its status is in the error that follows.
        Event::BadRequest(_) | Event::Refused(_) => Ok(()),
        // Only servers get requests, and pieces need `Delivery::Pieces`.
        Event::Request(_) | Event::Piece(_) => Ok(()),
    }?;
    out.flush()
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
