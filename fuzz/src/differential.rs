//! What other implementations hear in the same bytes: the same messages, Pings, Pongs and end, and the same verdict on a
//! head, but for the differences below, each of which the RFC decides for us or leaves to us. Any other one fails.
//!
//! Compared are tungstenite 0.30 and, through `peers.py`, `websockets` 17.4 in frames and heads, and `wsproto` 1.3.2 in
//! frames. A limit on messages is compared with tungstenite alone; `websockets` has one too, but counts control frames
//! against it. `wsproto` has none.
//!
//! Frames:
//!
//! | [`Difference`] | here | the others | why this is right |
//! |---|---|---|---|
//! | `LongForm` | a length in a longer form than it needs is an Error | tungstenite, websockets: is taken | RFC 6455 5.2: "the minimal number of bytes MUST be used to encode the length"; so, in a control frame, on the octet that announces a longer form |
//! | `CutOff` | what the stream's end cuts off is judged on the octet that breaks it | all: the end of the stream, for a frame or a head, or a part of it, is judged when it is complete. Checked by completing it: then they fail too | 5.1, 5.2, 5.5, 8.1: the endpoint "MUST _Fail the WebSocket Connection_" on it; 7.1.7 lets it do so at once |
//! | `LateText` | text is judged on the octet that breaks it | websockets: when the message is complete; wsproto: a surrogate one octet late; Pings before that are still told | 8.1: "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_" |
//! | `CodeAsHeard` | a Close code that must not be on the wire is an Error; Close is {1006, not clean} | tungstenite: Close with code 1002 and the reason `Protocol violation`, as if the peer had sent that | 7.4.1: 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame"; 7.1.5, 7.1.6: code and reason are those of the frame that was received |
//! | `BadGateway` | Close code 1014 is taken | tungstenite, wsproto: is refused | 7.4.2: 1000-2999 are for the protocol, "its future revisions, and extensions"; 10.7: IANA's registry has 1014 (Bad Gateway) |
//! | `CloseInside` | a Close inside a fragmented message is the peer's Close | websockets: is refused | 5.4: control frames "MAY be injected in the middle of a fragmented message" |
//! | `NoLimit` | a frame of more than 2^40 octets is an Error | wsproto: is awaited | 10.4: "Implementations that have implementation- and/or platform-specific limitations [...] MUST protect themselves against exceeding those limits" |
//!
//! What comes after the peer's Close is behind the end, and so not compared: it is dropped here (1.4: "discard any further
//! data received"; 5.5.1), while a client by tungstenite fails.
//!
//! Heads that are refused here:
//!
//! | [`Difference`] | here | the others | why this is right |
//! |---|---|---|---|
//! | `Host` | a request needs one `Host`, of a host and a port | tungstenite, websockets: do not look | 4.2.1, 2: "A \|Host\| header field containing the server's authority"; RFC 9112 3.2: "A server MUST respond with a 400" |
//! | `Protocols` | subprotocols are tokens | tungstenite: does not look | 4.1, 10: their characters are "U+0021 to U+007E not including separator characters" |
//! | `Extensions` | they follow their grammar; a response has none that was not offered | tungstenite: does not look; websockets: does not look at a request's | 9.1: "the recipient of such malformed data MUST immediately _Fail the WebSocket Connection_"; 4.1, 5 |
//! | `Twice` | origin, key, version, accept, a response's subprotocol and `Upgrade` come once | tungstenite: the first one counts | 11.3.1, 11.3.3 to 11.3.5: "MUST NOT appear more than once"; 4.1, 2: two lines are the value `websocket, websocket`; RFC 6454 7.3: "MUST NOT include more than one Origin header field" |
//! | `SpacedList` | a list has commas | tungstenite: or spaces | RFC 9110 5.6.1, 7.6.1 |
//! | `Body` | a request has no body | tungstenite: reads it as frames | RFC 9110 9.3.1: content in a GET "might lead some implementations to reject the request" |
//! | `BareLf` | a line ends with CRLF | tungstenite: or with LF | RFC 9112 2.2: the recipient "MAY recognize a single LF"; it need not |
//! | `EmptyLine` | a response begins with its first line, a request with it or one empty line | tungstenite: any number of empty lines may come before | RFC 9112 2.2: "a server [...] SHOULD ignore at least one empty line" |
//! | `OneValue` | a response's `Upgrade` and `Sec-WebSocket-Protocol` are one value | websockets: are lists with one element that is not empty | 4.1, 2 and 6: the field's value is what is compared |
//! | `Digits` | a status has three digits | websockets: 0101 is 101 | RFC 9112 4: "status-code = 3DIGIT" |
//! | `Target` | a target is a path or an absolute URI of visible characters | websockets: does not look | RFC 9112 3.2 |
//!
//! Heads that are taken here, or not refused yet:
//!
//! | [`Difference`] | here | the others | why this is right |
//! |---|---|---|---|
//! | `Interim` | what comes before the final response is skipped | tungstenite, websockets: is a refusal | RFC 9110 15.2: "A client MUST be able to parse one or more 1xx responses received prior to a final response" |
//! | `EmptyLine` | one empty line before a request is ignored | websockets: is no request line | RFC 9112 2.2: "SHOULD ignore at least one empty line (CRLF) received prior to the request-line" |
//! | `NewerHttp` | HTTP/1.2 is spoken to | tungstenite, websockets: is refused | 4.2.1, 1: "An HTTP/1.1 or higher GET request" |
//! | `Glued` | frames behind the request are kept until it is answered | tungstenite: is refused | 4.1: the client MUST wait; what the server does if it has not is left open, and a proxy may join the two |
//! | `KeyBits` | the two bits that a key's last character has too many may be set | tungstenite: must be 0 | 4.1, 7: its own example `AQIDBAUGBwgJCgsMDQ4PEC==` has one set |
//! | `Lists` | `Upgrade` (in a request) and `Connection` are lists, in one line or several, that name what is asked for | tungstenite: are one line, or one value; websockets: `Upgrade` is one value, and all of a list must be tokens | 4.1, 3, 4.2.1, 3 and 4: "includes the token"; RFC 9110 5.3 |
//! | `EmptyValue` | an empty `Sec-WebSocket-Protocol` adds nothing to the others | websockets: is refused | RFC 9110 5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements" |
//! | `NoProtocol` | a response need not choose a subprotocol | tungstenite: must, if one was offered | 4.2.2, 5: /subprotocol/ is "a single value representing the subprotocol the server is ready to use or null" |
//! | `Target` | a visible character that no URI has may stand in a target | tungstenite: is refused | RFC 9112 3: to refuse is a SHOULD; none of them ends or splits the line, and browsers send some |
//! | `Folds` | a head that opens nothing may fold its lines | tungstenite, websockets: is refused | RFC 9112 5.2: a user agent "MUST replace each received obs-fold" |
//! | `NoReason` | the space before an empty reason may be missing | websockets: is refused | RFC 9112 4: a server sends it; "A client SHOULD ignore the reason-phrase content" |
//! | `Zeros` | a `Content-Length` of `00` is 0 | websockets: is refused | RFC 9110 8.6: it is `1*DIGIT`, "a decimal non-negative integer number of octets" |
//! | `WholeLines` | a line is judged when it is complete | tungstenite, websockets: on an octet before. Checked by completing it: then it is refused here too | left open |

