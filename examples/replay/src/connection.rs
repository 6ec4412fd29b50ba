//! A connection on replay. Each of its two streams is received by a machine, as its endpoint did.

use crate::endpoint::{Endpoint, Offer, names_deflate};
use crate::fault;
use crate::frame::Frames;
use crate::record::{Content, Side, Stream};
use sansocket::{Accept, Close, Error, Event, Inbox, Message, Open};
use std::fmt::Write;
use std::mem;
use std::time::Duration;

/// How much of a payload is printed.
const SHOWN: usize = 60;

pub struct Connection<'r> {
    report: &'r mut String,
    now: Duration,
    /// Compression is agreed, if the streams do not say.
    deflate: bool,
    /// The server's answer to the request is in the capture.
    is_answered: bool,
    /// The request that waits for it.
    request: Option<Accept<'static>>,
    /// What the client sends, and what the server sends.
    halves: [Half; 2],
    faults: usize,
}

/// A stream, and the machine that receives it.
#[derive(Default)]
struct Half {
    stage: Stage,
    /// None before the first byte, and while the head of a response to an unknown request is read.
    receiver: Option<Endpoint>,
    inbox: Inbox,
    frames: Frames,
    /// Bytes behind a request that waits for its answer.
    held: Vec<u8>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Start,
    /// What has come of a head, and is not printed.
    Head(Vec<u8>),
    Frames,
    /// What follows is not read, and why.
    Rest(&'static str),
}

impl<'r> Connection<'r> {
    /// Appends what happens on a connection to the report. Returns the number of faults.
    pub fn replay(stream: &Stream, deflate: bool, report: &'r mut String) -> usize {
        let is_answered = stream
            .records
            .iter()
            .any(|record| record.sender == Side::Server && matches!(record.content, Content::Bytes(_)));
        if !stream.name.is_empty() {
            *report += &format!("{}\n", stream.name);
        }
        let (halves, now) = (Default::default(), Duration::ZERO);
        let mut connection =
            Connection { report, now, deflate, is_answered, request: None, halves, faults: 0 };
        for record in &stream.records {
            connection.advance(record.time);
            let sender = record.sender;
            match &record.content {
                Content::Bytes(bytes) => connection.read(sender, bytes),
                Content::End => connection.end(sender),
                Content::Gap(lacking) => {
                    connection.rest(sender, "behind the gap");
                    connection.line(
                        sender,
                        format_args!(
                            "the capture lacks {lacking} bytes here: the rest of the stream is not read"
                        ),
                    );
                }
            }
        }
        let held = mem::take(&mut connection.half(Side::Client).held);
        if !held.is_empty() {
            connection
                .line(Side::Client, format_args!("{} bytes follow a request without an answer", held.len()));
        }
        connection.faults
    }

    fn half(&mut self, sender: Side) -> &mut Half {
        &mut self.halves[sender as usize]
    }

    fn line(&mut self, sender: Side, text: impl std::fmt::Display) {
        let direction = if sender == Side::Client { '>' } else { '<' };
        // Writing to a `String` does not fail.
        let _ = writeln!(self.report, "{:12.6} {direction} {text}", self.now.as_secs_f64());
    }

    /// Ends the reading of a stream. The first reason stays.
    fn rest(&mut self, sender: Side, why: &'static str) {
        let stage = &mut self.half(sender).stage;
        if !matches!(stage, Stage::Rest(_)) {
            *stage = Stage::Rest(why);
        }
    }

    /// Passes the time on to `now`, and lets the timeouts run out that end before.
    fn advance(&mut self, now: Duration) {
        for sender in [Side::Client, Side::Server] {
            let before = self.now;
            while let Some(receiver) = &mut self.half(sender).receiver {
                let machine = receiver.machine();
                let Some(deadline) = machine.poll_timeout().filter(|deadline| *deadline <= now) else {
                    break;
                };
                // One that is armed starts with the record that has armed it.
                let deadline = deadline.max(before);
                machine.handle_timeout(deadline);
                self.now = deadline;
                self.receive(sender, &[]);
            }
            self.now = before;
        }
        self.now = now;
    }

