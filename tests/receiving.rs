//! RFC 6455 sections 5 and 6.2: receiving.

mod common;

use common::*;
use sansocket::{Config, Delivery, Event, FixedInbox, Inbox, Message, Part, Piece, Server, Slice, WebSocket};

/// The events of an open server that receives these bytes. Both deliveries give the same events.
fn events(bytes: &[u8]) -> Vec<Seen> {
    events_with(Config::default(), bytes)
}

fn events_with(config: Config, bytes: &[u8]) -> Vec<Seen> {
    let [whole, pieces] = [Delivery::Whole, Delivery::Pieces].map(|delivery| {
        let mut peer = server(config.delivery(delivery));
        peer.receive(bytes);
        peer.take_seen().into_iter().map(Seen::into_whole).collect::<Vec<_>>()
    });
    // In pieces, the valid part of an invalid message is delivered.
    let finished = |seen: &&Seen| !matches!(seen, Seen::TextPieces(..) | Seen::BinaryPieces(..));
    assert!(whole.iter().eq(pieces.iter().filter(finished)), "{whole:?}\n{pieces:?}");
    whole
}

/// Checks the code of the Close frame that answers these bytes, and that the error contains
/// `because`.
#[track_caller]
fn fails(bytes: &[u8], code: u16, because: &str) {
    fails_with(Config::default(), bytes, code, because);
}

#[track_caller]
fn fails_with(config: Config, bytes: &[u8], code: u16, because: &str) {
    let seen = events_with(config, bytes);
    let [.., Seen::Error(error), Seen::Close(1006, _, false)] = &seen[..] else {
        panic!("{seen:?}\n{}", bytes.escape_ascii())
    };
    assert!(error.contains(because), "{error}\n{}", bytes.escape_ascii());
    let mut peer = server(config);
    peer.receive(bytes);
    assert!(peer.outbox.ends_with(&unmasked(0x88, &code.to_be_bytes())), "{:?}", peer.outbox);
    assert!(is_closed(&peer));
}

fn binary(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7) as u8).collect()
}

/// Proves: F3, F7, G1.
#[test]
fn frames_of_every_length_form_are_received() {
    for len in [0, 1, 2, 3, 125, 126, 127, 128, 1000, 65_535, 65_536, 1 << 20] {
        assert_eq!(events(&masked(0x82, &binary(len))), [Seen::Binary(binary(len))]);
        let text = "x".repeat(len);
        assert_eq!(events(&masked(0x81, text.as_bytes())), [Seen::Text(text)]);
    }
}

