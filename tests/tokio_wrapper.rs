//! The driver for tokio in `examples/wrapper`: dropping `next` loses and duplicates nothing.

#[path = "../examples/wrapper/main.rs"]
#[allow(dead_code)]
mod wrapper;

use futures_util::FutureExt;
use rand::{SeedableRng, rngs::StdRng};
use sansocket::{Client, CloseCode, Config, Connect, Error, Event, Message, Server, State, WebSocket};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;
use wrapper::Connection;

type ClientConnection = Connection<DuplexStream, Client<StdRng>>;

const DEADLINE: Duration = Duration::from_secs(60);

fn client(stream: DuplexStream, uri: &str) -> ClientConnection {
    let ws = WebSocket::client(Config::default(), StdRng::seed_from_u64(6455));
    let mut connection = Connection::new(stream, ws);
    connection.ws.connect(Connect::from_uri(uri).unwrap(), &mut connection.outbox).unwrap();
    connection
}

fn server(stream: DuplexStream) -> Connection<DuplexStream, Server> {
    Connection::new(stream, WebSocket::server(Config::default()))
}

/// The payload of a message: its number, and text of varying length.
fn payload(number: usize) -> String {
    format!("{number}:{}", "aé€😀".repeat(number * 7 % 60))
}

fn message(number: usize, payload: &str) -> Message<'_> {
    if number.is_multiple_of(2) { Message::Text(payload) } else { Message::Binary(payload.as_bytes()) }
}

/// Polls `next` once and drops it. If it is not ready, it is cancelled at the await that it has
/// reached.
macro_rules! next_or_cancel {
    ($connection:expr, $cancelled:expr) => {
        match $connection.next().now_or_never() {
            Some(next) => next,
            None => {
                $cancelled += 1;
                yield_now().await;
                continue;
            }
        }
    };
}