    fn read(&mut self, sender: Side, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            let waits = sender == Side::Client && self.request.is_some();
            let half = self.half(sender);
            let taken = match &mut half.stage {
                Stage::Start => {
                    self.start(sender, *first);
                    0
                }
                Stage::Head(head) => {
                    let taken = head_end(head, bytes);
                    head.extend(&bytes[..taken]);
                    let complete = is_complete(head).then(|| head.clone());
                    self.receive(sender, &bytes[..taken]);
                    if let Some(head) = complete {
                        self.print_head(sender);
                        self.after_head(sender, &head);
                    }
                    taken
                }
                Stage::Frames if waits => {
                    half.held.extend(bytes);
                    bytes.len()
                }
                Stage::Frames => {
                    let (taken, frame) = half.frames.split(bytes);
                    if let Some(frame) = frame {
                        self.line(sender, format_args!("frame {frame}"));
                    }
                    self.receive(sender, &bytes[..taken]);
                    taken
                }
                Stage::Rest(why) => {
                    let why = *why;
                    self.line(sender, format_args!("{} bytes {why}", bytes.len()));
                    bytes.len()
                }
            };
            bytes = &bytes[taken..];
        }
    }

    /// A stream begins with a head, or with a frame: none of those begins with a letter that is
    /// common in heads.
    fn start(&mut self, sender: Side, first: u8) {
        let deflate = self.deflate;
        let half = self.half(sender);
        if first.is_ascii_uppercase() {
            half.stage = Stage::Head(Vec::new());
            if sender == Side::Client {
                half.receiver = Some(Endpoint::server());
            }
        } else {
            half.stage = Stage::Frames;
            half.receiver = Some(match sender {
                Side::Client => Endpoint::open_server(deflate),
                Side::Server => Endpoint::open_client(deflate),
            });
        }
    }

    fn print_head(&mut self, sender: Side) {
        let Stage::Head(head) = &mut self.half(sender).stage else { return };
        let head = mem::take(head);
        for line in head.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            if !line.is_empty() {
                self.line(sender, format_args!("| {}", line.escape_ascii()));
            }
        }
    }

    fn after_head(&mut self, sender: Side, head: &[u8]) {
        let is_reading = matches!(self.half(sender).stage, Stage::Head(_));
        if sender == Side::Client {
            if is_reading {
                self.half(sender).stage = Stage::Frames;
            }
            return;
        }
        let status = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        match status {
            b"101" => {
                let deflate = agrees_to_deflate(head);
                let half = self.half(sender);
                if half.receiver.is_none() {
                    half.receiver = Some(Endpoint::open_client(deflate));
                    self.line(sender, "the response is not checked, because the request is not known");
                }
                if is_reading {
                    self.half(sender).stage = Stage::Frames;
                }
                self.accept(deflate);
            }
            // A response that another one follows.
            [b'1', _, _] => {}
            _ => {
                self.rest(sender, "of a body");
                self.request = None;
                self.rest(Side::Client, "after the refusal");
                let client = self.half(Side::Client);
                // The connection ends without a Close frame.
                client.receiver = None;
                let held = mem::take(&mut client.held);
                self.read(Side::Client, &held);
            }
        }
    }

    /// Accepts the request, as the recorded server did, and reads what the client has sent since.
    fn accept(&mut self, deflate: bool) {
        let Some(accept) = self.request.take() else { return };
        let half = self.half(Side::Client);
        if let Some(server) = &mut half.receiver {
            server.accept(accept, deflate);
        }
        let held = mem::take(&mut half.held);
        self.receive(Side::Client, &[]);
        self.read(Side::Client, &held);
    }

    fn end(&mut self, sender: Side) {
        self.line(sender, "end of the stream");
        if let Some(receiver) = &mut self.half(sender).receiver {
            receiver.machine().receive_eof();
            self.receive(sender, &[]);
        }
        self.rest(sender, "after the end");
    }

    /// Passes bytes to the machine that receives the stream, and prints its events.
    fn receive(&mut self, sender: Side, bytes: &[u8]) {
        let half = self.half(sender);
        // Away while its events borrow the inbox.
        let Some(mut receiver) = half.receiver.take() else { return };
        let mut inbox = mem::take(&mut half.inbox);
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        while let Some(event) = receiver.machine().receive(&mut input, &mut inbox) {
            self.print_head(sender);
            match event {
                Event::Request(request) => {
                    self.line(sender, format_args!("request for {}", request.target().escape_debug()));
                    let offer = Offer::new(request.target(), request.headers());
                    self.halves[Side::Server as usize].receiver = Endpoint::client(&offer);
                    if self.is_answered {
                        self.request = Some(request.accept());
                    } else {
                        receiver.accept(request.accept(), true);
                    }
                }
                Event::BadRequest(request) => {
                    let offer = Offer::new(request.target(), request.headers());
                    self.halves[Side::Server as usize].receiver = Endpoint::client(&offer);
                }
                // A server's is no news: it follows from the answer that was recorded.
                Event::Open(open) if sender == Side::Server || !self.is_answered => {
                    self.line(sender, opened(&open));
                }
                Event::Open(_) => {}
                Event::Refused(response) => {
                    self.line(sender, format_args!("refused with status {}", response.status()));
                    self.rest(sender, "of a body");
                }
                Event::Message(message) => self.line(sender, described(&message)),
                // Not delivered with the default configuration.
                Event::Piece(_) => {}
                Event::Ping(payload) => {
                    self.line(sender, format_args!("ping {}", shown(&payload)));
                    if let Some(other) = &mut self.half(sender.other()).receiver {
                        other.machine().ping(&payload);
                    }
                }
                Event::Pong(payload) => self.line(sender, format_args!("pong {}", shown(&payload))),
                Event::Error(error) => self.fault(sender, &error),
                Event::Close(close) => self.close(sender, &close),
            }
            receiver.machine().transmit();
        }
        let half = self.half(sender);
        (half.receiver, half.inbox) = (Some(receiver), inbox);
    }

    fn fault(&mut self, sender: Side, error: &Error) {
        match fault::section(error) {
            Some(section) => self.line(sender, format_args!("FAULT: {error}; {section}")),
            // `Event::Refused` has said it.
            None if matches!(error, Error::Refused(_)) => return,
            None => self.line(sender, format_args!("FAULT: {error}")),
        }
        self.faults += 1;
    }

    fn close(&mut self, sender: Side, close: &Close) {
        self.line(sender, format_args!("close {close}"));
        self.rest(sender, "after the close");
        if close.clean
            && let Some(other) = &mut self.half(sender.other()).receiver
        {
            other.machine().close(close.code, &close.reason);
        }
    }
}