/// Proves: G1, G4, G5, P3, P5, K3.
#[test]
fn the_examples_of_section_5_7_are_received() {
    // A single-frame unmasked text message from a server.
    let mut peer = client(Config::default());
    peer.receive(&[0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]);
    // A fragmented unmasked text message.
    peer.receive(&[0x01, 0x03, 0x48, 0x65, 0x6C]);
    peer.receive(&[0x80, 0x02, 0x6C, 0x6F]);
    // An unmasked Ping.
    peer.receive(&[0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]);
    // 256 bytes and 64 KiB of binary data in a single unmasked frame.
    peer.receive(&[&[0x82, 0x7E, 0x01, 0x00][..], &binary(256)].concat());
    peer.receive(&[&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0][..], &binary(65_536)].concat());
    let hello = || Seen::Text("Hello".into());
    assert_eq!(
        peer.take_seen(),
        [
            hello(),
            hello(),
            Seen::Ping(b"Hello".into()),
            Seen::Binary(binary(256)),
            Seen::Binary(binary(65_536))
        ]
    );
    // A single-frame masked text message and the masked Pong from a client.
    let mut peer = server(Config::default());
    peer.receive(&[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    peer.receive(&[0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    assert_eq!(peer.take_seen(), [hello(), Seen::Pong(b"Hello".into())]);
    // A server sends the first example.
    peer.ws.send("Hello", &mut peer.outbox).unwrap();
    assert_eq!(peer.take_sent(), [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]);
}

/// Proves: F1, F2.
#[test]
fn every_first_byte_is_accepted_or_refused() {
    for first in 0..=255_u8 {
        let seen = events(&masked(first, b""));
        let error = match first {
            _ if first & 0x70 != 0 => "reserved bit",
            0x03..=0x07 | 0x0B..=0x0F | 0x83..=0x87 | 0x8B..=0x8F => "opcode",
            0x08..=0x0A => "fragmented",
            0x00 | 0x80 => "continues no message",
            _ => {
                assert!(!matches!(seen[..], [Seen::Error(_), ..]), "{first:x} {seen:?}");
                continue;
            }
        };
        assert!(matches!(&seen[0], Seen::Error(because) if because.contains(error)), "{first:x} {seen:?}");
    }
}

/// Proves: F4, F5, F6, F9, Q7.
#[test]
fn a_length_is_a_strict_64_bit_number_and_allocates_nothing() {
    fails(&[0x82, 0xFE, 0, 125], 1002, "shortest form");
    // The same for a frame that lies whole in the input.
    fails(&[&[0x82, 0xFE, 0, 125][..], &KEY, &[0; 125]].concat(), 1002, "shortest form");
    fails(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0], 1002, "shortest form");
    fails(&[0x82, 0xFF, 0x80], 1002, "63 bits");
    fails(&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 1002, "63 bits");
    fails(&[0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 1009, "limit");
    // 2^32 + 5 is not cut to 5 on any target.
    let header = [0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 5];
    fails(&header, 1009, "limit");
    let huge = Config::default().max_frame(u64::MAX).max_message(u64::MAX);
    let mut peer = server(huge.delivery(Delivery::Pieces));
    peer.receive(&[&header[..], &KEY, b"12345", b"67"].concat());
    assert!(matches!(&peer.seen[..], [Seen::BinaryPieces(bytes, false)] if bytes.len() == 7));
    let mut peer = server(huge);
    peer.receive(
        &[&[0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], &KEY[..], b"1234"].concat(),
    );
    if cfg!(target_pointer_width = "64") {
        assert_eq!((peer.seen.len(), peer.inbox.len()), (0, 4));
    } else {
        // No `Vec` can hold it.
        assert!(
            matches!(&peer.seen[..], [Seen::Error(because), _] if because.contains("limit")),
            "{:?}",
            peer.seen
        );
    }
    assert!(peer.inbox.capacity() < 100, "a declared length allocates nothing");
    // Two frames whose lengths overflow in sum.
    let mut peer = server(huge.delivery(Delivery::Pieces).max_frame(u64::MAX));
    peer.receive(&masked(0x02, b"a"));
    peer.receive(&[0x80, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(peer.seen.len(), 1);
}

/// Proves: K2, K4.
#[test]
fn a_masked_frame_from_a_server_or_an_unmasked_one_from_a_client_fails() {
    fails(&unmasked(0x81, b"a"), 1002, "not masked");
    fails(&unmasked(0x89, b"a"), 1002, "not masked");
    let mut peer = client(Config::default());
    peer.receive(&masked(0x81, b"a"));
    assert!(
        matches!(&peer.seen[..], [Seen::Error(because), Seen::Close(1006, ..)] if because.contains("is masked"))
    );
    assert_eq!(peer.outbox[0], 0x88);
}

/// Proves: G2, G3.
#[test]
fn a_fragment_out_of_order_fails() {
    fails(&masked(0x80, b"a"), 1002, "continues no message");
    fails(&masked(0x00, b"a"), 1002, "continues no message");
    for second in [0x01, 0x02, 0x81, 0x82] {
        fails(&[masked(0x01, b"a"), masked(second, b"b")].concat(), 1002, "inside a fragmented");
        fails(
            &[masked(0x02, b"a"), masked(0x00, b""), masked(second, b"b")].concat(),
            1002,
            "inside a fragmented",
        );
    }
    fails(
        &[masked(0x02, b"a"), masked(0x80, b"b"), masked(0x80, b"c")].concat(),
        1002,
        "continues no message",
    );
}

/// Proves: G4, G5, G6, P3.
#[test]
fn control_frames_between_fragments_are_handled_at_once() {
    let mut peer = server(Config::default());
    peer.receive(&[masked(0x01, b"a"), masked(0x00, b""), masked(0x89, b"p")].concat());
    assert_eq!((peer.take_seen(), peer.take_sent()), (vec![Seen::Ping(b"p".into())], unmasked(0x8A, b"p")));
    peer.receive(&[masked(0x00, "é".as_bytes()), masked(0x8A, b"q"), masked(0x80, b"")].concat());
    assert_eq!(peer.take_seen(), [Seen::Pong(b"q".into()), Seen::Text("aé".into())]);
}

/// Proves: G9, Q1.
#[test]
fn the_number_of_empty_fragments_is_limited() {
    let limited = Config::default().max_empty_fragments(3);
    let empty = |count| [masked(0x02, b""), masked(0x00, b"").repeat(count)].concat();
    let config = limited;
    let ended = [empty(2), masked(0x00, b"a"), masked(0x80, b"")].concat();
    assert_eq!(events_with(config, &ended), [Seen::Binary(b"a".into())]);
    fails_with(config, &empty(3), 1008, "empty fragments");
    // The default limit is 1,024, for each message.
    assert_eq!(events(&[empty(1023), masked(0x80, b"")].concat().repeat(3)).len(), 3);
    fails(&empty(1024), 1008, "empty fragments");
    // Other fragments are limited only by the size of the message.
    let many = [masked(0x02, b"a"), masked(0x00, b"a").repeat(65_535), masked(0x80, b"")].concat();
    assert_eq!(events(&many), [Seen::Binary(vec![b'a'; 65_536])]);
}

/// Proves: P1, P2.
#[test]
fn a_long_or_fragmented_control_frame_fails() {
    assert_eq!(events(&masked(0x89, &[1; 125])), [Seen::Ping(vec![1; 125])]);
    fails(&masked(0x89, &[1; 126]), 1002, "longer than 125");
    fails(&[0x8A, 0xFF], 1002, "longer than 125");
    fails(&masked(0x09, b""), 1002, "fragmented");
}

/// Proves: P6, P7, P8.
#[test]
fn a_flood_of_pings_gets_one_pong() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let mut inbox = heapless::Vec::<u8, 0>::new();
    for round in 0..10_000_u32 {
        let mut bytes = masked(0x89, &round.to_be_bytes());
        let mut input = &mut bytes[..];
        assert!(matches!(ws.receive(&mut input, &mut inbox), Some(Event::Ping(_))));
        let mut pong = masked(0x8A, b"unsolicited");
        assert!(matches!(ws.receive(&mut &mut pong[..], &mut inbox), Some(Event::Pong(_))));
    }
    let mut outbox = heapless::Vec::<u8, 6>::new();
    ws.transmit(&mut outbox).unwrap();
    assert_eq!(outbox[..], unmasked(0x8A, &9_999_u32.to_be_bytes()));
    ws.transmit(&mut heapless::Vec::<u8, 0>::new()).unwrap();
}

/// Proves: T1, T3, T4, T5.
#[test]
fn invalid_text_fails_with_1007() {
    for text in [
        &b"\x80"[..],
        b"\xC0\x80",
        b"\xC1\xBF",
        b"\xE0\x80\x80",
        b"\xE0\x9F\xBF",
        b"\xF0\x8F\xBF\xBF",
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\xF5\x80\x80\x80",
        b"\xFF",
        b"a\xE2\x82",
        b"\xF0\x9F\x98",
        b"\xC3",
        b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80\x65\x64\x69\x74\x65\x64",
    ] {
        fails(&masked(0x81, text), 1007, "UTF-8");
        let (first, last) = text.split_at(1);
        fails(&[masked(0x01, first), masked(0x80, last)].concat(), 1007, "UTF-8");
        assert_eq!(
            events(&masked(0x82, text)),
            [Seen::Binary(text.into())],
            "a binary message can hold any bytes"
        );
    }
    for text in [
        "\u{0}",
        "\u{7F}",
        "\u{80}",
        "\u{7FF}",
        "\u{800}",
        "\u{D7FF}",
        "\u{E000}",
        "\u{FFFF}",
        "\u{10000}",
        "\u{10FFFF}",
        "\u{FEFF}",
    ] {
        assert_eq!(events(&masked(0x81, text.as_bytes())), [Seen::Text(text.into())]);
    }
}

/// Proves: T6, T2, F9.
#[test]
fn invalid_text_fails_at_the_first_wrong_byte() {
    // Autobahn case 6.4.3: the payload becomes invalid in the middle of a frame.
    for (text, wrong) in
        [(&b"\xCE\xBA\xE1\xBD\xB9\xF4\x90\x80"[..], 6), (b"abc\xED\xA0\x80", 4), (b"\xE2\x82\xAC\xFF", 3)]
    {
        for delivery in [Delivery::Whole, Delivery::Pieces] {
            let mut peer = server(Config::default().delivery(delivery));
            let stream = masked(0x81, &[text, &[b'x'; 100]].concat());
            let mut failed = None;
            for (at, byte) in stream.iter().enumerate() {
                peer.receive(&[*byte]);
                if failed.is_none() && peer.seen.iter().any(|seen| matches!(seen, Seen::Error(_))) {
                    failed = Some(at);
                }
            }
            assert_eq!(failed, Some(6 + wrong), "the header and the valid bytes come before it");
            assert!(peer.outbox.ends_with(&unmasked(0x88, &1007_u16.to_be_bytes())));
        }
    }
}

/// Proves: Q1, Q2.
#[test]
fn size_limits_are_checked_at_the_frame_header() {
    let config = Config::default().max_message(10).max_frame(8);
    assert_eq!(events_with(config, &masked(0x82, &[1; 8])).len(), 1);
    fails_with(config, &[0x82, 0x89], 1009, "frame is over the limit");
    // The same for a frame that lies whole in the input.
    fails_with(config, &masked(0x82, &[1; 9]), 1009, "frame is over the limit");
    let large_frames = config.max_frame(100);
    assert_eq!(events_with(large_frames, &masked(0x82, &[1; 10])).len(), 1);
    fails_with(large_frames, &masked(0x82, &[1; 11]), 1009, "message is over the limit");
    fails_with(
        config,
        &[masked(0x02, &[1; 8]), vec![0x80, 0x83]].concat(),
        1009,
        "message is over the limit",
    );
    assert_eq!(
        events_with(config, &[masked(0x02, &[1; 8]), masked(0x80, &[1; 2])].concat()),
        [Seen::Binary(vec![1; 10])]
    );
    // The default limit is 16 MiB.
    let over = ((16 << 20) + 1_u64).to_be_bytes();
    fails(&[&[0x82, 0xFF][..], &over].concat(), 1009, "limit");
    // The capacity of the inbox limits even a message that lies whole in the input.
    let mut ws = WebSocket::<Server>::open(Config::default());
    let mut inbox = heapless::Vec::<u8, 4>::new();
    let mut bytes = [masked(0x82, &[1; 4]), masked(0x82, &[1; 5])].concat();
    let mut input = &mut bytes[..];
    assert!(matches!(ws.receive(&mut input, &mut inbox), Some(Event::Message(_))));
    assert!(
        matches!(ws.receive(&mut input, &mut inbox), Some(Event::Error(error)) if error.close_code().unwrap().0 == 1009)
    );
    // Delivery in pieces needs no inbox.
    let mut ws = WebSocket::<Server>::open(Config::default().delivery(Delivery::Pieces));
    let mut inbox = heapless::Vec::<u8, 0>::new();
    let mut bytes = masked(0x82, &[1; 5000]);
    let mut len = 0;
    for slice in bytes.chunks_mut(64) {
        let mut input = slice;
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            let Event::Piece(Piece { part: Part::Binary(bytes), .. }) = event else { panic!() };
            len += bytes.len();
        }
    }
    assert_eq!(len, 5000);
}

#[test]
fn a_message_within_one_slice_is_borrowed_from_the_input() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let mut inbox = Vec::new();
    let mut bytes = masked(0x81, b"in place");
    let range = bytes.as_ptr_range();
    let Some(Event::Message(Message::Text(text))) = ws.receive(&mut &mut bytes[..], &mut inbox) else {
        panic!()
    };
    assert_eq!(text, "in place");
    assert!(range.contains(&text.as_ptr()));
    // The same behind a cut header.
    let mut bytes = masked(0x81, b"in place");
    let (head, rest) = bytes.split_at_mut(3);
    assert!(ws.receive(&mut &mut *head, &mut inbox).is_none());
    let range = rest.as_ptr_range();
    let Some(Event::Message(Message::Text(text))) = ws.receive(&mut &mut *rest, &mut inbox) else { panic!() };
    assert!(range.contains(&text.as_ptr()) && inbox.is_empty());
    // The caller can change a binary piece in place.
    let mut ws = WebSocket::<Server>::open(Config::default().delivery(Delivery::Pieces));
    let mut bytes = masked(0x82, b"abc");
    let Some(Event::Piece(Piece { part: Part::Binary(piece), first: true, last: true })) =
        ws.receive(&mut &mut bytes[..], &mut inbox)
    else {
        panic!()
    };
    piece.reverse();
    assert_eq!(bytes[6..], *b"cba");
}

#[test]
fn every_inbox_type_collects_the_same_messages() {
    let text = "κόσμε €😀 plain".repeat(20);
    let stream = [
        masked(0x01, &text.as_bytes()[..51]),
        masked(0x80, &text.as_bytes()[51..]),
        masked(0x02, b"\xFF"),
        masked(0x80, b"\xFE"),
        masked(0x81, text.as_bytes()),
        masked(0x82, text.as_bytes()),
        masked(0x81, b""),
    ]
    .concat();
    let mut memory = [0; 1000];
    let inboxes: [&mut dyn sansocket::Buffer; 5] = [
        &mut Vec::new(),
        &mut Inbox::new(),
        &mut FixedInbox::<1000>::new(),
        &mut heapless::Vec::<u8, 1000>::new(),
        &mut Slice::new(&mut memory),
    ];
    for inbox in inboxes {
        for size in [1, 2, 3, 7, 64, 10_000] {
            let mut ws = WebSocket::<Server>::open(Config::default());
            let mut seen = Vec::new();
            for slice in stream.clone().chunks_mut(size) {
                let mut input = slice;
                while let Some(event) = ws.receive(&mut input, inbox) {
                    push(&mut seen, &event);
                }
            }
            assert_eq!(
                seen,
                [
                    Seen::Text(text.clone()),
                    Seen::Binary(b"\xFF\xFE".into()),
                    Seen::Text(text.clone()),
                    Seen::Binary(text.clone().into()),
                    Seen::Text(String::new()),
                ]
            );
        }
    }
}

#[test]
fn a_smaller_inbox_in_the_middle_of_a_message_fails_with_1009() {
    for first in [0x81, 0x82] {
        let mut ws = WebSocket::<Server>::open(Config::default());
        let mut stream = masked(first, &[1; 100]);
        let (front, rest) = stream.split_at_mut(50);
        assert!(ws.receive(&mut &mut *front, &mut heapless::Vec::<u8, 100>::new()).is_none());
        let mut smaller = heapless::Vec::<u8, 10>::new();
        let event = ws.receive(&mut &mut *rest, &mut smaller);
        assert!(matches!(event, Some(Event::Error(error)) if error.close_code().unwrap().0 == 1009));
    }
}

#[test]
fn a_message_in_fragments_can_fill_the_inbox() {
    for first in [0x01, 0x02] {
        let stream = [masked(first, b"ab"), masked(0x80, b"cd")].concat();
        let inboxes: [&mut dyn sansocket::Buffer; 2] =
            [&mut heapless::Vec::<u8, 4>::new(), &mut FixedInbox::<4>::new()];
        for inbox in inboxes {
            let mut ws = WebSocket::<Server>::open(Config::default());
            let mut bytes = stream.clone();
            let Some(Event::Message(message)) = ws.receive(&mut &mut bytes[..], inbox) else { panic!() };
            assert_eq!(message.as_bytes(), b"abcd");
        }
    }
}

#[test]
fn only_the_last_piece_of_a_message_can_be_empty() {
    let binary = [masked(0x02, b""), masked(0, b"\xC3\xA9"), masked(0, b""), masked(0x80, b"")].concat();
    let text = [masked(0x01, b"\xC3"), masked(0, b""), masked(0, b"\xA9"), masked(0x80, b"")].concat();
    for mut stream in [binary, text] {
        let mut ws = WebSocket::<Server>::open(Config::default().delivery(Delivery::Pieces));
        let (mut input, mut inbox, mut pieces) = (&mut stream[..], Vec::new(), Vec::new());
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            let Event::Piece(Piece { first, last, .. }) = event else { panic!("{event:?}") };
            let content = match Seen::new(&event) {
                Seen::TextPieces(text, _) => text.into_bytes(),
                Seen::BinaryPieces(bytes, _) => bytes,
                other => panic!("{other:?}"),
            };
            pieces.push((content, first, last));
        }
        assert_eq!(pieces, [("é".into(), true, false), (vec![], false, true)]);
    }
}

/// Proves: T2.
#[test]
fn a_cut_character_can_follow_any_character() {
    for before in ('\0'..='\u{FFF}').chain('\u{1_0000}'..='\u{1_00FF}') {
        let text = format!("{before}é");
        let (front, last) = text.as_bytes().split_at(text.len() - 1);
        let mut peer = server(Config::default());
        peer.receive(&[masked(0x01, front), masked(0x80, last)].concat());
        assert_eq!(peer.seen, [Seen::Text(text)]);
    }
}

#[test]
fn no_empty_piece_comes_before_the_error_of_invalid_text() {
    let mut peer = server(Config::default().delivery(Delivery::Pieces));
    peer.receive(&masked(0x81, b"\xFF"));
    assert!(matches!(peer.seen[..], [Seen::Error(_), Seen::Close(..)]), "{:?}", peer.seen);
}

#[test]
fn event_with_another_input_never_panics() {
    for bytes in
        [masked(0x81, "é and more".as_bytes()), masked(0x82, b"abc"), masked(0x89, b"p"), masked(0x88, b"")]
    {
        for delivery in [Delivery::Whole, Delivery::Pieces] {
            for len in 0..bytes.len() {
                let mut ws = WebSocket::<Server>::open(Config::default().delivery(delivery));
                let mut inbox = Vec::new();
                let ready = ws.poll(&mut bytes.clone(), &mut inbox).unwrap();
                assert_eq!(ready.consumed(), bytes.len());
                let _ = ws.event(ready, &mut vec![0xFF; len], &mut inbox);
            }
        }
    }
}

#[test]
fn the_inbox_is_cleared_before_a_message_is_collected() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let mut one = Vec::new();
    let mut whole = masked(0x81, b"hi");
    assert!(ws.receive(&mut &mut whole[..], &mut one).is_some());
    let mut two = b"of another connection".to_vec();
    let mut stream = masked(0x82, b"abcd");
    let (first, rest) = stream.split_at_mut(8);
    assert!(ws.receive(&mut &mut *first, &mut two).is_none());
    let event = ws.receive(&mut &mut *rest, &mut two);
    assert_eq!(event, Some(Event::Message(Message::Binary(b"abcd"))));
}

