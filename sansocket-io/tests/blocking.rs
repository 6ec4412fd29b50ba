//! Connections over TCP on this machine, on threads.

use sansocket_io::blocking::{
    Server, ServerSocket, Stream, Timeout, accept, accept_on, connect, connect_with, open,
};
use sansocket_io::sansocket::{Error, RequestError, Role, WebSocket};
use sansocket_io::{
    AcceptError, CloseCode, Config, Connect, Event, Failure, Message, OpenError, Reject, Settings,
};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Serves one connection: the URI to connect to, and the thread.
fn serve<O: Send + 'static>(handle: impl FnOnce(TcpStream) -> O + Send + 'static) -> (String, JoinHandle<O>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/chat", listener.local_addr().unwrap());
    (uri, thread::spawn(move || handle(listener.accept().unwrap().0)))
}

/// A connection without handshake, and the peer's stream.
fn pair(settings: Settings) -> (ServerSocket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (open(listener.accept().unwrap().0, settings).unwrap(), peer)
}

fn echo(mut socket: ServerSocket) {
    while let Some((event, reply)) = socket.next() {
        if let Event::Message(message) = event {
            reply.send(message).unwrap();
        }
    }
}

#[test]
fn messages_of_all_sizes_are_echoed() {
    let (uri, server) = serve(|stream| echo(accept(stream, |request| Ok(request.accept())).unwrap()));
    let mut socket = connect(&uri).unwrap();
    let messages: Vec<Vec<u8>> =
        [0, 1, 125, 126, 4096, 65_535, 65_536, 1 << 20, 3 << 20, 5].map(|len| vec![9; len]).into();
    for message in &messages {
        socket.reply().send(message).unwrap();
    }
    let mut back = 0;
    while let Some((event, reply)) = socket.next() {
        match event {
            Event::Message(message) => {
                assert!(message.as_bytes() == messages[back]);
                back += 1;
                if back == messages.len() {
                    reply.close(CloseCode::NORMAL, "bye").unwrap();
                }
            }
            Event::Close(close) => assert_eq!(close.to_string(), "1000 (clean)"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(back, messages.len());
    server.join().unwrap();
}

#[test]
fn a_refusal_carries_its_status_and_headers() {
    let (uri, server) = serve(|stream| {
        accept(stream, |_| Err(Reject::status(401).headers(&[("WWW-Authenticate", "Basic")]))).map(|_| ())
    });
    match connect(&uri) {
        Err(OpenError::Refused(refusal)) => {
            assert_eq!((refusal.status, refusal.header("www-authenticate")), (401, Some(&b"Basic"[..])));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(server.join().unwrap(), Err(AcceptError::Rejected)));
}

#[test]
fn a_subprotocol_is_selected() {
    let (uri, server) = serve(|stream| {
        accept(stream, |request| request.select(&["v2"]).ok_or(Reject::status(400))).map(|_| ())
    });
    let connect = Connect::from_uri(&uri).unwrap().protocols(&["v1", "v2"]);
    let protocol = connect_with(connect, Settings::new(), |open| open.protocol().map(str::to_owned));
    assert_eq!(protocol.unwrap().1.as_deref(), Some("v2"));
    server.join().unwrap().unwrap();
}

#[test]
fn what_fails_before_a_connection_says_which_side() {
    let kind = |result: Result<_, OpenError<io::Error>>| result.map(|_| ()).unwrap_err().to_string();
    assert!(kind(connect("http://localhost/")).starts_with("the request is invalid"));
    assert!(kind(connect("wss://localhost/")).starts_with("the URI's scheme"));
    assert!(kind(connect("ws://127.0.0.1:1/")).starts_with("the server cannot be reached"));
    let (uri, _server) = serve(|mut stream| stream.write_all(b"SSH-2.0\r\n\r\n"));
    assert!(kind(connect(&uri)).starts_with("the server failed"));

    let (uri, server) = serve(|stream| accept(stream, |request| Ok(request.accept())).map(|_| ()));
    let address = uri.trim_start_matches("ws://").trim_end_matches("/chat");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let error = server.join().unwrap().unwrap_err();
    assert!(
        matches!(error, AcceptError::Client(Error::Request(RequestError::MethodNotAllowed))),
        "{error:?}"
    );
}

#[test]
fn a_wait_ends_in_time_and_loses_nothing() {
    let (mut socket, mut peer) = pair(Settings::new());
    assert_eq!(socket.next_timeout(Duration::ZERO).unwrap_err(), Timeout);
    peer.write_all(b"\x81\x85\0\0\0\0He").unwrap();
    assert_eq!(socket.next_timeout(Duration::from_millis(20)).unwrap_err(), Timeout);
    peer.write_all(b"llo\x81").unwrap();
    match socket.next_timeout(Duration::from_secs(60)) {
        Ok(Some((Event::Message(Message::Text("Hello")), reply))) => reply.send("back").unwrap(),
        other => panic!("{other:?}"),
    }
    socket.flush();
    let mut back = [0; 6];
    peer.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"\x81\x04back");
}

#[test]
fn the_timeouts_of_the_protocol_are_kept() {
    let config = Config::new().idle_ping(Some(Duration::from_millis(30)));
    let config = config.pong_timeout(Some(Duration::from_millis(30)));
    let settings = Settings::new().config(config).linger(Duration::from_millis(30));
    let (mut socket, mut peer) = pair(settings);
    match socket.next() {
        Some((Event::Error(Error::PongTimeout), _)) => {}
        other => panic!("{other:?}"),
    }
    while socket.next().is_some() {}
    drop(socket);
    let mut sent = vec![];
    peer.read_to_end(&mut sent).unwrap();
    assert!(sent.starts_with(b"\x89\0"), "{sent:?}");

    let config = Config::new().handshake_timeout(Some(Duration::from_millis(30)));
    let settings = settings.config(config);
    let (uri, server) = serve(move |stream| accept_on(stream, Ok, settings, |request| Ok(request.accept())));
    let _stream = TcpStream::connect(uri.trim_start_matches("ws://").trim_end_matches("/chat")).unwrap();
    let error = server.join().unwrap().map(|_| ()).unwrap_err();
    assert!(matches!(error, AcceptError::Client(Error::HandshakeTimeout)), "{error:?}");
}

#[test]
fn a_peer_that_does_not_read_is_dropped_and_holds_up_nobody() {
    let settings = Settings::new().write_timeout(Some(Duration::from_millis(200)));
    let (mut stalled, mut silent) = pair(settings);
    let stalled = thread::spawn(move || {
        while let Some((event, reply)) = stalled.next() {
            if let Event::Message(message) = event {
                reply.send(message).unwrap();
            }
        }
        stalled.get_mut().reply().failure().map(ToString::to_string)
    });
    let flood = thread::spawn(move || {
        let frame = [&b"\x82\xFE\x03\xE8\0\0\0\0"[..], &[1; 1000]].concat();
        while silent.write_all(&frame).is_ok() {}
    });
    messages_of_all_sizes_are_echoed();
    assert_eq!(stalled.join().unwrap(), Some(Failure::<io::Error>::WriteTimeout.to_string()));
    flood.join().unwrap();
}

#[test]
fn a_reset_ends_the_wait() {
    let (mut socket, peer) = pair(Settings::new());
    let server = thread::spawn(move || {
        let mut events = vec![];
        while let Some((event, _)) = socket.next() {
            events.push(format!("{event:?}"));
        }
        (events, socket.failure().map(|failure| matches!(failure, Failure::Read(_))))
    });
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let (events, is_read) = server.join().unwrap();
    assert_eq!(events.len(), 2);
    assert!(events[0].contains("EndOfStream"), "{events:?}");
    assert_eq!(is_read, Some(true));
}

/// Both sides send much before they read: neither waits for ever.
#[test]
fn it_reads_while_it_writes() {
    let (uri, server) = serve(|stream| {
        let mut socket = accept(stream, |request| Ok(request.accept())).unwrap();
        exchange(&mut socket)
    });
    let mut socket = connect(&uri).unwrap();
    exchange(&mut socket);
    server.join().unwrap();
}

fn exchange<R: Role, S: Stream>(socket: &mut sansocket_io::blocking::Socket<R, S>) {
    let message = vec![7; 1 << 20];
    for _ in 0..20 {
        socket.reply().send(&message).unwrap();
    }
    socket.reply().close(CloseCode::NORMAL, "").unwrap();
    let mut received = 0;
    while let Some((event, _)) = socket.next() {
        match event {
            Event::Message(echo) => received += echo.as_bytes().len(),
            Event::Close(close) => assert!(close.clean),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, 20 << 20);
    assert!(socket.failure().is_none());
}

#[test]
fn other_threads_send_while_it_waits() {
    const THREADS: usize = 4;
    const COUNT: usize = 200;
    let (uri, server) = serve(|stream| {
        let mut socket = accept(stream, |request| Ok(request.accept())).unwrap();
        let mut received = 0;
        while let Some((event, _)) = socket.next() {
            received += usize::from(matches!(event, Event::Message(_)));
        }
        received
    });
    let mut socket = connect(&uri).unwrap();
    let sender = socket.reply().sender();
    let waiting = thread::spawn(move || {
        let mut end = None;
        while let Some((event, _)) = socket.next() {
            if let Event::Close(close) = event {
                end = Some(close.to_string());
            }
        }
        end
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let sender = sender.clone();
            thread::spawn(move || {
                for count in 0..COUNT {
                    sender.send_blocking(vec![number as u8; 10 * count]).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    sender.close(CloseCode::NORMAL, "done").unwrap();
    assert_eq!(waiting.join().unwrap().as_deref(), Some("1000 (clean)"));
    assert_eq!(server.join().unwrap(), THREADS * COUNT);
    assert!(sender.is_closed());
}

/// Two clients are served, the third waits; all are told that the server goes away.
#[test]
fn a_server_limits_its_connections_and_stops_in_order() {
    let server = Server::bind("127.0.0.1:0").unwrap().max_connections(2);
    let stop = server.stop_handle();
    let uri = format!("ws://{}/", server.local_addr().unwrap());
    let running = thread::spawn(move || {
        server.run(|mut socket, _| {
            // The client that was too late is gone.
            if socket.accept(|request| Ok(request.accept())).is_ok() {
                echo(socket);
            }
        });
    });
    let mut clients = [connect(&uri).unwrap(), connect(&uri).unwrap()];
    let third = Connect::from_uri(&uri).unwrap();
    let settings = Settings::new().config(Config::new().handshake_timeout(Some(Duration::from_millis(100))));
    let error = connect_with(third, settings, |_| ()).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Server(Error::HandshakeTimeout)), "{error}");
    let [first, second] = &mut clients;
    first.reply().close(CloseCode::NORMAL, "").unwrap();
    while first.next().is_some() {}
    let mut third = connect(&uri).unwrap();
    stop.stop();
    for client in [&mut third, second] {
        match client.next() {
            Some((Event::Close(close), _)) => assert_eq!(close.code, CloseCode::GOING_AWAY),
            other => panic!("{other:?}"),
        }
        assert!(client.next().is_none());
    }
    running.join().unwrap();
    assert!(connect(&uri).is_err());
}

#[test]
fn a_server_reports_a_connection_that_it_cannot_serve() {
    let (report, reports) = mpsc::channel();
    let server = Server::bind("127.0.0.1:0").unwrap().on_error(move |error| report.send(error).unwrap());
    let uri = format!("ws://{}/", server.local_addr().unwrap());
    let is_first = AtomicBool::new(true);
    let prepare = move |stream, config| match is_first.swap(false, SeqCst) {
        true => Err(io::Error::other("not this one")),
        false => Ok((stream, WebSocket::server(config))),
    };
    thread::spawn(move || {
        server.run_with(prepare, |mut socket, _| {
            socket.accept(|request| Ok(request.accept())).unwrap();
            while socket.next().is_some() {}
        });
    });
    assert!(connect(&uri).is_err());
    assert_eq!(reports.recv().unwrap().to_string(), "not this one");
    connect(&uri).unwrap();
    assert!(reports.try_recv().is_err());
}

#[test]
fn a_server_aborts_those_that_stay() {
    let server = Server::bind("127.0.0.1:0").unwrap().grace(Duration::from_millis(50));
    let stop = server.stop_handle();
    let address = server.local_addr().unwrap();
    let (ended, wait_for_end) = mpsc::channel();
    let running = thread::spawn(move || {
        server.run(move |mut socket, _| {
            socket.accept(|request| Ok(request.accept())).unwrap();
            while socket.next().is_some() {}
            ended.send(matches!(socket.failure(), Some(Failure::Aborted))).unwrap();
        });
    });
    let mut stays = TcpStream::connect(address).unwrap();
    stays
        .write_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    stays.read_exact(&mut [0; 12]).unwrap();
    stop.stop();
    running.join().unwrap();
    assert!(wait_for_end.recv().unwrap());
}

#[cfg(feature = "rustls")]
mod tls {
    use super::*;
    use sansocket_io::blocking::rustls::pki_types::{PrivateKeyDer, ServerName};
    use sansocket_io::blocking::rustls::{
        ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    };
    use sansocket_io::blocking::{TlsStream, connect_tls, connect_tls_with};
    use std::io::ErrorKind;
    use std::net::Shutdown;
    use std::sync::Arc;

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

    /// Serves one connection over TLS: the URI to connect to, and the thread.
    fn serve_tls<O: Send + 'static>(
        config: Arc<ServerConfig>,
        handle: impl FnOnce(ServerSocket<TlsStream>) -> O + Send + 'static,
    ) -> (String, JoinHandle<O>) {
        let (uri, thread) = serve(move |stream| {
            let wrap = |tcp| TlsStream::server(config, tcp);
            handle(accept_on(stream, wrap, Settings::new(), |request| Ok(request.accept())).unwrap())
        });
        (uri.replace("ws://127.0.0.1", "wss://localhost"), thread)
    }

    #[test]
    fn a_server_echoes_over_tls_and_stops_in_order() {
        let (server_config, client_config) = configs();
        let server = Server::bind("127.0.0.1:0").unwrap();
        let (stop, uri) =
            (server.stop_handle(), format!("wss://localhost:{}/", server.local_addr().unwrap().port()));
        let running = thread::spawn(move || {
            let prepare = move |tcp, config| {
                Ok((TlsStream::server(server_config.clone(), tcp)?, WebSocket::server(config)))
            };
            server.run_with(prepare, |mut socket, _| {
                socket.accept(|request| Ok(request.accept())).unwrap();
                while let Some((event, reply)) = socket.next() {
                    if let Event::Message(message) = event {
                        reply.send(message).unwrap();
                    }
                }
            });
        });
        let mut socket = connect_tls(&uri, client_config).unwrap();
        assert!(socket.stream().connection().peer_certificates().is_some());
        for len in [0, 5, 125, 4096, 70_000, 1 << 20, 5] {
            let message = vec![7; len];
            socket.reply().send(&message).unwrap();
            match socket.next() {
                Some((Event::Message(Message::Binary(echo)), _)) => assert!(echo == message),
                other => panic!("{other:?}"),
            }
        }
        stop.stop();
        match socket.next() {
            Some((Event::Close(close), _)) => assert_eq!(close.code, CloseCode::GOING_AWAY),
            other => panic!("{other:?}"),
        }
        assert!(socket.next().is_none());
        assert!(socket.failure().is_none());
        running.join().unwrap();
    }

    /// Both sides send much before they read: neither waits for ever.
    #[test]
    fn it_reads_while_it_writes_over_tls() {
        let (server_config, client_config) = configs();
        let (uri, server) = serve_tls(server_config, |mut socket| exchange(&mut socket));
        exchange(&mut connect_tls(&uri, client_config).unwrap());
        server.join().unwrap();
    }

    #[test]
    fn the_ends_of_the_stream() {
        let (server_config, client_config) = configs();
        for says_so in [true, false] {
            let (uri, server) = serve_tls(server_config.clone(), |mut socket| {
                socket.reply().close(CloseCode::NORMAL, "").unwrap();
                let mut events = vec![];
                while let Some((event, _)) = socket.next() {
                    events.push(format!("{event:?}"));
                }
                assert!(socket.failure().is_none(), "{:?}", socket.failure());
                events.concat()
            });
            let name = ServerName::try_from("localhost").unwrap();
            let connection = ClientConnection::new(client_config.clone(), name).unwrap();
            let address = uri.trim_start_matches("wss://").trim_end_matches("/chat");
            let mut peer = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
            peer.write_all(
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            )
            .unwrap();
            let mut all = vec![];
            while !all.ends_with(b"\x88\x02\x03\xE8") {
                let mut buffer = [0; 100];
                let count = peer.read(&mut buffer).unwrap();
                all.extend(&buffer[..count]);
            }
            if says_so {
                peer.write_all(b"\x88\x82\0\0\0\0\x03\xE8").unwrap();
                // Only after `close_notify`, it reads an end.
                assert_eq!(peer.read(&mut [0; 100]).unwrap(), 0);
            } else {
                // No Close frame, and no `close_notify`.
                peer.sock.shutdown(Shutdown::Write).unwrap();
            }
            let events = server.join().unwrap();
            assert!(events.contains(if says_so { "1000" } else { "EndOfStream" }), "{events}");
        }
    }

    #[test]
    fn what_fails_before_a_connection_over_tls_says_which_side() {
        let (server_config, client_config) = configs();
        let error = connect_tls("ws://localhost/", client_config.clone()).map(|_| ()).unwrap_err();
        assert!(matches!(error, OpenError::Scheme), "{error}");
        // Not the name in the certificate: the server is told so by an alert.
        let (uri, server) = serve(move |stream| {
            let wrap = |tcp| TlsStream::server(server_config, tcp);
            accept_on(stream, wrap, Settings::new(), |request| Ok(request.accept())).map(|_| ()).unwrap_err()
        });
        let error = connect_tls(&uri.replace("ws://", "wss://"), client_config.clone());
        match error.map(|_| ()).unwrap_err() {
            OpenError::Unreachable(error) => assert_eq!(error.kind(), ErrorKind::InvalidData),
            other => panic!("{other}"),
        }
        match server.join().unwrap() {
            AcceptError::Transport(Failure::Read(error)) => assert_eq!(error.kind(), ErrorKind::InvalidData),
            other => panic!("{other}"),
        }
        // A server that says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let settings = Settings::new().connect_timeout(Some(Duration::from_millis(100)));
        let connect = Connect::from_uri(&uri).unwrap();
        let error = connect_tls_with(connect, client_config, settings, |_| ()).map(|_| ()).unwrap_err();
        assert!(matches!(error, OpenError::ConnectTimeout), "{error}");
    }
}
