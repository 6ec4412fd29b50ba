//! Lengths of more than 32 bits, on a processor that has no more: none may lose its upper half, neither in what is
//! received nor in what is sent.
#![no_std]
#![no_main]

use sansocket::{
    Client, Config, Delivery, Error, Event, Fragment, Kind, Part, ProtocolError, Role, SendError, Server,
    State, WebSocket,
};
use selftest::{KEY, Rng};
use semihosting::println;

/// With its upper half lost it would be 5.
const LENGTH: u64 = (1 << 32) + 5;
const BINARY: u8 = 0x82;
/// Without FIN.
const BEGIN: u8 = 0x02;
const CONTINUE: u8 = 0x00;

type Bytes = heapless::Vec<u8, 256>;

/// A frame's header with the longest form of the length, then `payload`, which may be the beginning only.
fn add(stream: &mut Bytes, first: u8, masked: bool, declared: u64, payload: &[u8]) {
    let mut add = |bytes: &[u8]| stream.extend_from_slice(bytes).expect("room");
    add(&[first, if masked { 0xFF } else { 0x7F }]);
    add(&declared.to_be_bytes());
    if masked {
        add(&KEY);
    }
    let key = if masked { KEY } else { [0; 4] };
    payload.iter().zip(key.iter().cycle()).for_each(|(octet, key)| add(&[octet ^ key]));
}

/// What a stream leads to: how many octets of payload, whether the message's last, and the error.
fn receive<R: Role>(
    mut ws: WebSocket<R>,
    stream: &Bytes,
    cut: usize,
) -> (usize, bool, Option<ProtocolError>) {
    let mut inbox = heapless::Vec::<u8, 64>::new();
    let mut octets = stream.clone();
    let (mut received, mut ended) = (0, false);
    for slice in octets.chunks_mut(cut) {
        let mut input = slice;
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            match event {
                Event::Piece(piece) => {
                    let Part::Binary(octets) = piece.part else { panic!("text") };
                    assert!(octets.iter().all(|octet| *octet == b'x'));
                    received += octets.len();
                    ended |= piece.last;
                }
                Event::Error(Error::Protocol(error)) => return (received, ended, Some(error)),
                event => panic!("{event:?}"),
            }
        }
    }
    assert_eq!(ws.state(), State::Open);
    (received, ended, None)
}

/// The same with every cut, by a server and by a client.
fn check(
    what: &str,
    config: Config,
    build: impl Fn(&mut Bytes, bool),
    expected: (usize, bool, Option<ProtocolError>),
) {
    for cut in [usize::MAX, 20, 7, 1] {
        let (mut masked, mut unmasked) = (Bytes::new(), Bytes::new());
        build(&mut masked, true);
        build(&mut unmasked, false);
        assert_eq!(receive(WebSocket::<Server>::open(config), &masked, cut), expected, "{what}, cut {cut}");
        let client = WebSocket::<Client<Rng>>::open(config, Rng);
        assert_eq!(receive(client, &unmasked, cut), expected, "{what}, cut {cut}");
    }
    println!("ok: {what}");
}

fn receiving() {
    let pieces = Config::new().delivery(Delivery::Pieces).max_frame(u64::MAX).max_message(u64::MAX);
    let whole = Config::new().max_frame(u64::MAX).max_message(u64::MAX);
    let frame = |stream: &mut Bytes, masked: bool| add(stream, BINARY, masked, LENGTH, &[b'x'; 20]);
    let short = |stream: &mut Bytes, masked: bool| add(stream, BINARY, masked, LENGTH, &[b'x'; 5]);

    check("a frame of 2^32 + 5 octets does not end after 20", pieces, frame, (20, false, None));
    check("nor after 5", pieces, short, (5, false, None));
    check("by default it is too big", Config::new(), frame, (0, false, Some(ProtocolError::FrameTooBig)));
    check("and for 64 octets of inbox", whole, frame, (0, false, Some(ProtocolError::MessageTooBig)));
    let limit = pieces.max_frame(LENGTH - 1);
    check("and for a limit one below", limit, frame, (0, false, Some(ProtocolError::FrameTooBig)));
    check("but not for one that it just keeps to", pieces.max_frame(LENGTH), frame, (20, false, None));
    let limit = pieces.max_message(LENGTH - 1);
    check("the same for a message", limit, frame, (0, false, Some(ProtocolError::MessageTooBig)));
    check("and just so", pieces.max_message(LENGTH), frame, (20, false, None));
    // The sum counts: with 5 octets before it, a frame of 2^32 is one more than the limit.
    let fragments = |stream: &mut Bytes, masked: bool| {
        *stream = selftest::frame(BEGIN, masked, b"xxxxx");
        add(stream, CONTINUE, masked, 1 << 32, b"xxx");
    };
    let limit = pieces.max_message(LENGTH - 1);
    check(
        "fragments are summed in 64 bits",
        limit,
        fragments,
        (5, false, Some(ProtocolError::MessageTooBig)),
    );
    check("to the limit", pieces.max_message(LENGTH), fragments, (8, false, None));
    let longest = |stream: &mut Bytes, masked: bool| add(stream, BINARY, masked, u64::MAX >> 1, b"x");
    check("63 bits of length", pieces, longest, (1, false, None));
    let longer = |stream: &mut Bytes, masked: bool| add(stream, BINARY, masked, 1 << 63, b"x");
    check("and not 64", pieces, longer, (0, false, Some(ProtocolError::LengthOver63Bits)));
}

fn sending() {
    let mut outbox = Bytes::new();
    let mut ws = WebSocket::<Server>::open(Config::new());
    assert!(ws.send_header(Kind::Binary, LENGTH, &mut outbox).is_ok());
    assert_eq!(outbox, [BINARY, 127, 0, 0, 0, 1, 0, 0, 0, 5]);
    assert_eq!(ws.payload_sent(5), Ok(()));
    assert!(!ws.can_send(), "2^32 octets are owed");
    assert_eq!(ws.send("too early", &mut outbox), Err(SendError::PayloadOwed));
    assert_eq!(ws.payload_sent((1 << 32) + 1), Err(SendError::PayloadExceeded));
    assert_eq!(ws.payload_sent(1 << 32), Ok(()));
    assert!(ws.can_send());
    println!("ok: a payload of 2^32 + 5 octets is owed to the last");

    // A length that needs 16 bits, and the first that needs more, in octets of the network's order.
    let mut large = heapless::Vec::<u8, 70_000>::new();
    for (len, header) in [
        (126, &[BINARY, 126, 0, 126][..]),
        (0xFFFF, &[BINARY, 126, 0xFF, 0xFF]),
        (0x1_0000, &[BINARY, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        large.clear();
        let payload = [b'x'; 0x1_0000];
        assert_eq!(ws.send_piece(Fragment::new(&payload[..len], true), &mut large), Ok(()));
        assert!(large.starts_with(header) && large.len() == header.len() + len);
    }
    println!("ok: lengths are written in the network's order");
}

#[selftest::entry]
fn main() -> ! {
    receiving();
    sending();
    semihosting::process::exit(0)
}
