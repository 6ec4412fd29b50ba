//! Compares the crate with other implementations on the same bytes: messages, Pings, Pongs, the end
//! of the connection, and the verdict on the opening handshake. The tables list every accepted
//! difference; any other difference fails.
//!
//! The others are tungstenite 0.30 and, through `peers.py`, `websockets` 17.4 (frames and heads)
//! and `wsproto` 1.3.2 (frames). Only tungstenite is compared with a message limit: that of
//! `websockets` counts control frames, and `wsproto` has none.
//!
//! Frames:
//!
//! | [`Difference`] | this crate | the others | reason |
//! |---|---|---|---|
//! | `LongForm` | a length that is not in its shortest form is an Error | tungstenite, websockets: accept it | RFC 6455 5.2: "the minimal number of bytes MUST be used to encode the length". A control frame needs no longer form, so it fails on its second byte |
//! | `CutOff` | an error in the truncated end of the stream is reported on the byte that causes it | all: report the end of the stream, because they check a frame, a head or a part of it when it is complete. Checked by completing it: then they fail too | 5.1, 5.2, 5.5, 8.1: the endpoint "MUST _Fail the WebSocket Connection_"; 7.1.7 allows it to do so at once |
//! | `LateText` | invalid UTF-8 is reported on the byte that causes it | websockets: when the message is complete; wsproto: a surrogate one byte late. Both deliver the Pings received until then | 8.1: "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_" |
//! | `SyntheticClose` | a Close code that must not be on the wire is an Error, and Close is {1006, not clean} | tungstenite: Close with code 1002 and the reason `Protocol violation`, as if the peer had sent them | 7.4.1: 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame"; 7.1.5, 7.1.6: code and reason are those of the received frame |
//! | `BadGateway` | Close code 1014 is accepted | tungstenite, wsproto: refuse it | 7.4.2: 1000-2999 are for the protocol, "its future revisions, and extensions"; 10.7: IANA's registry has 1014 (Bad Gateway) |
//! | `CloseInside` | a Close inside a fragmented message is the peer's Close | websockets: refuses it | 5.4: control frames "MAY be injected in the middle of a fragmented message" |
//! | `NoLimit` | a frame of more than 2^40 bytes is an Error | wsproto: waits for it | 10.4: "Implementations that have implementation- and/or platform-specific limitations [...] MUST protect themselves against exceeding those limits" |
//!
//! Bytes after the peer's Close are not compared: this crate discards them (1.4: "discard any
//! further data received"; 5.5.1), and a tungstenite client fails on them.
//!
//! Heads that this crate refuses:
//!
//! | [`Difference`] | this crate | the others | reason |
//! |---|---|---|---|
//! | `Host` | a request needs one `Host`, of a host and a port | tungstenite, websockets: do not check | 4.2.1, 2: "A \|Host\| header field containing the server's authority"; RFC 9112 3.2: "A server MUST respond with a 400" |
//! | `Protocols` | subprotocols are tokens | tungstenite: does not check | 4.1, 10: their characters are "U+0021 to U+007E not including separator characters" |
//! | `Extensions` | extensions follow their grammar, and a response has none that was not offered | tungstenite: does not check; websockets: does not check a request | 9.1: "the recipient of such malformed data MUST immediately _Fail the WebSocket Connection_"; 4.1, 5 |
//! | `Duplicate` | origin, key, version, accept, a response's subprotocol and `Upgrade` occur once | tungstenite: uses the first | 11.3.1, 11.3.3 to 11.3.5: "MUST NOT appear more than once"; 4.1, 2: two lines are the value `websocket, websocket`; RFC 6454 7.3: "MUST NOT include more than one Origin header field" |
//! | `SpacedList` | list elements are separated by commas | tungstenite: or by spaces | RFC 9110 5.6.1, 7.6.1 |
//! | `Body` | a request has no body | tungstenite: reads the body as frames | RFC 9110 9.3.1: content in a GET "might lead some implementations to reject the request" |
//! | `BareLf` | a line ends with CRLF | tungstenite: or with LF | RFC 9112 2.2: the recipient "MAY recognize a single LF" |
//! | `EmptyLine` | a response begins with its status line; one empty line may precede a request | tungstenite: any number of empty lines may precede either | RFC 9112 2.2: "a server [...] SHOULD ignore at least one empty line" |
//! | `OneValue` | a response's `Upgrade` and `Sec-WebSocket-Protocol` are one value | websockets: are lists with one non-empty element | 4.1, 2 and 6: the field's value is compared |
//! | `Digits` | a status has three digits | websockets: 0101 is 101 | RFC 9112 4: "status-code = 3DIGIT" |
//! | `Target` | a target is a path or an absolute URI of visible characters | websockets: does not check | RFC 9112 3.2 |
//!
//! Heads that this crate accepts, or does not refuse yet:
//!
//! | [`Difference`] | this crate | the others | reason |
//! |---|---|---|---|
//! | `Interim` | interim responses are skipped | tungstenite, websockets: refuse them | RFC 9110 15.2: "A client MUST be able to parse one or more 1xx responses received prior to a final response" |
//! | `EmptyLine` | one empty line before a request is ignored | websockets: refuses it as the request line | RFC 9112 2.2: "SHOULD ignore at least one empty line (CRLF) received prior to the request-line" |
//! | `NewerHttp` | HTTP/1.2 is accepted | tungstenite, websockets: refuse it | 4.2.1, 1: "An HTTP/1.1 or higher GET request" |
//! | `EarlyFrames` | frames that follow the request wait until it is answered | tungstenite: refuses them | 4.1: the client MUST wait. The RFC does not say what a server does if it has not, and a proxy may join the two |
//! | `KeyBits` | the two unused bits in the last character of a key may be set | tungstenite: must be 0 | 4.1, 7: its own example `AQIDBAUGBwgJCgsMDQ4PEC==` has one set |
//! | `Lists` | `Upgrade` (in a request) and `Connection` are lists, in one line or several, that contain the required token | tungstenite: are one line, or one value; websockets: `Upgrade` is one value, and every list element is a token | 4.1, 3, 4.2.1, 3 and 4: "includes the token"; RFC 9110 5.3 |
//! | `EmptyValue` | an empty `Sec-WebSocket-Protocol` line adds nothing to the list | websockets: refuses it | RFC 9110 5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements" |
//! | `NoProtocol` | a response need not choose a subprotocol | tungstenite: must, if one was offered | 4.2.2, 5: /subprotocol/ is "a single value representing the subprotocol the server is ready to use or null" |
//! | `Target` | visible characters that RFC 3986 excludes from URIs may be in a target | tungstenite: refuses them | RFC 9112 3: to refuse is a SHOULD; none of them ends or splits the line, and browsers send some |
//! | `Lenient` | a response that does not switch protocols is reported, whatever is in its lines | tungstenite, websockets: refuse it | RFC 9110 15: the status code "describes the result of the request"; RFC 9112 2.2, 5.1, 5.2: LF alone, white space before a colon and folds can be read |
//! | `NoReason` | the space before an empty reason may be missing | websockets: refuses it | RFC 9112 4: a server sends it; "A client SHOULD ignore the reason-phrase content" |
//! | `Zeros` | a `Content-Length` of `00` is 0 | websockets: refuses it | RFC 9110 8.6: it is `1*DIGIT`, "a decimal non-negative integer number of octets" |
//! | `WholeLines` | a line is checked when it is complete | tungstenite, websockets: earlier. Checked by completing it: then this crate refuses it too | not specified |

