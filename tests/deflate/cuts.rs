//! Conversations with compressed messages, cut anywhere and read in every way, beside a naive
//! model: each payload is joined, inflated bit by bit, and checked.

use crate::common::*;
use crate::support::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::deflate::{Parameters, WithTables};
use sansocket::{
    Buffer, Config, Delivery, FixedInbox, Inbox, ProtocolError, Slice, State, WebSocket, heapless,
};

/// A message as its sender cuts it into frames. A Ping can follow a frame.
struct Sent {
    is_text: bool,
    compressed: bool,
    frames: Vec<Vec<u8>>,
    pings: Vec<bool>,
}

impl Sent {
    fn append<R: Side>(&self, stream: &mut Vec<u8>) {
        let opcode = if self.is_text { 1 } else { 2 } | if self.compressed { 0x40 } else { 0 };
        for (i, payload) in self.frames.iter().enumerate() {
            let is_last = i + 1 == self.frames.len();
            let first = if i == 0 { opcode } else { 0 } | if is_last { 0x80 } else { 0 };
            stream.extend(R::frame(first, payload));
            if self.pings[i] && !is_last {
                stream.extend(R::frame(0x89, b"ping"));
            }
        }
    }
}

fn conversation(rng: &mut StdRng, window_bits: u8, takeover: bool) -> Vec<Sent> {
    let mut sender = Sender::random(rng, window_bits, takeover);
    let mut sent = Vec::new();
    for _ in 0..rng.random_range(1..6) {
        let len = [0, 1, 7, 60, 300, 1200][rng.random_range(0..6)];
        let is_text = rng.random();
        let mut data = if is_text { text(rng, len).into_bytes() } else { bytes(rng, len) };
        let spoil = |rng: &mut StdRng, data: &mut Vec<u8>| {
            if rng.random_range(0..10) == 0 && !data.is_empty() {
                let at = rng.random_range(0..data.len());
                match rng.random_range(0..3) {
                    0 => data.truncate(at),
                    1 => data[at] ^= 1 << rng.random_range(0..8),
                    _ => data[at] = rng.random(),
                }
            }
        };
        spoil(rng, &mut data);
        let compressed = rng.random_range(0..5) > 0;
        let mut payload = if compressed { sender.message(&data) } else { data };
        if compressed {
            spoil(rng, &mut payload);
        }
        let mut frames = Vec::new();
        for _ in 0..rng.random_range(0..4) * rng.random_range(0..2) {
            let rest = payload.split_off(rng.random_range(0..=payload.len()));
            frames.push(std::mem::replace(&mut payload, rest));
        }
        frames.push(payload);
        let pings = frames.iter().map(|_| rng.random()).collect();
        sent.push(Sent { is_text, compressed, frames, pings });
    }
    sent
}

/// The events without Pings. Pieces are joined, whole messages are those of `Whole`.
struct Model {
    delivery: Delivery,
    limit: usize,
    reference: Reference,
    seen: Vec<Seen>,
}

impl Model {
    /// Takes a message; `false` if it fails.
    fn take(&mut self, message: &Sent) -> bool {
        let (data, mut failed) = if message.compressed {
            self.reference.max_len = self.limit;
            match self.reference.message(&message.frames.concat()) {
                Ok(data) => (data, None),
                Err((data, Reason::Invalid)) => (data, Some(ProtocolError::InvalidDeflate)),
                Err((data, Reason::TooBig)) => (data, Some(ProtocolError::MessageTooBig)),
            }
        } else {
            // The length counts at each header.
            let (mut data, mut failed) = (Vec::new(), None);
            for frame in &message.frames {
                if data.len() + frame.len() > self.limit {
                    failed = Some(ProtocolError::MessageTooBig);
                    break;
                }
                data.extend_from_slice(frame);
            }
            (data, failed)
        };
        let mut valid = data.len();
        if message.is_text
            && let Err(error) = str::from_utf8(&data)
        {
            valid = error.valid_up_to();
            // Whole compressed text is checked at its end.
            let is_seen = !message.compressed || self.delivery == Delivery::Pieces || failed.is_none();
            if is_seen && (error.error_len().is_some() || failed.is_none()) {
                failed = Some(ProtocolError::InvalidUtf8);
            }
        }
        let data = &data[..valid];
        let piece = |last| match message.is_text {
            true => Seen::TextPieces(str::from_utf8(data).unwrap().into(), last),
            false => Seen::BinaryPieces(data.into(), last),
        };
        match (failed, self.delivery) {
            (None, Delivery::Whole) => self.seen.push(piece(true).into_whole()),
            (None, _) => self.seen.push(piece(true)),
            (Some(error), delivery) => {
                if delivery == Delivery::Pieces && !data.is_empty() {
                    self.seen.push(piece(false));
                }
                self.seen.extend(failure(error));
                return false;
            }
        }
        true
    }
}

