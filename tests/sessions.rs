//! Random sessions of a client and a server, connected in memory: each receives everything that the
//! other sends, for any slices, delivery and outbox size. Garbage ends in exactly one Close.

mod common;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use sansocket::{
    CloseCode, Config, Connect, Delivery, Established, Event, Fragment, Kind, Role, SendError, Server, State,
    WebSocket,
};

/// An action of one side, or a delivery of bytes.
#[derive(Clone, Debug)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    /// A text message in fragments, cut at these positions.
    Fragments(String, Vec<usize>),
    /// A message whose payload the caller sends after its header, in parts of this size.
    Streamed(Vec<u8>, usize),
    Ping(Vec<u8>),
    /// This number of bytes reaches the other side.
    Deliver(usize),
    Close(u16, String),
}

fn step() -> impl Strategy<Value = Step> {
    let payload = || prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 100..300)];
    prop_oneof![
        4 => "\\PC{0,60}".prop_map(Step::Text),
        4 => payload().prop_map(Step::Binary),
        3 => ("\\PC{0,40}", vec(0..100_usize, 0..5)).prop_map(|(text, cuts)| Step::Fragments(text, cuts)),
        2 => (payload(), 1..50_usize).prop_map(|(bytes, portion)| Step::Streamed(bytes, portion)),
        2 => vec(any::<u8>(), 0..125).prop_map(Step::Ping),
        8 => (0..200_usize).prop_map(Step::Deliver),
        1 => (3000..5000_u16, "\\PC{0,20}").prop_map(|(code, reason)| Step::Close(code, reason)),
    ]
}

/// One side: its connection, a small outbox, and the bytes on the way to the other side.
struct End<R: Role> {
    peer: Peer<R>,
    mask: fn(&mut R::Mask, &mut [u8]),
    outbox: heapless::Vec<u8, 1100>,
    wire: Vec<u8>,
    /// The events that the other side must see.
    sent: Vec<Seen>,
    pings: Vec<Seen>,
}

impl<R: Role> End<R> {
    fn new(ws: WebSocket<R>, mask: fn(&mut R::Mask, &mut [u8])) -> Self {
        let (outbox, wire, sent, pings) = Default::default();
        Self { peer: Peer::new(ws), mask, outbox, wire, sent, pings }
    }

    fn flush(&mut self) {
        self.wire.extend_from_slice(&self.outbox);
        self.outbox.clear();
    }

    /// Calls `call`. If the outbox is full, nothing was written, and the call succeeds after
    /// `transmit` and a flush.
    fn call<T, E: std::fmt::Debug>(
        &mut self,
        mut call: impl FnMut(&mut WebSocket<R>, &mut heapless::Vec<u8, 1100>) -> Result<T, E>,
    ) -> T {
        let before = self.outbox.len();
        match call(&mut self.peer.ws, &mut self.outbox) {
            Ok(done) => return done,
            Err(error) => assert!(format!("{error:?}").contains("OutboxFull"), "{error:?}"),
        }
        assert_eq!(self.outbox.len(), before, "an error writes nothing");
        if self.peer.ws.transmit(&mut self.outbox).is_err() {
            self.flush();
            self.peer.ws.transmit(&mut self.outbox).unwrap();
        }
        self.flush();
        call(&mut self.peer.ws, &mut self.outbox).unwrap()
    }

    fn act(&mut self, step: &Step) {
        if self.peer.ws.state() != State::Open {
            return assert_eq!(self.peer.ws.send("", &mut self.outbox), Err(SendError::NotOpen));
        }
        match step {
            Step::Text(text) => {
                self.call(|ws, outbox| ws.send(&text[..], outbox));
                self.sent.push(Seen::Text(text.clone()));
            }
            Step::Binary(bytes) => {
                self.call(|ws, outbox| ws.send(&bytes[..], outbox));
                self.sent.push(Seen::Binary(bytes.clone()));
            }
            Step::Fragments(text, cuts) => {
                let cuts = cuts.iter().copied().filter(|&cut| text.is_char_boundary(cut));
                let cuts = std::collections::BTreeSet::from_iter(cuts);
                let mut start = 0;
                for end in cuts {
                    self.call(|ws, outbox| ws.send_piece(Fragment::new(&text[start..end], false), outbox));
                    start = end;
                }
                self.call(|ws, outbox| ws.send_piece(Fragment::new(&text[start..], true), outbox));
                self.sent.push(Seen::Text(text.clone()));
            }
            Step::Streamed(bytes, portion) => {
                let mut mask =
                    self.call(|ws, outbox| ws.send_header(Kind::Binary, bytes.len() as u64, outbox));
                self.flush();
                for part in bytes.clone().chunks_mut(*portion) {
                    (self.mask)(&mut mask, part);
                    self.wire.extend_from_slice(part);
                    self.peer.ws.payload_sent(part.len() as u64).unwrap();
                }
                self.sent.push(Seen::Binary(bytes.clone()));
            }
            Step::Ping(payload) => {
                self.call(|ws, outbox| ws.ping(payload, outbox));
                self.pings.push(Seen::Ping(payload.clone()));
            }
            Step::Close(code, reason) => {
                self.call(|ws, outbox| ws.close(CloseCode(*code), reason, outbox));
                self.sent.push(Seen::Close(*code, reason.clone(), true));
            }
            Step::Deliver(_) => {}
        }
    }

    /// Receives up to `count` bytes that the other side has sent.
    fn arrive(&mut self, wire: &mut Vec<u8>, count: usize) {
        let bytes: Vec<u8> = wire.drain(..count.min(wire.len())).collect();
        // Pending output goes behind the bytes already sent.
        self.flush();
        self.peer.receive(&bytes);
        self.wire.append(&mut self.peer.outbox);
    }

