//! Proves that a stream gives the same events (pieces joined), output and end however it is cut;
//! with either kind of inbox; through `receive`, `poll` and `event`, or `dispatch`; with and
//! without `missing`; and in both deliveries, except for the pieces of a message that is never
//! completed.
#![no_main]

use sansocket::{
    BadRequest, Close, CloseCode, Config, Connect, ControlPayload, Delivery, Error, Event, FixedInbox,
    Handler, Message, Open, Piece, Reject, Request, Responder, Response, Server, Slice, State, WebSocket,
    heapless,
};
use sansocket_fuzz::heads::{self, CLIENT_KEY};
use sansocket_fuzz::{Checked, Choices, FIXED, Peer, Record, Side, TestClient, inbox, rng};

// Flags in two bytes, the lengths of slices with their number before them, and the stream. A flag
// puts a head before the stream; a byte then chooses which.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let (flags, more) = (choices.byte(), choices.byte());
    let cuts = choices.counted();
    let mut stream = Vec::new();
    if flags & 4 != 0 {
        let head = usize::from(choices.byte() & 3);
        stream = match flags & 1 {
            0 => heads::REQUESTS[head].into(),
            _ => heads::responses(&heads::accept_of(CLIENT_KEY))[head].clone().into_bytes(),
        };
    }
    stream.extend_from_slice(choices.0);
    let case = Case { flags, more, cuts, stream: &stream };
    let open = flags & 6 == 0;
    match (flags & 1, open) {
        (0, true) => case.compare(Server::open, |_, _, _| {}),
        (0, false) => case.compare(WebSocket::server, |ws, event, outbox| {
            if let Event::Request(request) = event {
                if request.is_upgrade() && more & 2 == 0 {
                    ws.accept(request.select(&["chat"]).unwrap_or(request.accept()), outbox).unwrap();
                } else {
                    ws.reject(REJECT, outbox).unwrap();
                }
            }
        }),
        (_, true) => case.compare(TestClient::open, |_, _, _| {}),
        (_, false) => {
            let connect = |config| {
                let mut ws = WebSocket::client(config, rng());
                ws.connect(Connect::new("a", "/").protocols(&["chat", "v2"]), &mut Vec::new()).unwrap();
                ws
            };
            case.compare(connect, |_, _, _| {});
        }
    }
});

const REJECT: Reject<'static> = Reject::status(404).body(b"no");

/// A capacity that a head can exceed.
const SMALL: usize = 210;

/// The Close that may follow a Pong.
const CLOSE: (CloseCode, &str) = (CloseCode(4001), "pong");

/// How the caller receives events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Receive,
    TwoSteps,
    Dispatch,
}

struct Case<'c> {
    flags: u8,
    more: u8,
    cuts: &'c [u8],
    stream: &'c [u8],
}

/// The results that must not depend on the cuts: the events before the end of the stream, the
/// output, the state, and all events.
type Outcome = (Record, Vec<u8>, State, Record);

