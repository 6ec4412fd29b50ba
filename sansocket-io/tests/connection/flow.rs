//! Messages that flow: cancellation, back-pressure, slow readers, bytes behind an unanswered
//! request.

use crate::world::{Pipe, Time, allocated, cancelled_after, join, pipe};
use crate::{open_client, open_server, over_each_stream, server};
use sansocket_io::sansocket::{Delivery, Fragment, Part, Server, WebSocket, frame};
use sansocket_io::{CloseCode, Config, Event, Failure, Fixed, Heap, Message, Settings, Socket, Transport};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

over_each_stream! {
    a_dropped_next_loses_nothing
    a_slow_but_steady_reader_lives
    a_peer_that_does_not_read_ends_in_time
    a_peer_that_takes_a_byte_now_and_then_ends_in_time
    unsent_bytes_are_bounded
    a_long_message_is_sent_in_parts_while_others_arrive
    replies_before_a_cancelled_flush_are_bounded
    frames_behind_an_unanswered_request_are_kept
    a_connection_of_fixed_memory_echoes
    pieces_do_not_wait_for_the_rest_of_their_frame
    a_stalled_peer_does_not_hold_up_a_lively_one
    memory_is_given_back_after_large_messages
}

const SECOND: Duration = Duration::from_secs(1);
const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A message of this number: its length and bytes differ from those of its neighbours.
fn message(number: usize) -> Vec<u8> {
    let len = [0, 5, 125, 126, 700, 5000, 70_000][number % 7];
    vec![number as u8; len]
}

/// Sends messages, and checks that they come back.
async fn send_and_check(pipe: Pipe, time: &Time, count: usize) {
    let mut socket = open_client(pipe, time);
    let (mut sent, mut back) = (0, 0);
    for turn in 0u32.. {
        while sent < count && socket.reply().unsent() < 10_000 {
            socket.reply().send(&message(sent)).unwrap();
            sent += 1;
        }
        match cancelled_after(1 + turn.wrapping_mul(2_246_822_519) % 5, socket.next()).await {
            Some(Some((Event::Message(echo), reply))) => {
                assert_eq!(echo.as_bytes(), message(back), "message {back}");
                back += 1;
                if back == count {
                    reply.close(CloseCode::NORMAL, "").unwrap();
                }
            }
            Some(Some((Event::Error(error), _))) => panic!("{error}"),
            Some(None) => break,
            Some(_) | None => {}
        }
    }
    assert_eq!(back, count);
}

fn a_dropped_next_loses_nothing<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let mut dropped = 0;
    for (piece, count) in [(1, 7), (3, 14), (777, 100), (100_000, 100)] {
        let time = Time::default();
        let (ours, theirs) = pipe(piece, 100_000);
        let echo = async {
            let mut socket = open_server(wrap(ours), &time, Settings::new());
            for turn in 0u32.. {
                match cancelled_after(1 + turn.wrapping_mul(2_654_435_761) % 3, socket.next()).await {
                    Some(Some((Event::Message(message), reply))) => reply.send(message).unwrap(),
                    Some(Some(_)) => {}
                    Some(None) => return,
                    None => dropped += 1,
                }
            }
        };
        time.run(join(echo, send_and_check(theirs, &time, count)));
    }
    assert!(dropped > 5_000, "{dropped}");
}

fn a_slow_but_steady_reader_lives<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        socket.reply().send(&[7; 300_000][..]).unwrap();
        socket.reply().close(CloseCode::NORMAL, "").unwrap();
        while let Some((event, _)) = socket.next().await {
            assert!(!matches!(event, Event::Error(_)), "{event:?}");
        }
        assert!(socket.failure().is_none());
    };
    let read = async {
        for _ in 0..300 {
            theirs.read_exact(1000).await;
            time.sleep(SECOND).await;
        }
        theirs.read_exact(10 + 4).await;
        theirs.write_all(b"\x88\x82\0\0\0\0\x03\xE8").await;
        theirs.end();
        theirs.read_to_end().await
    };
    time.run(join(serve, read));
    assert!(time.now() > 290 * SECOND);
}

