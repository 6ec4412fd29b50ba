//! Proves that each role receives exactly the messages that the other sends, in both directions at
//! once, through outboxes of any size and pipes that deliver in any portions. Also proves that a
//! call which fails, above all for a full outbox, changes nothing: a twin, on which only the
//! successful calls are made, sends the same bytes.
#![no_main]

use arbitrary::Arbitrary;
use sansocket::frame::{self, Masking};
use sansocket::{
    Buffer, CloseCode, Config, Delivery, Event, Fragment, Kind, Message, OutboxFull, SendError, Server,
    State, WebSocket,
};
use sansocket_fuzz::{Bounded, Checked, OwnedEvent, Record, Side, TestClient, inbox};

#[derive(Arbitrary, Debug)]
struct Plan {
    pieces: [bool; 2],
    inboxes: [u8; 2],
    /// The capacity of each outbox beyond the longest control frame.
    spare: [u16; 2],
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Step {
    by_client: bool,
    action: Action,
}

#[derive(Arbitrary, Debug)]
enum Action {
    Text(String),
    Binary(Vec<u8>),
    /// A message of this length, at most 131,071.
    Long(PayloadKind, u32),
    TextPiece(String, bool),
    BinaryPiece(Vec<u8>, bool),
    LongPiece(PayloadKind, u16, bool),
    /// A header alone, for this much payload, which `Payload` then sends.
    Header(PayloadKind, u16),
    Payload(u16),
    Ping(Vec<u8>),
    Close(u16, String),
    CloseWithoutCode,
    Transmit,
    /// Moves a part of the outbox into the pipe.
    Flush(u16),
    /// Delivers a part of the pipe's content; whether to transmit after each event.
    Deliver(u16, bool),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum PayloadKind {
    Text,
    Binary,
}

libfuzzer_sys::fuzz_target!(|plan: Plan| {
    let Plan { pieces, inboxes, spare, steps } = plan;
    let mut server = End::<Server>::new(pieces[0], inboxes[0], spare[0]);
    let mut client = End::<TestClient>::new(pieces[1], inboxes[1], spare[1]);
    let mut budget = 1 << 20;
    for Step { by_client, action } in steps.into_iter().take(200) {
        if by_client {
            client.step(action, &mut server, &mut budget);
        } else {
            server.step(action, &mut client, &mut budget);
        }
    }
    server.settle();
    client.settle();
    // The client closes, unless either end has closed.
    let _ = client.close(1000, "end");
    for _ in 0..3 {
        client.flush(usize::MAX);
        server.receive(&mut client, usize::MAX, true);
        server.flush(usize::MAX);
        client.receive(&mut server, usize::MAX, true);
    }
    assert!(server.ws.is_closed() && !client.ws.is_closed());
    client.ws.receive_eof();
    assert!(client.ws.is_closed());
    server.check(&client);
    client.check(&server);
});

/// The longest control frame.
const CONTROL: usize = 2 + 4 + 125;

/// One end of the pipe.
struct End<R: Side> {
    ws: WebSocket<R>,
    pieces: bool,
    outbox: Bounded,
    inbox: Checked<'static>,
    record: Record,
    /// The bytes sent into the pipe, and how many of them the other end has received.
    pipe: Vec<u8>,
    delivered: usize,
    /// The messages and Pings that were sent.
    sent: Record,
    /// The code and reason of this end's own Close.
    closed: Option<(u16, String)>,
    /// The mask of a header sent alone, its payload and kind, and how much of the payload has been
    /// sent.
    pending: Option<(R::Mask, Vec<u8>, Kind, usize)>,
    /// The twin, whose outbox is never full; only successful calls are repeated on it.
    twin: WebSocket<R>,
    twin_outbox: Vec<u8>,
    twin_inbox: Checked<'static>,
    twin_mask: Option<R::Mask>,
}

impl<R: Side> End<R> {
    fn new(pieces: bool, kind: u8, spare: u16) -> Self {
        let delivery = if pieces { Delivery::Pieces } else { Delivery::Whole };
        let config = Config::default().delivery(delivery);
        Self {
            ws: R::open(config),
            pieces,
            outbox: Bounded { bytes: Vec::new(), capacity: CONTROL + usize::from(spare) },
            inbox: inbox(2 | kind),
            record: Record::default(),
            pipe: Vec::new(),
            delivered: 0,
            sent: Record::default(),
            closed: None,
            pending: None,
            twin: R::open(config),
            twin_outbox: Vec::new(),
            twin_inbox: inbox(2 | kind),
            twin_mask: None,
        }
    }

