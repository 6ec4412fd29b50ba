//! Messages that other tasks send: in order, bounded, and with an end.

use crate::world::{Pipe, Time, join, pipe};
use crate::{open_client, open_server, over_each_stream, server};
use sansocket_io::sansocket::{SendError, Server, WebSocket};
use sansocket_io::{
    Broadcast, CloseCode, Event, Failure, Fixed, Message, Sender, Settings, Socket, Transport, TrySendError,
};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

over_each_stream! {
    messages_of_other_tasks_arrive_in_order
    a_full_queue_returns_the_message
    a_sender_waits_for_a_slow_peer
    a_close_follows_the_queued_messages
    an_abort_ends_the_connection_at_once
    an_abort_ends_the_wait_for_the_end_of_the_stream
    an_abort_ends_a_flush
    a_close_before_the_connection_is_open_ends_it
    an_outbox_of_fixed_size_loses_no_message
}

const SECOND: Duration = Duration::from_secs(1);
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xE8";

fn messages_of_other_tasks_arrive_in_order<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    for piece in [1, 3, 777, 100_000] {
        let time = Time::default();
        let (ours, theirs) = pipe(piece, 100_000);
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        let sender = socket.reply().sender();
        let serve = async { while socket.next().await.is_some() {} };
        let send = async {
            for number in 0..50 {
                // The connection is idle now and then.
                if number % 7 == 0 {
                    time.sleep(SECOND).await;
                }
                sender.clone().send(number.to_string().as_str()).await.unwrap();
            }
            sender.close(CloseCode(4000), "done").unwrap();
            assert!(sender.is_closed());
        };
        let receive = async {
            let mut socket = open_client(theirs, &time);
            let mut got = vec![];
            while let Some((event, _)) = socket.next().await {
                match event {
                    Event::Message(Message::Text(text)) => got.push(text.parse::<i32>().unwrap()),
                    Event::Close(close) => assert_eq!(close.to_string(), "4000 done (clean)"),
                    other => panic!("{other:?}"),
                }
            }
            assert!(got.into_iter().eq(0..50));
        };
        time.run(join(serve, join(send, receive)));
        assert!(time.now() < 9 * SECOND);
    }
}

fn a_full_queue_returns_the_message<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, _theirs) = pipe(4096, 1000);
    let settings = Settings::new().max_queued(1000).max_unsent(1000);
    let mut socket = open_server(wrap(ours), &time, settings);
    let sender = socket.reply().sender();
    // One message may be longer than the queue.
    let long = Broadcast::from(vec![1; 5000]);
    sender.try_send(&long).unwrap();
    assert_eq!(sender.try_send("more"), Err(TrySendError::Full("more".into())));
    let serve = async {
        while socket.next().await.is_some() {}
        assert!(matches!(socket.failure(), Some(Failure::WriteTimeout)));
    };
    let send = async {
        time.sleep(SECOND).await;
        // The outbox has taken it, and takes no more: the peer does not read.
        let queued = (0..100).take_while(|_| sender.try_send("").is_ok()).count();
        assert_eq!((queued, sender.queued()), (15, 15 * 64));
        sender.send("waits").await.unwrap_err();
        assert_eq!(sender.try_send("late"), Err(TrySendError::Closed("late".into())));
        assert_eq!(sender.queued(), 0);
    };
    time.run(join(serve, send));
    assert!(time.now() < 35 * SECOND);
}

fn a_sender_waits_for_a_slow_peer<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 1000);
    let settings = Settings::new().max_queued(1000).max_unsent(1000);
    let mut socket = open_server(wrap(ours), &time, settings);
    let (one, other) = (socket.reply().sender(), socket.reply().sender());
    let message = Broadcast::from([7; 500].as_slice());
    let send = async |sender: &Sender| {
        for _ in 0..20 {
            sender.send(&message).await.unwrap();
        }
    };
    let send = async {
        join(send(&one), send(&other)).await;
        assert!(time.now() > 16 * SECOND, "{:?}", time.now());
        one.close(CloseCode::NORMAL, "").unwrap();
    };
    let read = async {
        for _ in 0..40 {
            time.sleep(SECOND / 2).await;
            assert_eq!(theirs.read_exact(504).await[..5], *b"\x82\x7E\x01\xF4\x07");
        }
        theirs.write_all(CLOSE).await;
        assert_eq!(theirs.read_to_end().await, b"\x88\x02\x03\xE8");
    };
    let serve = async {
        while let Some((event, _)) = socket.next().await {
            assert!(matches!(event, Event::Close(_)), "{event:?}");
        }
    };
    time.run(join(serve, join(send, read)));
}

