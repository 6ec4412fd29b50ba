//! WebSockets over HTTP/2 (RFC 8441): connections of hyper with a peer that h2 operates frame by
//! frame, the examples, and a proxy between them.

#[path = "interop/process.rs"]
#[allow(dead_code)]
mod process;

use h2::{Reason, RecvStream, SendStream, client, server};
use http_body_util::{Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use process::{Process, example};
use sansocket_io::sansocket::Role;
use sansocket_io::sansocket::handshake::{check_connect, check_connect_response};
use sansocket_io::tokio::tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use sansocket_io::tokio::tokio_rustls::rustls::{ClientConfig, RootCertStore};
use sansocket_io::tokio::{Tokio, TokioClock, connect, connect_tls, open, open_client};
use sansocket_io::{CloseCode, Connect, Event, Pooled, Settings, Socket};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::sync::oneshot;

/// What a connection has seen: its events, and the failure of its transport.
type Seen = (Vec<String>, Option<String>);

/// Echoes until the end of the connection.
async fn echo<R: Role, S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: Socket<R, Tokio<S>, TokioClock, Pooled>,
) -> Seen {
    let mut seen = Vec::new();
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Message(message) => {
                seen.push(format!("message of {}", message.as_bytes().len()));
                let _ = reply.send(message);
            }
            Event::Error(error) => seen.push(format!("error: {error}")),
            Event::Close(close) => seen.push(format!("close: {close}")),
            _ => {}
        }
    }
    (seen, socket.into_transport().1.map(|failure| failure.to_string()))
}

/// A server of hyper that echoes on one stream; what its connection has seen.
fn serve(io: DuplexStream) -> oneshot::Receiver<Seen> {
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    let respond = move |mut request: Request<Incoming>| {
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let head = match check_connect(headers) {
            Ok(accept) => accept.response(),
            Err(error) => error.response(),
        };
        if let (200, Some(sender)) = (head.status(), sender.take()) {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let socket = open(TokioIo::new(upgrade.await.unwrap()), Settings::new());
                let _ = sender.send(echo(socket).await);
            });
        }
        let response = Response::builder().status(head.status());
        let response = head.headers().fold(response, |response, (name, value)| response.header(name, value));
        async { Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap()) }
    };
    let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http.enable_connect_protocol();
    let respond = Mutex::new(respond);
    let service = service_fn(move |request| (respond.lock().unwrap())(request));
    tokio::spawn(http.serve_connection(TokioIo::new(io), service));
    receiver
}

/// Echoes messages that the client has compressed, on one stream of hyper.
#[cfg(feature = "deflate")]
fn serve_deflate(io: DuplexStream) {
    use sansocket_io::sansocket::deflate::{Settings as Deflate, check_connect};
    let respond = async |mut request: Request<Incoming>| {
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let (_, answer) = check_connect(headers, &Deflate::firmware()).unwrap();
        let answer = answer.expect("an offer");
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let stream = TokioIo::new(upgrade.await.unwrap());
            let agreed = Some(answer.parameters());
            echo(sansocket_io::tokio::open_deflate(stream, Settings::new(), agreed).unwrap()).await
        });
        let response = Response::builder().header("sec-websocket-extensions", answer.to_string());
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    };
    let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    http.enable_connect_protocol();
    tokio::spawn(http.serve_connection(TokioIo::new(io), service_fn(respond)));
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compression_is_negotiated_in_an_extended_connect() {
    use sansocket_io::sansocket::deflate::{Offers, Settings as Deflate, check_connect_response};
    let (ours, theirs) = duplex(1 << 16);
    serve_deflate(ours);
    let connect = Connect::new("localhost", "/");
    let settings = Deflate::firmware();
    let offers = Offers::new(&settings).unwrap().to_string();
    let headers: Vec<_> = connect.connect_headers().chain([("sec-websocket-extensions", &*offers)]).collect();
    let (_http, _task, response, mut send) = send_request(theirs, &headers).await;
    let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let (_, agreed) =
        check_connect_response(response.status().as_u16(), headers, &connect, &settings).unwrap();
    assert!(agreed.is_some());
    // "Hello" of RFC 7692 section 7.2.3.1.
    send.send_data(Bytes::from_static(b"\xC1\x87\0\0\0\0\xF2\x48\xCD\xC9\xC9\x07\0"), false).unwrap();
    assert_eq!(receive(&mut response.into_body(), 7).await, b"\x81\x05Hello");
}