use crate::heads::{self, CLIENT_KEY, Head};
use crate::{Peer, Seen, Side, TestClient, frames, inbox, rng};
use sansocket::{Config, Connect, Error, Event, Role, Server, WebSocket};
use std::io;
use tungstenite::Message;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::handshake::{HandshakeError, HandshakeRole};
use tungstenite::protocol::WebSocketConfig;

/// What is compared: a stream, who hears it, and how much of it may be one frame.
#[derive(Clone, Debug)]
pub struct Case {
    pub client: bool,
    /// The stream begins with the opening handshake.
    pub head: bool,
    /// The limits are low.
    pub small: bool,
    pub stream: Vec<u8>,
}

/// What a peer limits: messages and frames.
#[derive(Clone, Copy)]
pub struct Limits {
    pub message: Option<usize>,
    pub frame: Option<usize>,
}

/// What was heard: messages, Pings and Pongs, after Open if the stream begins with a head; and the end.
pub type Heard = (Vec<Seen>, End);

/// How a connection ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With the peer's Close.
    Close(u16, String),
    /// The stream ended before it.
    Stream,
    /// The peer did something wrong.
    Fault(String),
}

/// A difference that is in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    LongForm,
    CutOff,
    LateText,
    CodeAsHeard,
    BadGateway,
    CloseInside,
    NoLimit,
    Host,
    Protocols,
    Extensions,
    Twice,
    SpacedList,
    Body,
    BareLf,
    EmptyLine,
    Target,
    Interim,
    NewerHttp,
    Glued,
    KeyBits,
    Lists,
    EmptyValue,
    NoProtocol,
    Folds,
    Zeros,
    OneValue,
    Digits,
    NoReason,
    WholeLines,
}

