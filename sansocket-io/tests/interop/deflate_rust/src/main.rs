//! Peers that compress: sockudo-ws and yawc, each as client and as server.
//!
//! deflate_rust sockudo-ws|yawc client URL [WINDOW TAKEOVER]
//! deflate_rust sockudo-ws|yawc server [WINDOW TAKEOVER]
//!
//! As deflate.py. Empty messages are not compressed: with context takeover, sockudo-ws sends them as
//! compressed frames without a payload, which is not valid (RFC 7692 section 7.2.3.6), and yawc
//! loops forever.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate, parse_deflate_offer};
use sockudo_ws::handshake::{
    build_request, build_response, generate_accept_key, generate_key, parse_request, parse_response,
};
use sockudo_ws::{CompressedWebSocketStream, Config, Message};
use std::cell::RefCell;
use std::error::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use yawc::close::CloseCode;
use yawc::{Frame, OpCode, Options, WebSocket};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MESSAGES: usize = 1000;

/// What both libraries have.
trait Peer {
    async fn send(&mut self, message: Message) -> Result<()>;
    async fn receive(&mut self) -> Result<Message>;
}

async fn exchange(peer: &mut impl Peer) -> Result<()> {
    let (mut pings, mut pongs, mut total) = (0, 0, 0);
    let mut state = 1;
    for number in 0..MESSAGES {
        if number % 16 == 0 {
            peer.send(Message::Ping(Bytes::from_static(b"ping"))).await?;
            pings += 1;
        }
        let message = message(number, &mut state);
        peer.send(message.clone()).await?;
        let echo = loop {
            match peer.receive().await? {
                Message::Pong(_) => pongs += 1,
                echo => break echo,
            }
        };
        match (&message, &echo) {
            (Message::Text(sent), Message::Text(echo)) if sent == echo => total += sent.len(),
            (Message::Binary(sent), Message::Binary(echo)) if sent == echo => total += sent.len(),
            _ => return Err(format!("{number}: {echo:?} instead of {message:?}").into()),
        }
    }
    assert_eq!(pongs, pings);
    close(peer).await?;
    println!("{MESSAGES} messages, {total} bytes");
    Ok(())
}

async fn close(peer: &mut impl Peer) -> Result<()> {
    peer.send(Message::Close(None)).await?;
    while !matches!(peer.receive().await?, Message::Close(_)) {}
    Ok(())
}

