//! The memory of the window, of every kind.

use crate::common::*;
use crate::support::*;
use rand::{SeedableRng, rngs::StdRng};
use sansocket::deflate::WithTables;
use sansocket::{Config, Delivery};

/// Receives messages of zlib, the second half of which refer to a full window.
fn check<R: Side>(takeover: bool, delivery: Delivery, window: R::Window) {
    let rng = &mut StdRng::seed_from_u64(8);
    let mut zlib = Zlib::new(6, 10, takeover);
    let mut peer = R::open(Config::new().delivery(delivery), agreed(takeover, 10), window);
    for _ in 0..20 {
        let data = bytes(rng, 300);
        let payload = zlib.message(&data);
        let (first, second) = payload.split_at(payload.len() / 3);
        peer.receive(&[R::frame(0x42, first), R::frame(0x80, second)].concat());
        let seen: Vec<_> = peer.take_seen().into_iter().map(Seen::into_whole).collect();
        assert_eq!(seen, [Seen::Binary(data)]);
    }
}

/// Proves: Z23, Z24.
#[test]
fn memory_of_every_kind_and_content_is_a_window() {
    for (takeover, delivery) in [(true, Delivery::Whole), (true, Delivery::Pieces), (false, Delivery::Pieces)]
    {
        check::<ServerSide<[u8; 1024]>>(takeover, delivery, [0xAA; 1024]);
        // What is over is not used.
        check::<ClientSide<[u8; 5000]>>(takeover, delivery, [0xAA; 5000]);
        check::<ServerSide<&mut [u8]>>(takeover, delivery, &mut [0xAA; 1025]);
        check::<ClientSide<Box<[u8]>>>(takeover, delivery, vec![0xAA; 2048].into());
        check::<ServerSide<WithTables<[u8; 1024]>>>(takeover, delivery, WithTables::new([0xAA; 1024]));
        check::<ClientSide<WithTables<Vec<u8>>>>(takeover, delivery, WithTables::new(vec![0xAA; 7]));
    }
}

/// Proves: Z20.
#[test]
fn a_whole_message_without_context_takeover_needs_no_memory() {
    check::<ServerSide<()>>(false, Delivery::Whole, ());
    check::<ClientSide<()>>(false, Delivery::Whole, ());
}
