//! Messages that are sent compressed: what the peer makes of them, and calls that fail.

use crate::common::*;
use crate::support::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::deflate::{self, Better, Compress, Compressor, Context, Deflate, WindowTooSmall};
use sansocket::{
    Buffer, Config, Delivery, Established, Fragment, Kind, Message, OutboxFull, Role, SendError, Server,
    WebSocket,
};

fn server(takeover: bool, window_bits: u8) -> Peer<ServerSide> {
    ServerSide::open(Config::new(), agreed(takeover, window_bits), Vec::new())
}

fn client(takeover: bool, window_bits: u8) -> Peer<ClientSide> {
    ClientSide::open(Config::new(), agreed(takeover, window_bits), Vec::new())
}

/// A compressor with a history.
fn own(window_bits: u8) -> Compressor<Vec<u16>, Vec<u8>> {
    Compressor::with_takeover(vec![0; 1024], vec![0; 3 << window_bits >> 1])
}

fn shared() -> Compressor<Vec<u16>> {
    Compressor::shared(vec![0; 1024])
}

/// What `to` receives of what `from` has sent.
fn pass<F: Role, T: Role>(from: &mut Peer<F>, to: &mut Peer<T>) -> Vec<Seen> {
    to.receive(&from.take_sent());
    to.take_seen().into_iter().map(Seen::into_whole).collect()
}

const MESSAGE: &str = "{\"temperature\": 21, \"humidity\": 40, \"temperature\": 21}";

/// Proves: Z15, Z17, Z18, Z30.
#[test]
fn each_message_is_compressed_or_not() {
    let (mut server, mut client, mut compressor) = (server(true, 15), client(true, 15), own(15));
    server.ws.send(MESSAGE, &mut server.outbox).unwrap();
    assert_eq!(server.outbox[0], 0x81);
    assert_eq!(pass(&mut server, &mut client), [Seen::Text(MESSAGE.into())]);
    let mut sizes = vec![];
    for _ in 0..3 {
        server.ws.send_deflated(MESSAGE, &mut compressor, &mut server.outbox).unwrap();
        assert_eq!(server.outbox[0], 0xC1);
        assert!(!server.outbox.ends_with(&TAIL), "the tail is cut off");
        sizes.push(server.outbox.len());
        assert_eq!(pass(&mut server, &mut client), [Seen::Text(MESSAGE.into())]);
    }
    assert!(sizes[1] < 12 && sizes[1] < sizes[0], "it refers to the message before: {sizes:?}");
    // An empty message, and one that would get longer, go out as they are.
    for data in [&b""[..], &StdRng::seed_from_u64(3).random_iter().take(2000).collect::<Vec<u8>>()] {
        server.ws.send_deflated(data, &mut compressor, &mut server.outbox).unwrap();
        assert_eq!(server.outbox[0], 0x82);
        assert_eq!(pass(&mut server, &mut client), [Seen::Binary(data.into())]);
    }
    server.ws.send_deflated(MESSAGE, &mut compressor, &mut server.outbox).unwrap();
    assert_eq!(pass(&mut server, &mut client), [Seen::Text(MESSAGE.into())]);
}

#[test]
fn without_agreement_a_message_is_sent_as_it_is() {
    let mut plain = Peer::new(WebSocket::<Server>::open(Config::new()));
    let mut declined = Peer::new(ServerSide::<Vec<u8>>::ws(Config::new(), None, Vec::new()));
    for sent in [
        plain.ws.send_deflated(MESSAGE, &mut own(15), &mut plain.outbox).map(|()| plain.take_sent()),
        declined.ws.send_deflated(MESSAGE, &mut own(15), &mut declined.outbox).map(|()| declined.take_sent()),
    ] {
        assert_eq!(sent.unwrap(), unmasked(0x81, MESSAGE.as_bytes()));
    }
    let piece = Fragment::new("a", false);
    plain.ws.send_piece_deflated(piece, &mut shared(), &mut plain.outbox).unwrap();
    assert_eq!(plain.take_sent(), unmasked(0x01, b"a"));
    assert_eq!(plain.ws.note_deflated(15), Err(SendError::MessageUnfinished));
    assert_eq!(declined.ws.note_deflated(8), Err(SendError::NotAgreed));
}