/// Proves: L14.
#[test]
fn calls_between_poll_and_event_do_not_change_the_event() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let mut stream = masked(0x88, &close_body(4001, "why"));
    let ready = ws.poll(&mut stream, &mut inbox).unwrap();
    ws.transmit(&mut outbox).unwrap();
    ws.receive_eof();
    let event = ws.event(ready, &mut stream, &mut inbox).unwrap();
    assert_eq!(Seen::new(&event), Seen::Close(4001, "why".into(), true));
    let mut ws = WebSocket::<Server>::open(Config::default());
    let mut stream = masked(0x89, b"abc");
    let ready = ws.poll(&mut stream, &mut inbox).unwrap();
    ws.receive_eof();
    assert_eq!(Seen::new(&ws.event(ready, &mut stream, &mut inbox).unwrap()), Seen::Ping(b"abc".into()));
}

#[test]
fn taking_an_event_twice_does_not_end_the_connection_twice() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let mut inbox = Vec::new();
    let mut stream = masked(0x81, b"\xFF");
    let ready = ws.poll(&mut stream, &mut inbox).unwrap();
    let mut events = 0;
    for _ in 0..2 {
        events += usize::from(ws.event(ready, &mut stream, &mut inbox).is_some());
        while ws.receive(&mut &mut [][..], &mut inbox).is_some() {
            events += 1;
        }
    }
    assert_eq!(events, 2, "one Error and one Close");
    // The Close is not lost if the same event is taken twice before it.
    let mut ws = WebSocket::<Server>::open(Config::default());
    let mut stream = masked(0x81, b"\xFF");
    let ready = ws.poll(&mut stream, &mut inbox).unwrap();
    assert!(matches!(ws.event(ready, &mut stream, &mut inbox), Some(Event::Error(_))));
    assert_eq!(ws.event(ready, &mut stream, &mut inbox), None);
    assert!(matches!(ws.receive(&mut &mut [][..], &mut inbox), Some(Event::Close(_))));
}