/// Every kind of window, each with memory for what was agreed.
fn property<R: Side<Window = Vec<u8>>, S: Side<Window = WithTables<Box<[u8]>>>>(seed: u64) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let (bits, takeover) = (rng.random_range(8..=15), rng.random());
    let other = (rng.random_range(8..=15), rng.random());
    let (server, client) = if R::MASKED { (other, (bits, takeover)) } else { ((bits, takeover), other) };
    let parameters = Parameters {
        server_window_bits: server.0,
        server_takeover: server.1,
        client_window_bits: client.0,
        client_takeover: client.1,
    };
    let sent = conversation(rng, bits, takeover);
    let mut stream = Vec::new();
    sent.iter().for_each(|message| message.append::<R>(&mut stream));
    // Limits are often near the length of a message.
    let limit = [7, 40, 60, 61, 300, 1200, 1 << 20][rng.random_range(0..7)];
    let max_message = if rng.random() { limit } else { 1 << 24 };
    for delivery in [Delivery::Whole, Delivery::Pieces] {
        let config = Config::new().max_message(max_message as u64).delivery(delivery);
        let capacity = if delivery == Delivery::Whole { limit } else { 1 << 20 };
        let mut model = Model {
            delivery,
            limit: max_message.min(capacity),
            reference: Reference::new(takeover, bits),
            seen: Vec::new(),
        };
        let complete = sent.iter().all(|message| model.take(message));
        let check = |cuts: &[usize], way, inbox: &mut dyn Buffer, keeps_tables: bool| {
            let (mut seen, sent) = match keeps_tables {
                false => run(R::ws(config, Some(parameters), Vec::new()), &stream, cuts, inbox, way),
                true => {
                    let window = WithTables::new(vec![0xAA; 1 << bits].into_boxed_slice());
                    run(S::ws(config, Some(parameters), window), &stream, cuts, inbox, way)
                }
            };
            seen.retain(|seen| *seen != Seen::Ping(b"ping".to_vec()));
            let label = format!("{parameters:?} {delivery:?} {way:?} {cuts:?} limit {max_message}");
            assert_eq!(seen, model.seen, "{label}");
            if let Some(Seen::Error(error)) = seen.iter().rev().nth(1) {
                let code = sent_code::<R>(&sent);
                assert!(error.contains(&format!("close code {code}")), "{error} {code}");
            } else {
                assert!(complete);
            }
        };
        let every: Vec<usize> = (1..stream.len()).collect();
        let mut fixed = FixedInbox::<{ 1 << 13 }>::new();
        let mut memory = vec![0; capacity];
        // Whole messages need the capacity of the model; `limit` is at most 1,200, or none.
        check(&[], Way::Receive, &mut Bounded::new(capacity), false);
        check(&every, Way::Receive, &mut Bounded::new(capacity), rng.random());
        check(&cuts(rng, stream.len()), Way::TwoSteps, &mut Slice::new(&mut memory), rng.random());
        if max_message.min(capacity) == max_message || delivery == Delivery::Pieces || limit == 1 << 20 {
            let growing: &mut dyn Buffer = match rng.random_range(0..3) {
                0 => &mut Vec::new(),
                1 => &mut Inbox::new(),
                _ => &mut fixed,
            };
            check(&cuts(rng, stream.len()), Way::Dispatch, growing, rng.random());
        }
        if delivery == Delivery::Pieces {
            let small: &mut dyn Buffer = match rng.random_range(0..5) {
                0 => &mut heapless::Vec::<u8, 1>::new(),
                1 => &mut heapless::Vec::<u8, 7>::new(),
                2 => &mut heapless::Vec::<u8, 60>::new(),
                3 => &mut FixedInbox::<3>::new(),
                _ => &mut Slice::new(&mut memory[..4]),
            };
            let way = [Way::Receive, Way::TwoSteps, Way::Dispatch][rng.random_range(0..3)];
            check(&cuts(rng, stream.len()), way, small, rng.random());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 120 } else { 4000 }))]

    /// Proves: Q8, Z26, Z27, Z28.
    #[test]
    fn a_server_sees_what_the_model_sees_however_the_stream_is_cut(seed in any::<u64>()) {
        property::<ServerSide, ServerSide<_>>(seed);
    }

    /// Proves: Q8, Z26, Z27, Z28.
    #[test]
    fn a_client_sees_what_the_model_sees_however_the_stream_is_cut(seed in any::<u64>()) {
        property::<ClientSide, ClientSide<_>>(seed);
    }
}