    fn step<O: Side>(&mut self, action: Action, other: &mut End<O>, budget: &mut usize) {
        match action {
            Action::Text(text) => self.send(Message::Text(&text)),
            Action::Binary(bytes) => self.send(Message::Binary(&bytes)),
            Action::Long(kind, len) => {
                let payload = long(kind, len as usize % (1 << 17), budget);
                self.send(message(kind, &payload));
            }
            Action::TextPiece(text, last) => self.send_piece(Message::Text(&text), last),
            Action::BinaryPiece(bytes, last) => self.send_piece(Message::Binary(&bytes), last),
            Action::LongPiece(kind, len, last) => {
                let payload = long(kind, len.into(), budget);
                self.send_piece(message(kind, &payload), last);
            }
            Action::Header(kind, len) => {
                let payload = long(kind, len.into(), budget);
                self.send_header(kind, payload);
            }
            Action::Payload(len) => self.send_payload(len.into()),
            Action::Ping(payload) => {
                let allowed = self.can_begin() && payload.len() <= 125;
                let result = self.call(|ws, outbox| ws.ping(&payload, outbox));
                assert_eq!(result.is_ok(), allowed, "{result:?}");
                if allowed {
                    self.sent.events.push(OwnedEvent::Ping(payload));
                }
            }
            Action::Close(code, reason) => {
                let allowed = self.can_begin()
                    && reason.len() <= 123
                    && CloseCode(code).is_sendable()
                    && (R::MASKS || code != 1010);
                assert_eq!(self.close(code, &reason).is_ok(), allowed);
            }
            Action::CloseWithoutCode => {
                let allowed = self.can_begin();
                let result = self.call(|ws, outbox| ws.close_without_code(outbox));
                assert_eq!(result.is_ok(), allowed);
                if allowed {
                    self.closed = Some((1005, String::new()));
                }
            }
            Action::Transmit => self.transmit(),
            Action::Flush(len) => self.flush(len.into()),
            Action::Deliver(len, transmits) => self.receive(other, len.into(), transmits),
        }
        assert_eq!(self.ws.state(), self.twin.state());
        assert_eq!(self.ws.can_send(), self.can_begin() && self.sent.partial.is_none());
    }

    /// Whether a frame may begin.
    fn can_begin(&self) -> bool {
        self.ws.state() == State::Open && self.pending.is_none()
    }

    fn send(&mut self, message: Message<'_>) {
        let allowed = self.can_begin() && self.sent.partial.is_none();
        let result = self.call(|ws, outbox| ws.send(message, outbox));
        if self.check_result(result.map(|_| ()), allowed) {
            self.sent.push_message(message);
            let mut encoded = Bounded { bytes: Vec::new(), capacity: message.as_bytes().len() + 10 };
            frame::encode(message, &mut encoded).unwrap();
            assert!(R::MASKS || self.twin_outbox.ends_with(&encoded.bytes), "a broadcast is the same frame");
            encoded.capacity = encoded.bytes.len() - 1;
            encoded.bytes.clear();
            let needed = encoded.capacity + 1;
            assert_eq!(frame::encode(message, &mut encoded), Err(OutboxFull { needed }));
        }
    }

    fn send_piece(&mut self, piece: Message<'_>, last: bool) {
        let fits = matches!(
            (&self.sent.partial, piece),
            (None, _)
                | (Some(OwnedEvent::Text(_)), Message::Text(_))
                | (Some(OwnedEvent::Binary(_)), Message::Binary(_))
        );
        let allowed = self.can_begin() && fits;
        let result = self.call(|ws, outbox| ws.send_piece(Fragment::new(piece, last), outbox));
        if self.check_result(result.map(|_| ()), allowed) {
            self.sent.append(piece, last);
        }
    }