/// The client's end, operated by h2. The task is that of its HTTP/2 connection.
struct Raw {
    _http: client::SendRequest<Bytes>,
    task: tokio::task::JoinHandle<()>,
    send: SendStream<Bytes>,
    receive: RecvStream,
}

async fn send_request(
    io: DuplexStream,
    headers: &[(&str, &str)],
) -> (client::SendRequest<Bytes>, tokio::task::JoinHandle<()>, Response<RecvStream>, SendStream<Bytes>) {
    let (http, mut connection) = client::handshake(io).await.unwrap();
    poll_fn(|cx| {
        let polled = std::pin::pin!(&mut connection).poll(cx);
        if http.is_extended_connect_protocol_enabled() { Poll::Ready(()) } else { polled.map(|_| ()) }
    })
    .await;
    let task = tokio::spawn(async { drop(connection.await) });
    let request = Request::connect("http://localhost/").extension(h2::ext::Protocol::from("websocket"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut http = http.ready().await.unwrap();
    let (response, send) = http.send_request(request.body(()).unwrap(), false).unwrap();
    (http, task, response.await.unwrap(), send)
}

impl Raw {
    /// Opens a WebSocket over this stream.
    async fn open(io: DuplexStream) -> Self {
        let (http, task, response, send) = send_request(io, &[("sec-websocket-version", "13")]).await;
        assert_eq!(response.status(), 200);
        Self { _http: http, task, send, receive: response.into_body() }
    }

    fn send(&mut self, bytes: &[u8], is_last: bool) {
        self.send.send_data(Bytes::copy_from_slice(bytes), is_last).unwrap();
    }

    /// Receives this many bytes.
    async fn receive(&mut self, len: usize) -> Vec<u8> {
        receive(&mut self.receive, len).await
    }
}

async fn receive(stream: &mut RecvStream, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let data = stream.data().await.expect("the stream has not ended").unwrap();
        let _ = stream.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
    }
    bytes
}

/// The peer ends the stream with END_STREAM.
async fn end(stream: &mut RecvStream) {
    while let Some(data) = stream.data().await {
        assert_eq!(data.unwrap(), "");
    }
}

/// A text and a Close frame with 1000, masked with zeros.
const HELLO: &[u8] = b"\x81\x85\0\0\0\0Hello";
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xE8";
const LOST: [&str; 2] = ["error: the stream ended without a Close frame", "close: 1006 (not clean)"];

async fn opened() -> (Raw, oneshot::Receiver<Seen>) {
    let (ours, theirs) = duplex(1 << 16);
    let seen = serve(ours);
    let mut raw = Raw::open(theirs).await;
    raw.send(HELLO, false);
    assert_eq!(raw.receive(7).await, b"\x81\x05Hello");
    (raw, seen)
}

#[tokio::test]
async fn end_stream_after_the_close_frames_is_a_clean_end() {
    let (mut raw, seen) = opened().await;
    raw.send(CLOSE, false);
    assert_eq!(raw.receive(4).await, b"\x88\x02\x03\xE8");
    end(&mut raw.receive).await;
    raw.send(b"", true);
    assert_eq!(seen.await.unwrap(), (vec!["message of 5".into(), "close: 1000 (clean)".into()], None));
}

#[tokio::test]
async fn end_stream_without_a_close_frame_is_an_error() {
    let (mut raw, seen) = opened().await;
    raw.send(b"", true);
    let (events, failure) = seen.await.unwrap();
    assert_eq!((&events[1..], failure), (&LOST.map(String::from)[..], None));
}

#[tokio::test]
async fn a_reset_stream_is_an_error() {
    // hyper reads CANCEL as an end of the stream.
    for (reason, failure) in [(Reason::CANCEL, None), (Reason::INTERNAL_ERROR, Some("internal error"))] {
        let (mut raw, seen) = opened().await;
        raw.send.send_reset(reason);
        let (events, seen) = seen.await.unwrap();
        assert_eq!(events[1..], LOST);
        assert_eq!(seen.is_some(), failure.is_some());
        assert!(seen.unwrap_or_default().contains(failure.unwrap_or_default()));
    }
}

#[tokio::test]
async fn a_reset_after_the_peers_close_frame_is_no_error() {
    let (mut raw, seen) = opened().await;
    raw.send(CLOSE, false);
    assert_eq!(raw.receive(4).await, b"\x88\x02\x03\xE8");
    raw.send.send_reset(Reason::INTERNAL_ERROR);
    assert_eq!(seen.await.unwrap().0, ["message of 5", "close: 1000 (clean)"]);
}

#[tokio::test]
async fn the_end_of_the_connection_is_an_error() {
    let (raw, seen) = opened().await;
    raw.task.abort();
    let (events, failure) = seen.await.unwrap();
    assert_eq!(events[1..], LOST);
    assert!(failure.is_some());
}

#[tokio::test]
async fn another_version_is_refused_with_status_400() {
    for headers in [&[][..], &[("sec-websocket-version", "8")]] {
        let (ours, theirs) = duplex(1 << 16);
        let _seen = serve(ours);
        let (_http, _task, response, _send) = send_request(theirs, headers).await;
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["sec-websocket-version"], "13");
    }
}