fn a_close_follows_the_queued_messages<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 1000);
    let mut socket = open_server(wrap(ours), &time, Settings::new());
    let sender = socket.reply().sender();
    assert_eq!(sender.close(CloseCode(1006), ""), Err(SendError::InvalidCode));
    assert_eq!(sender.close(CloseCode::NORMAL, &"a".repeat(124)), Err(SendError::TooLong));
    for _ in 0..10 {
        sender.try_send([7; 300].as_slice()).unwrap();
    }
    sender.close(CloseCode::GOING_AWAY, "bye").unwrap();
    sender.close(CloseCode::NORMAL, "ignored").unwrap();
    assert_eq!(sender.try_send("late"), Err(TrySendError::Closed("late".into())));
    let serve = async { while socket.next().await.is_some() {} };
    let read = async {
        theirs.read_exact(3040).await;
        assert_eq!(theirs.read_exact(7).await, b"\x88\x05\x03\xE9bye");
        theirs.write_all(CLOSE).await;
        theirs.end();
    };
    time.run(join(serve, read));
}

fn an_abort_ends_the_connection_at_once<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    // While it is idle, while much is unsent, and while it waits for the peer's Close frame.
    for state in 0..3 {
        let time = Time::default();
        let (ours, _theirs) = pipe(4096, 1000);
        let mut socket = open_server(wrap(ours), &time, Settings::new());
        let sender = socket.reply().sender();
        match state {
            0 => {}
            1 => sender.try_send(vec![7; 300_000]).unwrap(),
            _ => sender.close(CloseCode::NORMAL, "").unwrap(),
        }
        let serve = async {
            let mut events = vec![];
            while let Some((event, _)) = socket.next().await {
                events.push(format!("{event:?}"));
            }
            assert_eq!(events.len(), 2, "{events:?}");
            assert!(matches!(socket.failure(), Some(Failure::Aborted)), "{:?}", socket.failure());
        };
        let abort = async {
            time.sleep(SECOND).await;
            sender.abort();
        };
        time.run(join(serve, abort));
        assert_eq!(time.now(), SECOND);
    }
}

fn an_abort_ends_the_wait_for_the_end_of_the_stream<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 1000);
    let mut socket = open_server(wrap(ours), &time, Settings::new());
    let sender = socket.reply().sender();
    let serve = async { while socket.next().await.is_some() {} };
    let abort = async {
        theirs.write_all(CLOSE).await;
        time.sleep(SECOND).await;
        sender.abort();
    };
    // The peer's Close frame is there before the connection first waits.
    time.run(join(abort, serve));
    assert_eq!(time.now(), SECOND);
    assert!(matches!(socket.failure(), Some(Failure::Aborted)), "{:?}", socket.failure());
}

fn an_abort_ends_a_flush<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, _theirs) = pipe(4096, 1000);
    let mut socket = open_server(wrap(ours), &time, Settings::new());
    let sender = socket.reply().sender();
    socket.reply().send(&[7; 300_000][..]).unwrap();
    let serve = async {
        socket.reply().flush().await;
        while socket.next().await.is_some() {}
    };
    let abort = async {
        time.sleep(SECOND).await;
        sender.try_send("is not sent").unwrap();
        time.sleep(SECOND).await;
        sender.abort();
    };
    time.run(join(serve, abort));
    assert_eq!(time.now(), 2 * SECOND);
    assert!(matches!(socket.failure(), Some(Failure::Aborted)), "{:?}", socket.failure());
}