    /// The messages and the Close that this side has received, and its Pings.
    fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        let messages = self.peer.seen.iter().cloned().map(Seen::into_whole);
        let (pings, others): (Vec<_>, Vec<_>) = messages.partition(|seen| matches!(seen, Seen::Ping(_)));
        (others.into_iter().filter(|seen| !matches!(seen, Seen::Pong(_) | Seen::Open(_))).collect(), pings)
    }

    /// The Pongs received are a subsequence of the Pings sent: the latest Ping of each delivery.
    fn check_pongs(&self) {
        let mut pings = self.pings.iter();
        for seen in &self.peer.seen {
            let Seen::Pong(payload) = seen else { continue };
            assert!(pings.any(|ping| matches!(ping, Seen::Ping(sent) if sent == payload)), "{payload:?}");
        }
    }
}

fn deliveries() -> impl Strategy<Value = Delivery> {
    prop_oneof![Just(Delivery::Whole), Just(Delivery::Pieces)]
}

/// Runs the steps, closes, and delivers all bytes.
fn converse<C: Role, S: Role>(
    mut client: End<C>,
    mut server: End<S>,
    steps: &[(bool, Step)],
) -> Result<(), TestCaseError> {
    for (of_client, step) in steps {
        match (of_client, step) {
            (true, Step::Deliver(count)) => client.arrive(&mut server.wire, *count),
            (false, Step::Deliver(count)) => server.arrive(&mut client.wire, *count),
            (true, step) => client.act(step),
            (false, step) => server.act(step),
        }
    }
    // The client closes unless one side has closed, and all bytes are delivered.
    client.act(&Step::Close(4999, "end".into()));
    client.flush();
    server.flush();
    while !client.wire.is_empty() || !server.wire.is_empty() {
        client.arrive(&mut server.wire, usize::MAX);
        server.arrive(&mut client.wire, usize::MAX);
    }
    prop_assert!(server.peer.ws.is_closed());
    prop_assert!(!client.peer.ws.is_closed());
    client.peer.eof();
    server.peer.eof();
    prop_assert!(client.peer.ws.is_closed());

    client.check_pongs();
    server.check_pongs();
    for (end, (messages, pings), other) in [
        ("server", server.seen(), (&client.sent, &client.pings)),
        ("client", client.seen(), (&server.sent, &server.pings)),
    ] {
        // A side that has not closed answers the Close of the other side with the same code.
        let mut sent = other.0.clone();
        if !matches!(sent.last(), Some(Seen::Close(..))) {
            let Some(Seen::Close(code, ..)) = messages.last() else { panic!("{end}: {messages:?}") };
            sent.push(Seen::Close(*code, String::new(), true));
        }
        // Messages behind a Close in the other direction are delivered too.
        prop_assert_eq!(&messages, &sent, "{}", end);
        prop_assert_eq!(&pings, other.1, "{}", end);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Proves: F8, G5, L12.
    #[test]
    fn each_role_receives_everything_the_other_sends(
        steps in vec((any::<bool>(), step()), 0..40),
        deliveries in (deliveries(), deliveries()),
    ) {
        let ws = WebSocket::client(Config::default().delivery(deliveries.0), rng());
        let mut client = End::new(ws, |mask, part| mask.apply(part));
        let mut server = End::new(WebSocket::server(Config::default().delivery(deliveries.1)), |(), _| {});
        // The opening handshake. Frames can follow the response in the same delivery.
        client.call(|ws, outbox| ws.connect(Connect::new("a", "/"), outbox));
        client.flush();
        let request = std::mem::take(&mut client.wire);
        server.peer.receive_with(&request, accept);
        server.wire.append(&mut server.peer.outbox);
        server.peer.seen.clear();
        let response = server.wire.len();
        client.arrive(&mut server.wire, response);

        converse(client, server, &steps)?;
    }

    #[test]
    fn each_established_role_receives_everything_the_other_sends(
        steps in vec((any::<bool>(), step()), 0..40),
        deliveries in (deliveries(), deliveries()),
    ) {
        let ws = WebSocket::<Established<TestClient>>::open(Config::default().delivery(deliveries.0), rng());
        let client = End::new(ws, |mask, part| mask.apply(part));
        let ws = WebSocket::<Established<Server>>::open(Config::default().delivery(deliveries.1));
        converse(client, End::new(ws, |(), _| {}), &steps)?;
    }

    #[test]
    fn garbage_ends_in_at_most_one_error_and_exactly_one_close(
        head in prop_oneof![Just(Vec::new()), Just(request("").into_bytes()), vec(any::<u8>(), 0..50)],
        garbage in vec(any::<u8>(), 0..300),
        portion in 1..50_usize,
        accept in any::<bool>(),
    ) {
        let new = if head.is_empty() { server } else { new_server };
        let mut peer = new(Config::default());
        for bytes in [&head, &garbage] {
            for bytes in bytes.chunks(portion) {
                peer.receive_with(bytes, |ws, event, outbox| {
                    if let (Event::Request(request), true) = (event, accept) {
                        ws.accept(request.accept(), outbox).unwrap();
                    }
                });
            }
        }
        peer.eof();
        prop_assert!(peer.ws.is_closed());
        let errors = peer.seen.iter().filter(|seen| matches!(seen, Seen::Error(_))).count();
        let closes = peer.seen.iter().filter(|seen| matches!(seen, Seen::Close(..))).count();
        prop_assert!(errors <= 1 && closes == 1, "{:?}", peer.seen);
        prop_assert!(matches!(peer.seen.last(), Some(Seen::Close(..))), "Close is the last event");
        if errors == 1 {
            prop_assert!(matches!(peer.seen[peer.seen.len() - 2], Seen::Error(_)), "right before the Close");
        }
    }
}
