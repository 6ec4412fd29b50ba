//! An open machine that hears arbitrary bytes, in portions, while its caller sends, pings, closes and tells the time.

use crate::{Choices, FIXED, Peer, Record, Seen, Side, frames, inbox, portion};
use sansocket::frame::Masking;
use sansocket::{
    Buffer, CloseCode, Config, Delivery, Error, Event, Fragment, Kind, Message, SendError, State, WebSocket,
};
use std::time::Duration;

/// Hears `data`: a byte of flags, a script with the number of its bytes before it, and the peer's stream. Each byte of the
/// script stands for a slice of the stream (low nibble) and what the caller does before it (high nibble).
pub fn hear<R: Side>(data: &[u8]) {
    let mut choices = Choices(data);
    let flags = choices.byte();
    let script = choices.counted();
    let mut stream = choices.0.to_vec();
    let most = if flags & 8 != 0 { 150 } else { 1 << 40 };
    let config = Config::default()
        .delivery(if flags & 4 != 0 { Delivery::Pieces } else { Delivery::Whole })
        .max_message(most)
        .max_frame(if flags & 16 != 0 { 130 } else { 1 << 40 })
        .max_empty_fragments(4);
    let peer = Peer::new(R::open(config), inbox(flags));
    if flags & 32 != 0 {
        return mislead(peer, &mut stream, script);
    }
    let mut caller = Caller {
        most: if flags & 6 == 0 { most.min(FIXED as u64) } else { most },
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

/// The machine, and what its caller has done.
struct Caller<R: Side> {
    peer: Peer<'static, R>,
    /// The longest message that may come.
    most: u64,
    /// What was sent: messages and Pings.
    sent: Record,
    /// What our own Close frame says.
    closed: Option<Vec<u8>>,
    /// The code that the Error announced.
    failed: Option<u16>,
    now: Duration,
}

impl<R: Side> Caller<R> {
    /// Does one thing; returns whether what is owed is to be transmitted after each event of the next slice.
    fn act(&mut self, what: u8) -> bool {
        let open = self.peer.ws.state() == State::Open;
        let inside = self.sent.partial.is_some();
        let Peer { ws, outbox, .. } = &mut self.peer;
        let before = outbox.len();
        let result = match what {
            0..=2 => return true,
            3 => return false,
            4 | 5 => {
                let message = if what == 4 { Message::Text("σ") } else { Message::Binary(&[0xFF; 130]) };
                let result = ws.send(message, outbox);
                assert_eq!(result.is_ok(), open && !inside);
                if result.is_ok() {
                    self.sent.message(message);
                }
                result
            }
            6..=8 => {
                let piece = if what == 8 { Message::Binary(b"b") } else { Message::Text("t€") };
                let result = ws.send_piece(Fragment::new(piece, what != 6), outbox);
                if result.is_ok() {
                    self.sent.piece(piece, what != 6);
                } else if result != Err(SendError::OtherKind) {
                    assert!(!open);
                }
                result
            }
            9 => {
                let result = ws.ping(b"ping", outbox);
                assert_eq!(result.is_ok(), open);
                if open {
                    self.sent.seen.push(Seen::Ping(b"ping".into()));
                }
                result
            }
            10 | 11 => {
                let (result, payload) = match what {
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
                    assert_eq!(ws.ping(b"", outbox), Err(SendError::PayloadOwed));
                    ws.payload_sent(part.len() as u64).unwrap();
                }
                assert_eq!(ws.payload_sent(1), Err(SendError::PayloadExceeded));
                self.sent.message(Message::Text("header only"));
            }),
            13 | 14 => {
                self.now += Duration::from_secs(if what == 13 { 4 } else { 40 });
                return self.tell_time();
            }
            _ => {
                ws.receive_eof();
                assert!(ws.is_closed());
                return true;
            }
        };
        if result.is_err() {
            assert_eq!(outbox.len(), before, "an Err that appended");
        }
        true
    }

    fn tell_time(&mut self) -> bool {
        let Peer { ws, .. } = &mut self.peer;
        ws.handle_timeout(self.now);
        assert!(ws.poll_timeout().is_none_or(|next| next > self.now), "no timer runs out twice");
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
        assert!(self.peer.inbox.bytes().len() as u64 <= self.most, "the inbox is bounded");
    }

    /// What was sent is what the caller sent, a Pong to Pings, and the right Close; an open peer can read it.
    fn check(mut self) {
        let Peer { outbox, record, .. } = &mut self.peer;
        let (sent, rest) = frames::read(outbox);
        assert_eq!(rest, 0, "half a frame was sent");
        let mut pings = record.seen.iter().filter_map(|seen| match seen {
            Seen::Ping(payload) => Some(payload),
            _ => None,
        });
        let mut closes = Vec::new();
        for frame in &sent {
            assert!(frame.minimal && frame.reserved == 0 && frame.masked == R::MASKS);
            assert!(frame.opcode < 8 || frame.fin && frame.payload.len() < 126);
            assert!(closes.is_empty() || frame.opcode == 10, "{frame:?} after Close");
            match frame.opcode {
                8 => closes.push(frame.payload.clone()),
                10 => assert!(pings.any(|ping| *ping == frame.payload), "a Pong that answers no Ping"),
                _ => {}
            }
        }
        for seen in record.seen.iter().chain(&record.partial) {
            let len = match seen {
                Seen::Text(text) => text.len(),
                Seen::Binary(bytes) => bytes.len(),
                _ => 0,
            };
            assert!(len as u64 <= self.most, "a message is bounded");
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
        other.listen(outbox);
        other.end();
        let (error, ..) = other.record.end();
        assert!(closes.is_empty() == error.is_some(), "the peer reads {error:?}");
        // An idle Ping is empty, the caller's are not.
        let idle = Seen::Ping(Vec::new());
        other.record.seen.retain(|seen| seen.is_sent() && *seen != idle);
        assert_eq!(other.record.seen, self.sent.seen);
    }
}

/// Hands `event` other slices and inboxes than `poll` had, asks it twice, and clears the inbox: nonsense may come of it, never a panic.
fn mislead<R: Side>(mut peer: Peer<'_, R>, stream: &mut [u8], script: &[u8]) {
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