#[tokio::test]
async fn messages_larger_than_the_windows_of_flow_control_are_echoed() {
    let (mut raw, seen) = opened().await;
    let message = vec![b'a'; 100_000];
    let mut sent = b"\x82\xFF\0\0\0\0\0\x01\x86\xA0\0\0\0\0".to_vec();
    sent.extend(&message);
    raw.send(&sent, false);
    let echo = raw.receive(10 + message.len()).await;
    assert!(echo[..10] == *b"\x82\x7F\0\0\0\0\0\x01\x86\xA0" && echo[10..] == message);
    raw.send(CLOSE, true);
    assert_eq!(raw.receive(4).await, b"\x88\x02\x03\xE8");
    end(&mut raw.receive).await;
    let events = ["message of 5", "message of 100000", "close: 1000 (clean)"];
    assert_eq!(seen.await.unwrap(), (events.map(String::from).to_vec(), None));
}

/// A server whose HTTP/2 connection h2 operates, and one stream of it.
struct RawServer {
    http: server::Connection<DuplexStream, Bytes>,
    send: SendStream<Bytes>,
    receive: RecvStream,
}

impl RawServer {
    async fn open(io: DuplexStream) -> Self {
        let mut http = server::Builder::new().enable_connect_protocol().handshake(io).await.unwrap();
        let (request, mut respond) = http.accept().await.unwrap().unwrap();
        assert_eq!(request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
        let send = respond.send_response(Response::new(()), false).unwrap();
        Self { http, send, receive: request.into_body() }
    }

    /// Sends a message, and receives its echo.
    async fn hello(&mut self) {
        self.run(async |send, stream| {
            send.send_data(Bytes::from_static(b"\x81\x05Hello"), false).unwrap();
            assert_eq!(receive(stream, 11).await[..2], [0x81, 0x85]);
        })
        .await;
    }

    /// Runs the connection while a future does.
    async fn run<T>(
        &mut self,
        mut future: impl AsyncFnMut(&mut SendStream<Bytes>, &mut RecvStream) -> T,
    ) -> T {
        let rest = async {
            while self.http.accept().await.is_some() {}
            std::future::pending::<()>().await
        };
        tokio::select! {
            output = future(&mut self.send, &mut self.receive) => output,
            () = rest => unreachable!(),
        }
    }
}

/// A client of hyper that echoes; what its connection has seen.
async fn echo_client(io: DuplexStream) -> Seen {
    let connect = Connect::new("localhost", "/");
    let (mut http, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    // hyper wakes nobody when the setting arrives.
    while !connection.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    tokio::spawn(connection);
    let request = Request::connect(connect.http_uri().to_string());
    let request = request.extension(hyper::ext::Protocol::from_static("websocket"));
    let request =
        connect.connect_headers().fold(request, |request, (name, value)| request.header(name, value));
    let response = http.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    check_connect_response(response.status().as_u16(), [], &connect).unwrap();
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    echo(open_client(TokioIo::new(upgraded), Settings::new()).unwrap()).await
}

#[tokio::test]
async fn a_websocket_outlives_the_goaway_of_a_graceful_shutdown() {
    let (ours, theirs) = duplex(1 << 16);
    let seen = tokio::spawn(echo_client(ours));
    let mut raw = RawServer::open(theirs).await;
    raw.hello().await;
    raw.http.graceful_shutdown();
    raw.hello().await;
    raw.run(async |send, stream| {
        send.send_data(Bytes::from_static(b"\x88\x02\x03\xE8"), true).unwrap();
        receive(stream, 8).await;
    })
    .await;
    assert!(raw.http.accept().await.is_none(), "the connection ends after its last stream");
    assert_eq!(
        seen.await.unwrap(),
        (vec!["message of 5".into(), "message of 5".into(), "close: 1000 (clean)".into()], None)
    );
}

#[tokio::test]
async fn the_goaway_of_an_error_is_an_error() {
    let (ours, theirs) = duplex(1 << 16);
    let seen = tokio::spawn(echo_client(ours));
    let mut raw = RawServer::open(theirs).await;
    raw.hello().await;
    raw.http.abrupt_shutdown(Reason::INTERNAL_ERROR);
    assert!(!matches!(raw.http.accept().await, Some(Ok(_))));
    let (events, failure) = seen.await.unwrap();
    assert_eq!(events[1..], LOST);
    assert!(failure.is_some());
}

#[tokio::test]
async fn a_client_that_ends_in_order_waits_for_the_end_of_the_stream() {
    let (ours, theirs) = duplex(1 << 16);
    let seen = tokio::spawn(echo_client(ours));
    let mut raw = RawServer::open(theirs).await;
    raw.run(async |send, stream| {
        send.send_data(Bytes::from_static(b"\x88\x02\x03\xE8"), false).unwrap();
        assert_eq!(receive(stream, 8).await[..2], [0x88, 0x82]);
        assert!(!seen.is_finished());
        send.send_data(Bytes::new(), true).unwrap();
        end(stream).await;
    })
    .await;
    assert_eq!(seen.await.unwrap(), (vec!["close: 1000 (clean)".into()], None));
}

/// A certificate for localhost and its key, in files.
struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    /// Both.
    pem: PathBuf,
}

impl Certificate {
    /// In files whose names begin with this one, for one test.
    fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let [certificate, key, pem] = ["certificate", "key", "both"]
            .map(|part| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{part}.pem")));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::write(&pem, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key, pem }
    }

