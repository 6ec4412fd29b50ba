//! Proves that an open server or client hears the same messages, Pings, Pongs and end in a stream as tungstenite does, but
//! for the differences below, each of which the RFC decides for us.
//!
//! The first byte chooses the role (bit 0) and the limits (bit 1); the rest is the stream, in one slice.
//!
//! | here | tungstenite 0.30 | why this is right |
//! |---|---|---|
//! | a length in a longer form than it needs is an Error | is taken, and the stream goes on | RFC 6455 5.2: "the minimal number of bytes MUST be used to encode the length"; so, in a control frame, on the octet that announces a longer form |
//! | a broken frame that the stream's end cuts off is the Error that it is, on the octet that breaks it | the end of the stream, for a frame is judged when it is complete | 5.1, 5.2, 5.5, 8.1: the endpoint "MUST _Fail the WebSocket Connection_" on it; 7.1.7 lets it do so at once. Checked by completing the frame: tungstenite then fails too |
//! | a Close code that must not be on the wire is an Error; Close is {1006, not clean} | Close with code 1002 and the reason `Protocol violation`, as if the peer had sent that | 7.4.1: 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame"; 7.1.5 and 7.1.6: the code and the reason are those of the frame that was received |
//! | Close code 1014 is taken | is refused, as above | 7.4.2: 1000-2999 are for the protocol, "its future revisions, and extensions"; 10.7: IANA's registry has 1014 (Bad Gateway) |
//! | what comes after the peer's Close is dropped | a client: an error | 1.4: "discard any further data received"; 5.5.1. It is behind the end, and so not compared |
//!
//! Limits that tungstenite has not (empty fragments) are off.
#![no_main]

use sansocket::{Config, Event, Server};
use sansocket_fuzz::{Peer, Seen, Side, TestClient, frames, inbox};
use std::io;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((flags, stream)) = data.split_first() else { return };
    let (max_message, max_frame) = if flags & 2 != 0 { (150, 130) } else { (8 << 10, 8 << 10) };
    let limits = Limits { max_message, max_frame };
    match flags & 1 {
        0 => compare::<Server>(stream, Role::Server, limits),
        _ => compare::<TestClient>(stream, Role::Client, limits),
    }
});

#[derive(Clone, Copy)]
struct Limits {
    max_message: usize,
    max_frame: usize,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq)]
enum End {
    /// With the peer's Close.
    Close(u16, String),
    /// The stream ended before it.
    Stream,
    /// The peer did something wrong; ours says what.
    Fault(String),
}

const VIOLATION: &str = "Protocol violation";

fn compare<R: Side>(stream: &[u8], role: Role, limits: Limits) {
    let (our_messages, our_end) = ours::<R>(stream, limits);
    let (their_messages, their_end) = theirs(stream, role, limits);
    if !matches!(our_end, End::Fault(_)) {
        // What must differ does: no frame up to the end has a length in a longer form than it needs.
        let is_close = |frame: &[u8]| frame.first().is_some_and(|first| first & 0xF == 8);
        let first = frames::find(stream, |frame| frames::is_non_minimal(frame) || is_close(frame));
        assert!(first.is_none_or(|first| !frames::is_non_minimal(&stream[first..])));
    }
    match (&our_end, &their_end) {
        (End::Fault(fault), _) if non_minimal(fault, stream).is_some() => {
            let start = non_minimal(fault, stream).unwrap_or(0);
            assert_eq!((our_messages, End::Stream), theirs(&stream[..start], role, limits));
        }
        (End::Fault(fault), End::Close(1002, reason))
            if fault == "InvalidCloseCode" && reason == VIOLATION =>
        {
            assert_eq!(our_messages, their_messages);
        }
        (End::Close(1014, _), End::Close(1002, reason)) if reason == VIOLATION => {
            assert_eq!(our_messages, their_messages);
        }
        (End::Fault(_), End::Stream) => {
            assert_eq!(our_messages, their_messages);
            // Completed with zeros, the frame is wrong for them too.
            let completed = [stream, &[0; 14], &vec![0; limits.max_frame]].concat();
            let (their_messages, their_end) = theirs(&completed, role, limits);
            let fails = match &their_end {
                End::Fault(_) => true,
                End::Close(1002, reason) => reason == VIOLATION,
                _ => false,
            };
            assert!(fails, "{our_end:?}, but completed {their_end:?}");
            assert_eq!(our_messages, their_messages, "{our_end:?}, but completed {their_end:?}");
        }
        (End::Fault(_), End::Fault(_)) => {
            assert_eq!(our_messages, their_messages, "{our_end:?}, {their_end:?}")
        }
        _ => assert_eq!((&our_messages, &our_end), (&their_messages, &their_end)),
    }
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

fn ours<R: Side>(stream: &[u8], limits: Limits) -> (Vec<Seen>, End) {
    let config = Config::default()
        .max_message(limits.max_message as u64)
        .max_frame(limits.max_frame as u64)
        .max_empty_fragments(u16::MAX);
    let mut peer = Peer::new(R::open(config), inbox(2));
    let mut fault = None;
    peer.receive(&mut stream.to_vec(), |_, event, _, _| {
        if let Event::Error(error) = event {
            let sansocket::Error::Protocol(error) = error else { panic!("{error}") };
            fault = Some(format!("{error:?}"));
        }
        true
    });
    peer.end();
    let end = match (fault, peer.record.end()) {
        (Some(fault), _) => End::Fault(fault),
        (None, (Some(_), ..)) => End::Stream,
        (None, (None, code, reason)) => End::Close(code, reason.into()),
    };
    let mut messages = peer.record.seen;
    messages.retain(|seen| seen.is_sent() || matches!(seen, Seen::Pong(_)));
    (messages, end)
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

fn theirs(stream: &[u8], role: Role, limits: Limits) -> (Vec<Seen>, End) {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(limits.max_message))
        .max_frame_size(Some(limits.max_frame))
        .accept_unmasked_frames(false);
    let mut ws = WebSocket::from_raw_socket(Stream(stream), role, Some(config));
    let mut messages = Vec::new();
    let end = loop {
        messages.push(match ws.read() {
            Ok(Message::Text(text)) => Seen::Text(text.as_str().into()),
            Ok(Message::Binary(bytes)) => Seen::Binary(bytes.into()),
            Ok(Message::Ping(payload)) => Seen::Ping(payload.into()),
            Ok(Message::Pong(payload)) => Seen::Pong(payload.into()),
            Ok(Message::Close(None)) => break End::Close(1005, String::new()),
            Ok(Message::Close(Some(close))) => {
                break End::Close(close.code.into(), close.reason.as_str().into());
            }
            Ok(Message::Frame(frame)) => panic!("{frame:?}"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break End::Stream,
            Err(error @ (Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_))) => {
                break End::Fault(error.to_string());
            }
            Err(error) => panic!("{error}"),
        });
    };
    (messages, end)
}