    fn send_header(&mut self, kind: PayloadKind, payload: Vec<u8>) {
        let allowed = self.can_begin() && self.sent.partial.is_none();
        let kind = match kind {
            PayloadKind::Text => Kind::Text,
            PayloadKind::Binary => Kind::Binary,
        };
        let result = self.call(|ws, outbox| ws.send_header(kind, payload.len() as u64, outbox));
        assert_eq!(result.is_ok(), allowed, "a header always fits");
        if let Ok([mask, twin_mask]) = result {
            self.flush(usize::MAX);
            self.pending = Some((mask, payload, kind, 0));
            self.twin_mask = Some(twin_mask);
            self.send_payload(0);
        }
    }

    /// Sends a part of the pending payload, straight into the pipe.
    fn send_payload(&mut self, len: usize) {
        let (Some((mask, payload, kind, sent)), Some(twin_mask)) = (&mut self.pending, &mut self.twin_mask)
        else {
            assert_eq!(self.ws.payload_sent(1), Err(SendError::PayloadExceeded));
            return assert_eq!(self.ws.payload_sent(0), Ok(()));
        };
        let left = payload.len() - *sent;
        assert_eq!(self.ws.payload_sent(left as u64 + 1), Err(SendError::PayloadExceeded));
        let part = &payload[*sent..][..len.min(left)];
        for (ws, mask, target) in
            [(&mut self.ws, mask, &mut self.pipe), (&mut self.twin, twin_mask, &mut self.twin_outbox)]
        {
            let start = target.len();
            target.extend_from_slice(part);
            mask.apply(&mut target[start..]);
            ws.payload_sent(part.len() as u64).unwrap();
        }
        *sent += part.len();
        if *sent == payload.len() {
            self.sent.events.push(OwnedEvent::new(*kind, payload));
            self.pending = None;
        }
    }

    fn close(&mut self, code: u16, reason: &str) -> Result<(), SendError> {
        self.call(|ws, outbox| ws.close(CloseCode(code), reason, outbox))?;
        self.closed = Some((code, reason.into()));
        Ok(())
    }

    /// Whether the call succeeded: if it was allowed, it fails only for a frame longer than the
    /// outbox.
    fn check_result(&self, result: Result<(), SendError>, allowed: bool) -> bool {
        match result {
            Ok(()) => assert!(allowed),
            Err(SendError::OutboxFull(full)) => assert!(allowed && full.needed > self.outbox.capacity),
            Err(error) => assert!(!allowed, "{error:?}"),
        }
        result.is_ok()
    }

    /// Makes the call; if the outbox is full, transmits, flushes and calls again. Repeats a
    /// successful call on the twin.
    fn call<T>(
        &mut self,
        call: impl Fn(&mut WebSocket<R>, &mut dyn Buffer) -> Result<T, SendError>,
    ) -> Result<[T; 2], SendError> {
        for again in [true, false] {
            let before = self.outbox.bytes.clone();
            let state = self.ws.state();
            let error = match call(&mut self.ws, &mut self.outbox) {
                Ok(one) => {
                    assert!(self.outbox.bytes.len() > before.len() && self.outbox.bytes.starts_with(&before));
                    let two =
                        call(&mut self.twin, &mut self.twin_outbox).expect("the twin's outbox is never full");
                    return Ok([one, two]);
                }
                Err(error) => error,
            };
            assert!(self.outbox.bytes == before && self.ws.state() == state, "an Err changes nothing");
            match error {
                SendError::OutboxFull(full) => {
                    assert!(full.needed > self.outbox.remaining());
                    assert!(again || self.outbox.bytes.is_empty());
                }
                error => return Err(error),
            }
            if !again {
                return Err(error);
            }
            self.transmit();
            self.flush(usize::MAX);
        }
        unreachable!()
    }

