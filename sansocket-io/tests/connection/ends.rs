//! How connections end: silence, resets, streams that are cut short, and the orderly end.

use crate::world::{Pipe, Time, join, pipe};
use crate::{ServerEnd, open_server, over_each_stream, server};
use sansocket_io::sansocket::Error;
use sansocket_io::{CloseCode, Event, Failure, Settings, Transport};
use std::io::{self, ErrorKind};
use std::task::{Context, Poll};
use std::time::Duration;

over_each_stream! {
    a_silent_peer_is_pinged_and_ends_in_time
    a_peer_that_vanishes_in_a_frame_loses_no_earlier_message
    a_reset_ends_the_connection_in_each_state
    messages_before_a_failed_write_are_delivered
    a_peer_that_has_ended_its_side_gets_its_replies
    a_close_frame_is_not_lost_behind_unread_input
    a_stream_that_nobody_ends_is_dropped_in_time
    a_client_without_a_request_ends_in_time
    a_peer_that_answers_no_close_frame_ends_in_time
    a_peer_that_sends_pings_and_no_close_frame_ends_in_time
    a_closed_connection_ends_in_time_whatever_the_write_timeout
}

const SECOND: Duration = Duration::from_secs(1);
const HELLO: &[u8] = b"\x81\x85\0\0\0\0Hello";

/// All events of a connection, and how its transport failed.
async fn events<T: Transport<Error = io::Error>>(
    mut socket: ServerEnd<T>,
) -> (Vec<String>, Option<Failure<io::Error>>) {
    let mut events = vec![];
    while let Some((event, reply)) = socket.next().await {
        events.push(match event {
            Event::Request(request) => {
                reply.accept(request.accept()).unwrap();
                "request".to_owned()
            }
            Event::Open(_) => "open".to_owned(),
            Event::Message(message) => {
                reply.send(message).unwrap();
                "message".to_owned()
            }
            Event::Error(error) => format!("{error:?}"),
            Event::Close(close) => format!("close {}", close.code.0),
            other => format!("{other:?}"),
        });
    }
    (events, socket.into_transport().1)
}

/// A server that closes at once. Returns when the connection has ended.
async fn close<T: Transport<Error = io::Error>>(io: T, time: &Time) -> Duration {
    let mut socket = open_server(io, time, Settings::new());
    socket.reply().close(CloseCode::NORMAL, "").unwrap();
    while socket.next().await.is_some() {}
    time.now()
}

fn a_silent_peer_is_pinged_and_ends_in_time<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        let error = match socket.next().await {
            Some((Event::Error(error), _)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!((error, time.now()), (Error::PongTimeout, 50 * SECOND));
        while socket.next().await.is_some() {}
        time.now()
    };
    let peer = async {
        let ping = theirs.read_exact(2).await;
        assert_eq!((&ping[..], time.now()), (&b"\x89\0"[..], 30 * SECOND));
        time.sleep(100 * SECOND).await;
    };
    let (ended, ()) = time.run(join(serve, peer));
    assert_eq!(ended, 52 * SECOND);
}

fn a_peer_that_vanishes_in_a_frame_loses_no_earlier_message<T: Transport<Error = io::Error>>(
    wrap: fn(Pipe) -> T,
) {
    let frames = [HELLO, HELLO, HELLO].concat();
    for piece in [1, 3, 777] {
        for cut in 0..HELLO.len() {
            for kind in [None, Some(ErrorKind::UnexpectedEof)] {
                let time = Time::default();
                let (mut ours, mut theirs) = pipe(piece, 4096);
                ours.end_error = kind;
                let socket = open_server(wrap(ours), &time, Settings::new());
                let peer = async {
                    theirs.write_all(&frames[..2 * HELLO.len() + cut]).await;
                    theirs.end();
                    theirs.read_to_end().await
                };
                let ((events, failure), echo) = time.run(join(events(socket), peer));
                assert_eq!(events, ["message", "message", "EndOfStream", "close 1006"]);
                // Only adapters of `std::io` know the error as an end.
                assert!(failure.is_none() || kind.is_some(), "{failure:?}");
                if failure.is_none() {
                    assert_eq!(echo, b"\x81\x05Hello\x81\x05Hello");
                }
            }
        }
    }
}

fn a_reset_ends_the_connection_in_each_state<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let request: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let all = [request, HELLO, &HELLO[..6], &HELLO[6..], b"\x88\x80\0\0\0\0"].concat();
    let expected = ["request", "open", "message", "message"];
    for sent in 0..all.len() {
        let time = Time::default();
        let (ours, mut theirs) = pipe(777, 4096);
        let socket = server(wrap(ours), &time, Settings::new());
        let peer = async {
            theirs.write_all(&all[..sent]).await;
            // Until all is read.
            time.sleep(SECOND / 100).await;
            theirs.reset();
        };
        let ((mut events, failure), ()) = time.run(join(events(socket), peer));
        assert_eq!(events.split_off(events.len() - 2), ["EndOfStream", "close 1006"]);
        assert!(expected.starts_with(&events.iter().map(String::as_str).collect::<Vec<_>>()), "{events:?}");
        assert!(matches!(failure, Some(Failure::Read(_) | Failure::Write(_))), "{failure:?}");
        assert!(time.now() <= 3 * SECOND);
    }
}

