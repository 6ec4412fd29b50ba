//! Calls that fail change nothing: a connection whose calls fail again and again sends what its
//! twin sends, whose calls all succeed.

use crate::common::*;
use crate::support::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::deflate::{Better, Compress, Compressor};
use sansocket::{
    Buffer, CloseCode, Config, Fragment, Kind, Message, OutboxFull, Part, Piece, SendError, WebSocket,
};

/// A call that sends.
#[derive(Clone, Debug)]
enum Call {
    Send(String),
    Deflated(String, bool),
    Piece { lead: Option<char>, text: String, last: bool, compressed: bool, dynamic: bool },
    Ping,
}

type Own = Compressor<Vec<u16>, Vec<u8>, Better>;

fn call<R: Side>(
    ws: &mut WebSocket<R>,
    call: &Call,
    own: &mut Own,
    tokens: &mut [u32],
    outbox: &mut dyn Buffer,
) -> Result<(), SendError> {
    match call {
        Call::Send(text) => ws.send(&**text, outbox),
        Call::Deflated(text, false) => ws.send_deflated(&**text, own, outbox),
        Call::Deflated(text, true) => ws.send_deflated(&**text, &mut own.with_codes(tokens), outbox),
        Call::Piece { lead, text, last, compressed, dynamic } => {
            let piece = Piece { part: Part::Text { lead: *lead, text }, first: false, last: *last };
            let fragment = Fragment::from(&piece);
            match (compressed, dynamic) {
                (false, _) => ws.send_piece(fragment, outbox),
                (true, false) => ws.send_piece_deflated(fragment, own, outbox),
                (true, true) => ws.send_piece_deflated(fragment, &mut own.with_codes(tokens), outbox),
            }
        }
        Call::Ping => ws.ping(b"ping", outbox),
    }
}

fn calls(rng: &mut StdRng) -> Vec<Call> {
    let mut calls = Vec::new();
    while calls.len() < 12 {
        let len = [0, 1, 20, 130, 900][rng.random_range(0..5)];
        let text = text(rng, len);
        match rng.random_range(0..4) {
            0 => calls.push(Call::Send(text)),
            1 => calls.push(Call::Deflated(text, rng.random())),
            _ => {
                let compressed = rng.random_range(0..4) > 0;
                let parts = rng.random_range(1..5);
                for part in 1..=parts {
                    // Parts without a character, without text, or without both.
                    let lead = [None, Some('é'), Some('😀'), Some('a')][rng.random_range(0..4)];
                    let text = if rng.random() { text.clone() } else { String::new() };
                    let dynamic = rng.random();
                    calls.push(Call::Piece { lead, text, last: part == parts, compressed, dynamic });
                    if rng.random_range(0..4) == 0 {
                        calls.push(Call::Ping);
                    }
                }
            }
        }
    }
    calls
}

/// Calls that must fail in the state that the connection is in.
fn fail<R: Side>(
    ws: &mut WebSocket<R>,
    in_message: Option<bool>,
    foreign: &mut Own,
    outbox: &mut dyn Buffer,
) {
    let before = outbox.bytes().to_vec();
    if let Some(compressed) = in_message {
        let text = Fragment::new("a", true);
        let data = Fragment::new(b"a", true);
        let mismatch = Err(SendError::KindMismatch);
        assert_eq!(ws.send_piece(data, outbox), mismatch);
        assert_eq!(ws.send_piece_deflated(data, foreign, outbox), mismatch);
        if compressed {
            assert_eq!(ws.send_piece(text, outbox), mismatch);
            assert_eq!(ws.send_piece_deflated(text, foreign, outbox), Err(SendError::OtherCompressor));
        } else {
            assert_eq!(ws.send_piece_deflated(text, foreign, outbox), mismatch);
        }
        let unfinished = Err(SendError::MessageUnfinished);
        assert_eq!(ws.send("a", outbox), unfinished);
        assert_eq!(ws.send_deflated("a", foreign, outbox), unfinished);
        assert_eq!(ws.note_deflated(8), unfinished);
    } else {
        assert_eq!(ws.note_deflated(16), Err(SendError::NotAgreed));
        assert_eq!(ws.ping(&[0; 126], outbox), Err(SendError::TooLong));
    }
    assert_eq!(outbox.bytes(), before, "nothing was appended");
}

