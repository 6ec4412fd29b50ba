//! However a byte stream is cut into slices, the events and the bytes sent are the same.

mod common;

use common::*;
use proptest::{collection::vec, prelude::*, sample::Index};
use sansocket::{
    Buffer, Config, Connect, Delivery, Error, Event, FixedInbox, HeadError, Inbox, RequestError,
    ResponseError, Role, Server, Slice, WebSocket, heapless,
};

/// The events and output of a server with this configuration that receives `stream` in slices which
/// end at `cuts`.
fn serve(config: Config, stream: &[u8], cuts: &[usize]) -> (Vec<Seen>, Vec<u8>, bool) {
    run(new_server(config), stream, cuts, |ws, event, outbox| {
        if let Event::Request(request) = event {
            let accept = request.select(&["chat"]).unwrap_or(request.accept());
            ws.accept(accept, outbox).unwrap();
        }
    })
}

fn run<R: Role>(
    mut peer: Peer<R>,
    stream: &[u8],
    cuts: &[usize],
    mut reply: impl FnMut(&mut WebSocket<R>, &Event<'_>, &mut Vec<u8>),
) -> (Vec<Seen>, Vec<u8>, bool) {
    let mut start = 0;
    for &end in cuts.iter().chain([&stream.len()]) {
        let left = peer.receive_with(&stream[start..end], &mut reply);
        assert_eq!(left, b"", "the input is consumed");
        start = end;
    }
    (peer.seen, peer.outbox, peer.ws.is_closed())
}

/// Cuts the stream at every position, byte by byte, and if it is short, at every pair of positions.
fn same_at_every_cut<T: PartialEq + std::fmt::Debug>(stream: &[u8], serve: impl Fn(&[usize]) -> T) -> T {
    let whole = serve(&[]);
    let every: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(serve(&every), whole, "byte by byte: {}", stream.escape_ascii());
    for cut in 1..stream.len() {
        assert_eq!(serve(&[cut]), whole, "cut at {cut}: {}", stream.escape_ascii());
        if stream.len() < 60 {
            for second in cut + 1..stream.len() {
                assert_eq!(serve(&[cut, second]), whole, "cut at {cut}, {second}");
            }
        }
    }
    whole
}

/// Valid and invalid streams of frames from a client.
fn streams() -> Vec<Vec<u8>> {
    let text = "κόσμε €😀".as_bytes();
    let (first, rest) = text.split_at(5);
    let (middle, last) = rest.split_at(7);
    vec![
        [masked(0x81, b"Hello"), masked(0x82, &[0xFF; 200]), masked(0x89, b"ping"), masked(0x8A, b"")]
            .concat(),
        [
            masked(0x01, first),
            masked(0x89, b"a"),
            masked(0x00, middle),
            masked(0x00, b""),
            masked(0x89, b"b"),
            masked(0x80, last),
            masked(0x81, b""),
        ]
        .concat(),
        [masked(0x02, b""), masked(0x00, b"ab"), masked(0x80, b""), masked(0x82, b"c")].concat(),
        [masked(0x01, b""), masked(0x80, "ü".as_bytes()), masked(0x88, &close_body(1000, "bye")), vec![1, 2]]
            .concat(),
        [masked(0x88, b""), masked(0x81, b"after")].concat(),
        // Invalid streams.
        [masked(0x81, b"ok"), masked(0x81, b"a\xC3\xA9\xE2\x82z"), masked(0x89, b"")].concat(),
        [masked(0x01, b"a\xF0\x9F"), masked(0x89, b""), masked(0x80, b"\x98")].concat(),
        [masked(0x01, b"\xED"), masked(0x80, b"\xA0\x80")].concat(),
        [masked(0x81, "ab\u{20AC}".as_bytes()), vec![0xC1]].concat(),
        [masked(0x01, b"a"), masked(0x81, b"b")].concat(),
        [masked(0x02, b"a"), masked(0x80, b"b"), masked(0x80, b"c")].concat(),
        [masked(0x82, b"a"), unmasked(0x82, b"b")].concat(),
        [masked(0x88, b"\x03\xE8\xFF\xFF")].concat(),
        [masked(0x89, b"a"), masked(0x88, &close_body(1005, ""))].concat(),
        vec![0x89, 0xFE, 0, 126],
        vec![0x88, 0x81, 1, 2, 3, 4, 5],
        vec![0x82, 0xFE, 0, 125],
        vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
        vec![0x82, 0xFF, 0x80],
        vec![0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
        vec![0x09],
        vec![0x83],
    ]
}

/// Proves: F8, K6, T2.
#[test]
fn frames_give_the_same_events_and_the_same_echo_at_every_cut() {
    for delivery in [Delivery::Whole, Delivery::Pieces] {
        let config = Config::default().delivery(delivery).max_message(1000);
        for stream in streams() {
            let (seen, ..) = same_at_every_cut(&stream, |cuts| {
                let echo = |ws: &mut WebSocket<Server>, event: &Event<'_>, outbox: &mut Vec<u8>| match event {
                    Event::Message(message) => ws.send(*message, outbox).unwrap(),
                    Event::Piece(piece) => ws.send_piece(piece, outbox).unwrap(),
                    _ => {}
                };
                let (seen, sent, closed) = run(server(config), &stream, cuts, echo);
                // The frames of an echoed message depend on the slices, but the message that a
                // client receives does not.
                let mut client = client(Config::default().delivery(delivery));
                client.receive(&sent);
                (seen, client.seen, closed)
            });
            assert!(!seen.is_empty());
        }
    }
}

/// Proves: F8, S12, D11.
#[test]
fn a_request_followed_by_frames_gives_the_same_events_at_every_cut() {
    for head in [
        request("Sec-WebSocket-Protocol: soap, chat\r\n"),
        "\r\n".to_owned() + &request(""),
        request("X: \u{7F}\r\n"),
        request("Sec-WebSocket-Version: 13\r\n"),
        request("X : y\r\n"),
        request(" folded\r\n"),
        request("X: a\rb\r\n"),
        request("X: a\nb\r\n"),
        "POST / HTTP/1.1\r\n".into(),
        "\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000)),
    ] {
        let stream = [head.as_bytes(), &masked(0x81, b"glued"), &masked(0x88, b"")].concat();
        let config = Config::default().max_head(400);
        same_at_every_cut(&stream, |cuts| serve(config, &stream, cuts));
    }
}

/// Proves: F8, D11.
#[test]
fn a_response_followed_by_frames_gives_the_same_events_at_every_cut() {
    // The generator is seeded: each client has the same key.
    let accept = accept_value_of(&connecting(Connect::new("a", "/")).take_sent());
    let switching = |more: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    };
    for (opens, head) in [
        (true, switching("")),
        (
            true,
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n".to_owned()
                + &switching("Sec-WebSocket-Protocol: chat\r\n"),
        ),
        (false, switching("Sec-WebSocket-Protocol: other\r\n")),
        (false, switching("Sec-WebSocket-Extensions: x\r\n")),
        (false, switching("Sec-WebSocket-Extensions: x;;\r\n")),
        (false, "HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\nbody".to_owned()),
        (false, "HTTP/2 101\r\n\r\n".to_owned()),
    ] {
        let stream = [head.as_bytes(), &unmasked(0x81, b"glued"), &unmasked(0x88, b"")].concat();
        let (seen, ..) = same_at_every_cut(&stream, |cuts| {
            run(connecting(Connect::new("a", "/").protocol("chat")), &stream, cuts, |_, _, _| {})
        });
        assert_eq!(matches!(seen[0], Seen::Open(_)), opens, "{head}: {seen:?}");
        assert_eq!(seen.contains(&Seen::Text("glued".into())), opens);
    }
}