#[test]
fn invalid_text_that_is_taken_after_the_close_is_not_reported() {
    let mut ws = WebSocket::<Server>::open(Config::default());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let mut text = masked(0x81, b"\xFF");
    let mut close = masked(0x88, b"");
    let ready = ws.poll(&mut text, &mut inbox).unwrap();
    assert!(ws.receive(&mut &mut close[..], &mut inbox).is_some());
    assert_eq!(ws.event(ready, &mut text, &mut inbox), None);
    ws.transmit(&mut outbox).unwrap();
    assert_eq!(outbox, [0x88, 0], "the reply to the Close");
}

#[test]
fn a_frame_completed_with_its_missing_bytes_is_borrowed_from_the_input() {
    let inbox = Inbox::new();
    for len in [0, 1, 100, 125, 126, 1000, 65_535, 65_536, 70_000] {
        let frame = masked(0x82, &binary(len));
        for cut in (1..30).chain(frame.len().saturating_sub(5)..=frame.len()) {
            let mut ws = WebSocket::<Server>::open(Config::default());
            let (mut end, mut calls) = (cut.min(frame.len()), 0);
            while let missing @ 1.. = ws.missing(&frame[..end], &inbox) {
                end += missing as usize;
                calls += 1;
            }
            // The second byte of the header, the rest of the header, the payload.
            assert!(calls <= 3, "{len} {cut}");
            assert_eq!(end, frame.len(), "{len} {cut}");
            let mut read = frame.clone();
            let place = read.as_ptr_range();
            let mut input = &mut read[..end];
            let mut inbox = Inbox::new();
            let Some(Event::Message(message)) = ws.receive(&mut input, &mut inbox) else { panic!() };
            assert_eq!(message, Message::Binary(&binary(len)));
            assert!(place.contains(&message.as_bytes().as_ptr()) || len == 0);
        }
    }
}