fn twins<R: Side<Window = Vec<u8>>, P: Side<Window = Vec<u8>>>(seed: u64) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let (takeover, bits) = (rng.random(), rng.random_range(8..=15));
    let own = || Compressor::with_takeover(vec![0; 512], vec![0; 3 << bits >> 1]).level(Better);
    let mut tokens = vec![0; [0, 10, 500][rng.random_range(0..3)]];
    let (mut a, mut b) = (own(), own());
    let mut twin = R::open(Config::new(), agreed(takeover, bits), Vec::new());
    let mut peer = R::open(Config::new(), agreed(takeover, bits), Vec::new());
    let mut reader = P::open(Config::new(), agreed(takeover, bits), Vec::new());
    // A compressor that another connection uses.
    let mut foreign = own();
    let mut other = R::open(Config::new(), agreed(true, bits), Vec::new());
    other.ws.send_deflated("foreign", &mut foreign, &mut other.outbox).unwrap();
    let mut expected = Vec::new();
    let mut in_message = None;
    let mut message = String::new();
    for next in calls(rng) {
        if rng.random_range(0..3) == 0 {
            // A Pong is pending, which goes first.
            twin.receive_only(&R::frame(0x89, b"pending"));
            peer.receive_only(&R::frame(0x89, b"pending"));
        }
        call(&mut twin.ws, &next, &mut a, &mut tokens, &mut twin.outbox).unwrap();
        fail(&mut peer.ws, in_message, &mut foreign, &mut peer.outbox);
        let mut needed = None;
        for capacity in (0..2000).step_by(1 + rng.random_range(0..60)).chain([100_000]) {
            let mut outbox = Bounded::new(capacity);
            let result = call(&mut peer.ws, &next, &mut b, &mut tokens, &mut outbox);
            match result {
                Ok(()) => {
                    assert!(needed.is_none_or(|needed| needed <= capacity), "{next:?} {needed:?} {capacity}");
                    peer.outbox.extend_from_slice(&outbox.bytes);
                    break;
                }
                Err(error) => {
                    let full = SendError::OutboxFull(OutboxFull { needed: needed.unwrap_or(0) });
                    let SendError::OutboxFull(OutboxFull { needed: now }) = error else { panic!("{error}") };
                    assert!(now > capacity && outbox.bytes.is_empty());
                    assert!(needed.is_none() || error == full, "the same each time");
                    needed = Some(now);
                    if rng.random() {
                        // With what it needs, it succeeds.
                        outbox.capacity = now;
                        call(&mut peer.ws, &next, &mut b, &mut tokens, &mut outbox).unwrap();
                        peer.outbox.extend_from_slice(&outbox.bytes);
                        break;
                    }
                }
            }
        }
        assert_eq!(peer.outbox, twin.outbox, "{next:?}");
        match next {
            Call::Send(text) | Call::Deflated(text, _) => expected.push(Seen::Text(text)),
            Call::Piece { lead, text, last, compressed, .. } => {
                message.extend(lead);
                message += &text;
                in_message = (!last).then_some(compressed);
                if last {
                    expected.push(Seen::Text(std::mem::take(&mut message)));
                }
            }
            Call::Ping => {}
        }
    }
    twin.ws.close(CloseCode::NORMAL, "", &mut twin.outbox).unwrap();
    peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
    let sent = peer.take_sent();
    assert_eq!(sent, twin.take_sent());
    reader.receive(&sent);
    assert_eq!(reader.seen.pop(), Some(Seen::Close(1000, String::new(), true)));
    reader.seen.retain(|seen| matches!(seen, Seen::Text(_)));
    assert_eq!(reader.seen, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 2000 }))]

    #[test]
    fn a_server_whose_calls_fail_sends_what_its_twin_sends(seed in any::<u64>()) {
        twins::<ServerSide, ClientSide>(seed);
    }

    /// The masking keys are the same too: a call that fails draws none.
    #[test]
    fn a_client_whose_calls_fail_sends_what_its_twin_sends(seed in any::<u64>()) {
        twins::<ClientSide, ServerSide>(seed);
    }
}

/// Both directions of every agreement, at every level, with the windows in the middle of an
/// application's messages.
#[test]
fn a_compressed_message_is_of_either_kind() {
    for kind in [Kind::Text, Kind::Binary] {
        let mut client = ClientSide::<Vec<u8>>::open(Config::new(), agreed(true, 9), Vec::new());
        let mut server = ServerSide::<Vec<u8>>::open(Config::new(), agreed(true, 9), Vec::new());
        let mut compressor = Compressor::with_takeover([0; 512], [0; 768]);
        let message = match kind {
            Kind::Text => Message::Text("aaaaaaaaaaaaaaaa"),
            Kind::Binary => Message::Binary(b"aaaaaaaaaaaaaaaa"),
        };
        client.ws.send_deflated(message, &mut compressor, &mut client.outbox).unwrap();
        assert_eq!(client.outbox[0], if kind == Kind::Text { 0xC1 } else { 0xC2 });
        server.receive(&client.take_sent());
        assert_eq!(server.take_seen().len(), 1);
        // A compressor is passed by its trait too.
        let compressor: &mut dyn Compress = &mut compressor;
        client.ws.send_deflated(message, compressor, &mut client.outbox).unwrap();
        server.receive(&client.take_sent());
        assert_eq!(server.take_seen().len(), 1);
    }
}