/// Cuts at every position and at every two of a short stream, and an end of the stream anywhere.
#[test]
fn a_stream_can_be_cut_and_can_end_at_every_position() {
    let message = "aé€😀 aé€😀".as_bytes();
    let payload = Zlib::new(9, 15, true).message(message);
    let stream =
        [masked(0x41, &payload[..5]), masked(0x00, b""), masked(0x80, &payload[5..]), masked(0xC1, &[0])]
            .concat();
    for delivery in [Delivery::Whole, Delivery::Pieces] {
        let config = Config::new().delivery(delivery);
        let ws = || ServerSide::<Vec<u8>>::ws(config, Some(agreed(true, 15)), Vec::new());
        let (expected, _) = run(ws(), &stream, &[], &mut Vec::new(), Way::Receive);
        assert_eq!(expected.len(), 2);
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let inbox = &mut heapless::Vec::<u8, 40>::new();
                let (seen, _) = run(ws(), &stream, &[first, second], inbox, Way::TwoSteps);
                assert_eq!(seen, expected, "{first} {second}");
            }
            let mut peer = Peer::new(ws());
            peer.receive(&stream[..first]);
            let clone = peer.ws.clone();
            peer.eof();
            assert_eq!(peer.seen.last(), Some(&Seen::Close(1006, String::new(), false)));
            assert_eq!(peer.ws.state(), State::Closed);
            // The clone goes on, with the same inbox.
            let mut copy = Peer::new(clone);
            (copy.inbox, copy.seen) = (peer.inbox, peer.seen);
            copy.seen.truncate(copy.seen.len() - 2);
            copy.receive(&stream[first..]);
            assert_eq!(copy.seen, expected, "{first}");
        }
    }
}

/// A decoded `WebSocket` is the same whatever type it is called through.
#[test]
fn an_inbox_behind_a_reference_is_the_same() {
    let payload = Zlib::new(9, 15, true).message(b"aaaaaaaaaaaaaaaaaaaaaaaaa");
    let mut ws: WebSocket<ServerSide> = ServerSide::ws(Config::new(), Some(agreed(true, 15)), Vec::new());
    let mut inbox = &mut &mut heapless::Vec::<u8, 40>::new();
    let mut stream = masked(0xC1, &payload);
    let event = ws.receive(&mut &mut stream[..], &mut inbox).unwrap();
    assert_eq!(Seen::new(&event), Seen::Text("a".repeat(25)));
}