fn message(number: usize, state: &mut u32) -> Message {
    let text = match number % 10 {
        _ if number == 507 => return Message::Binary(noise(70_000, state)),
        _ if number == 509 => format!("{:?}", (0..15_000).collect::<Vec<_>>()),
        7 => return Message::Binary(noise(number % 300, state)),
        8 => "grün, 値段, 😀 ".repeat(number % 400),
        9 => String::new(),
        sensor => {
            let temperature = (number as f64).sin() * 40.0;
            format!(r#"{{"sensor": {sensor}, "temperature": {temperature}, "number": {number}}}"#)
        }
    };
    Message::Text(text.into())
}

/// Incompressible bytes (xorshift).
fn noise(len: usize, state: &mut u32) -> Bytes {
    let next = || {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        *state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// The settings of the command line.
#[derive(Clone, Copy)]
struct Settings {
    window: u8,
    takeover: bool,
}

impl Settings {
    fn sockudo(self) -> Result<DeflateConfig> {
        Ok(DeflateConfig {
            server_max_window_bits: self.window.try_into()?,
            client_max_window_bits: self.window.try_into()?,
            server_no_context_takeover: !self.takeover,
            client_no_context_takeover: !self.takeover,
            compression_threshold: 1,
            ..DeflateConfig::default()
        })
    }

    fn yawc(self) -> Options {
        let options = Options::default()
            .with_balanced_compression()
            .with_compression_threshold(1)
            .with_max_fragment_size(1000)
            .with_utf8();
        let options = if self.takeover {
            options
        } else {
            options.server_no_context_takeover().client_no_context_takeover()
        };
        options.with_server_max_window_bits(self.window).with_client_max_window_bits(self.window)
    }
}

type Sockudo = CompressedWebSocketStream<TcpStream>;

impl Peer for Sockudo {
    async fn send(&mut self, message: Message) -> Result<()> {
        Ok(SinkExt::send(self, message).await?)
    }

    async fn receive(&mut self) -> Result<Message> {
        Ok(self.next().await.ok_or("the end")??)
    }
}

/// Reads until `parse` finds the end of the head. The peer sends nothing behind it before it gets
/// an answer.
async fn head<T>(
    stream: &mut TcpStream,
    parse: impl Fn(&[u8]) -> sockudo_ws::Result<Option<T>>,
) -> Result<T> {
    let mut head = BytesMut::new();
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("the end".into());
        }
        if let Some(parsed) = parse(&head)? {
            return Ok(parsed);
        }
    }
}

/// The library's client sends no offer, so that its parts are used.
async fn sockudo_client(mut stream: TcpStream, host: &str, settings: Settings) -> Result<()> {
    let mut offer = "permessage-deflate; client_max_window_bits".to_owned();
    if settings.window < 15 {
        offer += &format!("; server_max_window_bits={}", settings.window);
    }
    if !settings.takeover {
        offer += "; server_no_context_takeover; client_no_context_takeover";
    }
    let request = build_request(host, "/", &generate_key(), None, Some(&offer));
    stream.write_all(&request).await?;
    let answer = head(&mut stream, |head| {
        Ok(parse_response(head)?.map(|(response, _)| response.extensions.unwrap_or_default().to_string()))
    });
    let answer = answer.await?;
    let parameters = parse_deflate_offer(&answer).ok_or("no compression")?;
    let agreed = DeflateConfig { compression_threshold: 1, ..DeflateConfig::from_params(&parameters)? };
    exchange(&mut Sockudo::client(stream, Config::default(), agreed)).await
}

async fn sockudo_server(mut stream: TcpStream, settings: Settings) -> Result<()> {
    let (path, key, offers) = head(&mut stream, |head| {
        Ok(parse_request(head)?.map(|(request, _)| {
            let offers = request.extensions.unwrap_or_default().to_string();
            (request.path.to_string(), request.key.to_string(), offers)
        }))
    })
    .await?;
    let agreed = negotiate_server_deflate(&offers, &settings.sockudo()?).ok_or("no compression")?;
    let answer = agreed.to_response_header();
    stream.write_all(&build_response(&generate_accept_key(&key), None, Some(&answer))).await?;
    serve(&path, &mut Sockudo::server(stream, Config::default(), agreed.config)).await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer for WebSocket<S> {
    async fn send(&mut self, message: Message) -> Result<()> {
        let frame = match message {
            Message::Text(text) => Frame::text(text),
            Message::Binary(data) => Frame::binary(data),
            Message::Ping(data) => Frame::ping(data),
            Message::Pong(data) => Frame::pong(data),
            Message::Close(_) => Frame::close(CloseCode::Normal, ""),
        };
        Ok(SinkExt::send(self, frame).await?)
    }

    async fn receive(&mut self) -> Result<Message> {
        let frame = self.next_frame().await?;
        Ok(match frame.opcode() {
            OpCode::Text => Message::Text(frame.into_payload()),
            OpCode::Pong => Message::Pong(frame.into_payload()),
            OpCode::Close => Message::Close(None),
            _ => Message::Binary(frame.into_payload()),
        })
    }
}

async fn yawc_client(stream: TcpStream, url: &str, settings: Settings) -> Result<()> {
    exchange(&mut WebSocket::handshake(url.parse()?, stream, settings.yawc()).await?).await
}

async fn yawc_server(stream: TcpStream, settings: Settings) -> Result<()> {
    let upgraded = RefCell::new(None);
    let service = service_fn(async |request: hyper::Request<Incoming>| {
        let path = request.uri().path().to_owned();
        let (response, upgrade) = WebSocket::upgrade_with_options(request, settings.yawc())?;
        *upgraded.borrow_mut() = Some((path, upgrade));
        Ok::<_, yawc::WebSocketError>(response)
    });
    let http = hyper::server::conn::http1::Builder::new();
    http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?;
    let (path, upgrade) = upgraded.take().ok_or("no upgrade")?;
    serve(&path, &mut upgrade.await?).await
}

async fn serve(path: &str, peer: &mut impl Peer) -> Result<()> {
    if path.contains("runCase") {
        return exchange(peer).await;
    }
    if path.contains("getCaseCount") {
        peer.send(Message::Text("1".into())).await?;
    }
    close(peer).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next();
    let (library, role) = (next().ok_or("no library")?, next().ok_or("no role")?);
    let url = if role == "client" { next().ok_or("no URL")? } else { String::new() };
    let window = next().map_or(Ok(15), |window| window.parse())?;
    let settings = Settings { window, takeover: next().as_deref() != Some("no") };
    if role == "client" {
        let host = url.trim_start_matches("ws://").trim_end_matches('/');
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        return match &*library {
            "yawc" => yawc_client(stream, &url, settings).await,
            _ => sockudo_client(stream, host, settings).await,
        };
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match &*library {
            "yawc" => yawc_server(stream, settings).await?,
            _ => sockudo_server(stream, settings).await?,
        }
    }
}
