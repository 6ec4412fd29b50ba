//! A peer of the interop tests: the crate `tokio-tungstenite`.
//!
//! Its client makes the same checks, and its server has the same paths, as the scripts in this
//! folder.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use crate::process::Printer;
use crate::{FRAGMENTED, SIZES, SUBPROTOCOL, binary, text};

type Socket = WebSocketStream<GluingStream>;

/// Writes `glued` together with the first write, which is the head of the handshake.
#[derive(Debug)]
struct GluingStream {
    stream: TcpStream,
    glued: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for GluingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for GluingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let glued = std::mem::take(&mut *self.glued.lock().unwrap());
        if glued.is_empty() {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        let all = [bytes, &glued].concat();
        let written = Pin::new(&mut self.stream).poll_write(context, &all);
        // This is the first write, so the socket buffer has the capacity.
        assert!(matches!(written, Poll::Ready(Ok(n)) if n == all.len()), "{written:?}");
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn glued() -> [Message; 2] {
    [Message::text("glued"), Message::binary(vec![0, 0xff])]
}

fn glued_frames(mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in glued() {
        let opcode = OpCode::Data(if message.is_text() { Data::Text } else { Data::Binary });
        let mut frame = Frame::message(message.into_data(), opcode, true);
        frame.header_mut().mask = mask;
        frame.format(&mut bytes).unwrap();
    }
    bytes
}

async fn next(socket: &mut Socket) -> Option<Message> {
    socket.next().await.map(Result::unwrap)
}

async fn expect(socket: &mut Socket, wanted: Message) {
    let got = next(socket).await.expect("a message instead of the end");
    // Enough to recognize them: some messages have a megabyte.
    assert!(got == wanted, "{} instead of {}", beginning(&got), beginning(&wanted));
}

fn beginning(message: &Message) -> String {
    format!("{message:?}").chars().take(200).collect()
}

async fn echoes(socket: &mut Socket, message: Message) {
    socket.send(message.clone()).await.unwrap();
    expect(socket, message).await;
}

async fn echoes_all(socket: &mut Socket, sizes: &[usize]) {
    for &size in sizes {
        println!("text and binary of {size} bytes");
        echoes(socket, Message::text(text(size))).await;
        echoes(socket, Message::binary(binary(size))).await;
    }
}

/// Sends one message in fragments, cut within characters too, and a Ping after the first fragment.
async fn send_fragments(socket: &mut Socket, message: Message, ping: Option<&'static str>) {
    let mut opcode = if message.is_text() { Data::Text } else { Data::Binary };
    let data = message.into_data();
    let pieces: Vec<_> = data.chunks(usize::max(3, data.len() / 4)).collect();
    for (n, piece) in pieces.iter().enumerate() {
        let frame = Frame::message(piece.to_vec(), OpCode::Data(opcode), n + 1 == pieces.len());
        socket.send(Message::Frame(frame)).await.unwrap();
        opcode = Data::Continue;
        if let (0, Some(ping)) = (n, ping) {
            socket.send(Message::Ping(ping.into())).await.unwrap();
        }
    }
}

fn close_frame(code: u16, reason: &'static str) -> Option<CloseFrame> {
    Some(CloseFrame { code: code.into(), reason: reason.into() })
}

async fn closes(mut socket: Socket, frame: Option<CloseFrame>) {
    socket.close(frame.clone()).await.unwrap();
    // A reply echoes the code (RFC 6455 section 5.5.1); our replies have no reason.
    let reply = frame.and_then(|frame| close_frame(frame.code.into(), ""));
    expect(&mut socket, Message::Close(reply)).await;
    assert_eq!(next(&mut socket).await, None);
}

async fn connect_with(
    url: &str,
    header: Option<(&'static str, &'static str)>,
    glued: Vec<u8>,
) -> Result<(Socket, client::Response), Error> {
    let mut request = url.into_client_request()?;
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let stream = TcpStream::connect(request.uri().authority().unwrap().as_str()).await?;
    client_async(request, GluingStream { stream, glued: Arc::new(Mutex::new(glued)) }).await
}

async fn connect(url: &str) -> Socket {
    connect_with(url, None, Vec::new()).await.unwrap().0
}

pub async fn check(url: &str, set: &str) {
    match set {
        "echo" => check_echo(url).await,
        "pieces" => check_pieces(url).await,
        "limit" => check_limit(url).await,
        _ => check_origin(url).await,
    }
}

async fn check_echo(url: &str) {
    let mut socket = connect(url).await;
    echoes_all(&mut socket, &SIZES).await;
    for message in [Message::text(FRAGMENTED), Message::binary(FRAGMENTED)] {
        println!("fragments around a ping");
        send_fragments(&mut socket, message.clone(), Some("between")).await;
        expect(&mut socket, Message::Pong("between".into())).await;
        expect(&mut socket, message).await;
    }
    println!("ping");
    for payload in [&b"ours"[..], &[b'x'; 125], b""] {
        socket.send(Message::Ping(payload.into())).await.unwrap();
        expect(&mut socket, Message::Pong(payload.into())).await;
    }
    println!("close with code and reason");
    closes(socket, close_frame(4001, "theirs")).await;
    println!("close without a code");
    closes(connect(url).await, None).await;
    println!("close by the server");
    let mut socket = connect(url).await;
    socket.send(Message::text("bye")).await.unwrap();
    expect(&mut socket, Message::Close(close_frame(1000, "bye"))).await;
    assert_eq!(next(&mut socket).await, None);
    println!("subprotocol");
    let header = ("sec-websocket-protocol", "gamma, alpha, beta");
    let (mut socket, response) = connect_with(url, Some(header), Vec::new()).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL);
    echoes(&mut socket, Message::text("spoken")).await;
    closes(socket, close_frame(1000, "")).await;
    println!("frames glued to the handshake");
    let (mut socket, _) = connect_with(url, None, glued_frames(Some([1, 2, 3, 4]))).await.unwrap();
    for message in glued() {
        expect(&mut socket, message).await;
    }
    closes(socket, close_frame(1000, "")).await;
}

async fn check_pieces(url: &str) {
    let mut socket = connect(url).await;
    echoes_all(&mut socket, &SIZES).await;
    for message in [Message::text(FRAGMENTED), Message::binary(FRAGMENTED)] {
        println!("fragments");
        send_fragments(&mut socket, message.clone(), None).await;
        expect(&mut socket, message).await;
    }
    println!("close");
    closes(socket, close_frame(4001, "theirs")).await;
}

async fn check_limit(url: &str) {
    let mut socket = connect(url).await;
    echoes_all(&mut socket, &[0, 125, 126, 4096]).await;
    println!("message too big");
    socket.send(Message::binary(binary(4097))).await.unwrap();
    expect_1009(socket).await;
    println!("message too big in fragments");
    let mut socket = connect(url).await;
    send_fragments(&mut socket, Message::binary(binary(4097)), None).await;
    expect_1009(socket).await;
}

async fn expect_1009(mut socket: Socket) {
    match next(&mut socket).await {
        Some(Message::Close(Some(close))) => assert_eq!(u16::from(close.code), 1009),
        other => panic!("{other:?} instead of a close with 1009"),
    }
}

async fn check_origin(url: &str) {
    println!("allowed origin");
    let origin = Some(("origin", "http://good.example"));
    let (mut socket, _) = connect_with(url, origin, Vec::new()).await.unwrap();
    echoes(&mut socket, Message::text("hello")).await;
    closes(socket, close_frame(1000, "")).await;
    for origin in [None, Some("http://bad.example"), Some("http://good.example.evil")] {
        println!("refused origin {origin:?}");
        match connect_with(url, origin.map(|origin| ("origin", origin)), Vec::new()).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), StatusCode::FORBIDDEN),
            other => panic!("{other:?} instead of a refusal"),
        }
    }
}