/// Another implementation.
pub trait Other {
    /// What it differs in.
    fn differs(&self) -> &'static [Difference];
    fn limits(&self, small: bool) -> Limits;
    /// Whether heads are compared too.
    fn hears_heads(&self) -> bool {
        true
    }
    /// Hears `stream`, which may be another one than the case's.
    fn hear(&mut self, case: &Case, stream: &[u8]) -> Heard;
}

/// Compares; returns the difference, if it is one of the table's and of those that `other` has.
///
/// # Panics
/// On any other difference.
pub fn compare(case: &Case, other: &mut impl Other) -> Option<Difference> {
    let ours = ours(case, other.limits(case.small));
    let theirs = other.hear(case, &case.stream);
    let found = if case.head {
        head_difference(case, &ours, &theirs, other)
    } else {
        frame_difference(case, &ours, &theirs, other)
    };
    let listed = found.is_ok_and(|found| found.is_none_or(|found| other.differs().contains(&found)));
    assert!(
        listed,
        "{found:?} is not listed:\nours   {ours:?}\ntheirs {theirs:?}\nclient {} small {} head {} b\"{}\"",
        case.client,
        case.small,
        case.head,
        case.stream.escape_ascii()
    );
    found.ok().flatten()
}

/// `Err`, if there is no difference in the table that would explain what was heard.
type Found = Result<Option<Difference>, ()>;

/// The reason that tungstenite gives where a Close code must not be on the wire.
const VIOLATION: &str = "Protocol violation";

fn frame_difference(case: &Case, ours: &Heard, theirs: &Heard, other: &mut impl Other) -> Found {
    use Difference as D;
    let stream = &case.stream[..];
    let (our_seen, our_end) = ours;
    let (their_seen, their_end) = theirs;
    if !matches!(our_end, End::Fault(_)) {
        // What must differ does: no frame up to the end has a length in a longer form than it needs.
        let is_close = |frame: &[u8]| frame.first().is_some_and(|first| first & 0xF == 8);
        let first = frames::find(stream, |frame| frames::is_non_minimal(frame) || is_close(frame));
        assert!(first.is_none_or(|first| !frames::is_non_minimal(&stream[first..])));
    }
    let same_seen = our_seen == their_seen;
    let known = |difference| other.differs().contains(&difference);
    match (our_end, their_end) {
        (End::Fault(fault), End::Fault(_)) if same_seen && !fault.is_empty() => Ok(None),
        _ if ours == theirs => Ok(None),
        (End::Fault(fault), _) if known(D::LongForm) && non_minimal(fault, stream).is_some() => {
            // Up to that frame they hear the same.
            let start = non_minimal(fault, stream).unwrap_or(0);
            let before = other.hear(case, &stream[..start]);
            (before == (our_seen.clone(), End::Stream)).then_some(Some(D::LongForm)).ok_or(())
        }
        (End::Fault(fault), End::Close(1002, reason))
            if fault == "InvalidCloseCode" && reason == VIOLATION =>
        {
            same_seen.then_some(Some(D::CodeAsHeard)).ok_or(())
        }
        (End::Close(..), End::Fault(_))
            if same_seen && known(D::CloseInside) && ends_inside_message(stream) =>
        {
            Ok(Some(D::CloseInside))
        }
        (End::Close(1014, _), end) if same_seen && is_failure(end) => Ok(Some(D::BadGateway)),
        (End::Fault(fault), End::Stream) if same_seen && known(D::NoLimit) && fault.ends_with("TooBig") => {
            Ok(Some(D::NoLimit))
        }
        (End::Fault(fault), end) if !matches!(end, End::Close(..)) => {
            let late = &their_seen[our_seen.len().min(their_seen.len())..];
            let controls = late.iter().all(|seen| matches!(seen, Seen::Ping(_) | Seen::Pong(_)));
            if !controls || !their_seen.starts_with(our_seen) || !late.is_empty() && fault != "InvalidUtf8" {
                return Err(());
            }
            let found = if late.is_empty() { D::CutOff } else { D::LateText };
            if is_failure(end) {
                return Ok(Some(found));
            }
            // Once it is complete, the frame is wrong for them too; and so is the message, if that has to be complete.
            let mut completed = stream.to_vec();
            completed.extend(frames::missing(stream, !case.client, 70_000));
            let again = other.hear(case, &completed);
            if is_failure(&again.1) && again.0 == *their_seen {
                return Ok(Some(found));
            }
            completed.extend(frames::write(0x80, !case.client, b""));
            let again = other.hear(case, &completed);
            let fails = fault == "InvalidUtf8" && is_failure(&again.1) && again.0.starts_with(our_seen);
            fails.then_some(Some(D::LateText)).ok_or(())
        }
        _ => Err(()),
    }
}