    /// A client's configuration that trusts it.
    fn roots(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate).unwrap()).unwrap();
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }
}

fn start(command: &mut Command) -> Process {
    Process::start(command, Instant::now() + Duration::from_secs(60)).unwrap()
}

/// Starts the example `http2`; returns it and its port.
fn serve_http2(Certificate { certificate, key, .. }: &Certificate) -> (Process, u16) {
    let server = start(Command::new(example("http2")).arg("127.0.0.1:0").args([certificate, key]));
    let address = server.output.listening();
    (server, port_of(&address))
}

fn port_of(address: &str) -> u16 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Runs the example `http2_client`; returns its output.
fn run_client(port: u16, certificate: &Certificate) -> Vec<String> {
    let uri = format!("wss://localhost:{port}/echo");
    let client = start(Command::new(example("http2_client")).arg(uri).arg(&certificate.certificate));
    std::iter::from_fn(|| client.output.next()).collect()
}

/// Sends messages over HTTP/1.1, checks that they come back, and closes.
async fn check_echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: sansocket_io::tokio::ClientSocket<S>) {
    for message in ["Hello".to_owned(), "a".repeat(100_000)] {
        socket.reply().send(&message).unwrap();
        match socket.next().await {
            Some((Event::Message(echo), _)) => assert!(echo.as_bytes() == message.as_bytes()),
            other => panic!("{other:?}"),
        }
    }
    socket.reply().close(CloseCode::NORMAL, "").unwrap();
    match socket.next().await {
        Some((Event::Close(close), _)) => assert_eq!(close.to_string(), "1000 (clean)"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_example_echoes_over_http_2_and_http_1_1_on_one_port() {
    let certificate = Certificate::new("example");
    let (_server, port) = serve_http2(&certificate);
    let expected = ["subprotocol: Some(\"echo\")", "Text(\"Hello\")", "closed: 1000 (clean)"];
    assert_eq!(run_client(port, &certificate), expected);
    check_echo(connect_tls(&format!("wss://localhost:{port}/echo"), certificate.roots()).await.unwrap())
        .await;
}

/// A port that is free, and most likely still is when a program that cannot choose one listens on
/// it.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a proxy that listens on these ports; `None` if it is not installed.
fn start_proxy(name: &str, arguments: &[String], ports: [u16; 2]) -> Option<Vec<Process>> {
    if Command::new(name).arg("-v").output().is_err() {
        assert!(env::var_os("SANSOCKET_INTEROP").is_none(), "{name} is not installed");
        eprintln!("skipped: no {name}");
        return None;
    }
    let proxies = arguments.iter().map(|arguments| start(Command::new(name).args(arguments.split(' '))));
    let proxies = proxies.collect();
    let until = Instant::now() + Duration::from_secs(20);
    for port in ports {
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "{name} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }
    Some(proxies)
}

/// A client with HTTP/1.1 reaches the example through `to_http2`, and a client with HTTP/2 a server
/// with HTTP/1.1 through `to_http1`.
async fn check_proxy(to_http2: u16, to_http1: u16, certificate: &Certificate) {
    check_echo(connect(&format!("ws://127.0.0.1:{to_http2}/echo")).await.unwrap()).await;
    let output = run_client(to_http1, certificate);
    assert_eq!(output, ["subprotocol: None", "Text(\"Hello\")", "closed: 1000 (clean)"]);
}

#[tokio::test]
async fn haproxy_translates_between_http_1_1_and_http_2() {
    let certificate = Certificate::new("haproxy");
    let (_http2, http2) = serve_http2(&certificate);
    let echo = start(Command::new(example("echo")).arg("127.0.0.1:0"));
    let http1 = port_of(&echo.output.listening());
    let ports @ [to_http2, to_http1] = [free_port(), free_port()];
    let config = format!(
        "defaults\n mode http\n timeout connect 10s\n timeout client 1m\n timeout server 1m\n\
         listen to_http2\n bind 127.0.0.1:{to_http2}\n server s 127.0.0.1:{http2} ssl verify none alpn h2 ws h2\n\
         listen to_http1\n bind 127.0.0.1:{to_http1} ssl crt {} alpn h2\n server s 127.0.0.1:{http1}\n",
        certificate.pem.display(),
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("haproxy.cfg");
    fs::write(&path, config).unwrap();
    let arguments = [format!("-db -f {}", path.display())];
    if let Some(_proxy) = start_proxy("haproxy", &arguments, ports) {
        check_proxy(to_http2, to_http1, &certificate).await;
    }
}

#[tokio::test]
async fn nghttpx_translates_between_http_1_1_and_http_2() {
    let certificate = Certificate::new("nghttpx");
    let (_http2, http2) = serve_http2(&certificate);
    let echo = start(Command::new(example("echo")).arg("127.0.0.1:0"));
    let http1 = port_of(&echo.output.listening());
    let ports @ [to_http2, to_http1] = [free_port(), free_port()];
    let (own, key) = (certificate.certificate.display(), certificate.key.display());
    let arguments = [
        format!(
            "--conf=/dev/null --frontend=127.0.0.1,{to_http2};no-tls --backend=127.0.0.1,{http2};;proto=h2;tls;sni=localhost --insecure --workers=1"
        ),
        format!(
            "--conf=/dev/null --frontend=127.0.0.1,{to_http1} --backend=127.0.0.1,{http1} --workers=1 {key} {own}"
        ),
    ];
    if let Some(_proxies) = start_proxy("nghttpx", &arguments, ports) {
        check_proxy(to_http2, to_http1, &certificate).await;
    }
}
