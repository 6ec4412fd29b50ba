//! Connections over TCP on this machine, with tokio.

mod exchange;

use sansocket_io::sansocket::{Error, RequestError};
use sansocket_io::tokio::{ServerSocket, TokioClock, accept, connect, connect_with, open};
use sansocket_io::{AcceptError, Clock, CloseCode, Connect, Event, Message, OpenError, Reject, Settings};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Serves one connection: the URI to connect to, and the task.
async fn serve<F: Future<Output: Send + 'static> + Send + 'static>(
    handle: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (String, JoinHandle<F::Output>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/chat", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { handle(listener.accept().await.unwrap().0).await });
    (uri, task)
}

async fn echo(mut socket: ServerSocket) {
    while let Some((event, reply)) = socket.next().await {
        if let Event::Message(message) = event {
            reply.send(message).unwrap();
        }
    }
}

#[tokio::test]
async fn messages_of_all_sizes_are_echoed() {
    let (uri, server) =
        serve(async |stream| echo(accept(stream, |request| Ok(request.accept())).await.unwrap()).await).await;
    exchange::messages_of_all_sizes(connect(&uri).await.unwrap()).await;
    server.await.unwrap();
}

#[tokio::test]
async fn a_refusal_carries_its_status_and_headers() {
    let (uri, server) = serve(async |stream| {
        accept(stream, |request| {
            assert_eq!(request.target(), "/chat");
            Err(Reject::status(401).headers(&[("WWW-Authenticate", "Basic")]).body(b"who are you?"))
        })
        .await
        .map(|_| ())
    })
    .await;
    match connect(&uri).await {
        Err(OpenError::Refused(refusal)) => {
            assert_eq!((refusal.status, refusal.header("www-authenticate")), (401, Some(&b"Basic"[..])));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(server.await.unwrap(), Err(AcceptError::Rejected)));
}

#[tokio::test]
async fn a_subprotocol_is_selected() {
    let (uri, server) = serve(async |stream| {
        let accepted = accept(stream, |request| request.select(&["v2"]).ok_or(Reject::status(400))).await;
        accepted.map(|_| ())
    })
    .await;
    let connect = Connect::from_uri(&uri).unwrap().protocols(&["v1", "v2"]);
    let protocol = connect_with(connect, Settings::new(), |open| open.protocol().map(str::to_owned)).await;
    assert_eq!(protocol.unwrap().1.as_deref(), Some("v2"));
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_bad_request_is_answered() {
    let (uri, server) =
        serve(async |stream| accept(stream, |request| Ok(request.accept())).await.map(|_| ())).await;
    let mut stream =
        TcpStream::connect(uri.trim_start_matches("ws://").trim_end_matches("/chat")).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let error = server.await.unwrap().unwrap_err();
    assert!(
        matches!(error, AcceptError::Client(Error::Request(RequestError::MethodNotAllowed))),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_fails_before_a_connection_says_which_side() {
    let kind = |result: Result<_, OpenError<io::Error>>| result.map(|_| ()).unwrap_err().to_string();
    assert!(kind(connect("http://localhost/").await).starts_with("the request is invalid"));
    assert!(kind(connect("wss://localhost/").await).starts_with("the URI's scheme"));
    assert!(kind(connect("ws://127.0.0.1:1/").await).starts_with("the server cannot be reached"));
    let (uri, _server) =
        serve(async |mut stream: TcpStream| stream.write_all(b"SSH-2.0\r\n\r\n").await).await;
    assert!(kind(connect(&uri).await).starts_with("the server failed"));
}

#[tokio::test]
async fn the_futures_move_between_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (uri, server) = serve(|stream| {
        is_send(async move {
            let mut socket = is_send(accept(stream, |request| Ok(request.accept()))).await.unwrap();
            while let Some((event, reply)) = is_send(socket.next()).await {
                if let Event::Message(Message::Text(text)) = event {
                    reply.send(text).unwrap();
                    is_send(reply.flush()).await;
                }
            }
        })
    })
    .await;
    let mut socket = is_send(connect(&uri)).await.unwrap();
    socket.reply().send("text").unwrap();
    match socket.next().await {
        Some((Event::Message(Message::Text("text")), reply)) => reply.close(CloseCode::NORMAL, "").unwrap(),
        other => panic!("{other:?}"),
    }
    while socket.next().await.is_some() {}
    server.await.unwrap();
}

/// A task that has used up its budget gets no timer of tokio: its clock must not take it as set.
#[tokio::test(start_paused = true)]
async fn the_clock_wakes_a_task_that_had_no_budget_left() {
    let mut clock = TokioClock::new();
    let mut is_first = true;
    let alarm = poll_fn(|cx| {
        while std::mem::take(&mut is_first) {
            while pin!(tokio::task::consume_budget()).poll(cx).is_ready() {}
        }
        clock.poll_until(cx, Duration::from_secs(1))
    });
    tokio::time::timeout(Duration::from_secs(60), alarm).await.unwrap();
}

#[tokio::test]
async fn other_tasks_have_their_turn_between_many_events() {
    const COUNT: usize = 1000;
    let (ours, mut theirs) = duplex(1 << 16);
    theirs.write_all(&b"\x82\x80\0\0\0\0".repeat(COUNT)).await.unwrap();
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let mut socket = open(ours, Settings::new());
    for _ in 0..COUNT {
        assert!(matches!(socket.next().await, Some((Event::Message(_), _))));
    }
    assert!(turns.load(Relaxed) >= COUNT / 128, "{turns:?}");
}