fn is_failure(end: &End) -> bool {
    matches!(end, End::Fault(_)) || matches!(end, End::Close(1002, reason) if reason == VIOLATION)
}

/// Whether the first Close comes inside a fragmented message.
fn ends_inside_message(stream: &[u8]) -> bool {
    let (all, _) = frames::read(stream);
    let before = all.iter().take_while(|frame| frame.opcode != 8);
    before.filter(|frame| frame.opcode < 8).last().is_some_and(|frame| !frame.fin)
}

/// Where the frame begins that we refuse for its form of length, if that is why: a control frame is refused on its second
/// octet already, for no length that it may have needs this form.
fn non_minimal(fault: &str, stream: &[u8]) -> Option<usize> {
    let first = frames::find(stream, frames::is_non_minimal);
    match fault {
        "NonMinimalLength" => Some(first.expect("a length in a longer form than it needs")),
        "ControlTooLong" => {
            let control = frames::find(stream, frames::is_long_control).expect("a long control frame");
            let cut_off = match &stream[control..] {
                [_, 126 | 254, rest @ ..] => rest.len() < 2,
                [_, _, rest @ ..] => rest.len() < 6,
                _ => false,
            };
            (first == Some(control) || first.is_none() && cut_off).then_some(control)
        }
        _ => None,
    }
}

fn head_difference(case: &Case, ours: &Heard, theirs: &Heard, other: &mut impl Other) -> Found {
    match (&ours.1, &theirs.1) {
        _ if ours == theirs => Ok(None),
        (End::Fault(_), End::Fault(_)) if ours.0 == theirs.0 => Ok(None),
        (End::Fault(fault), _) => {
            let cut_off = theirs.0.is_empty()
                && completions(&case.stream).iter().any(|stream| is_failure(&other.hear(case, stream).1));
            if cut_off { Ok(Some(Difference::CutOff)) } else { Ok(Some(taken(case, fault).ok_or(())?)) }
        }
        (_, End::Fault(reason)) => Ok(Some(refused(case, reason, other.limits(false)).ok_or(())?)),
        _ => Err(()),
    }
}

/// The head, completed: without the line that is cut off, with it, and with a body.
fn completions(stream: &[u8]) -> [Vec<u8>; 3] {
    let line = stream.windows(2).rposition(|two| two == b"\r\n").map_or(0, |at| at + 2);
    let ends: [(&[u8], &[u8]); 3] =
        [(&stream[..line], b"\r\n"), (stream, b"\r\n\r\n"), (stream, &[b'0'; 5000])];
    ends.map(|(start, end)| [start, end].concat())
}