#[test]
fn input_after_an_unanswered_request_is_not_consumed() {
    let mut server = new_server(Config::default());
    let glued = masked(0x81, b"glued");
    let left = server.receive_with(&[request("").as_bytes(), &glued].concat(), |_, _, _| {});
    assert_eq!(left, glued);
    assert_eq!(server.receive_with(&left, |_, _, _| {}), glued, "still not consumed");
    assert!(server.ws.awaits_caller());
}

/// The first events of a handshake, and the head as they show it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    /// Target, status or subprotocol, and the Error.
    events: Vec<String>,
    error: Option<Error>,
    headers: Vec<(String, Vec<u8>)>,
    is_complete: bool,
    /// How many bytes of the stream are taken when the first event is reported.
    taken: usize,
    /// Where the slice ends in which the first event is found.
    read: usize,
}

impl Shown {
    fn add<'h>(&mut self, what: String, headers: impl Iterator<Item = (&'h str, &'h [u8])>) {
        // A path is inserted in a target without one, unless the inbox can only append.
        let what = what.replace("htt://other.example/?x", "http://other.example?x");
        self.events.push(what.replace("w://[::1]:80/ ", "ws://[::1]:80 ").replace(" ?x", " /?x"));
        self.headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    }

    fn push(&mut self, event: &Event<'_>) {
        match event {
            Event::Request(request) => {
                let what = format!("{} {} {}", request.method(), request.host(), request.target());
                self.add(what, request.headers());
                self.is_complete = request.is_complete();
            }
            Event::BadRequest(request) => self.add(format!("bad {request}"), request.headers()),
            Event::Refused(response) => {
                self.add(format!("refused {}", response.status()), response.headers());
                self.is_complete = response.is_complete();
            }
            Event::Open(open) if self.events.is_empty() => {
                self.add(format!("open {:?}", open.protocol()), open.headers());
                self.is_complete = open.is_complete();
            }
            Event::Open(open) => {
                // A server's Open shows the same head as the request.
                let before = (std::mem::take(&mut self.headers), self.is_complete);
                self.add(format!("open {:?}", open.protocol()), open.headers());
                assert_eq!((&self.headers, open.is_complete()), (&before.0, before.1));
            }
            Event::Error(error) => self.error = Some(*error),
            Event::Close(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Receives `stream`, cut at `cuts`, up to the head's end.
fn show<R: Role>(
    mut ws: WebSocket<R>,
    stream: &[u8],
    cuts: &[usize],
    inbox: &mut dyn Buffer,
    two_steps: bool,
    accept: fn(&mut WebSocket<R>, &Event<'_>),
) -> Shown {
    let mut shown = Shown::default();
    let mut bytes = stream.to_vec();
    let mut start = 0;
    for &end in cuts.iter().chain([&stream.len()]) {
        let mut input = &mut bytes[start..end];
        start = end;
        loop {
            let event = if two_steps {
                let Some(ready) = ws.poll(input, inbox) else { break };
                let (taken, rest) = std::mem::take(&mut input).split_at_mut(ready.consumed());
                input = rest;
                ws.event(ready, taken, inbox).unwrap()
            } else {
                let Some(event) = ws.receive(&mut input, inbox) else { break };
                event
            };
            if shown.events.is_empty() {
                (shown.taken, shown.read) = (end - input.len(), end);
            }
            shown.push(&event);
            accept(&mut ws, &event);
            // Frames are no part of this test.
            if matches!(event, Event::Open(_) | Event::Close(_)) {
                return shown;
            }
        }
    }
    shown
}

fn show_server(
    config: Config,
    stream: &[u8],
    cuts: &[usize],
    inbox: &mut dyn Buffer,
    two_steps: bool,
) -> Shown {
    show(WebSocket::server(config), stream, cuts, inbox, two_steps, |ws, event| {
        if let Event::Request(request) = event {
            ws.accept(request.select(&["chat"]).unwrap_or(request.accept()), &mut Vec::new()).unwrap();
        }
    })
}

fn show_client(
    config: Config,
    stream: &[u8],
    cuts: &[usize],
    inbox: &mut dyn Buffer,
    two_steps: bool,
) -> Shown {
    let ws = connecting_with(config, Connect::new("a", "/").protocol("chat")).ws;
    show(ws, stream, cuts, inbox, two_steps, |_, _| {})
}

/// A buffer with only the required methods of `Buffer`.
struct Plain {
    bytes: Vec<u8>,
    capacity: usize,
}

impl Buffer for Plain {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    fn remaining(&self) -> usize {
        self.capacity - self.bytes.len()
    }
    fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining());
        self.bytes.extend_from_slice(bytes);
    }
    fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// A naive model of the lines that an inbox keeps, byte by byte.
struct Model {
    reads_request: bool,
    /// The inbox can only append.
    is_plain: bool,
    capacity: usize,
    /// So much is kept of a refusal.
    max_head: usize,
    kept: Vec<Vec<u8>>,
    line: Vec<u8>,
    skips_line: bool,
    is_complete: bool,
}

impl Model {
    fn new(reads_request: bool, is_plain: bool, capacity: usize, max_head: usize) -> Self {
        let (kept, line) = Default::default();
        Self { reads_request, is_plain, capacity, max_head, kept, line, skips_line: false, is_complete: true }
    }

    /// The status of a response.
    fn status(&self) -> Option<u16> {
        let line = self.kept.first().unwrap_or(&self.line);
        let status = line.get(9..12)?;
        let ends = matches!(line.get(12), None | Some(b' ' | b'\r' | b'\n'));
        let version = line.starts_with(b"HTTP/1.") && line[8] == b' ';
        if ends && version && status[0] != b'0' { str::from_utf8(status).ok()?.parse().ok() } else { None }
    }

    fn is_lenient(&self) -> bool {
        !self.reads_request && !self.kept.is_empty() && self.status() != Some(101)
    }

    fn has_no_rules(&self, line: &[u8]) -> bool {
        const REQUEST: [&str; 10] = [
            "host",
            "origin",
            "upgrade",
            "connection",
            "sec-websocket-key",
            "sec-websocket-version",
            "sec-websocket-protocol",
            "sec-websocket-extensions",
            "content-length",
            "transfer-encoding",
        ];
        const RESPONSE: [&str; 5] = [
            "upgrade",
            "connection",
            "sec-websocket-accept",
            "sec-websocket-protocol",
            "sec-websocket-extensions",
        ];
        let names = if self.reads_request { &REQUEST[..] } else { &RESPONSE };
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
        is_token(&line[..colon])
            && !names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(&line[..colon]))
    }

    fn fits(&self) -> bool {
        let kept: usize = self.kept.iter().map(Vec::len).sum();
        let reserved = if [&b"\r"[..], b"\n", b"\r\n"].contains(&&self.line[..]) { 0 } else { 2 };
        let is_refusal = !matches!(self.status(), None | Some(101));
        let is_lenient = !self.reads_request && is_refusal;
        let capacity = if is_lenient { self.capacity.min(self.max_head.max(12) + 2) } else { self.capacity };
        kept + self.line.len() + reserved <= capacity
    }

    /// Takes a byte. `false`: the line does not fit.
    fn take(&mut self, byte: u8) -> bool {
        if !self.skips_line {
            self.line.push(byte);
            if !self.fits() {
                self.is_complete = false;
                let line = &self.line[..self.line.len() - 1];
                if !self.reads_request && self.kept.is_empty() {
                    self.line.pop();
                    if matches!(self.status(), None | Some(101)) {
                        return false;
                    }
                    // The beginning of the first line is kept.
                    self.kept.push(std::mem::take(&mut self.line));
                    self.skips_line = true;
                } else if self.is_plain {
                    self.line.pop();
                    return false;
                } else if self.is_lenient() || !self.kept.is_empty() && self.has_no_rules(line) {
                    self.skips_line = true;
                    self.line.clear();
                } else {
                    let mut kept = std::mem::take(&mut self.kept);
                    let mut at = 0;
                    kept.retain(|line| {
                        at += 1;
                        at == 1 || !self.has_no_rules(line)
                    });
                    self.kept = kept;
                    if !self.fits() {
                        self.line.pop();
                        return false;
                    }
                }
            }
        }
        if byte == b'\n' {
            let line = std::mem::take(&mut self.line);
            let is_blank = !self.skips_line && matches!(&line[..], b"\r\n" | b"\n");
            let is_interim = !self.reads_request && matches!(self.status(), Some(100 | 102..200));
            if is_blank && (is_interim || self.kept.is_empty()) {
                // Another head follows.
                *self = Self::new(self.reads_request, self.is_plain, self.capacity, self.max_head);
            } else if !std::mem::take(&mut self.skips_line) {
                self.kept.push(line);
            }
        }
        true
    }

    /// The headers in the lines that are kept.
    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let is_fold = |line: &&Vec<u8>| matches!(line[..], [b' ' | b'\t', ..]);
        let lines = self.kept.iter().enumerate().skip(1);
        lines
            .filter(|(at, _)| self.kept.get(at + 1).filter(is_fold).is_none())
            .filter_map(|(_, line)| {
                let line = line.strip_suffix(b"\n")?;
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let colon = line.iter().position(|&byte| byte == b':')?;
                let (name, value) = (line[..colon].trim_ascii_end(), &line[colon + 1..]);
                let is_text = value.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7F);
                let value = value.trim_ascii();
                (is_token(name) && is_text).then(|| (String::from_utf8(name.into()).unwrap(), value.into()))
            })
            .collect()
    }
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Compares what is shown of a head with the model. `full` is shown byte by byte, of an inbox
/// without a limit.
fn check(
    stream: &[u8],
    max_head: usize,
    full: &Shown,
    shown: &Shown,
    mut model: Model,
) -> Result<(), TestCaseError> {
    use HeadError::{BareCr, BareLf, ControlCharacter, TooLong};
    let read = if full.events.is_empty() && full.error.is_none() { stream.len() } else { full.read };
    let mut fits = stream[..read.saturating_sub(1)].iter().all(|&byte| model.take(byte));
    // A byte that is a fault, or over the limit, is not stored.
    let is_fault = match full.error {
        Some(Error::Request(RequestError::Head(error)) | Error::Response(ResponseError::Head(error))) => {
            matches!(error, BareCr | BareLf | ControlCharacter)
        }
        _ => false,
    };
    // Of a head that is read leniently, more is read than is kept.
    let is_strict = model.reads_request || !model.kept.is_empty() && model.status() == Some(101);
    let is_over = read > max_head && is_strict;
    if let (false, false, Some(&last)) = (is_fault, is_over, stream[..read].last()) {
        fits = fits && model.take(last);
    }
    if fits {
        // A buffer that can only append has no path inserted.
        let line = |event: &String| if model.is_plain { event.replace('/', "") } else { event.clone() };
        let lines = |shown: &Shown| shown.events.iter().map(line).collect::<Vec<_>>();
        prop_assert_eq!((lines(shown), shown.error), (lines(full), full.error));
        prop_assert_eq!(shown.is_complete, full.is_complete && model.is_complete);
        if let Some(Error::Refused(_)) | None = shown.error
            && !is_over
        {
            prop_assert_eq!(shown.taken, full.taken);
        }
    } else {
        let (event, error) = match model.status() {
            _ if model.reads_request => {
                let error = if model.kept.is_empty() { RequestError::TargetTooLong } else { TooLong.into() };
                let first = model.kept.first().unwrap_or(&model.line);
                let first = first.strip_suffix(b"\n").unwrap_or(first);
                let first = first.strip_suffix(b"\r").unwrap_or(first);
                (vec![format!("bad {}", first.escape_ascii())], error.into())
            }
            Some(status @ 200..) => (vec![format!("refused {status}")], Error::Refused(status)),
            _ => (vec![], ResponseError::Head(TooLong).into()),
        };
        prop_assert_eq!((&shown.events, shown.error), (&event, Some(error)));
        prop_assert!(!shown.is_complete);
    }
    // The kept headers are headers of the head, in their order.
    if !shown.events.is_empty() {
        prop_assert_eq!(&shown.headers, &model.headers());
    }
    Ok(())
}

/// Header lines without rules, with their line ends.
fn free_line() -> impl Strategy<Value = String> {
    "[A-Za-z-]{1,30}:[ \t]{0,2}[ -~\u{e9}]{0,40}\r\n"
}

/// Lines that break a rule of HTTP, or of the opening handshake.
fn odd_line() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "X : a\r\n",
        "X\t: a\r\n",
        " folded\r\n",
        "\tfolded: a\r\n",
        "no colon\r\n",
        ": a\r\n",
        "X(: a\r\n",
        "X: a\0b\r\n",
        "X: a\rb\r\n",
        "X: a\n",
        "X: a\r\r\n",
        "\r\r\n",
        "\rX: a\r\n",
        "Host: b\r\n",
        "Upgrade: h2c\r\n",
        "Connection: close\r\n",
        "Sec-WebSocket-Protocol: x, chat\r\n",
        "Sec-WebSocket-Protocol: chat\r\n",
        "Sec-WebSocket-Extensions: x;\r\n",
        "Content-Length: 5\r\n",
        "Origin: http://a\r\n",
        "\u{e9}: a\r\n",
    ])
    .prop_map(Into::into)
}