/// How many bytes of `input` belong to the head that has begun with `head`.
fn head_end(head: &[u8], input: &[u8]) -> usize {
    let mut read = head.to_vec();
    for (index, byte) in input.iter().enumerate() {
        read.push(*byte);
        if *byte == b'\n' && is_complete(&read) {
            return index + 1;
        }
    }
    input.len()
}

/// Whether the last line is empty. (A line can end without CR: the machine judges that.)
fn is_complete(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

fn agrees_to_deflate(head: &[u8]) -> bool {
    String::from_utf8_lossy(head).lines().any(|line| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        name.eq_ignore_ascii_case("sec-websocket-extensions") && names_deflate(value)
    })
}

fn opened(open: &Open<'_>) -> String {
    let mut text = "open".to_owned();
    if let Some(protocol) = open.protocol() {
        text += &format!(", subprotocol {protocol}");
    }
    if let Some(parameters) = open.deflate() {
        text += ", compression";
        for (bits, takeover, side) in [
            (parameters.client_window_bits, parameters.client_takeover, "client"),
            (parameters.server_window_bits, parameters.server_takeover, "server"),
        ] {
            let takeover = if takeover { "takeover" } else { "no takeover" };
            text += &format!(", {side} 2^{bits} {takeover}");
        }
    }
    text
}

fn described(message: &Message<'_>) -> String {
    let len = message.as_bytes().len();
    match message {
        Message::Text(text) => {
            let (shown, rest) = match text.char_indices().nth(SHOWN) {
                Some((end, _)) => (&text[..end], " ..."),
                None => (*text, ""),
            };
            format!("message text, {len} bytes: \"{}\"{rest}", shown.escape_debug())
        }
        Message::Binary(bytes) => format!("message binary, {len} bytes: {}", shown(bytes)),
    }
}

/// Bytes in hexadecimal, the first ones if there are many.
fn shown(bytes: &[u8]) -> String {
    let (first, rest) = bytes.split_at(bytes.len().min(SHOWN / 2));
    let digits: Vec<_> = first.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ") + if rest.is_empty() { "" } else { " ..." }
}