#[test]
fn missing_is_the_same_before_and_after_a_cut_frame_is_received() {
    fn check<R: sansocket::Role>(new: impl Fn() -> WebSocket<R>, input: &mut [u8]) {
        let (mut ws, mut inbox) = (new(), Inbox::new());
        let missing = ws.missing(input, &inbox);
        let mut rest = &mut *input;
        while ws.receive(&mut rest, &mut inbox).is_some() {}
        assert_eq!(missing, ws.missing(b"", &inbox), "{input:x?}");
    }
    let config = || Config::default().max_frame(1000);
    // Every first and second byte, and behind a complete header a part of the payload.
    for (first, second) in (0..=0xFF).flat_map(|first| (0..=0xFF).map(move |second| (first, second))) {
        for long in [0u16, 125, 126, 999, 1000, 1001, 0xFFFF] {
            let (length, len) = match second & 0x7F {
                126 => (long.to_be_bytes().to_vec(), usize::from(long)),
                127 => (u64::from(long).to_be_bytes().to_vec(), usize::from(long)),
                short => (vec![], usize::from(short)),
            };
            let key = if second & 0x80 == 0 { &[][..] } else { b"mask" };
            for payload in [0, 1, 100] {
                let mut input = [&[first, second], &length[..], key, &vec![0; payload.min(len)]].concat();
                check(|| WebSocket::<Server>::open(config()), &mut input.clone());
                check(|| WebSocket::<TestClient>::open(config(), rng()), &mut input);
            }
            if second & 0x7F < 126 {
                break;
            }
        }
    }
}