/// Sends random messages of all kinds with every kind of compressor, and compares what arrives.
fn converse<F: Side<Window = Vec<u8>>, T: Side<Window = Vec<u8>>>(seed: u64) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let (takeover, window_bits) = (rng.random(), rng.random_range(8..=15));
    let delivery = [Delivery::Whole, Delivery::Pieces][rng.random_range(0..2)];
    let mut from = F::open(Config::new(), agreed(takeover, window_bits), Vec::new());
    let mut to = T::open(Config::new().delivery(delivery), agreed(takeover, window_bits), Vec::new());
    let (mut own, mut shared) = (own(rng.random_range(9..=15)), shared().level(Better));
    let uses_own = rng.random();
    let mut tokens = vec![0; 1000];
    for _ in 0..6 {
        let most = [4, 200, 2000, 70_000][rng.random_range(0..4)];
        let len = rng.random_range(0..most);
        let (string, data);
        let message = match rng.random() {
            true => {
                string = text(rng, len);
                Message::Text(&string)
            }
            false => {
                data = bytes(rng, len);
                Message::Binary(&data)
            }
        };
        let compressor: &mut dyn Compress = match (uses_own, rng.random()) {
            (true, true) => &mut own,
            (true, false) => &mut own.with_codes(&mut tokens),
            (false, true) => &mut shared,
            (false, false) => &mut shared.with_codes(&mut tokens),
        };
        match rng.random_range(0..4) {
            0 => from.ws.send(message, &mut from.outbox).unwrap(),
            1 if message.kind() == Kind::Binary => {
                let mut rest = message.as_bytes();
                loop {
                    let (part, later) = rest.split_at(rng.random_range(0..=rest.len()));
                    rest = later;
                    let last = rest.is_empty() && rng.random();
                    let piece = Fragment::new(part, last);
                    from.ws.send_piece_deflated(piece, compressor, &mut from.outbox).unwrap();
                    if last {
                        break;
                    }
                    from.ws.ping(b"between", &mut from.outbox).unwrap();
                }
            }
            _ => from.ws.send_deflated(message, compressor, &mut from.outbox).unwrap(),
        }
        let mut seen = pass(&mut from, &mut to);
        seen.retain(|seen| *seen != Seen::Ping(b"between".to_vec()));
        let expected = match message {
            Message::Text(text) => Seen::Text(text.into()),
            Message::Binary(bytes) => Seen::Binary(bytes.into()),
        };
        assert_eq!(seen, [expected]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 2000 }))]

    #[test]
    fn what_one_role_compresses_the_other_inflates(seed in any::<u64>()) {
        converse::<ServerSide, ClientSide>(seed);
        converse::<ClientSide, ServerSide>(seed);
    }
}

