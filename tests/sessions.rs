//! A client against a server, over pipes in memory, with sessions that proptest makes up: what one sends, the other
//! receives, whatever the portions, the deliveries and the size of the outbox; and garbage ends in exactly one Close.

mod common;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use sansocket::{
    CloseCode, Config, Connect, Delivery, Established, Event, Fragment, Kind, Role, SendError, Server, State,
    WebSocket,
};

/// What one side does, or what happens on the wire between them.
#[derive(Clone, Debug)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    /// A message in fragments, cut from the text at these places.
    Fragments(String, Vec<usize>),
    /// A message whose payload the caller sends behind its header, in portions of this size.
    Streamed(Vec<u8>, usize),
    Ping(Vec<u8>),
    /// That many bytes reach the other side.
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

/// One end: its machine, its small outbox, and the wire to the other end.
struct End<R: Role> {
    peer: Peer<R>,
    mask: fn(&mut R::Mask, &mut [u8]),
    outbox: heapless::Vec<u8, 1100>,
    wire: Vec<u8>,
    /// What the other end should see.
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

    /// Calls. Where the outbox is full, nothing was written, and `transmit`, flush and again must do.
    fn call<T, E: std::fmt::Debug>(
        &mut self,
        mut call: impl FnMut(&mut WebSocket<R>, &mut heapless::Vec<u8, 1100>) -> Result<T, E>,
    ) -> T {
        let before = self.outbox.len();
        match call(&mut self.peer.ws, &mut self.outbox) {
            Ok(done) => return done,
            Err(error) => assert!(format!("{error:?}").contains("OutboxFull"), "{error:?}"),
        }
        assert_eq!(self.outbox.len(), before, "an Err has written nothing");
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

    /// Up to `count` bytes of the other end's wire arrive.
    fn arrive(&mut self, wire: &mut Vec<u8>, count: usize) {
        let bytes: Vec<u8> = wire.drain(..count.min(wire.len())).collect();
        // What is owed goes behind what has been sent.
        self.flush();
        self.peer.receive(&bytes);
        self.wire.append(&mut self.peer.outbox);
    }

    /// The messages, the Pings and the end that this one has seen.
    fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        let messages = self.peer.seen.iter().cloned().map(|seen| match seen {
            Seen::TextPieces(text, true) => Seen::Text(text),
            Seen::BinaryPieces(bytes, true) => Seen::Binary(bytes),
            other => other,
        });
        let (pings, others): (Vec<_>, Vec<_>) = messages.partition(|seen| matches!(seen, Seen::Ping(_)));
        (others.into_iter().filter(|seen| !matches!(seen, Seen::Pong(_) | Seen::Open(_))).collect(), pings)
    }

    /// The Pongs that this one has seen are some of the Pings that it has sent, in order: the latest of each portion.
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

/// The steps, then the client's Close, until all has arrived.
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
    // Then the client closes, unless one of them has, and all that is under way arrives.
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
        // A side that has not closed has answered the other's Close: with its code.
        let mut sent = other.0.clone();
        if !matches!(sent.last(), Some(Seen::Close(..))) {
            let Some(Seen::Close(code, ..)) = messages.last() else { panic!("{end}: {messages:?}") };
            sent.push(Seen::Close(*code, String::new(), true));
        }
        // What was sent after the other side's Close frame had been read is still delivered: all of it.
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
        // The opening handshake, frames glued behind the response.
        client.call(|ws, outbox| ws.connect(Connect::new("a", "/"), outbox));
        client.flush();
        let request = std::mem::take(&mut client.wire);
        server.peer.receive_with(&request, |ws, event, outbox| {
            if let Event::Request(request) = event {
                ws.accept(request.accept(), outbox).unwrap();
            }
        });
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
        let mut peer = if head.is_empty() { server(Config::default()) } else { Peer::new(WebSocket::server(Config::default())) };
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
        prop_assert!(matches!(peer.seen.last(), Some(Seen::Close(..))), "the last one");
        if errors == 1 {
            prop_assert!(matches!(peer.seen[peer.seen.len() - 2], Seen::Error(_)), "right before it");
        }
    }
}