fn a_peer_that_does_not_read_ends_in_time<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    ends_with_write_timeout(wrap, async |_, _| {});
}

fn a_peer_that_takes_a_byte_now_and_then_ends_in_time<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    ends_with_write_timeout(wrap, async |theirs, time| {
        for _ in 0..1000 {
            theirs.read_exact(1).await;
            time.sleep(SECOND / 10).await;
        }
    });
}

/// A stream whose flush never ends: that of embassy-net lasts until the peer has acknowledged all
/// bytes, so it is always pending if messages follow faster than acknowledgements.
struct Unacknowledged(Pipe);

impl Transport for Unacknowledged {
    type Error = io::Error;
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }
    fn poll_write(&mut self, cx: &mut Context<'_>, first: &[u8], second: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, first, second)
    }
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

#[test]
fn a_peer_that_takes_all_bytes_lives_although_a_flush_is_pending() {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut socket = open_server(Unacknowledged(ours), &time, Settings::new());
        while let Some((event, reply)) = socket.next().await {
            if let Event::Message(message) = event {
                reply.send(message).unwrap();
            }
        }
    };
    let peer = async {
        for _ in 0..100 {
            theirs.write_all(b"\x82\x81\0\0\0\0a").await;
            assert_eq!(theirs.read_exact(3).await, b"\x82\x01a");
            time.sleep(SECOND).await;
        }
        theirs.read_to_end().await;
    };
    time.run(join(serve, peer));
    // It has ended for want of a flush, or of a Pong.
    assert!(time.now() < 160 * SECOND, "{:?}", time.now());
}

fn ends_with_write_timeout<T: Transport<Error = io::Error>>(
    wrap: fn(Pipe) -> T,
    peer: impl AsyncFn(&mut Pipe, &Time),
) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        socket.reply().send(&[7; 300_000][..]).unwrap();
        while socket.next().await.is_some() {}
        assert!(matches!(socket.failure(), Some(Failure::WriteTimeout)), "{:?}", socket.failure());
        time.now()
    };
    let (ended, ()) = time.run(join(serve, peer(&mut theirs, &time)));
    assert!(ended >= 30 * SECOND && ended < 35 * SECOND, "{ended:?}");
}

/// A peer that reads nothing, and sends as much as the server takes. Returns when the server ended.
async fn flood(pipe: &mut Pipe, time: &Time) -> Duration {
    let frame = [&b"\x82\xFE\x03\xE8\0\0\0\0"[..], &[1; 1000]].concat();
    while pipe.try_write_all(&frame).await.is_ok() {
        time.sleep(SECOND / 100).await;
    }
    time.now()
}

fn unsent_bytes_are_bounded<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut most = 0;
        let mut socket = open_server(wrap(ours), &time, Settings::new().max_unsent(20_000));
        while let Some((event, reply)) = socket.next().await {
            if let Event::Message(message) = event {
                // Ten times what arrives.
                for _ in 0..10 {
                    reply.send(message).unwrap();
                }
                most = most.max(reply.unsent());
            }
        }
        most
    };
    let (most, ended) = time.run(join(serve, flood(&mut theirs, &time)));
    assert!(most <= 20_000 + 10 * 1004 && most > 20_000, "{most}");
    assert!(ended < 35 * SECOND, "{ended:?}");
}

