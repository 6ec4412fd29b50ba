//! The measured work: receiving, sending, echoing and the opening handshake, in memory.
//!
//! `machine` times it, `instructions` counts its instructions. Each received stream is copied into
//! the read buffer, as by a socket; that copy is part of the work.

pub mod corpus;

use rand::{SeedableRng, TryCryptoRng, TryRng, rngs::StdRng};
use sansocket::deflate::{Compressor, Deflate, Parameters, Settings};
use sansocket::{
    Buffer, Client, ClientRole, Config, Connect, Established, Event, Inbox, Message, Role, Server,
    ServerRole, WebSocket,
};
use std::{convert::Infallible, hint::black_box};

/// Work that can be repeated.
pub struct Work {
    pub name: String,
    /// Does the work; returns the number of messages.
    pub run: Box<dyn FnMut() -> u64>,
}

/// The size of a read.
const READ: usize = 64 * 1024;

/// All work.
pub fn all() -> Vec<Work> {
    let mut all = Vec::new();
    for len in [16, 125, 1024, 16 * 1024] {
        let payload = vec![0x5A; len];
        let binary = Message::Binary(&payload);
        let [json, greek] = texts(len);
        all.push(receiving(
            format!("receive masked binary/{len}"),
            server(),
            &frames(&mut client(), binary),
            READ,
        ));
        all.push(receiving(
            format!("receive masked json/{len}"),
            server(),
            &frames(&mut client(), (&json).into()),
            READ,
        ));
        all.push(receiving(
            format!("receive masked greek/{len}"),
            server(),
            &frames(&mut client(), (&greek).into()),
            READ,
        ));
        all.push(receiving(
            format!("receive unmasked binary/{len}"),
            client(),
            &frames(&mut server(), binary),
            READ,
        ));
        all.push(echoing(format!("echo masked binary/{len}"), &frames(&mut client(), binary)));
        all.push(sending(format!("send unmasked binary/{len}"), server(), payload.clone()));
        all.push(sending(format!("send masked binary/{len}"), client(), payload));
    }
    let stream = frames(&mut client(), Message::Binary(&[0x5A; 16 * 1024]));
    all.push(receiving("receive masked binary/16384 in reads of 1460".into(), server(), &stream, 1460));
    all.push(receiving("receive masked binary/16384 in reads of 64".into(), server(), &stream, 64));
    let stream = frames(&mut client(), Message::Binary(&[0x5A; 1024]));
    all.push(waiting("wait for masked binary/1024 in reads of 1460".into(), server(), stream, 1460));
    all.push(server_handshake("handshake server", || WebSocket::server(Config::default())));
    all.push(client_handshake("handshake client", || WebSocket::client(Config::default(), Constant)));
    all.push(server_handshake("handshake deflated server", || {
        WebSocket::deflate_server(Config::default(), Settings::server(), Vec::new())
    }));
    all.push(client_handshake("handshake deflated client", || {
        WebSocket::deflate_client(Config::default(), Constant, Settings::client(), Vec::new())
    }));
    for (len, size) in [(105, 125), (994, 1024)] {
        let name = |work| format!("{work} deflated json/{len}");
        let messages = move || corpus::telemetry(1000, size);
        let stream = move || deflated_frames(&messages());
        all.push(lazily(name("receive masked"), move |name| {
            receiving(name, deflate_server(), &stream(), READ)
        }));
        all.push(lazily(name("send unmasked"), move |name| sending_deflated(name, messages())));
        all.push(lazily(name("echo masked"), move |name| echoing_deflated(name, stream())));
    }
    all
}

/// Work whose preparation takes long: it is prepared when it is first done.
fn lazily(name: String, make: impl FnOnce(String) -> Work + 'static) -> Work {
    let (mut make, mut made) = (Some((make, name.clone())), None);
    let run = move || {
        let prepare = || {
            let (make, name) = make.take().unwrap();
            make(name).run
        };
        made.get_or_insert_with(prepare)()
    };
    Work { name, run: Box::new(run) }
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(6455)
}

fn client() -> WebSocket<Client<StdRng>> {
    WebSocket::<Client<_>>::open(Config::default(), rng())
}

fn server() -> WebSocket<Server> {
    WebSocket::<Server>::open(Config::default())
}