use crate::heads::{self, CLIENT_KEY, Head};
use crate::{OwnedEvent, Peer, Side, TestClient, frames, inbox, rng};
use sansocket::handshake::HeaderName as Name;
use sansocket::{
    Config, Connect, Error, Event, HeadError, ProtocolError, RequestError, ResponseError, Role, Server,
    WebSocket,
};
use std::io;
use tungstenite::Message;
use tungstenite::error::ProtocolError as TungsteniteError;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::handshake::{HandshakeError, HandshakeRole};
use tungstenite::protocol::WebSocketConfig;

/// A stream, and how each implementation receives it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The receiver is a client.
    pub client: bool,
    /// The stream begins with the opening handshake.
    pub head: bool,
    /// The limits are low.
    pub small: bool,
    pub stream: Vec<u8>,
}

/// An implementation's limits on messages and frames, in bytes.
#[derive(Clone, Copy)]
pub struct Limits {
    pub message: Option<usize>,
    pub frame: Option<usize>,
}

/// Messages, Pings and Pongs (only Open, if the stream begins with a head), and the end.
pub type Outcome = (Vec<OwnedEvent>, End);

/// How a connection ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With the peer's Close.
    Close(u16, String),
    /// With the end of the stream, without a Close.
    Stream,
    /// With an error of the peer, in the implementation's own words.
    Error(String),
}