fn a_long_message_is_sent_in_parts_while_others_arrive<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    const PARTS: usize = 100;
    let time = Time::default();
    let (ours, mut theirs) = pipe(777, 4096);
    let serve = async {
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        let (mut sent, mut received, mut most) = (0, 0, 0);
        loop {
            match socket.next_or_room(if sent < PARTS { 2000 } else { 0 }).await {
                Ok(Some((Event::Message(_), _))) => received += 1,
                Ok(Some((event, _))) => assert!(matches!(event, Event::Close(_)), "{event:?}"),
                Ok(None) => return (sent, received, most),
                Err(room) => {
                    sent += 1;
                    let fragment = Fragment::new(&[7; 1000][..], sent == PARTS);
                    socket.reply().send_piece(fragment).unwrap();
                    most = most.max(socket.reply().unsent());
                    assert!(!room.to_string().is_empty());
                }
            }
        }
    };
    // The peer does not read before all of its messages are taken.
    let peer = async {
        for _ in 0..50 {
            theirs.write_all(&[&b"\x82\xFE\x03\xE8\0\0\0\0"[..], &[1; 1000]].concat()).await;
        }
        theirs.read_exact(PARTS * 1004).await;
        theirs.write_all(b"\x88\x82\0\0\0\0\x03\xE8").await;
        theirs.read_to_end().await
    };
    let ((sent, received, most), close) = time.run(join(serve, peer));
    assert_eq!((sent, received, &*close), (PARTS, 50, &b"\x88\x02\x03\xE8"[..]));
    assert!(most < 2000 + 1004, "{most}");
}

fn replies_before_a_cancelled_flush_are_bounded<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut most = 0;
        let mut socket = open_server(wrap(ours), &time, Settings::new().max_unsent(20_000));
        while let Some((event, reply)) = socket.next().await {
            if let Event::Message(message) = event {
                reply.send(message).unwrap();
                let _ = cancelled_after(1, reply.flush()).await;
                reply.send(message).unwrap();
                most = most.max(reply.unsent());
            }
        }
        most
    };
    let (most, _) = time.run(join(serve, flood(&mut theirs, &time)));
    assert!(most <= 20_000 + 2 * 1004 && most > 20_000, "{most}");
}

fn frames_behind_an_unanswered_request_are_kept<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    for piece in [1, 3, 777, 100_000] {
        let time = Time::default();
        let (ours, mut theirs) = pipe(piece, 100_000);
        let serve = async {
            let mut socket = server(wrap(ours), &time, Settings::new());
            let accept = match socket.next().await {
                Some((Event::Request(request), _)) => request.accept(),
                other => panic!("{other:?}"),
            };
            // The answer takes longer than the handshake may.
            for _ in 0..100 {
                assert!(cancelled_after(1, socket.next()).await.is_none());
            }
            time.sleep(60 * SECOND).await;
            socket.reply().accept(accept).unwrap();
            let mut got = vec![];
            while let Some((event, _)) = socket.next().await {
                got.push(match event {
                    Event::Open(_) => "open".to_owned(),
                    Event::Message(Message::Text(text)) => text.to_owned(),
                    Event::Close(_) => "close".to_owned(),
                    other => panic!("{other:?}"),
                });
            }
            assert_eq!(got, ["open", "one", "two", "close"]);
        };
        let peer = async {
            theirs.write_all(REQUEST).await;
            theirs.write_all(b"\x81\x83\0\0\0\0one\x81\x83\0\0\0\0two\x88\x82\0\0\0\0\x03\xE8").await;
            let answer = theirs.read_to_end().await;
            assert!(answer.ends_with(b"\r\n\r\n\x88\x02\x03\xE8"), "{answer:?}");
            theirs.end();
        };
        time.run(join(serve, peer));
    }
}

fn a_connection_of_fixed_memory_echoes<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    for piece in [1, 3, 777] {
        let time = Time::default();
        let (ours, mut theirs) = pipe(piece, 100_000);
        let serve = async {
            let ws = WebSocket::<Server>::open(Default::default());
            let memory = Fixed::<64, 300, 700>::new();
            let mut socket = Socket::new(wrap(ours), time.clone(), ws, memory, Settings::new());
            while let Some((event, reply)) = socket.next().await {
                if let Event::Message(message) = event {
                    reply.send(message).unwrap();
                }
            }
        };
        let peer = async {
            let mut expected = vec![];
            for len in (0..=300).step_by(30).cycle().take(200) {
                let payload = vec![len as u8; len];
                let header = if len < 126 {
                    vec![0x82, 0x80 | len as u8]
                } else {
                    vec![0x82, 0xFE, (len >> 8) as u8, len as u8]
                };
                theirs.write_all(&[&header[..], &[0; 4], &payload, b"\x89\x80\0\0\0\0"].concat()).await;
                frame::encode(&payload, &mut expected).unwrap();
            }
            theirs.write_all(b"\x88\x80\0\0\0\0").await;
            let back = theirs.read_to_end().await;
            // Pongs may be fewer than Pings.
            let pings = back.windows(2).filter(|bytes| bytes == b"\x8A\0").count();
            assert_eq!(back.len(), expected.len() + 2 * pings + 2);
        };
        time.run(join(serve, peer));
    }
}