fn texts(len: usize) -> [String; 2] {
    [r#"{"id":1234567,"name":"a sensor","value":21.5,"tags":["a","b"]},"#, "Κόσμε, κάθε λέξη έχει τόνο. "]
        .map(|text| {
            let mut text = text.repeat(len / text.len() + 1);
            let end = (0..=len).rev().find(|&end| text.is_char_boundary(end)).unwrap();
            text.truncate(end);
            text
        })
}

/// As many frames with `message` as fit into one read, but at least one.
fn frames<R: Role>(ws: &mut WebSocket<R>, message: Message<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    while stream.is_empty() || stream.len() + message.as_bytes().len() + 14 <= READ {
        ws.send(message, &mut stream).unwrap();
    }
    stream
}

/// Receives the whole stream in reads of `read` bytes; passes each message to `each`.
#[inline]
fn receive<R: Role>(
    ws: &mut WebSocket<R>,
    stream: &[u8],
    read: usize,
    buffer: &mut [u8],
    inbox: &mut Inbox,
    mut each: impl FnMut(&mut WebSocket<R>, Message<'_>),
) -> u64 {
    let mut count = 0;
    for read in stream.chunks(read) {
        buffer[..read.len()].copy_from_slice(read);
        let mut input = &mut buffer[..read.len()];
        while let Some(event) = ws.receive(&mut input, inbox) {
            let Event::Message(message) = event else { panic!("only messages were sent") };
            each(ws, message);
            count += 1;
        }
    }
    count
}

fn receiving<R: Role + 'static>(name: String, mut ws: WebSocket<R>, stream: &[u8], read: usize) -> Work {
    let (stream, mut buffer, mut inbox) = (stream.to_vec(), vec![0; read], Inbox::new());
    let run = move || {
        receive(&mut ws, &stream, read, &mut buffer, &mut inbox, |_, message| {
            // Keeps the compiler from removing the unused result.
            black_box(message);
        })
    };
    Work { name, run: Box::new(run) }
}

/// Receives the whole stream in reads of `read` bytes, but reads a cut frame to its end before
/// receiving it.
fn waiting(name: String, mut ws: WebSocket<Server>, stream: Vec<u8>, fresh: usize) -> Work {
    let (mut buffer, mut inbox) = (vec![0; READ], Inbox::new());
    let run = move || {
        let (mut count, mut kept, mut wanted, mut stream) = (0, 0, fresh, &stream[..]);
        while let Some(read) = stream.split_off(..wanted.min(stream.len())).filter(|read| !read.is_empty()) {
            let end = kept + read.len();
            buffer[kept..end].copy_from_slice(read);
            let mut input = &mut buffer[..end];
            wanted = loop {
                if let missing @ 1.. = ws.missing(input, &inbox) {
                    break missing as usize;
                }
                match ws.receive(&mut input, &mut inbox) {
                    Some(Event::Message(message)) => black_box(message),
                    Some(_) => panic!("only messages were sent"),
                    None => break fresh,
                };
                count += 1;
            };
            kept = input.len();
            buffer.copy_within(end - kept..end, 0);
        }
        count
    };
    Work { name, run: Box::new(run) }
}

fn echoing(name: String, stream: &[u8]) -> Work {
    let (stream, mut buffer, mut inbox) = (stream.to_vec(), vec![0; READ], Inbox::new());
    let (mut ws, mut outbox) = (server(), Vec::with_capacity(2 * READ));
    let run = move || {
        Buffer::clear(&mut outbox);
        receive(&mut ws, &stream, READ, &mut buffer, &mut inbox, |ws, message| {
            ws.send(message, &mut outbox).unwrap();
            ws.transmit(&mut outbox).unwrap();
        })
    };
    Work { name, run: Box::new(run) }
}

fn sending<R: Role + 'static>(name: String, mut ws: WebSocket<R>, payload: Vec<u8>) -> Work {
    let mut outbox = Vec::with_capacity(2 * READ);
    let run = move || {
        Buffer::clear(&mut outbox);
        // As many as fit into one write.
        let mut count = 0;
        while outbox.len() + payload.len() < READ {
            ws.send(black_box(&payload[..]), &mut outbox).unwrap();
            count += 1;
        }
        count
    };
    Work { name, run: Box::new(run) }
}

fn server_handshake<R: ServerRole + 'static>(name: &str, open: impl Fn() -> WebSocket<R> + 'static) -> Work {
    let request = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nConnection: Upgrade\r\n\
        Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
        AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
        Upgrade: websocket\r\nOrigin: http://server.example.com\r\n\
        Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\n\
        Cookie: session=0123456789abcdef0123456789abcdef\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let (mut buffer, mut inbox, mut outbox) = (vec![0; READ], Vec::new(), Vec::new());
    let run = move || {
        Buffer::clear(&mut outbox);
        buffer[..request.len()].copy_from_slice(request.as_bytes());
        let mut input = &mut buffer[..request.len()];
        let mut ws = open();
        let Some(Event::Request(request)) = ws.receive(&mut input, &mut inbox) else { panic!() };
        ws.accept(request.accept(), &mut outbox).unwrap();
        let Some(Event::Open(_)) = ws.receive(&mut input, &mut inbox) else { panic!() };
        black_box(&ws);
        1
    };
    Work { name: format!("{name}/{}", request.len()), run: Box::new(run) }
}