/// A first line, the lines of the handshake among `more`, and the end.
fn head(
    first: impl Strategy<Value = String>,
    required: Vec<String>,
    odd: std::ops::Range<usize>,
) -> impl Strategy<Value = String> {
    let lines = (vec(free_line(), 0..6), vec(odd_line(), odd))
        .prop_flat_map(move |(free, odd)| Just([required.clone(), free, odd].concat()).prop_shuffle());
    let ends = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\n", "", "\r\r\n\r\n"]);
    (first, lines, ends).prop_map(|(first, lines, end)| first + &lines.concat() + end)
}

fn selected(lines: &[&str]) -> impl Strategy<Value = String> + Clone + use<> {
    prop::sample::select(lines.iter().map(|line| line.to_string()).collect::<Vec<_>>())
}

fn any_request() -> impl Strategy<Value = String> {
    let first = prop_oneof![
        4 => Just("GET /chat HTTP/1.1\r\n".to_owned()),
        2 => selected(&[
            "GET http://other.example?x HTTP/1.1\r\n",
            "GET ws://[::1]:80 HTTP/1.1\r\n",
            "\r\nGET / HTTP/1.1\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\n",
            "GET / HTTP/1.0\r\n",
            "GET / HTTP/1.1\n",
            "GET /\t HTTP/1.1\r\n",
        ]),
        1 => "GET /[a-z]{0,200} HTTP/1.1\r\n",
    ];
    let required = request("Sec-WebSocket-Protocol: soap, chat\r\nOrigin: http://b\r\n");
    let required: Vec<_> = required.split_inclusive("\r\n").skip(1).map(Into::into).collect();
    let required = required[..required.len() - 1].to_vec();
    prop_oneof![3 => head(first.clone(), required.clone(), 0..1), 2 => head(first, required, 0..3)]
}