/// What they take, of the faults that we find.
fn taken(case: &Case, fault: &str) -> Option<Difference> {
    use Difference as D;
    let line = case.stream.windows(2).position(|two| two == b"\r\n").unwrap_or(0);
    let (head, _) = Head::read(&case.stream);
    let list_of_one = ["upgrade", "sec-websocket-protocol"]
        .iter()
        .any(|name| head.values(name).iter().any(|value| value.contains(&b',')));
    let control_in_line = !case.client && case.stream[..line].iter().any(u8::is_ascii_control);
    Some(match fault {
        _ if fault.ends_with("(Host)") => D::Host,
        _ if fault.ends_with("(SecWebSocketExtensions)") => D::Extensions,
        _ if fault.starts_with("Duplicate(") => D::Twice,
        "Missing(Connection)" => D::SpacedList,
        "Body" => D::Body,
        "Head(BareLf)" => D::BareLf,
        "Missing(Upgrade)" if head.values("upgrade").len() > 1 => D::Twice,
        "Invalid(SecWebSocketProtocol)" => D::Protocols,
        "Missing(Upgrade)" | "Invalid(Upgrade)" | "Unoffered(SecWebSocketProtocol)" if list_of_one => D::OneValue,
        "InvalidStatusLine" if head.parts().get(1).is_some_and(|status| status.len() > 3) => D::Digits,
        "InvalidRequestLine" if case.stream.starts_with(b"\r\n\r\n") => D::EmptyLine,
        "InvalidStatusLine" if case.stream.starts_with(b"\r\n") => D::EmptyLine,
        "InvalidTarget" => D::Target,
        "Head(ControlCharacter)" | "Head(BareCr)" if control_in_line => D::Target,
        _ => return None,
    })
}

/// Whether a list has no element but empty ones.
fn is_empty_list(value: &[u8]) -> bool {
    value.iter().all(|octet| b", \t".contains(octet))
}

/// Visible characters that RFC 3986 has in no URI.
const INVALID: [char; 8] = ['"', '<', '>', '\\', '^', '`', '{', '}'];

/// Why they refuse what we take, or what is not refused yet.
fn refused(case: &Case, reason: &str, limits: Limits) -> Option<Difference> {
    use Difference as D;
    let stream = &case.stream[..];
    let says = |texts: &[&str]| texts.iter().any(|text| reason.contains(text));
    let (head, _) = Head::read(stream);
    let version = head.parts().into_iter().find(|part| part.starts_with("HTTP/")).unwrap_or("").to_owned();
    let lists = [head.values("upgrade"), head.values("connection")];
    let is_token = |value: &[u8]| value.iter().all(|octet| octet.is_ascii_alphabetic());
    let interim =
        case.client && head.parts().get(1).is_some_and(|status| status.starts_with('1') && *status != "101");
    let mut completed = case.clone();
    completed.stream.extend_from_slice(b"\r\n");
    let lengths = head.values("content-length").concat();
    if says(&["request body"]) && !lengths.is_empty() && lengths.iter().all(|&octet| octet == b'0') {
        Some(D::Zeros)
    } else if interim && says(&["HTTP 1", "HTTP error: 1", "status line", "version", "unsupported protocol"])
    {
        Some(D::Interim)
    } else if !case.client && stream.starts_with(b"\r\n") && says(&["request line"]) {
        Some(D::EmptyLine)
    } else if version.as_str() > "HTTP/1.1" && says(&["version", "unsupported protocol"]) {
        Some(D::NewerHttp)
    } else if says(&["Junk"]) {
        Some(D::Glued)
    } else if says(&["Sec-WebSocket-Key"])
        && head.values("sec-websocket-key").iter().any(|key| heads::is_key(key))
    {
        Some(D::KeyBits)
    } else if says(&["Sec-WebSocket-Protocol"])
        && head.values("sec-websocket-protocol").iter().any(|value| is_empty_list(value))
    {
        Some(D::EmptyValue)
    } else if says(&["no subprotocol"]) && head.values("sec-websocket-protocol").is_empty() {
        Some(D::NoProtocol)
    } else if says(&["invalid uri character"])
        && head.parts().get(1).is_some_and(|target| target.contains(INVALID))
    {
        Some(D::Target)
    } else if says(&["Upgrade", "Connection"]) && lists.iter().any(|all| all.len() != 1 || !is_token(all[0]))
    {
        Some(D::Lists)
    } else if case.client && says(&["status line"]) && head.parts().len() == 2 {
        Some(D::NoReason)
    } else if case.client && says(&["header name", "header line"]) && heads::without_folds(stream) != stream {
        Some(D::Folds)
    } else if matches!(self::ours(&completed, limits).1, End::Fault(_)) {
        Some(D::WholeLines)
    } else {
        None
    }
}