/// Runs the server. It prints the same lines as the scripts.
pub async fn serve(printer: Printer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    printer.print(format!("listening on {}", listener.local_addr().unwrap()));
    let printer = Arc::new(printer);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(handle(stream, Arc::clone(&printer)));
    }
}

#[allow(clippy::result_large_err, reason = "tungstenite defines the type of the callback")]
async fn handle(stream: TcpStream, printer: Arc<Printer>) {
    let glued = Arc::new(Mutex::new(Vec::new()));
    let mut path = String::new();
    let mut seen = String::new();
    let respond = |request: &Request, mut response: Response| -> Result<_, ErrorResponse> {
        let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
        path = request.uri().path().to_owned();
        seen = header("x-interop").to_owned();
        if path == "/refuse" {
            let mut refusal = ErrorResponse::new(Some("no".to_owned()));
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            return Err(refusal);
        }
        if path == "/glued" {
            *glued.lock().unwrap() = glued_frames(None);
        }
        if header("sec-websocket-protocol").split(',').any(|offered| offered.trim() == SUBPROTOCOL) {
            let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
            response.headers_mut().insert("sec-websocket-protocol", subprotocol);
        }
        Ok(response)
    };
    let gluing = GluingStream { stream, glued: Arc::clone(&glued) };
    let Ok(mut socket) = accept_hdr_async(gluing, respond).await else { return };
    match path.as_str() {
        "/headers" => socket.send(Message::text(seen)).await.unwrap(),
        "/ping" => {
            socket.send(Message::Ping("theirs".into())).await.unwrap();
            expect(&mut socket, Message::Pong("theirs".into())).await;
            socket.send(Message::text("pong theirs")).await.unwrap();
        }
        "/fragments" => {
            send_fragments(&mut socket, Message::text(FRAGMENTED), Some("between")).await;
            expect(&mut socket, Message::Pong("between".into())).await;
        }
        "/close" => socket.close(close_frame(1001, "going")).await.unwrap(),
        "/drop" => return,
        _ => {}
    }
    while let Some(message) = next(&mut socket).await {
        match message {
            Message::Close(Some(close)) => {
                printer.print(format!("closed {} {}", u16::from(close.code), close.reason));
            }
            Message::Close(None) => printer.print("closed 1005".to_owned()),
            message if message.is_text() || message.is_binary() => socket.send(message).await.unwrap(),
            _ => {}
        }
    }
}