#[test]
fn missing_is_zero_when_there_is_nothing_to_wait_for() {
    let mut inbox = Inbox::new();
    let server = || WebSocket::<Server>::open(Config::default().max_frame(1000));
    assert_eq!(server().missing(b"", &inbox), 0, "without a header, no length is known");
    assert_eq!(server().missing(&masked(0x81, b"whole"), &inbox), 0);
    let mut pieces = WebSocket::<Server>::open(Config::new().delivery(Delivery::Pieces));
    assert_eq!(pieces.missing(b"\x82\x85mask", &inbox), 0, "pieces need no whole frame");
    assert_eq!(server().missing(b"\x83", &inbox), 0, "a reserved opcode");
    assert_eq!(server().missing(b"\x82\x05", &inbox), 0, "not masked");
    assert_eq!(server().missing(&masked(0x82, &binary(1001))[..20], &inbox), 0, "too big");
    assert_eq!(server().missing(b"\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFFmask", &inbox), 0, "far too big");
    assert_eq!(WebSocket::server(Config::default()).missing(b"\x82", &inbox), 0, "before the handshake");
    let small = heapless::Vec::<u8, 8>::new();
    assert_eq!(server().missing(&masked(0x82, &binary(9))[..10], &small), 0, "larger than the inbox");

    // Received bytes are not in the input any more, so the rest of the payload is missing.
    let mut ws = server();
    let mut frame = masked(0x82, &binary(300));
    assert!(ws.receive(&mut &mut frame[..3], &mut inbox).is_none());
    assert_eq!(ws.missing(b"", &inbox), 0, "the header is incomplete, and its front was received");
    // The input continues the header: a length of 385, of which one byte is here.
    assert!([0, 384].contains(&ws.missing(b"\x81\x85mask", &inbox)));
    assert!(ws.receive(&mut &mut frame[3..100], &mut inbox).is_none());
    assert_eq!(ws.missing(b"", &inbox), 208);
    assert_eq!(ws.missing(&frame[100..300], &inbox), 8);
    assert_eq!(ws.missing(&[&frame[100..], b"\x82"].concat(), &inbox), 0);
    assert_eq!(ws.missing(b"\x81\x85mask", &inbox), 202, "the payload looks like a frame");

    // Open is pending, and after it the end.
    let (mut peer, accept) = requested(Config::default(), &request(""));
    peer.ws.accept(accept, &mut peer.outbox).unwrap();
    assert_eq!(peer.ws.missing(b"\x82\x85mask", &inbox), 0);
    peer.ws.receive_eof();
    assert_eq!(peer.ws.missing(b"\x82\x85mask", &inbox), 0);

    // Only another fragment can follow a fragment, and nothing follows a Close.
    let mut ws = server();
    assert!(ws.receive(&mut &mut masked(0x01, b"frag")[..], &mut inbox).is_none());
    assert_eq!(ws.missing(b"\x80\x84mask", &inbox), 4);
    assert_eq!(ws.missing(b"\x81\x84mask", &inbox), 0, "a message inside a message");
    assert!(ws.receive(&mut &mut masked(0x88, b"")[..], &mut inbox).is_some());
    assert_eq!(ws.missing(b"\x80\x84mask", &inbox), 0, "after the Close");
    assert_eq!(ws.missing(b"\x81\x84mask", &inbox), 0, "after the Close");
}

