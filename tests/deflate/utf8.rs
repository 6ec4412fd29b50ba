//! Text that is checked after it is inflated: characters cut by blocks, fragments and pieces, and
//! which of two errors comes first.

use crate::common::*;
use crate::support::*;
use sansocket::{Config, Delivery, Event, Part, ProtocolError, heapless};

const DELIVERIES: [Delivery; 2] = [Delivery::Whole, Delivery::Pieces];

fn receive<R: Side<Window = Vec<u8>>>(delivery: Delivery, stream: &[u8], cut: usize) -> Vec<Seen> {
    let config = Config::new().delivery(delivery).max_message(40);
    let ws = R::ws(config, Some(agreed(true, 15)), Vec::new());
    let inbox = &mut heapless::Vec::<u8, 100>::new();
    run(ws, stream, &[cut], inbox, Way::TwoSteps).0
}

/// A text in three stored blocks that end at `cuts`, and in two fragments.
fn in_blocks<R: Side>(text: &[u8], cuts: [usize; 2], end: &[u8]) -> Vec<u8> {
    let [a, b] = cuts;
    let blocks = Bits::default().stored(false, &text[..a]).stored(true, &text[a..b]).align();
    let payload = [blocks.stored(false, &text[b..]).bytes(), end.to_vec()].concat();
    // Inside the data of the second block, or at its begin.
    let (first, last) = payload.split_at(5 + a + 5 + (b - a) / 2);
    [R::frame(0x41, first), R::frame(0x89, b""), R::frame(0x80, last)].concat()
}

fn characters<R: Side<Window = Vec<u8>>>() {
    let text = "aé€😀\u{10FFFF}z";
    for a in 0..=text.len() {
        for b in a..=text.len() {
            let stream = in_blocks::<R>(text.as_bytes(), [a, b], &[0]);
            for delivery in DELIVERIES {
                for cut in [0, 13, stream.len() - 4] {
                    let mut seen = receive::<R>(delivery, &stream, cut);
                    seen.retain(|seen| *seen != Seen::Ping(vec![]));
                    let seen: Vec<_> = seen.into_iter().map(Seen::into_whole).collect();
                    assert_eq!(seen, [Seen::Text(text.into())], "{a} {b} {cut} {delivery:?}");
                }
            }
        }
    }
}

/// Proves: Z26.
#[test]
fn a_character_can_be_cut_by_blocks_fragments_and_pieces() {
    characters::<ServerSide>();
    characters::<ClientSide>();
}

/// A small inbox cuts every character: the end of one is the lead of the next piece.
#[test]
fn the_end_of_a_cut_character_is_the_lead_of_a_piece() {
    let text = "aé€😀\u{10FFFF}z".repeat(3);
    let stream = masked(0xC1, &Zlib::new(6, 15, true).message(text.as_bytes()));
    for size in 1..8 {
        let config = Config::new().delivery(Delivery::Pieces);
        let mut ws = ServerSide::<Vec<u8>>::ws(config, Some(agreed(true, 15)), Vec::new());
        let (mut stream, mut inbox) = (stream.clone(), Bounded::new(size));
        let (mut input, mut joined, mut leads, mut lasts) = (&mut stream[..], String::new(), 0, vec![]);
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            let Event::Piece(piece) = event else { panic!("{event:?}") };
            let Part::Text { lead, text } = piece.part else { panic!() };
            joined.extend(lead);
            leads += usize::from(lead.is_some());
            joined += text;
            assert!(text.len() <= size);
            assert_eq!(piece.first, lasts.is_empty());
            lasts.push(piece.last);
        }
        assert_eq!(joined, text);
        assert!(lasts.pop() == Some(true) && !lasts.contains(&true));
        // With one byte, all but the characters of one byte are leads.
        assert!(if size == 1 { leads == 12 } else { leads > 0 }, "{size} {leads}");
    }
}

fn errors<R: Side<Window = Vec<u8>>>() {
    use ProtocolError::{InvalidDeflate, InvalidUtf8, MessageTooBig};
    const INVALID: &[u8] = &[7];
    const END: &[u8] = &[0];
    let long = "x".repeat(38) + "é!";
    for (text, end, seen_first, whole, pieces) in [
        // Invalid bytes in front, in the middle, at the end; and a character that is not complete.
        (&b"\xFFabc"[..], END, "", InvalidUtf8, InvalidUtf8),
        (b"ab\xC3(c", END, "ab", InvalidUtf8, InvalidUtf8),
        (b"abc\xED\xA0\x80", END, "abc", InvalidUtf8, InvalidUtf8),
        (b"abc\xE2\x82", END, "abc", InvalidUtf8, InvalidUtf8),
        (b"\xF4\x90\x80\x80", END, "", InvalidUtf8, InvalidUtf8),
        // The stream is invalid behind the text.
        (b"abc", INVALID, "abc", InvalidDeflate, InvalidDeflate),
        (b"", INVALID, "", InvalidDeflate, InvalidDeflate),
        (b"abc\xE2\x82", INVALID, "abc", InvalidDeflate, InvalidDeflate),
        // Both: the first byte that is wrong counts in pieces, and the stream where it is whole.
        (b"ab\xFF", INVALID, "ab", InvalidDeflate, InvalidUtf8),
        (b"\xFF", INVALID, "", InvalidDeflate, InvalidUtf8),
        // Too long, and perhaps invalid. The limit is in the middle of a character.
        (&[b'x'; 41], END, &long[..38], MessageTooBig, MessageTooBig),
        ((long.clone() + "abc").as_bytes(), END, &long[..40], MessageTooBig, MessageTooBig),
        (("x".to_owned() + &long).as_bytes(), INVALID, &long[..38], MessageTooBig, MessageTooBig),
        (&[&[b'x'; 20][..], b"\xFF", &[b'x'; 30]].concat(), END, &long[..20], MessageTooBig, InvalidUtf8),
    ] {
        for cuts in [[0, 0], [text.len() / 2, text.len()], [text.len().saturating_sub(1), text.len()]] {
            let stream = in_blocks::<R>(text, cuts, end);
            for delivery in DELIVERIES {
                for cut in 0..stream.len() {
                    let mut seen = receive::<R>(delivery, &stream, cut);
                    seen.retain(|seen| *seen != Seen::Ping(vec![]));
                    let error = if delivery == Delivery::Whole { whole } else { pieces };
                    assert!(seen.ends_with(&failure(error)), "{text:?} {delivery:?} {cut} {seen:?}");
                    match &seen[..seen.len() - 2] {
                        [] => assert!(delivery == Delivery::Whole || seen_first.is_empty()),
                        [Seen::TextPieces(text, false)] => {
                            // `long` is the text up to the limit.
                            let is_x = text.bytes().all(|byte| byte == b'x');
                            assert!(text == seen_first || is_x && text.len() >= seen_first.len(), "{text}");
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }
}

/// Proves: Z26, Z28.
#[test]
fn of_two_errors_the_first_is_reported_after_the_text_before_it() {
    errors::<ServerSide>();
    errors::<ClientSide>();
}

/// Binary messages are not checked.
#[test]
fn what_is_no_text_is_not_checked() {
    let payload = Bits::default().stored(false, b"\xFF\xFE").finish();
    for delivery in DELIVERIES {
        let seen = receive::<ServerSide>(delivery, &masked(0xC2, &payload), 3);
        let seen: Vec<_> = seen.into_iter().map(Seen::into_whole).collect();
        assert_eq!(seen, [Seen::Binary(b"\xFF\xFE".to_vec())]);
    }
}
