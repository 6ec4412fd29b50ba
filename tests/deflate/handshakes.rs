//! Connections from their handshake on: whatever settings, memory and delivery the endpoints have,
//! what one sends the other reads.

use crate::common::*;
use crate::support::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sansocket::deflate::{Best, Compress, Compressor, Parameters, Settings};
use sansocket::{Config, Connect, Delivery, Event, Fragment, Role, WebSocket};

fn settings(rng: &mut StdRng) -> Settings {
    Settings::firmware()
        .send_takeover(rng.random())
        .receive_takeover(rng.random())
        .send_window_bits(rng.random_range(8..=16))
        .receive_window_bits(rng.random_range(8..=16))
}

fn window(rng: &mut StdRng) -> Box<[u8]> {
    // None, too little for any window, and sizes between two windows.
    let len = [0, 255, 256, 511, 512, 1000, 4096, 32_767, 32_768, 40_000][rng.random_range(0..10)];
    vec![0xAA; len].into_boxed_slice()
}

fn config(rng: &mut StdRng) -> Config {
    let delivery = if rng.random() { Delivery::Pieces } else { Delivery::Whole };
    Config::new().delivery(delivery).max_message(1 << 20)
}

/// Sends messages of many lengths from one end to the other.
fn talk<F: Role, T: Role>(
    rng: &mut StdRng,
    from: &mut Peer<F>,
    to: &mut Peer<T>,
    takeover_and_bits: Option<(bool, u8)>,
) {
    let (takeover, bits) = takeover_and_bits.unwrap_or((true, 15));
    let history = if takeover { 3 << bits >> 1 } else { 0 };
    let mut compressor = Compressor::with_takeover(vec![0; 1024], vec![0; history]).level(Best);
    let mut tokens = vec![0; 500];
    for _ in 0..rng.random_range(1..6) {
        let len = [1, 50, 700, 700, 5000, 40_000][rng.random_range(0..6)];
        let message = text(rng, len);
        let compressor: &mut dyn Compress = match rng.random() {
            true => &mut compressor,
            false => &mut compressor.with_codes(&mut tokens),
        };
        if rng.random() {
            from.ws.send_deflated(&*message, compressor, &mut from.outbox).unwrap();
        } else {
            for last in [false, true] {
                let fragment = Fragment::new(if last { "" } else { &message }, last);
                from.ws.send_piece_deflated(fragment, compressor, &mut from.outbox).unwrap();
            }
        }
        let sent = from.take_sent();
        assert!(takeover_and_bits.is_some() || sent[0] & 0x40 == 0);
        for slice in sent.chunks(rng.random_range(1..3000)) {
            to.receive(slice);
        }
        let seen: Vec<_> = to.take_seen().into_iter().map(Seen::into_whole).collect();
        assert_eq!(seen, [Seen::Text(message)]);
    }
}

fn connect(seed: u64) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let (of_server, of_client) = (settings(rng), settings(rng));
    let server = WebSocket::deflate_server(config(rng), of_server, window(rng));
    let client = WebSocket::deflate_client(config(rng), crate::common::rng(), of_client, window(rng));
    let (mut server, mut client) = (Peer::new(server), Peer::new(client));
    client.ws.connect(Connect::new("a", "/"), &mut client.outbox).unwrap();
    let (mut of_server, mut of_client): (Option<Parameters>, Option<Parameters>) = (None, None);
    server.receive_with(&client.take_sent(), |ws, event, outbox| match event {
        Event::Request(request) => ws.accept(request.accept(), outbox).unwrap(),
        Event::Open(open) => of_server = open.deflate(),
        other => panic!("{other:?}"),
    });
    client.receive_with(&server.take_sent(), |_, event, _| match event {
        Event::Open(open) => of_client = open.deflate(),
        other => panic!("{other:?}"),
    });
    server.take_seen();
    client.take_seen();
    assert_eq!(of_server.is_some(), of_client.is_some());
    // A client may keep to less than what was agreed, where only its own messages are concerned.
    let down = of_server.map(|agreed| (agreed.server_takeover, agreed.server_window_bits));
    let up = of_client.map(|agreed| (agreed.client_takeover, agreed.client_window_bits));
    if let (Some(server), Some(client)) = (of_server, of_client) {
        assert_eq!(down, Some((client.server_takeover, client.server_window_bits)));
        assert!(client.client_window_bits <= server.client_window_bits);
        assert!(server.client_takeover || !client.client_takeover);
    }
    talk(rng, &mut server, &mut client, down);
    talk(rng, &mut client, &mut server, up);
    talk(rng, &mut server, &mut client, down.map(|(_, bits)| (false, bits)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 25 } else { 2000 }))]

    /// Proves: Z4, Z11, Z12, Z13, Z14, Z23, Z24.
    #[test]
    fn two_endpoints_agree_on_what_both_can_read(seed in any::<u64>()) {
        connect(seed);
    }
}
