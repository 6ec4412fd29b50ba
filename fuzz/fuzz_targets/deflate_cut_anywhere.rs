//! Proves that a stream with compressed messages gives the same events (pieces joined) and output
//! however it is cut, with every inbox, window and takeover; through `receive`, or `poll` and
//! `event`.
#![no_main]

use sansocket::deflate::{Deflate, Parameters, Window, WithTables};
use sansocket::{Config, Delivery, Established, Event, Server, State, WebSocket, heapless};
use sansocket_fuzz::{Checked, Choices, Peer, Record, inbox};

type Role<W> = Deflate<Established<Server>, W>;

// The window, flags, the lengths of slices with their number before them; then frames: the first
// byte, and the payload with its length before it. Or, by a flag, any bytes.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let (window_bits, flags) = (8 + choices.byte() % 8, choices.byte());
    let cuts = choices.counted();
    let mut stream = Vec::new();
    if flags & 1 != 0 {
        stream = choices.0.to_vec();
    } else {
        while !choices.is_empty() {
            let (first, payload) = (choices.byte(), choices.counted());
            stream.push(first);
            match payload.len() {
                len @ 0..126 => stream.push(0x80 | len as u8),
                len => stream.extend([0xFE, 0, len as u8]),
            }
            // A key of zeros.
            stream.extend([0; 4]);
            stream.extend(payload);
        }
    }
    let pieces = flags & 2 != 0;
    let mut memory = vec![0xAA; 1 << window_bits];
    let memory = &mut memory[..];
    let whole = run(Vec::new(), window_bits, flags, pieces, 2, false, &[], &stream);
    assert_eq!(
        run(WithTables::new(Vec::new()), window_bits, flags, pieces, 3, true, cuts, &stream),
        whole,
        "cut"
    );
    let every = vec![1; stream.len()];
    assert_eq!(run(memory, window_bits, flags, pieces, 2, false, &every, &stream), whole, "byte by byte");
    if pieces {
        let small = run([0xAA; 1 << 15], window_bits, flags, pieces, 4, false, cuts, &stream);
        assert_eq!(small, whole, "an inbox of five bytes");
    } else if flags & 8 == 0 {
        // Without context takeover, whole messages need no window.
        let none = run((), window_bits, flags, pieces, 2, false, cuts, &stream);
        assert_eq!(none, whole, "without a window");
    }
});

#[allow(clippy::too_many_arguments)]
fn run<W: Window>(
    window: W,
    window_bits: u8,
    flags: u8,
    pieces: bool,
    kind: u8,
    two_steps: bool,
    cuts: &[u8],
    stream: &[u8],
) -> (Record, Vec<u8>, State) {
    let config = Config::default()
        .delivery(if pieces { Delivery::Pieces } else { Delivery::Whole })
        .max_message(if flags & 4 != 0 { 100 } else { 1 << 20 });
    let parameters = Parameters {
        server_takeover: false,
        client_takeover: flags & 8 != 0,
        server_window_bits: 15,
        client_window_bits: window_bits,
    };
    let ws = WebSocket::<Role<W>>::open_deflate(config, Some(parameters), window).unwrap();
    let inbox = match kind {
        4 => Checked(Box::new(heapless::Vec::<u8, 5>::new())),
        _ => inbox(kind),
    };
    let mut peer = Peer::new(ws, inbox);
    peer.two_steps = two_steps;
    let mut memory = stream.to_vec();
    let mut rest = &mut memory[..];
    for &len in cuts.iter().chain([&0]) {
        let (slice, after) = rest.split_at_mut(usize::from(len).min(rest.len()));
        rest = after;
        // What is missing is asked for without an effect on the events.
        let _ = peer.ws.missing(slice, &peer.inbox);
        let left = peer.receive(slice, |_, _: &Event<'_>, _, _| true);
        assert_eq!(left, 0, "every slice is used up");
    }
    let left = peer.receive(rest, |_, _: &Event<'_>, _, _| true);
    assert_eq!(left, 0, "every slice is used up");
    assert!(!format!("{:?}", peer.ws).is_empty(), "Debug does not panic");
    let state = peer.ws.state();
    peer.end();
    (peer.record, peer.outbox, state)
}
