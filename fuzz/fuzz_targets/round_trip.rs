//! Proves that what one role sends in any way, through an outbox of any size and a pipe that delivers in any portions, the
//! other receives exactly, in both directions at once; and that a call which is an Err, above all for a full outbox,
//! changed nothing: a twin that is only asked for what succeeds sends the same bytes.
#![no_main]

use arbitrary::Arbitrary;
use sansocket::frame::{self, Masking};
use sansocket::{
    Buffer, CloseCode, CloseError, Config, Delivery, Event, Fragment, Kind, Message, OutboxFull, SendError,
    Server, State, WebSocket,
};
use sansocket_fuzz::{Bounded, Checked, Record, Seen, Side, TestClient, inbox};

#[derive(Arbitrary, Debug)]
struct Plan {
    pieces: [bool; 2],
    inboxes: [u8; 2],
    /// How much more an outbox holds than the longest control frame.
    rooms: [u16; 2],
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Step {
    by_client: bool,
    what: What,
}

#[derive(Arbitrary, Debug)]
enum What {
    Text(String),
    Binary(Vec<u8>),
    /// A message as long as the number says, 131,071 at most.
    Long(Kinds, u32),
    TextPiece(String, bool),
    BinaryPiece(Vec<u8>, bool),
    LongPiece(Kinds, u16, bool),
    /// A header alone, for that much payload; it is paid for by `Pay`.
    Header(Kinds, u16),
    Pay(u16),
    Ping(Vec<u8>),
    Close(u16, String),
    CloseWithoutCode,
    Transmit,
    /// A part of the outbox goes into the pipe.
    Flush(u16),
    /// A part of the pipe's content comes out; whether what is owed is transmitted after each event.
    Deliver(u16, bool),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kinds {
    Text,
    Binary,
}

libfuzzer_sys::fuzz_target!(|plan: Plan| {
    let Plan { pieces, inboxes, rooms, steps } = plan;
    let mut server = End::<Server>::new(pieces[0], inboxes[0], rooms[0]);
    let mut client = End::<TestClient>::new(pieces[1], inboxes[1], rooms[1]);
    let mut budget = 1 << 20;
    for Step { by_client, what } in steps.into_iter().take(200) {
        if by_client {
            client.step(what, &mut server, &mut budget);
        } else {
            server.step(what, &mut client, &mut budget);
        }
    }
    server.settle();
    client.settle();
    // The client closes, if nobody has.
    let _ = client.close(1000, "end");
    for _ in 0..3 {
        client.flush(usize::MAX);
        server.hear(&mut client, usize::MAX, true);
        server.flush(usize::MAX);
        client.hear(&mut server, usize::MAX, true);
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
    /// What has gone into the pipe, and how much of it the other end has taken.
    pipe: Vec<u8>,
    taken: usize,
    /// What is expected: messages and Pings that were sent.
    sent: Record,
    /// The Close that was sent first of the two.
    closed: Option<(u16, String)>,
    /// Payload that is owed, its mask, and how much of it has been paid.
    owed: Option<(R::Mask, Vec<u8>, Kind, usize)>,
    /// The twin, whose outbox is never full, and which is never asked for what fails.
    twin: WebSocket<R>,
    twin_outbox: Vec<u8>,
    twin_inbox: Checked<'static>,
    twin_mask: Option<R::Mask>,
}

impl<R: Side> End<R> {
    fn new(pieces: bool, kind: u8, room: u16) -> Self {
        let delivery = if pieces { Delivery::Pieces } else { Delivery::Whole };
        let config = Config::default().delivery(delivery);
        Self {
            ws: R::open(config),
            pieces,
            outbox: Bounded { bytes: Vec::new(), capacity: CONTROL + usize::from(room) },
            inbox: inbox(2 | kind),
            record: Record::default(),
            pipe: Vec::new(),
            taken: 0,
            sent: Record::default(),
            closed: None,
            owed: None,
            twin: R::open(config),
            twin_outbox: Vec::new(),
            twin_inbox: inbox(2 | kind),
            twin_mask: None,
        }
    }

    fn step<O: Side>(&mut self, what: What, other: &mut End<O>, budget: &mut usize) {
        match what {
            What::Text(text) => self.send(Message::Text(&text)),
            What::Binary(bytes) => self.send(Message::Binary(&bytes)),
            What::Long(kind, len) => {
                let payload = long(kind, len as usize % (1 << 17), budget);
                self.send(message(kind, &payload));
            }
            What::TextPiece(text, last) => self.send_piece(Message::Text(&text), last),
            What::BinaryPiece(bytes, last) => self.send_piece(Message::Binary(&bytes), last),
            What::LongPiece(kind, len, last) => {
                let payload = long(kind, len.into(), budget);
                self.send_piece(message(kind, &payload), last);
            }
            What::Header(kind, len) => {
                let payload = long(kind, len.into(), budget);
                self.send_header(kind, payload);
            }
            What::Pay(len) => self.pay(len.into()),
            What::Ping(payload) => {
                let allowed = self.may_send() && payload.len() <= 125;
                let result = self.call(|ws, outbox| ws.ping(&payload, outbox));
                assert_eq!(result.is_ok(), allowed, "{result:?}");
                if allowed {
                    self.sent.seen.push(Seen::Ping(payload));
                }
            }
            What::Close(code, reason) => {
                let allowed = self.may_send()
                    && reason.len() <= 123
                    && CloseCode(code).is_sendable()
                    && (R::MASKS || code != 1010);
                assert_eq!(self.close(code, &reason).is_ok(), allowed);
            }
            What::CloseWithoutCode => {
                let allowed = self.may_send();
                let result = self.call(|ws, outbox| ws.close_without_code(outbox).map_err(as_send_error));
                assert_eq!(result.is_ok(), allowed);
                if allowed {
                    self.closed = Some((1005, String::new()));
                }
            }
            What::Transmit => self.transmit(),
            What::Flush(len) => self.flush(len.into()),
            What::Deliver(len, transmits) => self.hear(other, len.into(), transmits),
        }
        assert_eq!(self.ws.state(), self.twin.state());
        assert_eq!(self.ws.can_send(), self.may_send() && self.sent.partial.is_none());
    }

    /// Whether a frame may begin.
    fn may_send(&self) -> bool {
        self.ws.state() == State::Open && self.owed.is_none()
    }

    fn send(&mut self, message: Message<'_>) {
        let allowed = self.may_send() && self.sent.partial.is_none();
        let result = self.call(|ws, outbox| ws.send(message, outbox));
        if self.sees(result.map(|_| ()), allowed) {
            self.sent.message(message);
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
            (None, _) | (Some(Seen::Text(_)), Message::Text(_)) | (Some(Seen::Binary(_)), Message::Binary(_))
        );
        let allowed = self.may_send() && fits;
        let result = self.call(|ws, outbox| ws.send_piece(Fragment::new(piece, last), outbox));
        if self.sees(result.map(|_| ()), allowed) {
            self.sent.piece(piece, last);
        }
    }

    fn send_header(&mut self, kind: Kinds, payload: Vec<u8>) {
        let allowed = self.may_send() && self.sent.partial.is_none();
        let kind = match kind {
            Kinds::Text => Kind::Text,
            Kinds::Binary => Kind::Binary,
        };
        let result = self.call(|ws, outbox| ws.send_header(kind, payload.len() as u64, outbox));
        assert_eq!(result.is_ok(), allowed, "a header always fits");
        if let Ok([mask, twin_mask]) = result {
            self.flush(usize::MAX);
            self.owed = Some((mask, payload, kind, 0));
            self.twin_mask = Some(twin_mask);
            self.pay(0);
        }
    }

    /// Sends a part of the payload that is owed, straight into the pipe.
    fn pay(&mut self, len: usize) {
        let (Some((mask, payload, kind, paid)), Some(twin_mask)) = (&mut self.owed, &mut self.twin_mask)
        else {
            assert_eq!(self.ws.payload_sent(1), Err(SendError::PayloadExceeded));
            return assert_eq!(self.ws.payload_sent(0), Ok(()));
        };
        let left = payload.len() - *paid;
        assert_eq!(self.ws.payload_sent(left as u64 + 1), Err(SendError::PayloadExceeded));
        let part = &payload[*paid..][..len.min(left)];
        for (ws, mask, target) in
            [(&mut self.ws, mask, &mut self.pipe), (&mut self.twin, twin_mask, &mut self.twin_outbox)]
        {
            let start = target.len();
            target.extend_from_slice(part);
            mask.apply(&mut target[start..]);
            ws.payload_sent(part.len() as u64).unwrap();
        }
        *paid += part.len();
        if *paid == payload.len() {
            self.sent.seen.push(Seen::new(*kind, payload));
            self.owed = None;
        }
    }

    fn close(&mut self, code: u16, reason: &str) -> Result<(), SendError> {
        self.call(|ws, outbox| ws.close(CloseCode(code), reason, outbox).map_err(as_send_error))?;
        self.closed = Some((code, reason.into()));
        Ok(())
    }

    /// Whether it was sent: where it was allowed, only what fits into no outbox of this size was not.
    fn sees(&self, result: Result<(), SendError>, allowed: bool) -> bool {
        match result {
            Ok(()) => assert!(allowed),
            Err(SendError::OutboxFull(full)) => assert!(allowed && full.needed > self.outbox.capacity),
            Err(error) => assert!(!allowed, "{error:?}"),
        }
        result.is_ok()
    }

    /// Calls the machine; where the outbox is full, transmits, flushes and calls again. What succeeds, the twin does too.
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
            assert!(self.outbox.bytes == before && self.ws.state() == state, "an Err that changed something");
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
            self.ws.transmit(&mut self.outbox).expect("what is owed fits into an empty outbox");
        }
        self.twin.transmit(&mut self.twin_outbox).unwrap();
        if self.owed.is_some() {
            assert!(self.outbox.bytes.is_empty(), "something is put into a frame");
        }
    }

    fn flush(&mut self, len: usize) {
        self.pipe.extend(self.outbox.bytes.drain(..len.min(self.outbox.bytes.len())));
    }

    /// Takes up to `len` bytes out of the other's pipe.
    fn hear<O: Side>(&mut self, other: &mut End<O>, len: usize, transmits: bool) {
        let slice = &other.pipe[other.taken..];
        let slice = &slice[..len.min(slice.len())];
        other.taken += slice.len();
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

    /// Pays what is owed, so that nothing stands in the way of a Close.
    fn settle(&mut self) {
        if self.owed.is_some() {
            self.pay(usize::MAX);
        }
        self.transmit();
    }

    /// What this end has heard is what the other has sent.
    fn check<O: Side>(&self, other: &End<O>) {
        assert_eq!(
            (other.pipe.len(), &other.pipe),
            (other.taken, &other.twin_outbox),
            "the twin sends the same"
        );
        let heard = self.record.seen.iter().filter(|seen| seen.is_sent());
        assert!(heard.eq(&other.sent.seen), "{:?} instead of {:?}", self.record, other.sent);
        // Of a message that is not complete, pieces have come, if any of it was not empty.
        let begun = |partial: &&Seen| {
            self.pieces
                && !matches!(partial, Seen::Text(text) if text.is_empty())
                && **partial != Seen::Binary(Vec::new())
        };
        assert_eq!(self.record.partial.as_ref(), other.sent.partial.as_ref().filter(begun));
        // A Pong answers a Ping, in order.
        let mut pings = self.sent.seen.iter().filter(|seen| matches!(seen, Seen::Ping(_)));
        for seen in &self.record.seen {
            if let Seen::Pong(payload) = seen {
                assert!(pings.any(|ping| *ping == Seen::Ping(payload.clone())), "{seen:?} answers no Ping");
            }
        }
        let echo = || self.closed.as_ref().map(|(code, _)| (*code, String::new()));
        let (code, reason) = other.closed.clone().or_else(echo).unwrap();
        assert_eq!(self.record.end(), (None, code, &reason[..]));
    }
}

fn as_send_error(error: CloseError) -> SendError {
    match error {
        CloseError::OutboxFull(full) => SendError::OutboxFull(full),
        CloseError::PayloadOwed => SendError::PayloadOwed,
        CloseError::NotOpen => SendError::NotOpen,
        _ => SendError::TooLong,
    }
}

/// Up to `len` bytes of payload, within the budget of the run.
fn long(kind: Kinds, len: usize, budget: &mut usize) -> Vec<u8> {
    let len = len.min(*budget);
    *budget -= len;
    match kind {
        Kinds::Text => {
            let mut text = "aé€😀".repeat(len / 10);
            text.extend(std::iter::repeat_n('x', len % 10));
            text.into_bytes()
        }
        Kinds::Binary => (0..len).map(|at| (at * 7) as u8).collect(),
    }
}

fn message(kind: Kinds, payload: &[u8]) -> Message<'_> {
    match kind {
        Kinds::Text => Message::Text(str::from_utf8(payload).unwrap()),
        Kinds::Binary => Message::Binary(payload),
    }
}