/// A difference listed in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    LongForm,
    CutOff,
    LateText,
    SyntheticClose,
    BadGateway,
    CloseInside,
    NoLimit,
    Host,
    Protocols,
    Extensions,
    Duplicate,
    SpacedList,
    Body,
    BareLf,
    EmptyLine,
    Target,
    Interim,
    NewerHttp,
    EarlyFrames,
    KeyBits,
    Lists,
    EmptyValue,
    NoProtocol,
    Lenient,
    Zeros,
    OneValue,
    Digits,
    NoReason,
    WholeLines,
}

/// Another implementation.
pub trait Other {
    /// The differences that it may show.
    fn differences(&self) -> &'static [Difference];
    fn limits(&self, small: bool) -> Limits;
    /// Whether heads are compared too.
    fn reads_heads(&self) -> bool {
        true
    }
    /// Receives `stream`, which may differ from the case's, in the case's role.
    fn receive(&mut self, case: &Case, stream: &[u8]) -> Outcome;
}

/// Compares one case; returns the difference, if there is one.
///
/// # Panics
/// If the difference is in no table, or not among `other`'s.
pub fn compare(case: &Case, other: &mut impl Other) -> Option<Difference> {
    let (ours, error) = ours(case, other.limits(case.small));
    let theirs = other.receive(case, &case.stream);
    let found = if ours == theirs {
        Ok(None)
    } else if case.head {
        head_difference(case, &ours, error, &theirs, other)
    } else {
        frame_difference(case, &ours, error, &theirs, other)
    };
    if !case.head && error.is_none() {
        // Whatever the others do, no frame up to the Close may have a length in a longer form than
        // it needs.
        let is_close = |frame: &[u8]| frame.first().is_some_and(|first| first & 0xF == 8);
        let first = frames::find(&case.stream, |frame| frames::is_non_minimal(frame) || is_close(frame));
        assert!(first.is_none_or(|first| !frames::is_non_minimal(&case.stream[first..])));
    }
    let listed = found.is_ok_and(|found| found.is_none_or(|found| other.differences().contains(&found)));
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

/// `Err` if no difference of the tables explains the outcomes.
type Found = Result<Option<Difference>, ()>;

/// The reason in tungstenite's [`Difference::SyntheticClose`].
const VIOLATION: &str = "Protocol violation";

fn frame_difference(
    case: &Case,
    ours: &Outcome,
    error: Option<Error>,
    theirs: &Outcome,
    other: &mut impl Other,
) -> Found {
    use Difference as D;
    let stream = &case.stream[..];
    let (our_events, our_end) = ours;
    let (their_events, their_end) = theirs;
    let same_events = our_events == their_events;
    let may = |difference| other.differences().contains(&difference);
    let Some(Error::Protocol(error)) = error else {
        return match (our_end, their_end) {
            (End::Close(..), End::Error(_))
                if same_events && may(D::CloseInside) && ends_inside_message(stream) =>
            {
                Ok(Some(D::CloseInside))
            }
            (End::Close(1014, _), end) if same_events && is_failure(end) => Ok(Some(D::BadGateway)),
            _ => Err(()),
        };
    };
    match their_end {
        End::Error(_) if same_events => Ok(None),
        _ if may(D::LongForm) && non_minimal(error, stream).is_some() => {
            // The frames before that one have the same outcome.
            let start = non_minimal(error, stream).unwrap_or(0);
            let before = other.receive(case, &stream[..start]);
            (before == (our_events.clone(), End::Stream)).then_some(Some(D::LongForm)).ok_or(())
        }
        End::Close(1002, reason) if error == ProtocolError::InvalidCloseCode && reason == VIOLATION => {
            same_events.then_some(Some(D::SyntheticClose)).ok_or(())
        }
        End::Stream
            if same_events
                && may(D::NoLimit)
                && matches!(error, ProtocolError::FrameTooBig | ProtocolError::MessageTooBig) =>
        {
            Ok(Some(D::NoLimit))
        }
        End::Close(..) => Err(()),
        end => {
            let late = &their_events[our_events.len().min(their_events.len())..];
            let controls =
                late.iter().all(|event| matches!(event, OwnedEvent::Ping(_) | OwnedEvent::Pong(_)));
            let invalid_text = error == ProtocolError::InvalidUtf8;
            if !controls || !their_events.starts_with(our_events) || !late.is_empty() && !invalid_text {
                return Err(());
            }
            let found = if late.is_empty() { D::CutOff } else { D::LateText };
            if is_failure(end) {
                return Ok(Some(found));
            }
            // They fail too once the frame is complete, or the message, if they check whole
            // messages.
            let mut completed = stream.to_vec();
            completed.extend(frames::missing(stream, !case.client, 70_000));
            let again = other.receive(case, &completed);
            if is_failure(&again.1) && again.0 == *their_events {
                return Ok(Some(found));
            }
            completed.extend(frames::write(0x80, !case.client, b""));
            let again = other.receive(case, &completed);
            let fails = invalid_text && is_failure(&again.1) && again.0.starts_with(our_events);
            fails.then_some(Some(D::LateText)).ok_or(())
        }
    }
}

fn is_failure(end: &End) -> bool {
    matches!(end, End::Error(_)) || matches!(end, End::Close(1002, reason) if reason == VIOLATION)
}

/// Whether the first Close is inside a fragmented message.
fn ends_inside_message(stream: &[u8]) -> bool {
    let (all, _) = frames::read(stream);
    let before = all.iter().take_while(|frame| frame.opcode != 8);
    before.filter(|frame| frame.opcode < 8).last().is_some_and(|frame| !frame.fin)
}

/// The start of the frame that this crate refuses for the form of its length, if that is the error.
/// A control frame is refused on its second byte: no length that it may have needs a longer form.
fn non_minimal(error: ProtocolError, stream: &[u8]) -> Option<usize> {
    let first = frames::find(stream, frames::is_non_minimal);
    match error {
        ProtocolError::NonMinimalLength => Some(first.expect("a length in a longer form than it needs")),
        ProtocolError::ControlTooLong => {
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

fn head_difference(
    case: &Case,
    ours: &Outcome,
    error: Option<Error>,
    theirs: &Outcome,
    other: &mut impl Other,
) -> Found {
    match (error, &theirs.1) {
        (Some(_), End::Error(_)) if ours.0 == theirs.0 => Ok(None),
        (Some(error), _) => {
            let cut_off = theirs.0.is_empty()
                && completions(&case.stream).iter().any(|stream| is_failure(&other.receive(case, stream).1));
            let found = if cut_off { Some(Difference::CutOff) } else { only_refused_here(case, error) };
            found.map(Some).ok_or(())
        }
        (None, End::Error(reason)) => {
            only_accepted_here(case, reason, other.limits(false)).map(Some).ok_or(())
        }
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

/// Why another implementation accepts a head that this crate refuses with `error`.
fn only_refused_here(case: &Case, error: Error) -> Option<Difference> {
    use Difference as D;
    let line = case.stream.windows(2).position(|two| two == b"\r\n").unwrap_or(0);
    let (head, _) = Head::read(&case.stream);
    let list_of_one = ["upgrade", "sec-websocket-protocol"]
        .iter()
        .any(|name| head.values(name).iter().any(|value| value.contains(&b',')));
    let control_in_line = case.stream[..line].iter().any(u8::is_ascii_control);
    Some(match error {
        Error::Request(error) => {
            use RequestError as E;
            match error {
                E::Missing(Name::Host) | E::Duplicate(Name::Host) | E::Invalid(Name::Host) => D::Host,
                E::Invalid(Name::SecWebSocketExtensions) => D::Extensions,
                E::Duplicate(Name::Origin | Name::SecWebSocketKey | Name::SecWebSocketVersion) => {
                    D::Duplicate
                }
                E::Missing(Name::Connection) => D::SpacedList,
                E::Body => D::Body,
                E::Invalid(Name::SecWebSocketProtocol) => D::Protocols,
                E::InvalidRequestLine if case.stream.starts_with(b"\r\n\r\n") => D::EmptyLine,
                E::InvalidTarget => D::Target,
                E::Head(HeadError::BareLf) => D::BareLf,
                E::Head(HeadError::ControlCharacter | HeadError::BareCr) if control_in_line => D::Target,
                _ => return None,
            }
        }
        Error::Response(error) => {
            use ResponseError as E;
            match error {
                E::Invalid(Name::SecWebSocketExtensions)
                | E::Unoffered(Name::SecWebSocketExtensions)
                | E::Duplicate(Name::SecWebSocketExtensions) => D::Extensions,
                E::Duplicate(Name::Upgrade | Name::SecWebSocketAccept | Name::SecWebSocketProtocol) => {
                    D::Duplicate
                }
                E::Missing(Name::Connection) => D::SpacedList,
                E::Invalid(Name::Upgrade) | E::Unoffered(Name::SecWebSocketProtocol) if list_of_one => {
                    D::OneValue
                }
                E::InvalidStatusLine if head.parts().get(1).is_some_and(|status| status.len() > 3) => {
                    D::Digits
                }
                E::InvalidStatusLine if case.stream.starts_with(b"\r\n") => D::EmptyLine,
                E::Head(HeadError::BareLf) => D::BareLf,
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// Whether all elements of a list are empty.
fn is_empty_list(value: &[u8]) -> bool {
    value.iter().all(|byte| b", \t".contains(byte))
}

/// Visible characters that RFC 3986 excludes from URIs.
const INVALID: [char; 8] = ['"', '<', '>', '\\', '^', '`', '{', '}'];

/// Why another implementation refuses, with `reason`, a head that this crate accepts or has not
/// refused yet.
fn only_accepted_here(case: &Case, reason: &str, limits: Limits) -> Option<Difference> {
    use Difference as D;
    let stream = &case.stream[..];
    let says = |texts: &[&str]| texts.iter().any(|text| reason.contains(text));
    let (head, _) = Head::read(stream);
    let version = head.parts().into_iter().find(|part| part.starts_with("HTTP/")).unwrap_or("").to_owned();
    let lists = [head.values("upgrade"), head.values("connection")];
    let is_token = |value: &[u8]| value.iter().all(u8::is_ascii_alphabetic);
    let interim =
        case.client && head.parts().get(1).is_some_and(|status| status.starts_with('1') && *status != "101");
    let mut completed = case.clone();
    completed.stream.extend_from_slice(b"\r\n");
    let lengths = head.values("content-length").concat();
    if says(&["request body"]) && !lengths.is_empty() && lengths.iter().all(|&byte| byte == b'0') {
        Some(D::Zeros)
    } else if interim && says(&["HTTP 1", "HTTP error: 1", "status line", "version", "unsupported protocol"])
    {
        Some(D::Interim)
    } else if !case.client && stream.starts_with(b"\r\n") && says(&["request line"]) {
        Some(D::EmptyLine)
    } else if version.as_str() > "HTTP/1.1" && says(&["version", "unsupported protocol"]) {
        Some(D::NewerHttp)
    } else if says(&["Junk"]) {
        Some(D::EarlyFrames)
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
    } else if case.client && heads::has_odd_line(stream) {
        Some(D::Lenient)
    } else if ours(&completed, limits).1.is_some() {
        Some(D::WholeLines)
    } else {
        None
    }
}

/// The subprotocols that a client offers and a server prefers, best first.
const OFFERED: [&str; 2] = ["v2", "chat"];

/// Above the length of any stream.
const UNLIMITED: u64 = 1 << 40;

/// This crate's outcome, and the error in it.
fn ours(case: &Case, limits: Limits) -> (Outcome, Option<Error>) {
    let limit = |limit: Option<usize>| limit.map_or(UNLIMITED, |limit| limit as u64);
    let config = Config::default()
        .max_message(limit(limits.message))
        .max_frame(limit(limits.frame))
        .max_empty_fragments(u16::MAX);
    match (case.client, case.head) {
        (false, false) => receive(<Server as Side>::open(config), case, |_, _, _| {}),
        (true, false) => receive(<TestClient as Side>::open(config), case, |_, _, _| {}),
        (false, true) => receive(WebSocket::server(config), case, |ws, event, outbox| {
            if let Event::Request(request) = event {
                let accept = request.select(&OFFERED).unwrap_or(request.accept());
                ws.accept(accept, outbox).unwrap();
            }
        }),
        (true, true) => {
            let mut ws = WebSocket::client(config, rng());
            ws.connect(Connect::new("a", "/").protocols(&OFFERED), &mut Vec::new()).unwrap();
            receive(ws, case, |_, _, _| {})
        }
    }
}

fn receive<R: Role>(
    ws: WebSocket<R>,
    case: &Case,
    reply: impl Fn(&mut WebSocket<R>, &Event<'_>, &mut Vec<u8>),
) -> (Outcome, Option<Error>) {
    let mut peer = Peer::new(ws, inbox(2));
    let mut error = None;
    peer.receive(&mut case.stream.clone(), |ws, event, _, outbox| {
        reply(ws, event, outbox);
        if let Event::Error(found) = event {
            error = Some(*found);
        }
        true
    });
    peer.end();
    let mut events = std::mem::take(&mut peer.record.events);
    if let Some(open) = events.iter().find(|event| case.head && matches!(event, OwnedEvent::Open(_))) {
        return ((vec![open.clone()], End::Stream), None);
    }
    peer.record.events.clone_from(&events);
    let end = match (error, peer.record.end()) {
        (Some(error), _) => End::Error(error.to_string()),
        (None, (Some(_), ..)) => End::Stream,
        (None, (None, code, reason)) => End::Close(code, reason.into()),
    };
    events.retain(|event| event.is_message_or_ping() || matches!(event, OwnedEvent::Pong(_)));
    ((events, end), error)
}

/// tungstenite, run in this process.
pub struct Tungstenite;

impl Other for Tungstenite {
    fn differences(&self) -> &'static [Difference] {
        use Difference as D;
        &[
            D::LongForm,
            D::CutOff,
            D::SyntheticClose,
            D::BadGateway,
            D::Host,
            D::Extensions,
            D::Duplicate,
            D::Protocols,
            D::SpacedList,
            D::EmptyLine,
            D::Lenient,
            D::Body,
            D::BareLf,
            D::Interim,
            D::NewerHttp,
            D::EarlyFrames,
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

    fn receive(&mut self, case: &Case, stream: &[u8]) -> Outcome {
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
        let mut events = Vec::new();
        let end = loop {
            events.push(match ws.read() {
                Ok(Message::Text(text)) => OwnedEvent::Text(text.as_str().into()),
                Ok(Message::Binary(bytes)) => OwnedEvent::Binary(bytes.into()),
                Ok(Message::Ping(payload)) => OwnedEvent::Ping(payload.into()),
                Ok(Message::Pong(payload)) => OwnedEvent::Pong(payload.into()),
                Ok(Message::Close(None)) => break End::Close(1005, String::new()),
                Ok(Message::Close(Some(close))) => {
                    break End::Close(close.code.into(), close.reason.as_str().into());
                }
                Ok(Message::Frame(frame)) => panic!("{frame:?}"),
                Err(error) => break ending(&error),
            });
        };
        (events, end)
    }
}

/// The end of a connection on which tungstenite returned `error`.
fn ending(error: &tungstenite::Error) -> End {
    use tungstenite::Error as E;
    match error {
        E::Protocol(
            TungsteniteError::ResetWithoutClosingHandshake | TungsteniteError::HandshakeIncomplete,
        ) => End::Stream,
        E::Io(error) => panic!("{error}"),
        error => End::Error(error.to_string()),
    }
}

fn open_server(stream: &[u8]) -> Outcome {
    let mut protocol = None;
    #[allow(clippy::result_large_err, reason = "tungstenite defines the error")]
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
    end.map_or_else(|| (vec![OwnedEvent::Open(protocol)], End::Stream), |end| (Vec::new(), end))
}

fn open_client(stream: &[u8]) -> Outcome {
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
    end.map_or_else(|| (vec![OwnedEvent::Open(protocol)], End::Stream), |end| (Vec::new(), end))
}

/// How the handshake failed, if it did.
fn handshake_end<T, H: HandshakeRole>(result: Result<T, HandshakeError<H>>) -> Option<End> {
    match result {
        Ok(_) => None,
        Err(HandshakeError::Failure(error)) => Some(ending(&error)),
        Err(HandshakeError::Interrupted(_)) => panic!("the stream never blocks"),
    }
}

/// A stream that reads a slice to its end and discards everything written to it.
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