/// Echoes messages until the connection ends; returns how often `next` was cancelled.
async fn echo(mut connection: Connection<DuplexStream, Server>) -> usize {
    let mut cancelled = 0;
    loop {
        let Some((event, ws, outbox)) = next_or_cancel!(connection, cancelled) else { return cancelled };
        match event {
            Event::Request(request) => ws.accept(request.accept(), outbox).unwrap(),
            Event::Message(message) => ws.send(message, outbox).unwrap(),
            Event::Error(error) => panic!("{error}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn thousands_of_cancellations_lose_and_duplicate_nothing() {
    const COUNT: usize = 1000;
    // The stream has a capacity of 7 bytes, so a head and most frames take several writes.
    let (near, far) = duplex(7);
    let server = tokio::spawn(echo(server(far)));
    let mut client = client(near, "ws://a/");
    let (mut cancelled, mut sent, mut received, mut pongs, mut closed) = (0, 0, 0, 0, None);
    let exchange = async {
        loop {
            // A few messages at a time are on the way in both directions.
            let (ws, outbox) = (&mut client.ws, &mut client.outbox);
            while ws.state() == State::Open && sent < COUNT && sent < received + 4 {
                ws.send(message(sent, &payload(sent)), outbox).unwrap();
                if sent % 10 == 0 {
                    ws.ping(&sent.to_be_bytes(), outbox).unwrap();
                }
                sent += 1;
            }
            let Some((event, ws, outbox)) = next_or_cancel!(client, cancelled) else { break };
            match event {
                Event::Message(got) => {
                    let expected = payload(received);
                    assert_eq!(got, message(received, &expected));
                    received += 1;
                    if received == COUNT {
                        ws.close(CloseCode::NORMAL, "done", outbox).unwrap();
                    }
                }
                Event::Pong(payload) => {
                    let number = usize::from_be_bytes(payload[..].try_into().unwrap());
                    assert!(number >= pongs, "each Pong comes once and in order");
                    pongs = number + 1;
                }
                Event::Error(error) => panic!("{error}"),
                Event::Close(close) => assert!(closed.replace(close).is_none(), "a second Close"),
                _ => {}
            }
        }
    };
    timeout(DEADLINE, exchange).await.expect("within the deadline");
    let by_server = timeout(DEADLINE, server).await.expect("within the deadline").unwrap();
    assert_eq!((sent, received), (COUNT, COUNT));
    assert!(closed.is_some_and(|close| close.clean));
    assert!(cancelled > 5000 && by_server > 5000, "{cancelled}, {by_server}");
    // After the end, `next` returns `None` again.
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn a_request_can_be_accepted_later_and_frames_after_it_are_kept() {
    let (mut near, far) = duplex(1 << 16);
    // The request, and a message right behind it.
    let request = "GET /?token=alice HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let glued = [&[0x81, 0x85, 0, 0, 0, 0][..], b"glued"].concat();
    near.write_all(&[request.as_bytes(), &glued].concat()).await.unwrap();

    let mut server = server(far);
    let accept = match server.next().await {
        Some((Event::Request(request), ..)) => request.accept(),
        other => panic!("{:?}", other.map(|(event, ..)| event)),
    };
    // During the lookup, `next` returns nothing and can be dropped any number of times.
    let (found, mut lookup) = oneshot::channel();
    let (mut found, mut cancelled) = (Some(found), 0);
    loop {
        tokio::select! {
            known = &mut lookup => break known.unwrap(),
            next = server.next() => panic!("{:?}", next.map(|(event, ..)| event)),
            () = tokio::time::sleep(Duration::from_millis(1)) => cancelled += 1,
        }
        if cancelled == 10 {
            let _ = found.take().map(|found| found.send(()));
        }
    }
    assert!(server.ws.awaits_caller());
    server.ws.accept(accept, &mut server.outbox).unwrap();

    assert!(matches!(server.next().await, Some((Event::Open(_), ..))));
    match server.next().await {
        Some((Event::Message(message), ws, outbox)) => {
            assert_eq!(message, Message::Text("glued"));
            ws.send(message, outbox).unwrap();
        }
        other => panic!("{:?}", other.map(|(event, ..)| event)),
    }
    // The next call of `next` sends the answer, even if it is dropped.
    assert!(server.next().now_or_never().is_none());
    let mut response = vec![0; 4096];
    let len = near.read(&mut response).await.unwrap();
    assert!(response.starts_with(b"HTTP/1.1 101 ") && response[..len].ends_with(b"\x81\x05glued"));
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_the_server_and_loses_nothing() {
    const COUNT: usize = 1000;
    let (near, far) = duplex(1024);
    let serving = tokio::spawn(async move {
        let mut server = server(far);
        let mut most = 0;
        while let Some((event, ws, outbox)) = server.next().await {
            match event {
                Event::Request(request) => ws.accept(request.accept(), outbox).unwrap(),
                Event::Message(message) => ws.send(message, outbox).unwrap(),
                Event::Error(error) => panic!("{error}"),
                _ => {}
            }
            most = most.max(server.outbox.len());
        }
        most
    });
    // The client does not use the wrapper, so that it can write without reading.
    let mut ws = WebSocket::client(Config::default(), StdRng::seed_from_u64(1));
    let (mut inbox, mut outbox, mut buffer) = (Vec::new(), Vec::new(), vec![0; 512]);
    let (mut reader, mut writer) = tokio::io::split(near);
    ws.connect(Connect::new("a", "/"), &mut outbox).unwrap();
    writer.write_all(&outbox).await.unwrap();
    while ws.state() != State::Open {
        let len = reader.read(&mut buffer).await.unwrap();
        let mut input = &mut buffer[..len];
        while ws.receive(&mut input, &mut inbox).is_some() {}
    }
    outbox.clear();
    let body = vec![b'x'; 1000];
    (0..COUNT).for_each(|_| ws.send(&body[..], &mut outbox).unwrap());
    ws.close(CloseCode::NORMAL, "", &mut outbox).unwrap();
    let total = outbox.len();
    let (progress, mut written) = tokio::sync::watch::channel(0);
    let writing = tokio::spawn(async move {
        let mut at = 0;
        while at < outbox.len() {
            at += writer.write(&outbox[at..]).await.unwrap();
            progress.send(at).unwrap();
        }
    });
    // Writing stops long before the end.
    while let Ok(changed) = timeout(Duration::from_millis(200), written.changed()).await {
        changed.unwrap();
    }
    let halted = *written.borrow();
    assert!(halted < total / 2, "{halted} of {total} bytes were accepted though no answer was read");
    // Then the client reads slowly.
    let mut received = 0;
    let reading = async {
        loop {
            let len = reader.read(&mut buffer).await.unwrap();
            if len == 0 {
                ws.receive_eof();
            }
            let mut input = &mut buffer[..len];
            while let Some(event) = ws.receive(&mut input, &mut inbox) {
                match event {
                    Event::Message(message) => {
                        assert!(message.as_bytes() == body);
                        received += 1;
                    }
                    Event::Close(close) => assert!(close.clean),
                    other => panic!("{other:?}"),
                }
            }
            if len == 0 {
                break;
            }
            yield_now().await;
        }
    };
    timeout(DEADLINE, reading).await.expect("within the deadline");
    assert_eq!(received, COUNT);
    writing.await.unwrap();
    drop(reader);
    let most = timeout(DEADLINE, serving).await.expect("within the deadline").unwrap();
    assert!(most < 160_000, "the outbox held {most} bytes");
}

#[tokio::test]
async fn a_peer_that_answers_pings_stays_and_a_silent_one_is_dropped() {
    let brief = |millis| Some(Duration::from_millis(millis));
    let config = Config::new().idle_ping(brief(20)).pong_timeout(brief(100));
    let (near, far) = duplex(7);
    let mut server = Connection::new(far, WebSocket::server(config));
    let mut client = client(near, "ws://a/");
    // The client answers Pings while it is polled.
    let mut pongs = 0;
    let talking = async {
        loop {
            tokio::select! {
                Some((event, ws, outbox)) = server.next() => match event {
                    Event::Request(request) => ws.accept(request.accept(), outbox).unwrap(),
                    Event::Pong(_) => pongs += 1,
                    Event::Open(_) => {}
                    other => panic!("{other:?}"),
                },
                Some((event, ..)) = client.next() => assert!(matches!(event, Event::Open(_) | Event::Ping(_))),
            }
            if pongs == 5 {
                break;
            }
        }
    };
    timeout(DEADLINE, talking).await.expect("within the deadline");
    // The client is not polled any more.
    let ending = async {
        match server.next().await {
            Some((Event::Error(Error::PongTimeout), ..)) => {}
            other => panic!("{:?}", other.map(|(event, ..)| event)),
        }
        assert!(matches!(server.next().await, Some((Event::Close(_), ..))));
        assert!(server.next().await.is_none());
    };
    timeout(DEADLINE, ending).await.expect("within the deadline");
}

#[tokio::test]
async fn a_peer_that_takes_a_byte_at_a_time_is_given_up() {
    let (near, far) = duplex(1024);
    let mut server = Connection::new(far, WebSocket::<Server>::open(Config::default()));
    server.write_timeout = Duration::from_millis(200);
    server.ws.send(&[0; 100_000][..], &mut server.outbox).unwrap();
    let (mut reader, _writer) = tokio::io::split(near);
    let reading = tokio::spawn(async move {
        while reader.read(&mut [0]).await.is_ok_and(|len| len > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let ending = async {
        assert!(matches!(server.next().await, Some((Event::Error(Error::EndOfStream), ..))));
        while server.next().await.is_some() {}
    };
    timeout(DEADLINE, ending).await.expect("within the deadline");
    reading.abort();
}