fn pieces_do_not_wait_for_the_rest_of_their_frame<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(777, 4096);
    let serve = async {
        let ws = WebSocket::<Server>::open(Config::new().delivery(Delivery::Pieces));
        let mut socket = Socket::new(wrap(ours), time.clone(), ws, Heap::default(), Settings::new());
        match socket.next().await {
            Some((Event::Piece(piece), _)) => {
                assert_eq!(piece.part, Part::Text { lead: None, text: "a part" })
            }
            other => panic!("{other:?}"),
        }
    };
    // 6 of 100 bytes.
    time.run(join(serve, theirs.write_all(b"\x81\xE4\0\0\0\0a part")));
}

fn a_stalled_peer_does_not_hold_up_a_lively_one<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (stalled, mut silent) = pipe(4096, 4096);
    let (lively, peer) = pipe(4096, 4096);
    let echo = async |pipe| {
        let mut socket = open_server(wrap(pipe), &time, Settings::new());
        while let Some((event, reply)) = socket.next().await {
            if let Event::Message(message) = event {
                reply.send(message).unwrap();
            }
        }
        (time.now(), socket.into_transport().1)
    };
    let flood = async {
        // It reads nothing.
        let frame = [&b"\x82\xFE\x03\xE8\0\0\0\0"[..], &[1; 1000]].concat();
        while silent.try_write_all(&frame).await.is_ok() {
            time.sleep(SECOND / 100).await;
        }
    };
    let converse = async {
        time.sleep(20 * SECOND).await;
        send_and_check(peer, &time, 50).await;
        time.now()
    };
    let ((ended, ()), ((_, failure), last_echo)) =
        time.run(join(join(echo(stalled), flood), join(echo(lively), converse)));
    assert!(matches!(ended, (at, Some(Failure::WriteTimeout)) if at >= 30 * SECOND), "{ended:?}");
    assert_eq!(last_echo, 20 * SECOND);
    assert!(failure.is_none());
}

fn memory_is_given_back_after_large_messages<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(16_384, 16_384);
    let serve = async {
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        while let Some((event, reply)) = socket.next().await {
            if let Event::Message(message) = event {
                reply.send(message).unwrap();
            }
        }
    };
    let peer = async {
        let mut measured = vec![];
        // The pipes grow in the first round.
        for _ in 0..2 {
            for (first_byte, mut left) in [(0x02, 100_000), (0x80, 900_000)] {
                let mut header = vec![first_byte, 0xFF];
                header.extend(u64::to_be_bytes(left));
                header.extend([0; 4]);
                theirs.write_all(&header).await;
                while left > 0 {
                    let piece = left.min(10_000);
                    theirs.write_all(&vec![7; piece as usize]).await;
                    left -= piece;
                }
            }
            theirs.read_exact(10 + 500_000).await;
            measured.push(allocated());
            theirs.read_exact(500_000).await;
            time.sleep(9 * SECOND).await;
            measured.push(allocated());
        }
        theirs.end();
        theirs.read_to_end().await;
        measured
    };
    let ((), measured) = time.run(join(serve, peer));
    let [_, idle, large, idle_again] = measured[..] else { panic!() };
    assert!(large > idle + 500_000, "{measured:?}");
    assert!(idle_again <= idle, "{measured:?}");
}