impl Case<'_> {
    fn compare<R: Side>(
        &self,
        make: impl Fn(Config) -> WebSocket<R>,
        reply: impl Fn(&mut WebSocket<R>, &Event<'_>, &mut Vec<u8>),
    ) {
        let whole = self.run(&make, &reply, self.pieces(), self.inbox(), Way::Receive, &[]);
        let cut = self.run(&make, &reply, self.pieces(), self.inbox() ^ 1, Way::TwoSteps, self.cuts);
        assert_eq!(cut, whole, "cut");
        let every = vec![1; self.stream.len()];
        let bytes = self.run(&make, &reply, self.pieces(), self.inbox(), Way::Receive, &every);
        assert_eq!(bytes, whole, "byte by byte");
        let dispatched = self.run(&make, &reply, self.pieces(), self.inbox(), Way::Dispatch, self.cuts);
        assert_eq!(dispatched, whole, "dispatched");
        // An inbox on the heap bounds nothing, and an echo needs whole messages.
        if self.inbox() & 2 != 0 && self.more & 1 == 0 {
            let mut other = self.run(&make, &reply, !self.pieces(), self.inbox(), Way::Receive, self.cuts);
            // Pieces of an incomplete message are delivered in one of the two only.
            other.0.partial.clone_from(&whole.0.partial);
            other.3.partial.clone_from(&whole.3.partial);
            assert_eq!(other, whole, "the other delivery");
        }
    }

    fn pieces(&self) -> bool {
        self.flags & 0x20 != 0
    }

    fn inbox(&self) -> u8 {
        self.flags >> 3
    }

    /// Runs one connection; `cuts` are the lengths of the slices before the last one.
    fn run<R: Side>(
        &self,
        make: &impl Fn(Config) -> WebSocket<R>,
        reply: &impl Fn(&mut WebSocket<R>, &Event<'_>, &mut Vec<u8>),
        pieces: bool,
        kind: u8,
        way: Way,
        cuts: &[u8],
    ) -> Outcome {
        let mut config = Config::default()
            .delivery(if pieces { Delivery::Pieces } else { Delivery::Whole })
            .plain_requests(self.more & 4 != 0);
        if self.more & 0x10 != 0 {
            config =
                config.max_message(150).max_frame(140).max_empty_fragments(3).max_head(300).max_headers(6);
        }
        let mut memory = [0; FIXED];
        let small = self.more & 0x80 != 0;
        let mut short = [0; SMALL];
        let inbox = match (way, kind & 3) {
            (Way::Dispatch, 0 | 1) => {
                Checked(Box::new(Slice::new(if small { &mut short } else { &mut memory })))
            }
            (_, 0) if small => Checked(Box::new(heapless::Vec::<u8, SMALL>::new())),
            (_, 1) if small => Checked(Box::new(FixedInbox::<SMALL>::new())),
            _ => inbox(kind),
        };
        let mut peer = Peer::new(make(config), inbox);
        peer.two_steps = way == Way::TwoSteps;
        if self.more & 8 != 0 {
            // While connecting, this is an Err, and changes nothing.
            let _ = peer.ws.close(sansocket::CloseCode::GOING_AWAY, "", &mut peer.outbox);
        }
        let mut memory = self.stream.to_vec();
        let mut rest = &mut memory[..];
        for &len in cuts.iter().chain([&0]) {
            let mut len = usize::from(len).min(rest.len());
            // With `dispatch`, the caller also waits for the rest of a frame.
            while let more @ 1.. = peer.ws.missing(&rest[..len], &peer.inbox) {
                match usize::try_from(more) {
                    Ok(more) if way == Way::Dispatch && more <= rest.len() - len => len += more,
                    _ => break,
                }
            }
            let (slice, after) = rest.split_at_mut(len);
            rest = after;
            self.receive(&mut peer, slice, reply, way);
        }
        self.receive(&mut peer, rest, reply, way);
        let before = peer.record.clone();
        let state = peer.ws.state();
        peer.end();
        (before, peer.outbox, state, peer.record)
    }

    fn receive<R: Side>(
        &self,
        peer: &mut Peer<'_, R>,
        mut slice: &mut [u8],
        reply: &impl Fn(&mut WebSocket<R>, &Event<'_>, &mut Vec<u8>),
        way: Way,
    ) {
        if way == Way::Dispatch {
            let Peer { ws, inbox, outbox, record, .. } = peer;
            let mut handlers = (&mut Recorder(record), Replies(self.more));
            while ws.dispatch(&mut slice, inbox, outbox, &mut handlers).unwrap() {}
            return assert!(slice.is_empty(), "every slice is used up");
        }
        let left = peer.receive(slice, |ws, event, _, outbox| {
            reply(ws, event, outbox);
            match event {
                Event::Message(message) if self.more & 1 != 0 => _ = ws.send(*message, outbox),
                Event::Pong(_) => match self.more & 0x60 {
                    0x20 => _ = ws.close(CLOSE.0, CLOSE.1, outbox),
                    0x40 => _ = ws.close_without_code(outbox),
                    0x60 => _ = ws.ping(b"again", outbox),
                    _ => {}
                },
                _ => {}
            }
            true
        });
        assert_eq!(left, 0, "every slice is used up");
    }
}

/// Records events.
struct Recorder<'r>(&'r mut Record);

impl Handler for Recorder<'_> {
    fn on_request(&mut self, request: Request<'_>, _: &mut Responder<'_>) {
        self.0.push(&Event::Request(request));
    }
    fn on_open(&mut self, open: Open<'_>, _: &mut Responder<'_>) {
        self.0.push(&Event::Open(open));
    }
    fn on_message(&mut self, message: Message<'_>, _: &mut Responder<'_>) {
        self.0.push(&Event::Message(message));
    }
    fn on_piece(&mut self, piece: &Piece<'_>, _: &mut Responder<'_>) {
        self.0.push_piece(piece);
    }
    fn on_ping(&mut self, payload: &ControlPayload, _: &mut Responder<'_>) {
        self.0.push(&Event::Ping(payload.clone()));
    }
    fn on_pong(&mut self, payload: &ControlPayload, sender: &mut Responder<'_>) {
        assert_ne!(sender.state(), State::Connecting);
        self.0.push(&Event::Pong(payload.clone()));
    }
    fn on_bad_request(&mut self, request: BadRequest<'_>) {
        self.0.push(&Event::BadRequest(request));
    }
    fn on_refused(&mut self, response: Response<'_>) {
        self.0.push(&Event::Refused(response));
    }
    fn on_error(&mut self, error: Error) {
        self.0.push(&Event::Error(error));
    }
    fn on_close(&mut self, close: &Close) {
        self.0.push(&Event::Close(close.clone()));
    }
}

/// Replies as `Case::receive` does; holds `Case::more`.
struct Replies(u8);

impl Handler for Replies {
    fn on_request(&mut self, request: Request<'_>, sender: &mut Responder<'_>) {
        if request.is_upgrade() && self.0 & 2 == 0 {
            sender.accept(request.select(&["chat"]).unwrap_or(request.accept())).unwrap();
        } else {
            sender.reject(REJECT).unwrap();
        }
    }
    fn on_message(&mut self, message: Message<'_>, sender: &mut Responder<'_>) {
        if self.0 & 1 != 0 {
            _ = sender.send(message);
        }
    }
    fn on_pong(&mut self, _: &ControlPayload, sender: &mut Responder<'_>) {
        match self.0 & 0x60 {
            0x20 => _ = sender.close(CLOSE.0, CLOSE.1),
            0x40 => _ = sender.close_without_code(),
            0x60 => _ = sender.ping(b"again"),
            _ => {}
        }
    }
}