/// What a client offers, and a server prefers, best first.
const OFFERED: [&str; 2] = ["v2", "chat"];

/// More than any stream has.
const UNLIMITED: u64 = 1 << 40;

fn ours(case: &Case, limits: Limits) -> Heard {
    let most = |limit: Option<usize>| limit.map_or(UNLIMITED, |limit| limit as u64);
    let config = Config::default()
        .max_message(most(limits.message))
        .max_frame(most(limits.frame))
        .max_empty_fragments(u16::MAX);
    match (case.client, case.head) {
        (false, false) => listen(<Server as Side>::open(config), case, |_, _, _| {}),
        (true, false) => listen(<TestClient as Side>::open(config), case, |_, _, _| {}),
        (false, true) => listen(WebSocket::server(config), case, |ws, event, outbox| {
            if let Event::Request(request) = event {
                let accept = request.select(&OFFERED).unwrap_or(request.accept());
                ws.accept(accept, outbox).unwrap();
            }
        }),
        (true, true) => {
            let mut ws = WebSocket::client(config, rng());
            ws.connect(Connect::new("a", "/").protocols(&OFFERED), &mut Vec::new()).unwrap();
            listen(ws, case, |_, _, _| {})
        }
    }
}

fn listen<R: Role>(
    ws: WebSocket<R>,
    case: &Case,
    reply: impl Fn(&mut WebSocket<R>, &Event<'_>, &mut Vec<u8>),
) -> Heard {
    let mut peer = Peer::new(ws, inbox(2));
    let mut fault = None;
    peer.receive(&mut case.stream.clone(), |ws, event, _, outbox| {
        reply(ws, event, outbox);
        match event {
            Event::Error(Error::Protocol(error)) => fault = Some(format!("{error:?}")),
            Event::Error(Error::Request(error)) => fault = Some(format!("{error:?}")),
            Event::Error(Error::Response(error)) => fault = Some(format!("{error:?}")),
            Event::Error(Error::Refused(response)) => fault = Some(format!("Refused {}", response.status())),
            Event::Error(error) => panic!("{error}"),
            _ => {}
        }
        true
    });
    peer.end();
    let mut seen = std::mem::take(&mut peer.record.seen);
    if let Some(open) = seen.iter().find(|seen| case.head && matches!(seen, Seen::Open(_))) {
        return (vec![open.clone()], End::Stream);
    }
    peer.record.seen.clone_from(&seen);
    let end = match (fault, peer.record.end()) {
        (Some(fault), _) => End::Fault(fault),
        (None, (Some(_), ..)) => End::Stream,
        (None, (None, code, reason)) => End::Close(code, reason.into()),
    };
    seen.retain(|seen| seen.is_sent() || matches!(seen, Seen::Pong(_)));
    (seen, end)
}

/// tungstenite, in this process.
pub struct Tungstenite;

impl Other for Tungstenite {
    fn differs(&self) -> &'static [Difference] {
        use Difference as D;
        &[
            D::LongForm,
            D::CutOff,
            D::CodeAsHeard,
            D::BadGateway,
            D::Host,
            D::Extensions,
            D::Twice,
            D::Protocols,
            D::SpacedList,
            D::EmptyLine,
            D::Folds,
            D::Body,
            D::BareLf,
            D::Interim,
            D::NewerHttp,
            D::Glued,
            D::KeyBits,
            D::Lists,
            D::NoProtocol,
            D::Target,
            D::WholeLines,
        ]
    }

    fn limits(&self, small: bool) -> Limits {
        let (message, frame) = if small { (150, 130) } else { (8 << 10, 8 << 10) };
        Limits { message: Some(message), frame: Some(frame) }
    }

    fn hear(&mut self, case: &Case, stream: &[u8]) -> Heard {
        let role = if case.client {
            tungstenite::protocol::Role::Client
        } else {
            tungstenite::protocol::Role::Server
        };
        if case.head {
            return if case.client { open_client(stream) } else { open_server(stream) };
        }
        let limits = self.limits(case.small);
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_message_size(limits.message)
            .max_frame_size(limits.frame)
            .accept_unmasked_frames(false);
        let mut ws = tungstenite::WebSocket::from_raw_socket(Stream(stream), role, Some(config));
        let mut seen = Vec::new();
        let end = loop {
            seen.push(match ws.read() {
                Ok(Message::Text(text)) => Seen::Text(text.as_str().into()),
                Ok(Message::Binary(bytes)) => Seen::Binary(bytes.into()),
                Ok(Message::Ping(payload)) => Seen::Ping(payload.into()),
                Ok(Message::Pong(payload)) => Seen::Pong(payload.into()),
                Ok(Message::Close(None)) => break End::Close(1005, String::new()),
                Ok(Message::Close(Some(close))) => {
                    break End::Close(close.code.into(), close.reason.as_str().into());
                }
                Ok(Message::Frame(frame)) => panic!("{frame:?}"),
                Err(error) => break ending(&error),
            });
        };
        (seen, end)
    }
}