fn any_response() -> impl Strategy<Value = String> {
    // The generator is seeded: each client has the same key.
    let accept = accept_value_of(&connecting(Connect::new("a", "/")).take_sent());
    let switching = selected(&["HTTP/1.1 101 Switching Protocols\r\n", "HTTP/1.1 101\r\n"]);
    let odd_switching = selected(&[
        "HTTP/1.1 101 a\n",
        "HTTP/1.1 101 a\0\r\n",
        "HTTP/1.1 101 a\rb\r\n",
        "HTTP/1.0 101 a\r\n",
        "HTTP/1.1 1010\r\n",
        "\r\n",
    ]);
    let refusal = prop_oneof![
        selected(&[
            "HTTP/1.1 403 Forbidden\r\n",
            "HTTP/1.0 302\n",
            "HTTP/1.1 999 \r\n",
            "HTTP/1.1 200 \0\r\n"
        ]),
        "HTTP/1.1 [2-9][0-9][0-9] [ -~]{0,200}\r?\n",
    ];
    let required: Vec<String> = [
        "Upgrade: websocket\r\n",
        "Connection: keep-alive, Upgrade\r\n",
        "Sec-WebSocket-Protocol: chat\r\n",
        &format!("Sec-WebSocket-Accept: {accept}\r\n"),
    ]
    .map(Into::into)
    .into();
    let interim = head(selected(&["HTTP/1.1 103 Hints\r\n", "HTTP/1.1 100\n"]), vec![], 0..3);
    let last = prop_oneof![
        3 => head(switching.clone(), required.clone(), 0..1),
        2 => head(switching, required.clone(), 0..3),
        1 => head(odd_switching, required.clone(), 0..1),
        4 => head(refusal, vec!["Location: /b\r\n".into(), "Connection: close\r\n".into()], 0..6),
    ];
    (vec(interim, 0..2), last).prop_map(|(interim, last)| interim.concat() + &last)
}

