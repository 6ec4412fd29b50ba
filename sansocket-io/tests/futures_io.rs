//! Connections over TCP on this machine, with smol.

mod exchange;

use sansocket_io::futures_io::{ServerSocket, accept, accept_on, connect, connect_with};
use sansocket_io::sansocket::Error;
use sansocket_io::{AcceptError, Config, Connect, Event, OpenError, Reject, Settings};
use smol::io::AsyncWriteExt;
use smol::net::{TcpListener, TcpStream};
use smol::{Task, block_on};
use std::io;
use std::time::Duration;

/// Serves one connection: the URI to connect to, and the task.
async fn serve<F: Future<Output: Send + 'static> + Send + 'static>(
    handle: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (String, Task<F::Output>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/chat", listener.local_addr().unwrap());
    let task = smol::spawn(async move { handle(listener.accept().await.unwrap().0).await });
    (uri, task)
}

/// That it can be spawned shows that its future is `Send`.
async fn echo(mut socket: ServerSocket) {
    while let Some((event, reply)) = socket.next().await {
        if let Event::Message(message) = event {
            reply.send(message).unwrap();
            reply.flush().await;
        }
    }
}

#[test]
fn messages_of_all_sizes_are_echoed() {
    block_on(async {
        let (uri, server) =
            serve(async |stream| echo(accept(stream, |request| Ok(request.accept())).await.unwrap()).await)
                .await;
        exchange::messages_of_all_sizes(connect(&uri).await.unwrap()).await;
        server.await;
    });
}

#[test]
fn a_refusal_carries_its_status_and_headers() {
    block_on(async {
        let (uri, server) = serve(async |stream| {
            let rejected =
                accept(stream, |_| Err(Reject::status(401).headers(&[("WWW-Authenticate", "Basic")])));
            rejected.await.map(|_| ())
        })
        .await;
        match connect(&uri).await {
            Err(OpenError::Refused(refusal)) => {
                let header = refusal.header("www-authenticate");
                assert_eq!((refusal.status, header), (401, Some(&b"Basic"[..])));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(server.await, Err(AcceptError::Rejected)));
    });
}

#[test]
fn a_subprotocol_is_selected() {
    block_on(async {
        let (uri, server) = serve(async |stream| {
            let select = accept(stream, |request| request.select(&["v2"]).ok_or(Reject::status(400)));
            select.await.map(|_| ())
        })
        .await;
        let connect = Connect::from_uri(&uri).unwrap().protocols(&["v1", "v2"]);
        let protocol = connect_with(connect, Settings::new(), |open| open.protocol().map(str::to_owned));
        assert_eq!(protocol.await.unwrap().1.as_deref(), Some("v2"));
        server.await.unwrap();
    });
}

#[test]
fn what_fails_before_a_connection_says_which_side() {
    block_on(async {
        let kind = |result: Result<_, OpenError<io::Error>>| result.map(|_| ()).unwrap_err().to_string();
        assert!(kind(connect("http://localhost/").await).starts_with("the request is invalid"));
        assert!(kind(connect("wss://localhost/").await).starts_with("the URI's scheme"));
        assert!(kind(connect("ws://127.0.0.1:1/").await).starts_with("the server cannot be reached"));
        let (uri, _server) =
            serve(async |mut stream: TcpStream| stream.write_all(b"SSH-2.0\r\n\r\n").await).await;
        assert!(kind(connect(&uri).await).starts_with("the server failed"));
    });
}

/// The timer is moved lazily: it runs out early for a deadline that has moved, and again for it.
#[test]
fn the_timeouts_of_the_protocol_are_kept() {
    let config = Config::new()
        .idle_ping(Some(Duration::from_millis(50)))
        .pong_timeout(Some(Duration::from_millis(50)));
    let settings = Settings::new().config(config);
    block_on(async {
        let (uri, server) = serve(async move |stream| {
            let mut socket = accept_on(stream, settings, |request| Ok(request.accept())).await.unwrap();
            let mut messages = 0;
            while let Some((event, _)) = socket.next().await {
                match event {
                    Event::Message(_) => messages += 1,
                    Event::Error(error) => return (messages, error),
                    _ => {}
                }
            }
            panic!("no error after {messages}");
        })
        .await;
        let mut socket = connect(&uri).await.unwrap();
        for _ in 0..10 {
            socket.reply().send("I am here").unwrap();
            socket.reply().flush().await;
            smol::Timer::after(Duration::from_millis(20)).await;
        }
        // It answers no Ping.
        assert_eq!(server.await, (10, Error::PongTimeout));
    });
}