fn messages_before_a_failed_write_are_delivered<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(777, 4096);
    let socket = open_server(wrap(ours), &time, Settings::new());
    let peer = async {
        theirs.stop_reading();
        for _ in 0..100 {
            theirs.write_all(HELLO).await;
        }
        theirs.write_all(b"\x88\x82\0\0\0\0\x03\xE9").await;
        theirs.end();
    };
    let ((events, failure), ()) = time.run(join(events(socket), peer));
    assert_eq!(events.len(), 101);
    assert_eq!(events.last().unwrap(), "close 1001");
    assert!(matches!(failure, Some(Failure::Write(_))), "{failure:?}");
}

fn a_peer_that_has_ended_its_side_gets_its_replies<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(777, 4096);
    let socket = open_server(wrap(ours), &time, Settings::new());
    let peer = async {
        theirs.write_all(&HELLO.repeat(100)).await;
        theirs.end();
        time.sleep(SECOND).await;
        theirs.read_to_end().await
    };
    let ((events, _), echo) = time.run(join(events(socket), peer));
    assert_eq!(events.len(), 102);
    assert_eq!(echo, b"\x81\x05Hello".repeat(100));
}

fn a_close_frame_is_not_lost_behind_unread_input<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        while socket.next().await.is_some() {}
        assert!(socket.failure().is_none());
    };
    let peer = async {
        theirs.write_all(b"\x83\x80\0\0\0\0").await;
        // More than the server reads before it fails the connection.
        theirs.write_all(&[0; 20_000]).await;
        let answer = theirs.read_exact(4).await;
        assert_eq!(answer, b"\x88\x02\x03\xEA");
        theirs.end();
        theirs.read_to_end().await;
    };
    time.run(join(serve, peer));
    assert!(time.now() < SECOND);
}

fn a_stream_that_nobody_ends_is_dropped_in_time<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = close(wrap(ours), &time);
    let peer = async {
        theirs.write_all(b"\x88\x80\0\0\0\0").await;
        time.sleep(10 * SECOND).await;
    };
    let (ended, ()) = time.run(join(serve, peer));
    assert_eq!(ended, 2 * SECOND);
}

fn a_client_without_a_request_ends_in_time<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let socket = server(wrap(ours), &time, Settings::new());
    let peer = async {
        theirs.write_all(b"GET / HTTP/1.1\r\nHost: a").await;
        theirs.read_to_end().await
    };
    let ((events, failure), answer) = time.run(join(events(socket), peer));
    assert_eq!(events, ["HandshakeTimeout", "close 1006"]);
    assert!(failure.is_none() && time.now() < 20 * SECOND, "{failure:?} {:?}", time.now());
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
}

/// The network is cut while the connection closes.
fn a_peer_that_answers_no_close_frame_ends_in_time<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        socket.reply().close(CloseCode::NORMAL, "").unwrap();
        events(socket).await
    };
    let peer = async {
        theirs.write_all(HELLO).await;
        time.sleep(100 * SECOND).await;
        theirs.read_to_end().await
    };
    let (((events, failure), ended), sent) = time.run(join(async { (serve.await, time.now()) }, peer));
    assert_eq!(events, ["message", "close 1006"]);
    assert!(failure.is_none() && ended < 20 * SECOND, "{failure:?} {ended:?}");
    assert_eq!(sent, b"\x88\x02\x03\xE8");
}

/// The Pongs always leave a backlog, which the peer reads steadily.
fn a_peer_that_sends_pings_and_no_close_frame_ends_in_time<T: Transport<Error = io::Error>>(
    wrap: fn(Pipe) -> T,
) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = close(wrap(ours), &time);
    let peer = async {
        let pings = [&b"\x89\xFD\0\0\0\0"[..], &[1; 125]].concat().repeat(20);
        while time.now() < 1000 * SECOND && theirs.try_write_all(&pings).await.is_ok() {
            time.sleep(SECOND).await;
            theirs.read_exact(1000).await;
        }
    };
    let (ended, ()) = time.run(join(serve, peer));
    assert!(ended < 60 * SECOND, "{ended:?}");
}

fn a_closed_connection_ends_in_time_whatever_the_write_timeout<T: Transport<Error = io::Error>>(
    wrap: fn(Pipe) -> T,
) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let mut socket = open_server(wrap(ours), &time, Settings::new().write_timeout(None));
        socket.reply().send(&[7; 300_000][..]).unwrap();
        (events(socket).await, time.now())
    };
    let peer = async {
        time.sleep(20 * SECOND).await;
        theirs.write_all(b"\x88\x80\0\0\0\0").await;
        time.sleep(1000 * SECOND).await;
    };
    let (((events, failure), ended), ()) = time.run(join(serve, peer));
    assert_eq!(events, ["close 1005"]);
    assert!(matches!(failure, Some(Failure::WriteTimeout)), "{failure:?}");
    assert!(ended >= 22 * SECOND && ended <= 24 * SECOND, "{ended:?}");
}

/// A stream that always has bytes: time passes while they are read.
struct Flood(Time);

impl Transport for Flood {
    type Error = io::Error;
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.pass(SECOND / 100);
        buffer.fill(0);
        Poll::Ready(Ok(buffer.len()))
    }
    fn poll_write(&mut self, _: &mut Context<'_>, first: &[u8], _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(first.len()))
    }
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_peer_that_sends_for_ever_after_the_close_is_dropped_in_time() {
    let time = Time::default();
    // Unmasked frames fail the connection.
    let mut socket = open_server(Flood(time.clone()), &time, Settings::new());
    time.run(async { while socket.next().await.is_some() {} });
    assert!(time.now() < 3 * SECOND, "{:?}", time.now());
}