#[test]
fn a_new_configuration_does_not_change_the_delivery() {
    for (kept, other) in [(Delivery::Whole, Delivery::Pieces), (Delivery::Pieces, Delivery::Whole)] {
        let mut peer = server(Config::default().delivery(kept));
        peer.receive(&masked(0x01, b"a"));
        peer.ws.set_config(Config::default().delivery(other).max_message(2));
        peer.receive(&masked(0x80, b"b"));
        let expected = match kept {
            Delivery::Whole => Seen::Text("ab".into()),
            _ => Seen::TextPieces("ab".into(), true),
        };
        assert_eq!(peer.take_seen(), [expected]);
        peer.receive(&masked(0x82, b"abc"));
        assert!(matches!(&peer.seen[..], [Seen::Error(because), _] if because.contains("limit")));
    }
}

#[test]
fn the_capacity_of_the_inbox_limits_the_messages_that_began_whole() {
    for (delivery, fits) in [(Delivery::Whole, false), (Delivery::Pieces, true)] {
        for other in [Delivery::Whole, Delivery::Pieces] {
            let mut ws = WebSocket::<Server>::open(Config::default().delivery(delivery));
            let mut inbox = heapless::Vec::<u8, 8>::new();
            let mut seen = Vec::new();
            for mut frame in [masked(0x02, b"123456"), masked(0x00, b"7890"), masked(0x80, b"")] {
                let mut input = &mut frame[..];
                while let Some(event) = ws.receive(&mut input, &mut inbox) {
                    push(&mut seen, &event);
                }
                ws.set_config(ws.config().delivery(other));
            }
            match &seen[..] {
                [Seen::BinaryPieces(bytes, true)] => assert!(fits && bytes == b"1234567890"),
                [Seen::Error(error), Seen::Close(..)] => assert!(!fits && error.contains("1009"), "{error}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Proves: Q4.
#[test]
fn changed_limits_are_in_effect_from_the_next_header() {
    let parts = |peer: &mut Peer<Server>, stream: &[Vec<u8>]| {
        stream.iter().for_each(|part| peer.receive(part));
        peer.take_seen()
    };
    let failed = |seen: Vec<Seen>| matches!(&seen[..], [Seen::Error(error), Seen::Close(1006, ..)] if error.contains("limit"));
    let small = Config::default().max_message(10).max_frame(10);
    for delivery in [Delivery::Whole, Delivery::Pieces] {
        let small = small.delivery(delivery);
        let new = || server(small);
        // Raised, after a login: what would have failed is received.
        let mut peer = new();
        peer.receive(&masked(0x82, b"login"));
        assert_eq!(*peer.ws.config(), small);
        peer.ws.set_config(small.max_message(1000).max_frame(1000));
        assert_eq!(*peer.ws.config(), small.max_message(1000).max_frame(1000));
        peer.receive(&masked(0x82, &binary(1000)));
        let seen: Vec<Seen> = peer.take_seen().into_iter().map(Seen::into_whole).collect();
        assert_eq!(seen, [Seen::Binary(b"login".into()), Seen::Binary(binary(1000))]);
        assert!(failed(parts(&mut new(), &[masked(0x82, &binary(11))])));
        // Raised between the frames of a message, and inside a header.
        let mut peer = new();
        peer.receive(&masked(0x02, &binary(8)));
        peer.ws.set_config(small.max_message(20));
        peer.receive(&masked(0x00, &binary(8)));
        let last = masked(0x80, &binary(4));
        peer.receive(&last[..1]);
        peer.ws.set_config(small.max_message(19));
        peer.receive(&last[1..]);
        peer.seen.retain(|seen| !matches!(seen, Seen::BinaryPieces(..)));
        assert!(failed(peer.take_seen()), "the length is compared when it is complete");
        // Lowered inside a payload: the frame is received, the next header fails, of an empty frame too.
        for last in [vec![], binary(1)] {
            let mut peer = new();
            let first = masked(0x02, &binary(8));
            peer.receive(&first[..9]);
            peer.ws.set_config(small.max_message(7));
            peer.receive(&first[9..]);
            assert!(!peer.ws.is_closed());
            peer.receive(&masked(0x89, b"p"));
            assert_eq!(peer.seen.pop(), Some(Seen::Ping(b"p".into())), "a control frame has its own limit");
            peer.seen.clear();
            peer.receive(&masked(0x80, &last));
            assert!(failed(peer.take_seen()));
            assert!(peer.take_sent().ends_with(&unmasked(0x88, &1009_u16.to_be_bytes())));
        }
        // Lowered inside the last frame: the message is received.
        let mut peer = new();
        let message = masked(0x82, &binary(8));
        peer.receive(&message[..9]);
        peer.ws.set_config(small.max_message(0).max_frame(0));
        peer.receive(&message[9..]);
        assert_eq!(peer.seen.pop().map(Seen::into_whole), Some(Seen::Binary(binary(8))));
        // The frame and the number of empty fragments.
        let mut peer = new();
        peer.ws.set_config(small.max_frame(4));
        assert!(failed(parts(&mut peer, &[masked(0x82, &binary(5))])));
        let mut peer = new();
        peer.receive(&[masked(0x02, b""), masked(0x00, b"")].concat());
        peer.ws.set_config(small.max_empty_fragments(2));
        peer.receive(&masked(0x00, b""));
        assert!(matches!(&peer.take_seen()[..], [Seen::Error(error), _] if error.contains("1008")));
    }
}

#[test]
fn an_inbox_is_in_use_from_the_first_byte_of_a_message_to_its_last() {
    // A fragment, a Ping, the last fragment, a whole message: masked with zeros.
    let bytes = b"\x01\x81\0\0\0\0a\x89\x80\0\0\0\0\x80\x81\0\0\0\0b\x81\x81\0\0\0\0c";
    let mut ws = WebSocket::<Server>::open(Config::default());
    let mut inbox = Inbox::new();
    let mut messages = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(Event::Message(_)) = ws.receive(&mut &mut [*byte][..], &mut inbox) {
            messages += 1;
        }
        assert_eq!(ws.is_inbox_in_use(), !matches!(at, 19 | 26), "{at}");
        if !ws.is_inbox_in_use() {
            inbox = Inbox::new();
        }
    }
    assert_eq!(messages, 2);
    assert!(WebSocket::server(Config::default()).is_inbox_in_use());
}
