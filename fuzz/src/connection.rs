//! An open connection that receives arbitrary bytes, in portions, while its caller sends, pings,
//! closes and passes time.

use crate::{Choices, FIXED, OwnedEvent, Peer, Record, Side, frames, inbox, portion};
use sansocket::frame::Masking;
use sansocket::{
    Buffer, CloseCode, Config, Delivery, Error, Event, Fragment, Kind, Message, SendError, State, WebSocket,
};
use std::time::Duration;

/// Runs one connection. `data` is a byte of flags, a script with its length before it, and the
/// peer's stream. Each byte of the script is an action of the caller (high nibble) and the length
/// of the slice of the stream that is received after it (low nibble).
pub fn run<R: Side>(data: &[u8]) {
    let mut choices = Choices(data);
    let flags = choices.byte();
    let script = choices.counted();
    let mut stream = choices.0.to_vec();
    let max_message = if flags & 8 != 0 { 150 } else { 1 << 40 };
    let config = Config::default()
        .delivery(if flags & 4 != 0 { Delivery::Pieces } else { Delivery::Whole })
        .max_message(max_message)
        .max_frame(if flags & 16 != 0 { 130 } else { 1 << 40 })
        .max_empty_fragments(4);
    let peer = Peer::new(R::open(config), inbox(flags));
    if flags & 32 != 0 {
        return misuse(peer, &mut stream, script);
    }
    let mut caller = Caller {
        max_message: if flags & 6 == 0 { max_message.min(FIXED as u64) } else { max_message },
        peer,
        sent: Record::default(),
        closed: None,
        failed: None,
        now: Duration::ZERO,
    };
    caller.peer.two_steps = flags & 64 != 0;
    let mut rest = &mut stream[..];
    for &step in script {
        let (slice, after) = rest.split_at_mut(portion(step).min(rest.len()));
        rest = after;
        let transmits = caller.act(step >> 4);
        caller.receive(slice, transmits);
    }
    caller.receive(rest, flags & 128 == 0);
    caller.peer.end();
    caller.check();
}

/// The connection and its caller's actions.
struct Caller<R: Side> {
    peer: Peer<'static, R>,
    /// The longest message that may be received.
    max_message: u64,
    /// The messages and Pings that were sent.
    sent: Record,
    /// The payload of the Close frame, if the caller closed.
    closed: Option<Vec<u8>>,
    /// The Close code of the Error, if there was one.
    failed: Option<u16>,
    now: Duration,
}

impl<R: Side> Caller<R> {
    /// Takes one action; returns whether to transmit after each event of the next slice.
    fn act(&mut self, action: u8) -> bool {
        let open = self.peer.ws.state() == State::Open;
        let inside = self.sent.partial.is_some();
        let Peer { ws, outbox, .. } = &mut self.peer;
        let before = outbox.len();
        let result = match action {
            0..=2 => return true,
            3 => return false,
            4 | 5 => {
                let message = if action == 4 { Message::Text("σ") } else { Message::Binary(&[0xFF; 130]) };
                let result = ws.send(message, outbox);
                assert_eq!(result.is_ok(), open && !inside);
                if result.is_ok() {
                    self.sent.push_message(message);
                }
                result
            }
            6..=8 => {
                let (piece, last) =
                    (if action == 8 { Message::Binary(b"b") } else { Message::Text("t€") }, action != 6);
                let result = ws.send_piece(Fragment::new(piece, last), outbox);
                if result.is_ok() {
                    self.sent.append(piece, last);
                } else if result != Err(SendError::KindMismatch) {
                    assert!(!open);
                }
                result
            }
            9 => {
                let result = ws.ping(b"ping", outbox);
                assert_eq!(result.is_ok(), open);
                if open {
                    self.sent.events.push(OwnedEvent::Ping(b"ping".into()));
                }
                result
            }
            10 | 11 => {
                let (result, payload) = match action {
                    10 => (ws.close(CloseCode(4000), "bye", outbox), b"\x0F\xA0bye".to_vec()),
                    _ => (ws.close_without_code(outbox), Vec::new()),
                };
                assert_eq!(result.is_ok(), open);
                if open {
                    self.closed = Some(payload);
                }
                result.map_err(|_| SendError::NotOpen)
            }
            12 => ws.send_header(Kind::Text, 11, outbox).map(|mut mask| {
                for text in ["header", " only"] {
                    let mut part = text.as_bytes().to_vec();
                    mask.apply(&mut part);
                    outbox.extend_from_slice(&part);
                    assert_eq!(ws.ping(b"", outbox), Err(SendError::PayloadPending));
                    ws.payload_sent(part.len() as u64).unwrap();
                }
                assert_eq!(ws.payload_sent(1), Err(SendError::PayloadExceeded));
                self.sent.push_message(Message::Text("header only"));
            }),
            13 | 14 => {
                self.now += Duration::from_secs(if action == 13 { 4 } else { 40 });
                ws.handle_timeout(self.now);
                assert!(ws.poll_timeout().is_none_or(|next| next > self.now), "no timer expires twice");
                return true;
            }
            _ => {
                ws.receive_eof();
                assert!(ws.is_closed());
                return true;
            }
        };
        if result.is_err() {
            assert_eq!(outbox.len(), before, "an Err appends nothing");
        }
        true
    }