/// The end that an error of tungstenite's is.
fn ending(error: &tungstenite::Error) -> End {
    use tungstenite::Error as E;
    match error {
        E::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete) => {
            End::Stream
        }
        E::Io(error) => panic!("{error}"),
        error => End::Fault(error.to_string()),
    }
}

fn open_server(stream: &[u8]) -> Heard {
    let mut protocol = None;
    #[allow(clippy::result_large_err, reason = "it is tungstenite's")]
    let accept = |request: &Request, response: Response| {
        let offered =
            request.headers().get_all("Sec-WebSocket-Protocol").iter().map(|value| value.as_bytes());
        let offered = offered.collect::<Vec<_>>().join(&b',');
        let offered = String::from_utf8_lossy(&offered).into_owned();
        let offered: Vec<&str> = offered.split(',').map(str::trim).collect();
        protocol = OFFERED.iter().find(|one| offered.contains(one)).map(|one| (*one).to_owned());
        Ok(response)
    };
    let end = handshake_end(tungstenite::accept_hdr(Stream(stream), accept));
    end.map_or_else(|| (vec![Seen::Open(protocol)], End::Stream), |end| (Vec::new(), end))
}

fn open_client(stream: &[u8]) -> Heard {
    let request = tungstenite::http::Request::get("ws://a/")
        .header("Host", "a")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", CLIENT_KEY)
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Protocol", OFFERED.join(", "));
    let result = tungstenite::client(request.body(()).unwrap(), Stream(stream));
    let mut protocol = None;
    let result = result.map(|(_, response)| {
        let value = response.headers().get("Sec-WebSocket-Protocol");
        protocol = value.map(|value| value.to_str().unwrap().to_owned());
    });
    let end = handshake_end(result);
    end.map_or_else(|| (vec![Seen::Open(protocol)], End::Stream), |end| (Vec::new(), end))
}

/// How the handshake failed.
fn handshake_end<T, H: HandshakeRole>(result: Result<T, HandshakeError<H>>) -> Option<End> {
    match result {
        Ok(_) => None,
        Err(HandshakeError::Failure(error)) => Some(ending(&error)),
        Err(HandshakeError::Interrupted(_)) => panic!("a stream that blocks"),
    }
}

/// A stream that ends, and forgets what is written to it.
struct Stream<'s>(&'s [u8]);

impl io::Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl io::Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