/// Every capacity of the outbox: the call fails and changes nothing, or sends all.
#[test]
fn a_full_outbox_changes_nothing() {
    for is_piece in [false, true] {
        let send = |peer: &mut Peer<ClientSide>, compressor: &mut dyn Compress, outbox: &mut dyn Buffer| {
            match is_piece {
                true => peer.ws.send_piece_deflated(Fragment::new(MESSAGE, true), compressor, outbox),
                false => peer.ws.send_deflated(MESSAGE, compressor, outbox),
            }
        };
        let prepared = || {
            let (mut peer, mut compressor) = (client(true, 15), own(15));
            peer.ws.send_deflated(MESSAGE, &mut compressor, &mut peer.outbox).unwrap();
            // A Pong is pending.
            peer.receive_only(&unmasked(0x89, b"ping"));
            peer.take_sent();
            (peer, compressor)
        };
        let (mut peer, mut compressor) = prepared();
        let mut expected = Bounded::new(1000);
        send(&mut peer, &mut compressor, &mut expected).unwrap();
        assert_eq!(expected.bytes[0], 0x8A, "the Pong is first");
        let mut failures = 0;
        for capacity in 0..200 {
            let (mut peer, mut compressor) = prepared();
            let mut outbox = Bounded::new(capacity);
            if let Err(error) = send(&mut peer, &mut compressor, &mut outbox) {
                let SendError::OutboxFull(OutboxFull { needed }) = error else { panic!("{error}") };
                assert!(outbox.bytes.is_empty() && needed > capacity);
                let (mut exact, mut less) = (Bounded::new(needed), Bounded::new(needed - 1));
                send(&mut peer, &mut compressor, &mut less).unwrap_err();
                send(&mut peer, &mut compressor, &mut exact).unwrap();
                assert_eq!(exact.bytes, expected.bytes, "as if it had not failed");
                failures += 1;
            } else {
                assert_eq!(outbox.bytes, expected.bytes);
            }
        }
        assert!((MESSAGE.len()..120).contains(&failures), "{failures}");
    }
}

/// An outbox that can only be appended to takes messages as they are.
#[test]
fn an_outbox_without_access_in_place_is_sent_plain_messages() {
    let (mut server, mut outbox) = (server(true, 15), Plain::new(1000));
    server.ws.send_deflated(MESSAGE, &mut own(15), &mut outbox).unwrap();
    for last in [false, true] {
        server.ws.send_piece_deflated(Fragment::new("a", last), &mut own(15), &mut outbox).unwrap();
    }
    let expected = [unmasked(0x81, MESSAGE.as_bytes()), unmasked(0x01, b"a"), unmasked(0x80, b"a")].concat();
    assert_eq!(outbox.bytes, expected);
}

#[test]
fn a_compressor_of_another_connection_is_refused() {
    let (mut a, mut b) = ((server(true, 15), client(true, 15)), (server(true, 15), client(true, 15)));
    let (mut of_a, mut of_b) = (own(15), own(15));
    let send =
        |ends: &mut (Peer<ServerSide>, Peer<ClientSide>), compressor: &mut dyn Compress, text: &str| {
            let sent = ends.0.ws.send_deflated(text, compressor, &mut ends.0.outbox);
            let seen = pass(&mut ends.0, &mut ends.1);
            assert_eq!(seen.len(), usize::from(sent.is_ok()));
            sent.map(|()| assert_eq!(seen, [Seen::Text(text.into())]))
        };
    send(&mut a, &mut of_a, "one message").unwrap();
    assert_eq!(send(&mut b, &mut of_a, MESSAGE), Err(SendError::OtherCompressor));
    send(&mut b, &mut of_b, "another message").unwrap();
    assert_eq!(send(&mut a, &mut of_b, MESSAGE), Err(SendError::OtherCompressor));
    send(&mut a, &mut of_a, MESSAGE).unwrap();
    // After a message of another compressor, the history is not what the peer's window holds.
    send(&mut a, &mut shared(), MESSAGE).unwrap();
    assert_eq!(send(&mut a, &mut of_a, MESSAGE), Err(SendError::OtherCompressor));
    of_a.reset();
    send(&mut a, &mut of_a, MESSAGE).unwrap();
    send(&mut a, &mut of_a, MESSAGE).unwrap();
    a.0.ws.note_deflated(15).unwrap();
    assert_eq!(send(&mut a, &mut of_a, MESSAGE), Err(SendError::OtherCompressor));
    // A message that is sent as it is is no part of the window.
    of_a.reset();
    send(&mut a, &mut of_a, MESSAGE).unwrap();
    a.0.ws.send("plain", &mut a.0.outbox).unwrap();
    pass(&mut a.0, &mut a.1);
    send(&mut a, &mut of_a, MESSAGE).unwrap();
    // Without context takeover each message begins anew, and any compressor will do.
    let mut c = (server(false, 15), client(false, 15));
    for _ in 0..2 {
        send(&mut c, &mut of_b, MESSAGE).unwrap();
        send(&mut c, &mut of_a, MESSAGE).unwrap();
    }
}