    fn receive(&mut self, slice: &mut [u8], transmits: bool) {
        let failed = &mut self.failed;
        let left = self.peer.receive(slice, |ws: &mut WebSocket<R>, event, _, _| {
            if let Event::Error(error) = event {
                assert!(ws.state() == State::Closing || ws.state() == State::Closed);
                *failed = error.close_code().map(|code| code.0);
                assert_eq!(failed.is_some(), matches!(error, Error::Protocol(_)));
            }
            transmits
        });
        assert_eq!(left, 0, "every slice is used up");
        assert!(self.peer.inbox.bytes().len() as u64 <= self.max_message, "the inbox is bounded");
    }

    /// Checks the output: the caller's frames, Pongs that answer Pings, and the right Close.
    /// Another endpoint receives all of it.
    fn check(mut self) {
        let Peer { outbox, record, .. } = &mut self.peer;
        let (sent, rest) = frames::read(outbox);
        assert_eq!(rest, 0, "only whole frames are sent");
        let mut pings = record.events.iter().filter_map(|event| match event {
            OwnedEvent::Ping(payload) => Some(payload),
            _ => None,
        });
        let mut closes = Vec::new();
        for frame in &sent {
            assert!(frame.minimal && frame.reserved == 0 && frame.masked == R::MASKS);
            assert!(frame.opcode < 8 || frame.fin && frame.payload.len() < 126);
            assert!(closes.is_empty() || frame.opcode == 10, "{frame:?} after Close");
            match frame.opcode {
                8 => closes.push(frame.payload.clone()),
                10 => assert!(pings.any(|ping| *ping == frame.payload), "every Pong answers a Ping"),
                _ => {}
            }
        }
        for event in record.events.iter().chain(&record.partial) {
            let len = match event {
                OwnedEvent::Text(text) => text.len(),
                OwnedEvent::Binary(bytes) => bytes.len(),
                _ => 0,
            };
            assert!(len as u64 <= self.max_message, "a message is bounded");
        }
        let (_, code, _) = record.end();
        let expected = match (self.closed, self.failed) {
            (Some(payload), _) => Some(payload),
            (None, Some(code)) => Some(code.to_be_bytes().to_vec()),
            (None, None) => match code {
                1005 => Some(Vec::new()),
                1006 => None,
                code => Some(code.to_be_bytes().to_vec()),
            },
        };
        assert_eq!(closes, expected.into_iter().collect::<Vec<_>>(), "the Close that was sent");
        let mut other = Peer::new(R::Other::open(Config::default()), inbox(2));
        other.receive_all(outbox);
        other.end();
        let (error, ..) = other.record.end();
        assert!(closes.is_empty() == error.is_some(), "the other end's error is {error:?}");
        // Only idle Pings are empty.
        let idle = OwnedEvent::Ping(Vec::new());
        other.record.events.retain(|event| event.is_message_or_ping() && *event != idle);
        assert_eq!(other.record.events, self.sent.events);
    }
}

/// Calls `event` with other slices and inboxes than `poll` had, calls it twice, and clears the
/// inbox. The events may be wrong, but nothing panics.
fn misuse<R: Side>(mut peer: Peer<'_, R>, stream: &mut [u8], script: &[u8]) {
    let mut script = script.iter().cycle();
    let mut at = 0;
    for _ in 0..64 {
        let step = script.next().copied().unwrap_or(0x0F);
        let end = (at + portion(step)).min(stream.len());
        let Some(ready) = peer.ws.poll(&mut stream[at..end], &mut peer.inbox) else {
            at = end;
            continue;
        };
        let wrong = match step >> 4 {
            0..=3 => &mut stream[at..end],
            4..=7 => &mut stream[at..at + ready.consumed() / 2],
            8..=11 => &mut stream[at / 2..],
            _ => &mut [],
        };
        let mut other = inbox(step >> 4);
        let inbox = if step & 0x10 != 0 { &mut other } else { &mut peer.inbox };
        std::hint::black_box(peer.ws.event(ready, wrong, inbox));
        if step & 0x20 != 0 {
            std::hint::black_box(peer.ws.event(ready, wrong, inbox));
            peer.inbox.clear();
        }
        peer.ws.transmit(&mut peer.outbox).unwrap();
        at += ready.consumed();
    }
}