/// A server's end of a connection whose messages are compressed: with context takeover, and the
/// largest windows.
fn deflate_server() -> WebSocket<Deflate<Established<Server>, Vec<u8>>> {
    let parameters = Parameters {
        server_takeover: true,
        client_takeover: true,
        server_window_bits: 15,
        client_window_bits: 15,
    };
    let window = Vec::new();
    WebSocket::<Deflate<Established<Server>, Vec<u8>>>::open_deflate(
        Config::default(),
        Some(parameters),
        window,
    )
    .unwrap()
}

fn compressor() -> Compressor<Vec<u16>, Vec<u8>> {
    Compressor::with_takeover(vec![0; 4096], vec![0; 38 * 1024])
}

/// The frames of a browser with these messages: zlib at level 6, with context takeover.
fn deflated_frames(messages: &[String]) -> Vec<u8> {
    let mut deflate = zlib_rs::Deflate::new(6, false, 15);
    let (mut stream, mut masked) = (Vec::new(), client());
    for message in messages {
        let mut payload = vec![0; 2 * message.len() + 64];
        let before = deflate.total_out();
        deflate.compress(message.as_bytes(), &mut payload, zlib_rs::DeflateFlush::SyncFlush).unwrap();
        // Without the end that is cut off.
        payload.truncate((deflate.total_out() - before) as usize - 4);
        let start = stream.len();
        masked.send(&payload[..], &mut stream).unwrap();
        // FIN, RSV1, text.
        stream[start] = 0xC1;
    }
    stream
}

fn sending_deflated(name: String, messages: Vec<String>) -> Work {
    let (mut ws, mut compressor, mut outbox) = (deflate_server(), compressor(), Vec::with_capacity(2 * READ));
    let run = move || {
        for message in &messages {
            if outbox.len() >= READ {
                Buffer::clear(&mut outbox);
            }
            ws.send_deflated(black_box(message.as_str()), &mut compressor, &mut outbox).unwrap();
        }
        messages.len() as u64
    };
    Work { name, run: Box::new(run) }
}

fn echoing_deflated(name: String, stream: Vec<u8>) -> Work {
    let (mut buffer, mut inbox, mut outbox) = (vec![0; READ], Inbox::new(), Vec::with_capacity(2 * READ));
    let (mut ws, mut compressor) = (deflate_server(), compressor());
    let run = move || {
        receive(&mut ws, &stream, READ, &mut buffer, &mut inbox, |ws, message| {
            if outbox.len() >= READ {
                Buffer::clear(&mut outbox);
            }
            ws.send_deflated(message, &mut compressor, &mut outbox).unwrap();
        })
    };
    Work { name, run: Box::new(run) }
}

/// A generator whose output is always the same.
struct Constant;

impl TryRng for Constant {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(6455)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(6455)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0x5A);
        Ok(())
    }
}

impl TryCryptoRng for Constant {}

fn client_handshake<R: ClientRole + 'static>(name: &str, open: impl Fn() -> WebSocket<R> + 'static) -> Work {
    let connect = Connect::new("server.example.com", "/chat");
    let (mut buffer, mut inbox, mut outbox) = (vec![0; READ], Vec::new(), Vec::new());
    // The client's key is always the same, so that one response fits every run.
    let mut response = Vec::new();
    open().connect(connect, &mut outbox).unwrap();
    // It accepts compression, if that is offered.
    let mut server = WebSocket::deflate_server(Config::default(), Settings::server(), Vec::new());
    if let Some(Event::Request(request)) = server.receive(&mut &mut outbox[..], &mut inbox) {
        server.accept(request.accept(), &mut response).unwrap();
    }
    let name = format!("{name}/{}", response.len());
    let run = move || {
        Buffer::clear(&mut outbox);
        buffer[..response.len()].copy_from_slice(&response);
        let mut input = &mut buffer[..response.len()];
        let mut ws = open();
        ws.connect(connect, &mut outbox).unwrap();
        let Some(Event::Open(_)) = ws.receive(&mut input, &mut inbox) else { panic!() };
        black_box(&ws);
        1
    };
    Work { name, run: Box::new(run) }
}