#[test]
fn fragments_of_a_message_are_compressed_or_none_is() {
    let (mut server, mut client, mut compressor) = (server(true, 9), client(true, 9), own(9));
    let piece = |text, last| Fragment::new(text, last);
    server.ws.send_piece_deflated(piece("a", false), &mut compressor, &mut server.outbox).unwrap();
    let before = server.outbox.clone();
    assert_eq!(server.ws.send_piece(piece("b", true), &mut server.outbox), Err(SendError::KindMismatch));
    let bytes = Fragment::new(b"b", true);
    let mismatch = server.ws.send_piece_deflated(bytes, &mut compressor, &mut server.outbox);
    assert_eq!(mismatch, Err(SendError::KindMismatch));
    let other = server.ws.send_piece_deflated(piece("b", true), &mut own(9).used(), &mut server.outbox);
    assert_eq!(other, Err(SendError::OtherCompressor));
    assert_eq!(
        server.ws.send_deflated("b", &mut compressor, &mut server.outbox),
        Err(SendError::MessageUnfinished)
    );
    assert_eq!(server.outbox, before);
    server.ws.send_piece_deflated(piece("", true), &mut compressor, &mut server.outbox).unwrap();
    assert_eq!(pass(&mut server, &mut client), [Seen::Text("a".into())]);
    server.ws.send_piece(piece("a", false), &mut server.outbox).unwrap();
    let mismatch = server.ws.send_piece_deflated(piece("b", true), &mut compressor, &mut server.outbox);
    assert_eq!(mismatch, Err(SendError::KindMismatch));
}

trait Used {
    fn used(self) -> Self;
}

impl Used for Compressor<Vec<u16>, Vec<u8>> {
    /// After a message on another connection.
    fn used(mut self) -> Self {
        server(true, 9).ws.send_deflated("used", &mut self, &mut Vec::new()).unwrap();
        self
    }
}

/// A received piece, with the character that it completes, is sent on.
#[test]
fn pieces_are_forwarded_compressed() {
    let text = "値段 😀 ".repeat(300);
    let mut from =
        ServerSide::<Vec<u8>>::open(Config::new().delivery(Delivery::Pieces), agreed(true, 15), Vec::new());
    let (mut between, mut to, mut compressor) = (server(true, 12), client(true, 12), own(12));
    let stream = masked(0xC1, &Zlib::new(6, 15, true).message(text.as_bytes()));
    for cut in stream.chunks(7) {
        let mut cut = cut.to_vec();
        let mut input = &mut cut[..];
        let mut inbox = Bounded::new(10);
        while let Some(event) = from.ws.receive(&mut input, &mut inbox) {
            let sansocket::Event::Piece(piece) = event else { panic!("{event:?}") };
            between.ws.send_piece_deflated(&piece, &mut compressor, &mut between.outbox).unwrap();
        }
    }
    assert_eq!(pass(&mut between, &mut to), [Seen::Text(text)]);
}

