//! Connections over TCP on this machine, with smol.

mod exchange;

use sansocket_io::futures_io::{Server, ServerSocket, accept, accept_on, connect, connect_with};
use sansocket_io::sansocket::Error;
use sansocket_io::{AcceptError, CloseCode, Config, Connect, Event, OpenError, Reject, Settings};
use smol::channel::Sender;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::{Task, block_on};
use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
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

/// Runs a server: its URI, what stops it, and its task.
async fn start(change: impl FnOnce(Server) -> Server) -> (String, Sender<()>, Task<()>) {
    let server = change(Server::bind("127.0.0.1:0").await.unwrap());
    let uri = format!("ws://{}/", server.local_addr().unwrap());
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    let spawn = |task| smol::spawn(task).detach();
    let handler = |mut socket: ServerSocket, _| async move {
        if socket.accept(|request| Ok(request.accept())).await.is_ok() {
            echo(socket).await;
        }
    };
    let task = smol::spawn(async move { server.run(stopped.recv(), spawn, handler).await });
    (uri, stop, task)
}

/// Two clients are served, the third waits; all are told that the server goes away.
#[test]
fn a_server_limits_its_connections_and_stops_in_order() {
    block_on(async {
        let (uri, stop, running) = start(|server| server.max_connections(2)).await;
        let (mut first, mut second) = (connect(&uri).await.unwrap(), connect(&uri).await.unwrap());
        let third = Connect::from_uri(&uri).unwrap();
        let config = Config::new().handshake_timeout(Some(Duration::from_millis(100)));
        let error =
            connect_with(third, Settings::new().config(config), |_| ()).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, OpenError::Server(Error::HandshakeTimeout)), "{error}");
        first.reply().close(CloseCode::NORMAL, "").unwrap();
        while first.next().await.is_some() {}
        let mut third = connect(&uri).await.unwrap();
        stop.send(()).await.unwrap();
        for client in [&mut third, &mut second] {
            match client.next().await {
                Some((Event::Close(close), _)) => assert_eq!(close.code, CloseCode::GOING_AWAY),
                other => panic!("{other:?}"),
            }
            assert!(client.next().await.is_none());
        }
        running.await;
        assert!(connect(&uri).await.is_err());
    });
}

#[test]
fn a_server_drops_those_that_stay() {
    block_on(async {
        let (uri, stop, running) = start(|server| server.grace(Duration::from_millis(50))).await;
        let stays = connect(&uri).await.unwrap();
        stop.send(()).await.unwrap();
        running.await;
        let mut left = vec![];
        stays.into_transport().0.0.read_to_end(&mut left).await.unwrap();
        assert_eq!(left, b"\x88\x02\x03\xE9");

        // The server itself is dropped.
        let (uri, _stop, running) = start(|server| server).await;
        let mut socket = connect(&uri).await.unwrap();
        running.cancel().await;
        assert!(matches!(socket.next().await, Some((Event::Error(Error::EndOfStream), _))));
    });
}

#[test]
fn a_handler_that_panics_frees_its_place() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap().max_connections(1);
        let uri = format!("ws://{}/", server.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let handler = move |mut socket: ServerSocket, _| {
            let call = calls.fetch_add(1, SeqCst);
            async move {
                assert!(call > 0, "the first call fails");
                socket.accept(|request| Ok(request.accept())).await.unwrap();
                echo(socket).await;
            }
        };
        let spawn = |task| smol::spawn(task).detach();
        let _running = smol::spawn(async move { server.run(pending::<()>(), spawn, handler).await });
        assert!(connect(&uri).await.is_err());
        connect(&uri).await.unwrap();
    });
}

#[test]
fn errors_of_connections_that_are_not_served_are_reported() {
    block_on(async {
        let (report, reports) = smol::channel::unbounded();
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let server = server.on_error(move |error| report.try_send(error.kind()).unwrap());
        let uri = format!("ws://{}/", server.local_addr().unwrap());
        let prepare = async |_: TcpStream| Err::<ServerSocket, _>(ErrorKind::InvalidData.into());
        let spawn = |task| smol::spawn(task).detach();
        let run = server.run_with(pending::<()>(), spawn, prepare, async |_, _| unreachable!());
        let _running = smol::spawn(run);
        assert!(connect(&uri).await.is_err());
        assert_eq!(reports.recv().await, Ok(ErrorKind::InvalidData));
    });
}