type Show = fn(Config, &[u8], &[usize], &mut dyn Buffer, bool) -> Shown;

/// Checks a head in each type of buffer, in `capacity` bytes, and cut at `cuts`.
fn check_head(
    head: &str,
    show: Show,
    reads_request: bool,
    (max_head, max_headers): (Index, u16),
    capacity: Index,
    cuts: &[Index],
    two_steps: bool,
) -> Result<(), TestCaseError> {
    let stream = format!("{head}body\r\n\r\n").into_bytes();
    let max_head = 10 + max_head.index(stream.len() * 3);
    let config = Config::default().max_head(max_head as u16).max_headers(max_headers);
    let bytewise: Vec<usize> = (1..stream.len()).collect();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
    cuts.sort_unstable();
    let full = show(config, &stream, &bytewise, &mut Vec::new(), false);
    let check = |shown: &Shown, is_plain, capacity| {
        check(&stream, max_head, &full, shown, Model::new(reads_request, is_plain, capacity, max_head))
    };
    let capacity = capacity.index(stream.len() + 4);
    let in_slice = show(config, &stream, &[], &mut Slice::new(&mut vec![0; capacity]), two_steps);
    // With room for the whole head, all is kept. (A LF alone needs the room of a CRLF.)
    let spare = match (full.is_complete, stream[..full.read].ends_with(b"\r\n")) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    };
    if capacity >= full.read + spare {
        prop_assert_eq!((&in_slice.events, &in_slice.headers), (&full.events, &full.headers));
        prop_assert_eq!(in_slice.is_complete, full.is_complete);
    }
    // The headers without rules need room for one name only.
    if full.error.is_none() && !full.events.is_empty() {
        let model = Model::new(reads_request, false, 0, 0);
        let (mut needed, mut longest) = (2, 0);
        for line in stream[..full.taken].split_inclusive(|&byte| byte == b'\n') {
            match line.iter().position(|&byte| byte == b':') {
                Some(colon) if model.has_no_rules(line) => longest = longest.max(colon + 1),
                _ => needed += line.len(),
            }
        }
        if capacity >= needed + longest {
            prop_assert_eq!((&in_slice.events, in_slice.taken), (&full.events, full.taken));
        }
    }
    for cuts in [&[][..], &cuts, &bytewise] {
        check(&show(config, &stream, cuts, &mut Vec::new(), two_steps), false, usize::MAX)?;
        check(&show(config, &stream, cuts, &mut Inbox::new(), two_steps), false, usize::MAX)?;
        check(
            &show(config, &stream, cuts, &mut Slice::new(&mut vec![0; capacity]), two_steps),
            false,
            capacity,
        )?;
        let mut plain = Plain { bytes: vec![], capacity };
        check(&show(config, &stream, cuts, &mut plain, two_steps), true, capacity)?;
        check(&show(config, &stream, cuts, &mut FixedInbox::<100>::new(), two_steps), false, 100)?;
        check(&show(config, &stream, cuts, &mut FixedInbox::<250>::new(), two_steps), false, 250)?;
        check(&show(config, &stream, cuts, &mut heapless::Vec::<u8, 250>::new(), two_steps), false, 250)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Proves: F8, S11, S12.
    #[test]
    fn a_request_shows_the_same_at_every_cut_in_every_inbox(
        head in any_request(),
        limits in (any::<Index>(), 4..16_u16),
        capacity: Index,
        cuts in vec(any::<Index>(), 0..6),
        two_steps: bool,
    ) {
        check_head(&head, show_server, true, limits, capacity, &cuts, two_steps)?;
    }

    /// Proves: F8, D1, D12, D13.
    #[test]
    fn a_response_shows_the_same_at_every_cut_in_every_inbox(
        head in any_response(),
        limits in (any::<Index>(), 4..16_u16),
        capacity: Index,
        cuts in vec(any::<Index>(), 0..6),
        two_steps: bool,
    ) {
        check_head(&head, show_client, false, limits, capacity, &cuts, two_steps)?;
    }
}