    fn transmit(&mut self) {
        if self.ws.transmit(&mut self.outbox).is_err() {
            self.flush(usize::MAX);
            self.ws.transmit(&mut self.outbox).expect("pending output fits into an empty outbox");
        }
        self.twin.transmit(&mut self.twin_outbox).unwrap();
        if self.pending.is_some() {
            assert!(self.outbox.bytes.is_empty(), "nothing is transmitted inside a frame");
        }
    }

    fn flush(&mut self, len: usize) {
        self.pipe.extend(self.outbox.bytes.drain(..len.min(self.outbox.bytes.len())));
    }

    /// Receives up to `len` bytes from the other's pipe.
    fn receive<O: Side>(&mut self, other: &mut End<O>, len: usize, transmits: bool) {
        let slice = &other.pipe[other.delivered..];
        let slice = &slice[..len.min(slice.len())];
        other.delivered += slice.len();
        let (mut one, mut two) = (slice.to_vec(), slice.to_vec());
        let (mut one, mut two) = (&mut one[..], &mut two[..]);
        loop {
            let event = self.ws.receive(&mut one, &mut self.inbox);
            let twin_event = self.twin.receive(&mut two, &mut self.twin_inbox);
            assert_eq!(event, twin_event);
            let Some(event) = event else { break };
            if let Event::Error(error) = event {
                panic!("{error}");
            }
            self.record.push(&event);
            if transmits {
                self.transmit();
            }
        }
        assert!(one.is_empty() && two.is_empty());
        if transmits {
            self.transmit();
        }
    }

    /// Sends all pending output, so that a Close can follow.
    fn settle(&mut self) {
        if self.pending.is_some() {
            self.send_payload(usize::MAX);
        }
        self.transmit();
    }

    /// This end has received exactly the messages, Pings and Close that the other has sent.
    fn check<O: Side>(&self, other: &End<O>) {
        assert_eq!(
            (other.pipe.len(), &other.pipe),
            (other.delivered, &other.twin_outbox),
            "the twin sends the same"
        );
        let received = self.record.events.iter().filter(|event| event.is_message_or_ping());
        assert!(received.eq(&other.sent.events), "{:?} instead of {:?}", self.record, other.sent);
        // The pieces of an incomplete message are received unless they are all empty.
        let begun = |partial: &&OwnedEvent| {
            self.pieces
                && !matches!(partial, OwnedEvent::Text(text) if text.is_empty())
                && **partial != OwnedEvent::Binary(Vec::new())
        };
        assert_eq!(self.record.partial.as_ref(), other.sent.partial.as_ref().filter(begun));
        // Pongs answer Pings, in order.
        let mut pings = self.sent.events.iter().filter(|event| matches!(event, OwnedEvent::Ping(_)));
        for event in &self.record.events {
            if let OwnedEvent::Pong(payload) = event {
                assert!(
                    pings.any(|ping| *ping == OwnedEvent::Ping(payload.clone())),
                    "{event:?} answers no Ping"
                );
            }
        }
        let echo = || self.closed.as_ref().map(|(code, _)| (*code, String::new()));
        let (code, reason) = other.closed.clone().or_else(echo).unwrap();
        assert_eq!(self.record.end(), (None, code, &reason[..]));
    }
}

/// Up to `len` bytes of payload, within the budget of the run.
fn long(kind: PayloadKind, len: usize, budget: &mut usize) -> Vec<u8> {
    let len = len.min(*budget);
    *budget -= len;
    match kind {
        PayloadKind::Text => {
            let mut text = "aé€😀".repeat(len / 10);
            text.extend(std::iter::repeat_n('x', len % 10));
            text.into_bytes()
        }
        PayloadKind::Binary => (0..len).map(|at| (at * 7) as u8).collect(),
    }
}

fn message(kind: PayloadKind, payload: &[u8]) -> Message<'_> {
    match kind {
        PayloadKind::Text => Message::Text(str::from_utf8(payload).unwrap()),
        PayloadKind::Binary => Message::Binary(payload),
    }
}