fn a_close_before_the_connection_is_open_ends_it<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, _theirs) = pipe(4096, 1000);
    let mut socket = server(wrap(ours), &time, Settings::new());
    let sender = socket.reply().sender();
    sender.try_send("for later").unwrap();
    let serve = async {
        while socket.next().await.is_some() {}
        assert!(matches!(socket.failure(), Some(Failure::Aborted)), "{:?}", socket.failure());
    };
    let close = async {
        time.sleep(SECOND).await;
        assert!(sender.queued() > 0);
        sender.close(CloseCode::GOING_AWAY, "").unwrap();
    };
    time.run(join(serve, close));
    assert_eq!(time.now(), SECOND);
}

fn an_outbox_of_fixed_size_loses_no_message<T: Transport<Error = io::Error>>(wrap: fn(Pipe) -> T) {
    let time = Time::default();
    let (ours, mut theirs) = pipe(3, 100);
    let ws = WebSocket::<Server>::open(Default::default());
    let memory = Fixed::<64, 300, 700>::new();
    let mut socket = Socket::new(wrap(ours), time.clone(), ws, memory, Settings::new());
    let sender = socket.reply().sender();
    for len in 0..300 {
        sender.try_send(vec![7; len]).unwrap();
    }
    sender.try_send(vec![7; 1000]).unwrap();
    sender.try_send("after one that is too long").unwrap();
    sender.close(CloseCode::NORMAL, "").unwrap();
    let serve = async { while socket.next().await.is_some() {} };
    let read = async {
        for len in 0..300 {
            let header = if len < 126 { 2 } else { 4 };
            theirs.read_exact(header + len).await;
        }
        assert_eq!(theirs.read_exact(28).await[2..], *b"after one that is too long");
        assert_eq!(theirs.read_exact(4).await, b"\x88\x02\x03\xE8");
        theirs.write_all(CLOSE).await;
        theirs.end();
    };
    time.run(join(serve, read));
}

#[test]
fn a_dropped_connection_closes_its_senders() {
    let time = Time::default();
    let (ours, _theirs) = pipe(3, 100);
    let mut socket = open_server(ours, &time, Settings::new().max_queued(10));
    let sender = socket.reply().sender();
    sender.try_send("one").unwrap();
    let waits = sender.send("two");
    let dropped = async { drop(socket) };
    let (waited, ()) = time.run(join(waits, dropped));
    assert_eq!(waited.unwrap_err().0.message(), Message::Text("two"));
    assert!(sender.is_closed());
}

/// A stream whose writes panic.
struct Panics;

impl Transport for Panics {
    type Error = io::Error;
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
    fn poll_write(&mut self, _: &mut Context<'_>, _: &[u8], _: &[u8]) -> Poll<io::Result<usize>> {
        panic!("the transport panics");
    }
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_transport_that_panics_closes_the_senders() {
    let time = Time::default();
    let mut socket = open_server(Panics, &time, Settings::new().max_queued(10));
    let sender = socket.reply().sender();
    sender.try_send(vec![1; 5000]).unwrap();
    let mut waits = pin!(sender.send("waits"));
    assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let next = AssertUnwindSafe(|| time.run(socket.next()).is_some());
    assert!(catch_unwind(next).is_err());
    drop(socket);
    time.run(waits).unwrap_err();
}

#[test]
fn a_thread_waits_for_room() {
    let time = Time::default();
    let (ours, mut theirs) = pipe(4096, 4096);
    let mut socket = open_server(ours, &time, Settings::new().max_queued(10));
    let sender = socket.reply().sender();
    let thread = std::thread::spawn(move || {
        for _ in 0..100 {
            sender.send_blocking("from a thread").unwrap();
        }
        sender.close(CloseCode::NORMAL, "").unwrap();
    });
    // The executor ends when nothing happens for an hour of virtual time, which passes at once.
    let serve = async {
        let mut got = 0;
        while got < 100 * 15 {
            poll_once(&mut socket).await;
            let mut buffer = [0; 4096];
            if let Poll::Ready(Ok(count)) = theirs.read(&mut Context::from_waker(Waker::noop()), &mut buffer)
            {
                got += count;
            }
        }
    };
    time.run(serve);
    thread.join().unwrap();
}

/// Polls the connection once, and wakes the task.
async fn poll_once(socket: &mut crate::ServerEnd<Pipe>) {
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        assert!(socket.poll_ready(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}
