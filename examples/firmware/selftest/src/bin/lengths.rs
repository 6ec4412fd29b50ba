//! Tests lengths of more than 32 bits on a 32-bit processor: none may be truncated.
#![no_std]
#![no_main]

use sansocket::{
    Client, Config, Delivery, Error, Event, Fragment, Kind, Part, ProtocolError, Role, SendError, Server,
    State, WebSocket,
};
use selftest::{KEY, Rng};
use semihosting::println;

/// Truncated to 32 bits, this is 5.
const LENGTH: u64 = (1 << 32) + 5;
const BINARY: u8 = 0x82;
/// A binary frame without FIN.
const BEGIN: u8 = 0x02;
const CONTINUE: u8 = 0x00;

type Bytes = heapless::Vec<u8, 256>;

/// Appends a frame header with a 64-bit length, and `payload`, which may be shorter than the
/// declared length.
fn add(stream: &mut Bytes, first: u8, masked: bool, declared: u64, payload: &[u8]) {
    let mut add = |bytes: &[u8]| stream.extend_from_slice(bytes).expect("room");
    add(&[first, if masked { 0xFF } else { 0x7F }]);
    add(&declared.to_be_bytes());
    if masked {
        add(&KEY);
    }
    let key = if masked { KEY } else { [0; 4] };
    payload.iter().zip(key.iter().cycle()).for_each(|(byte, key)| add(&[byte ^ key]));
}

/// Receives a stream. Returns the number of payload bytes, whether they are all, and the error.
fn receive<R: Role>(
    mut ws: WebSocket<R>,
    stream: &Bytes,
    cut: usize,
) -> (usize, bool, Option<ProtocolError>) {
    let mut inbox = heapless::Vec::<u8, 64>::new();
    let mut bytes = stream.clone();
    let (mut received, mut ended) = (0, false);
    for slice in bytes.chunks_mut(cut) {
        let mut input = slice;
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            match event {
                Event::Piece(piece) => {
                    let Part::Binary(bytes) = piece.part else { panic!("text") };
                    assert!(bytes.iter().all(|byte| *byte == b'x'));
                    received += bytes.len();
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

/// Checks a server and a client with differently cut input.
fn check(
    name: &str,
    config: Config,
    build: impl Fn(&mut Bytes, bool),
    expected: (usize, bool, Option<ProtocolError>),
) {
    for cut in [usize::MAX, 20, 7, 1] {
        let (mut masked, mut unmasked) = (Bytes::new(), Bytes::new());
        build(&mut masked, true);
        build(&mut unmasked, false);
        assert_eq!(receive(WebSocket::<Server>::open(config), &masked, cut), expected, "{name}, cut {cut}");
        let client = WebSocket::<Client<Rng>>::open(config, Rng);
        assert_eq!(receive(client, &unmasked, cut), expected, "{name}, cut {cut}");
    }
    println!("ok: {name}");
}

fn receiving() {
    let pieces = Config::new().delivery(Delivery::Pieces).max_frame(u64::MAX).max_message(u64::MAX);
    let whole = Config::new().max_frame(u64::MAX).max_message(u64::MAX);
    let frame = |stream: &mut Bytes, masked: bool| add(stream, BINARY, masked, LENGTH, &[b'x'; 20]);
    let short = |stream: &mut Bytes, masked: bool| add(stream, BINARY, masked, LENGTH, &[b'x'; 5]);

    check("a frame of 2^32 + 5 bytes does not end after 20", pieces, frame, (20, false, None));
    check("a frame of 2^32 + 5 bytes does not end after 5", pieces, short, (5, false, None));
    check("the default limit rejects it", Config::new(), frame, (0, false, Some(ProtocolError::FrameTooBig)));
    check("an inbox of 64 bytes rejects it", whole, frame, (0, false, Some(ProtocolError::MessageTooBig)));
    let limit = pieces.max_frame(LENGTH - 1);
    check(
        "a frame limit one byte lower rejects it",
        limit,
        frame,
        (0, false, Some(ProtocolError::FrameTooBig)),
    );
    check("a frame limit of its length accepts it", pieces.max_frame(LENGTH), frame, (20, false, None));
    let limit = pieces.max_message(LENGTH - 1);
    check(
        "a message limit one byte lower rejects it",
        limit,
        frame,
        (0, false, Some(ProtocolError::MessageTooBig)),
    );
    check("a message limit of its length accepts it", pieces.max_message(LENGTH), frame, (20, false, None));
    // The sum of the fragments, 5 and 2^32 bytes, is one byte over the limit.
    let fragments = |stream: &mut Bytes, masked: bool| {
        *stream = selftest::frame(BEGIN, masked, b"xxxxx");
        add(stream, CONTINUE, masked, 1 << 32, b"xxx");
    };
    let limit = pieces.max_message(LENGTH - 1);
    check(
        "the lengths of fragments are summed in 64 bits",
        limit,
        fragments,
        (5, false, Some(ProtocolError::MessageTooBig)),
    );
    check("a message limit of the sum accepts them", pieces.max_message(LENGTH), fragments, (8, false, None));
    let longest = |stream: &mut Bytes, masked: bool| add(stream, BINARY, masked, u64::MAX >> 1, b"x");
    check("a length of 63 bits is valid", pieces, longest, (1, false, None));
    let longer = |stream: &mut Bytes, masked: bool| add(stream, BINARY, masked, 1 << 63, b"x");
    check(
        "a length of 64 bits is invalid",
        pieces,
        longer,
        (0, false, Some(ProtocolError::LengthOver63Bits)),
    );
}

fn sending() {
    let mut outbox = Bytes::new();
    let mut ws = WebSocket::<Server>::open(Config::new());
    assert!(ws.send_header(Kind::Binary, LENGTH, &mut outbox).is_ok());
    assert_eq!(outbox, [BINARY, 127, 0, 0, 0, 1, 0, 0, 0, 5]);
    assert_eq!(ws.payload_sent(5), Ok(()));
    assert!(!ws.can_send(), "2^32 bytes are pending");
    assert_eq!(ws.send("too early", &mut outbox), Err(SendError::PayloadPending));
    assert_eq!(ws.payload_sent((1 << 32) + 1), Err(SendError::PayloadExceeded));
    assert_eq!(ws.payload_sent(1 << 32), Ok(()));
    assert!(ws.can_send());
    println!("ok: a payload of 2^32 + 5 bytes is pending until its last byte");

    // Lengths of 16 bits, and the first one that needs 64 bits.
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
    println!("ok: lengths are written in network byte order");
}

#[selftest::entry]
fn main() -> ! {
    receiving();
    sending();
    semihosting::process::exit(0)
}
