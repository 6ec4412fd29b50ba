//! A connection as `Stream` and `Sink`.

use crate::world::{Pipe, Time, join, pipe};
use crate::{open_client, open_server, over_each_stream};
use futures_util::{SinkExt, StreamExt};
use sansocket_io::sansocket::{Error, Role};
use sansocket_io::stream::{Messages, StreamError};
use sansocket_io::{CloseCode, Failure, Memory, OwnedMessage, Settings, Transport};
use std::io;
use std::time::Duration;

over_each_stream! {
    messages_are_forwarded_back
    two_tasks_use_the_halves
    a_sink_waits_for_the_peer_and_fails_in_time
    a_failure_is_yielded_once
    a_fed_message_does_not_stop_the_writing_stream
    a_waiting_sink_does_not_delay_the_timers_of_the_stream
}

const SECOND: Duration = Duration::from_secs(1);

fn message(number: usize) -> OwnedMessage {
    let len = [0, 5, 125, 700, 70_000][number % 5];
    if number.is_multiple_of(2) { vec![number as u8; len].into() } else { "x".repeat(len).into() }
}

fn messages_are_forwarded_back<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    for piece in [3, 777] {
        let time = Time::default();
        let (ours, theirs) = pipe(piece, 4096);
        let serve = async {
            let (sink, stream) = Messages::new(open_server(wrap(ours), &time, Settings::new())).split();
            stream.forward(sink).await
        };
        let converse = async {
            let mut client = Messages::new(open_client(theirs, &time));
            for number in 0..20 {
                client.send(message(number)).await.unwrap();
                assert_eq!(client.next().await.unwrap().unwrap(), message(number));
            }
            client.close().await.unwrap();
            assert!(client.next().await.is_none());
            assert!(matches!(client.send("late".into()).await, Err(StreamError::Closed)));
            client.closed().cloned()
        };
        let (served, closed) = time.run(join(serve, converse));
        assert!(matches!(served, Ok(()) | Err(StreamError::Closed)), "{served:?}");
        assert_eq!(closed.unwrap().code, CloseCode::NORMAL);
    }
}

/// Both tasks wait for one stream of bytes: the one that is woken is not always the one that can go
/// on.
fn two_tasks_use_the_halves<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    for piece in [777, 4096] {
        let time = Time::default();
        let (ours, theirs) = pipe(piece, 4096);
        let server = send_and_receive(Messages::new(open_server(wrap(ours), &time, Settings::new())));
        let client = send_and_receive(Messages::new(open_client(theirs, &time)));
        time.run(join(server, client));
        assert!(time.now() < SECOND, "{:?}", time.now());
    }
}

async fn send_and_receive<R: Role, T: Transport<Error = io::Error>, M: Memory>(
    messages: Messages<R, T, Time, M>,
) {
    let (mut sink, mut stream) = messages.split();
    let send = async {
        for number in 0..100 {
            sink.feed(message(number)).await.unwrap();
        }
        sink.flush().await.unwrap();
    };
    let receive = async {
        for number in 0..100 {
            assert_eq!(stream.next().await.unwrap().unwrap(), message(number));
        }
    };
    join(send, receive).await;
}

fn a_sink_waits_for_the_peer_and_fails_in_time<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, theirs) = pipe(4096, 4096);
    let socket = open_server(wrap(ours), &time, Settings::new().max_unsent(10_000));
    let (mut sink, mut stream) = Messages::new(socket).split();
    let send = async {
        let mut sent = 0;
        loop {
            match sink.send(vec![0; 1000].into()).await {
                Ok(()) => sent += 1,
                Err(error) => return (sent, error),
            }
        }
    };
    let receive = async {
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(stream.next().await.is_none());
        error
    };
    let ((sent, error), end) = time.run(join(send, receive));
    assert!(matches!((sent, &error), (4, StreamError::Closed)), "{sent} {error}");
    assert!(matches!(end, StreamError::Transport(Failure::WriteTimeout)), "{end:?}");
    drop(theirs);
}

fn a_failure_is_yielded_once<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let serve = async {
        let messages = Messages::new(open_server(wrap(ours), &time, Settings::new()));
        messages.map(|message| message.map_err(|error| error.to_string())).collect::<Vec<_>>().await
    };
    let peer = async {
        theirs.write_all(b"\x81\x85\0\0\0\0Hello\x83\x80\0\0\0\0").await;
        theirs.read_to_end().await;
        theirs.end();
    };
    let (all, ()) = time.run(join(serve, peer));
    assert_eq!(all[0], Ok("Hello".into()));
    assert!(all.len() == 2 && all[1].is_err(), "{all:?}");
}

/// A large message is offered to the transport with a waker that does nothing.
fn a_fed_message_does_not_stop_the_writing_stream<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let (mut sink, mut stream) = Messages::new(open_server(wrap(ours), &time, Settings::new())).split();
    let send = async {
        // Each call starts to send the message of the call before.
        for _ in 0..4 {
            sink.feed(vec![1; 10_000].into()).await.unwrap();
            time.sleep(SECOND).await;
        }
    };
    let read = async {
        time.sleep(5 * SECOND).await;
        theirs.read_exact(3 * 10_004).await;
        theirs.end();
        theirs.read_to_end().await;
    };
    let receive = async { while stream.next().await.is_some() {} };
    time.run(join(receive, join(send, read)));
    assert!(time.now() < 10 * SECOND, "{:?}", time.now());
}

fn a_waiting_sink_does_not_delay_the_timers_of_the_stream<T: Transport<Error = io::Error>>(
    wrap: fn(Pipe) -> T,
) {
    let time = Time::default();
    // It takes the Ping, and no more.
    let (ours, theirs) = pipe(4096, 2);
    let (mut sink, mut stream) = Messages::new(open_server(wrap(ours), &time, Settings::new())).split();
    let send = async {
        time.sleep(40 * SECOND).await;
        sink.send("waits until 70 s".into()).await
    };
    let receive = async { (stream.next().await.unwrap().unwrap_err(), time.now(), stream.next().await) };
    let (sent, (error, at, end)) = time.run(join(send, receive));
    assert!(matches!(error, StreamError::Connection(Error::PongTimeout)), "{error}");
    assert!(at == 50 * SECOND && end.is_none(), "{at:?} {end:?}");
    drop((sent, theirs));
}