/// Proves: Z19.
#[test]
fn a_broadcast_is_compressed_once() {
    let mut frame = Vec::new();
    deflate::encode(MESSAGE, 10, &mut shared(), &mut frame).unwrap();
    assert_eq!(frame[0], 0xC1);
    assert!(frame.len() < MESSAGE.len());
    let mut small = heapless::Vec::<u8, 60>::new();
    let full = deflate::encode(MESSAGE, 10, &mut shared(), &mut small).unwrap_err();
    assert!(small.is_empty() && full.needed > 60);
    for takeover in [false, true] {
        for window_bits in [8, 9, 10, 15] {
            let (mut server, mut client) = (server(takeover, window_bits), client(takeover, window_bits));
            let mut compressor = own(window_bits);
            server.ws.send_deflated(MESSAGE, &mut compressor, &mut server.outbox).unwrap();
            let noted = server.ws.note_deflated(10);
            assert_eq!(noted, if window_bits < 10 { Err(SendError::NotAgreed) } else { Ok(()) });
            if noted.is_ok() {
                server.outbox.extend(&frame);
                compressor.reset();
            }
            server.ws.send_deflated(MESSAGE, &mut compressor, &mut server.outbox).unwrap();
            let expected = vec![Seen::Text(MESSAGE.into()); if noted.is_ok() { 3 } else { 2 }];
            assert_eq!(pass(&mut server, &mut client), expected);
        }
    }
    // A client cannot send it: it is not masked.
    assert_eq!(client(true, 15).ws.note_deflated(10), Err(SendError::NotAgreed));
    // One that does not get shorter is not compressed.
    let mut frame = Vec::new();
    deflate::encode(b"\x00\xFF\x80", 15, &mut shared(), &mut frame).unwrap();
    assert_eq!(frame, unmasked(0x82, b"\x00\xFF\x80"));
}

/// zlib behind the trait, as an application would write it.
struct ZlibCompressor {
    zlib: Zlib,
    context: Context,
}

impl Compress for ZlibCompressor {
    fn max_len(&self, len: usize) -> usize {
        len + len / 8 + 64
    }
    fn compress(&mut self, data: &[u8], _: u8, out: &mut [u8]) -> usize {
        let compressed = self.zlib.flush(data);
        out[..compressed.len()].copy_from_slice(&compressed);
        compressed.len()
    }
    fn undo(&mut self) {
        self.reset();
    }
    fn reset(&mut self) {
        self.zlib.reset();
        self.context = Context::default();
    }
    fn context(&mut self) -> Option<&mut Context> {
        Some(&mut self.context)
    }
}

#[test]
fn another_implementation_can_compress() {
    let rng = &mut StdRng::seed_from_u64(5);
    for takeover in [false, true] {
        let (mut server, mut client) = (server(takeover, 15), client(takeover, 15));
        let mut compressor = ZlibCompressor { zlib: Zlib::new(6, 15, true), context: Context::default() };
        for i in 0..40 {
            let data = bytes(rng, [0, 5, 300, 3000][i % 4]);
            if i % 3 == 0 {
                for last in [false, true] {
                    let piece = Fragment::new(&data, last);
                    server.ws.send_piece_deflated(piece, &mut compressor, &mut server.outbox).unwrap();
                }
                assert_eq!(pass(&mut server, &mut client), [Seen::Binary([&data[..], &data].concat())]);
            } else {
                server.ws.send_deflated(&data, &mut compressor, &mut server.outbox).unwrap();
                assert_eq!(pass(&mut server, &mut client), [Seen::Binary(data)]);
            }
        }
    }
}

#[test]
fn the_memory_must_hold_the_window() {
    type Role<W> = Deflate<Established<Server>, W>;
    let open = |config, parameters| {
        WebSocket::<Role<[u8; 512]>>::open_deflate(config, Some(parameters), [0; 512]).map(|_| ())
    };
    let pieces = Config::new().delivery(Delivery::Pieces);
    assert_eq!(open(Config::new(), agreed(true, 9)), Ok(()));
    assert_eq!(open(Config::new(), agreed(true, 10)), Err(WindowTooSmall { window_bits: 10 }));
    assert_eq!(open(Config::new(), agreed(false, 15)), Ok(()));
    assert_eq!(open(pieces, agreed(false, 9)), Ok(()));
    assert_eq!(open(pieces, agreed(false, 15)), Err(WindowTooSmall { window_bits: 15 }));
    assert!(WebSocket::<Role<()>>::open_deflate(pieces, None, ()).is_ok());
}
