//! The server of the tokio module: its limit, its end, other streams; and what it serves.

use sansocket_io::tokio::{Server, ServerSocket, connect, connect_on};
use sansocket_io::{Connect, Event, Message, Settings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

async fn echo(mut socket: ServerSocket, _: SocketAddr) {
    if socket.accept(|request| Ok(request.accept())).await.is_err() {
        return;
    }
    while let Some((event, reply)) = socket.next().await {
        if let Event::Message(message) = event {
            reply.send(message).unwrap();
        }
    }
}

/// Runs a server: its URI, what stops it, and its task.
async fn start(change: impl FnOnce(Server) -> Server) -> (String, Arc<Notify>, JoinHandle<()>) {
    let server = change(Server::bind("127.0.0.1:0").await.unwrap());
    let uri = format!("ws://{}/", server.local_addr().unwrap());
    let stop = Arc::new(Notify::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { server.run(stopped.notified(), echo).await });
    (uri, stop, task)
}

#[tokio::test]
async fn a_stopped_server_says_so_to_each_client() {
    let (uri, stop, task) = start(|server| server).await;
    let mut clients = vec![];
    for _ in 0..10 {
        let mut socket = connect(&uri).await.unwrap();
        clients.push(tokio::spawn(async move {
            let mut got = vec![];
            while let Some((event, _)) = socket.next().await {
                got.push(format!("{event:?}"));
            }
            got
        }));
    }
    // One that has not sent its request.
    let mut silent = TcpStream::connect(uri.trim_start_matches("ws://").trim_end_matches('/')).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.notify_one();
    for client in clients {
        let got = client.await.unwrap();
        assert!(got.len() == 1 && got[0].contains("1001"), "{got:?}");
    }
    let mut answer = vec![];
    let _ = silent.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    task.await.unwrap();
    assert!(connect(&uri).await.is_err());
}

#[tokio::test]
async fn a_peer_that_does_not_close_is_dropped_after_the_grace() {
    let (uri, stop, task) = start(|server| server.grace(Duration::from_millis(100))).await;
    let socket = connect(&uri).await.unwrap();
    stop.notify_one();
    task.await.unwrap();
    let (mut stream, _) = socket.into_transport();
    let mut left = vec![];
    stream.0.read_to_end(&mut left).await.unwrap();
    assert_eq!(left, b"\x88\x02\x03\xE9");
}

#[tokio::test]
async fn connections_over_the_limit_wait() {
    let (uri, ..) = start(|server| server.max_connections(2)).await;
    let (first, _second) = (connect(&uri).await.unwrap(), connect(&uri).await.unwrap());
    let mut third = Box::pin(connect(&uri));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut third).await.is_err());
    drop(first);
    third.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_cannot_be_served_is_reported() {
    let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let server = server.on_error(move |error| report.send(error).unwrap());
    let uri = format!("ws://{}/", server.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let prepare = move |stream| {
        let is_first = calls.fetch_add(1, SeqCst) == 0;
        async move {
            match is_first {
                true => Err(std::io::Error::other("not this one")),
                false => Ok(sansocket_io::tokio::server(stream, Settings::new())),
            }
        }
    };
    let _task = tokio::spawn(server.run_with(std::future::pending::<()>(), prepare, echo));
    assert!(connect(&uri).await.is_err());
    assert_eq!(reports.recv().await.unwrap().to_string(), "not this one");
    connect(&uri).await.unwrap();
    assert!(reports.try_recv().is_err());
}

#[tokio::test]
async fn a_handler_that_panics_frees_its_place() {
    let server = Server::bind("127.0.0.1:0").await.unwrap().max_connections(1);
    let uri = format!("ws://{}/", server.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = {
        let calls = calls.clone();
        move |socket: ServerSocket, address| {
            assert!(calls.fetch_add(1, SeqCst) > 0, "the first call fails");
            echo(socket, address)
        }
    };
    let _task = tokio::spawn(server.run(std::future::pending::<()>(), handler));
    assert!(connect(&uri).await.is_err());
    connect(&uri).await.unwrap();
    assert_eq!(calls.load(SeqCst), 2);
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn broadcasts_are_compressed_for_those_who_agreed() {
    use sansocket_io::sansocket::deflate::{self, Compressor};
    use sansocket_io::tokio::{connect_tcp, deflate_client, deflate_server};
    use sansocket_io::{Broadcast, CloseCode};
    use tokio::io::AsyncWriteExt;

    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", server.local_addr().unwrap());
    let text = "news for everyone, ".repeat(20);
    let news = Broadcast::deflated(text.as_str(), 12, &mut Compressor::shared(vec![0u16; 1024]));
    let sent = news.clone();
    let prepare = |tcp| async { Ok(deflate_server(tcp, Settings::new(), deflate::Settings::server())) };
    let _task = tokio::spawn(server.run_with(std::future::pending::<()>(), prepare, move |mut socket, _| {
        let news = sent.clone();
        async move {
            socket.accept(|request| Ok(request.accept())).await.unwrap();
            let sender = socket.reply().sender();
            sender.try_send(news).unwrap();
            sender.close(CloseCode::NORMAL, "").unwrap();
            while socket.next().await.is_some() {}
        }
    }));

    let connect = || Connect::from_uri(&uri).unwrap();
    let stream = connect_tcp(&connect(), &Settings::new()).await.unwrap();
    let mut socket = deflate_client(stream, Settings::new(), deflate::Settings::client()).unwrap();
    assert!(socket.connect(connect(), |open| open.deflate().is_some()).await.unwrap());
    match socket.next().await {
        Some((Event::Message(message), _)) => assert_eq!(message, news.message()),
        other => panic!("{other:?}"),
    }
    // The frame for a client that has agreed, and for one that has not.
    let frames = async |extensions: &str| {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extensions}\r\n"
        );
        let mut stream = connect_tcp(&connect(), &Settings::new()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut all = vec![];
        while !all.ends_with(b"\x88\x02\x03\xE8") {
            assert!(stream.read_buf(&mut all).await.unwrap() > 0);
        }
        let head = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        all.split_off(head)
    };
    let plain = frames("").await;
    assert_eq!((plain[0], plain.len()), (0x81, 4 + text.len() + 4));
    let deflated = frames("Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
    assert!(deflated[0] == 0xC1 && deflated.len() < 60, "{deflated:?}");
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn messages_are_compressed_in_both_directions() {
    use sansocket_io::sansocket::deflate::{self, Compressor};
    use sansocket_io::tokio::{OpenDeflateSocket, connect_deflate, open_deflate};
    use tokio::io::AsyncWriteExt;

    let compressor = || Compressor::with_takeover([0u16; 1024], [0u8; 6144]);
    let text = "one and the same, ".repeat(100);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    // Other software does the opening handshake.
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut head).await.unwrap() > 0);
        }
        let head = String::from_utf8(head).unwrap();
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name, value.as_bytes()));
        let (accept, answer) = deflate::check_request(headers, &deflate::Settings::server()).unwrap();
        let answer = answer.unwrap();
        let mut response = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
        for (name, value) in accept.response().headers() {
            response += &format!("{name}: {value}\r\n");
        }
        response += &format!("Sec-WebSocket-Extensions: {answer}\r\n\r\n");
        stream.write_all(response.as_bytes()).await.unwrap();
        let mut socket: OpenDeflateSocket =
            open_deflate(stream, Settings::new(), Some(answer.parameters())).unwrap();
        let mut compressor = compressor();
        while let Some((event, reply)) = socket.next().await {
            if let Event::Message(message) = event {
                reply.send_deflated(message, &mut compressor).unwrap();
                assert!(reply.unsent() < 100, "{}", reply.unsent());
            }
        }
    };
    let talk = async {
        let mut socket = connect_deflate(&uri, deflate::Settings::client()).await.unwrap();
        let mut compressor = compressor();
        for _ in 0..3 {
            socket.reply().send_deflated(text.as_str(), &mut compressor).unwrap();
            assert!(socket.reply().unsent() < 100, "{}", socket.reply().unsent());
            match socket.next().await {
                Some((Event::Message(message), _)) => assert_eq!(message, Message::Text(&text)),
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::join!(serve, talk);
    assert!(connect_deflate("wss://localhost/", deflate::Settings::client()).await.is_err());
}

#[cfg(feature = "rustls")]
mod tls {
    use super::*;
    use sansocket_io::tokio::tokio_rustls::TlsAcceptor;
    use sansocket_io::tokio::tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use sansocket_io::tokio::tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
    use sansocket_io::tokio::{connect_tls, server};
    use sansocket_io::{CloseCode, OpenError};

    fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let certificate = made.cert.der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let server = ServerConfig::builder().with_no_client_auth();
        (
            Arc::new(server.with_single_cert(vec![certificate], key).unwrap()),
            Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()),
        )
    }

    #[tokio::test]
    async fn messages_over_tls_are_echoed() {
        let (server_config, client_config) = configs();
        let listener = Server::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let acceptor = TlsAcceptor::from(server_config);
        let prepare = move |tcp| {
            let acceptor = acceptor.clone();
            async move { Ok(server(acceptor.accept(tcp).await?, Settings::new())) }
        };
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let run = listener.run_with(stopped.notified(), prepare, |mut socket, _| async move {
                socket.accept(|request| Ok(request.accept())).await.unwrap();
                while let Some((event, reply)) = socket.next().await {
                    if let Event::Message(message) = event {
                        reply.send(message).unwrap();
                    }
                }
            });
            run.await;
        });
        let mut socket = connect_tls(&uri, client_config.clone()).await.unwrap();
        for len in [5, 70_000, 1 << 20] {
            let message = vec![7; len];
            socket.reply().send(&message).unwrap();
            match socket.next().await {
                Some((Event::Message(Message::Binary(echo)), _)) => assert!(echo == message),
                other => panic!("{other:?}"),
            }
        }
        stop.notify_one();
        match socket.next().await {
            Some((Event::Close(close), _)) => assert_eq!(close.code, CloseCode::GOING_AWAY),
            other => panic!("{other:?}"),
        }
        assert!(socket.next().await.is_none());
        assert!(socket.failure().is_none());
        task.await.unwrap();
    }

    #[tokio::test]
    async fn what_fails_says_why() {
        let (server_config, client_config) = configs();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let acceptor = TlsAcceptor::from(server_config);
            let _ = acceptor.accept(listener.accept().await.unwrap().0).await;
        };
        let client = async {
            assert!(matches!(
                connect_tls("ws://localhost/", client_config.clone()).await,
                Err(OpenError::Scheme)
            ));
            // Not the name in the certificate.
            let uri = format!("wss://127.0.0.1:{port}/");
            let error = connect_tls(&uri, client_config).await.unwrap_err();
            assert!(matches!(&error, OpenError::Unreachable(_)), "{error}");
        };
        tokio::join!(serve, client);
    }
}

#[tokio::test]
async fn a_connection_through_a_proxy() {
    let (uri, ..) = start(|server| server).await;
    let address = uri.trim_start_matches("ws://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await.unwrap();
    let connect = Connect::new("example.com", "/chat");
    let (mut socket, ()) = connect_on(stream, connect, Settings::new(), |_| ()).await.unwrap();
    socket.reply().send("through").unwrap();
    assert!(matches!(socket.next().await, Some((Event::Message(Message::Text("through")), _))));
}
