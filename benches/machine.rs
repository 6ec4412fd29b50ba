//! The machine alone, in memory: receiving, sending, echoing, and the opening handshake.
//!
//! `cargo bench --manifest-path benches/Cargo.toml`. Each received stream is copied into the buffer that is read into, as a socket would
//! do it: that copy is part of the time.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{SeedableRng, rngs::StdRng};
use sansocket::{Buffer, Client, Config, Connect, Event, Inbox, Message, Role, Server, WebSocket};
use std::hint::black_box;

const SIZES: [usize; 4] = [16, 125, 1024, 16 * 1024];
/// What one read brings.
const READ: usize = 64 * 1024;

fn rng() -> StdRng {
    StdRng::seed_from_u64(6455)
}

fn client() -> WebSocket<Client<StdRng>> {
    WebSocket::<Client<_>>::open(Config::default(), rng())
}

fn server() -> WebSocket<Server> {
    WebSocket::<Server>::open(Config::default())
}

/// As many frames with `message` as one read brings, but at least one.
fn frames<R: Role>(ws: &mut WebSocket<R>, message: Message<'_>) -> (Vec<u8>, u64) {
    let mut stream = Vec::new();
    let mut count = 0;
    while count == 0 || stream.len() + message.as_bytes().len() + 14 <= READ {
        ws.send(message, &mut stream).unwrap();
        count += 1;
    }
    (stream, count)
}

/// Receives the whole stream, with each message handed to `each`.
fn receive<R: Role>(
    ws: &mut WebSocket<R>,
    stream: &[u8],
    buffer: &mut [u8],
    inbox: &mut Inbox,
    mut each: impl FnMut(&mut WebSocket<R>, Message<'_>),
) -> u64 {
    let mut count = 0;
    for read in stream.chunks(READ) {
        buffer[..read.len()].copy_from_slice(read);
        let mut input = &mut buffer[..read.len()];
        while let Some(event) = ws.receive(&mut input, inbox) {
            let Event::Message(message) = event else { panic!("{event:?}") };
            each(ws, message);
            count += 1;
        }
    }
    count
}

/// Keeps the compiler from leaving out what nobody looks at.
fn keep<R: Role>(_: &mut WebSocket<R>, message: Message<'_>) {
    black_box(message);
}

fn texts(len: usize) -> [(&'static str, String); 2] {
    let json = r#"{"id":1234567,"name":"a sensor","value":21.5,"tags":["a","b"]},"#;
    let greek = "Κόσμε, κάθε λέξη έχει τόνο. ";
    let fill = |text: &str| {
        let mut text = text.repeat(len / text.len() + 1);
        let end = (0..=len).rev().find(|&end| text.is_char_boundary(end)).unwrap();
        text.truncate(end);
        text
    };
    [("json", fill(json)), ("greek", fill(greek))]
}

fn receiving(c: &mut Criterion) {
    let mut buffer = vec![0; READ];
    let mut inbox = Inbox::new();
    let mut group = c.benchmark_group("receive");
    for len in SIZES {
        let payload = vec![0x5A; len];
        let (stream, count) = frames(&mut client(), Message::Binary(&payload));
        let mut ws = server();
        assert_eq!(
            receive(&mut ws, &stream, &mut buffer, &mut inbox, |_, got| assert_eq!(
                got,
                (&payload[..]).into()
            )),
            count
        );
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("masked binary", len), |b| {
            b.iter(|| receive(&mut ws, &stream, &mut buffer, &mut inbox, keep));
        });
        let (stream, count) = frames(&mut server(), Message::Binary(&payload));
        let mut ws = client();
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("unmasked binary", len), |b| {
            b.iter(|| receive(&mut ws, &stream, &mut buffer, &mut inbox, keep));
        });
        for (name, text) in texts(len) {
            let (stream, count) = frames(&mut client(), Message::Text(&text));
            let mut ws = server();
            assert_eq!(
                receive(&mut ws, &stream, &mut buffer, &mut inbox, |_, got| assert_eq!(got, text[..].into())),
                count
            );
            group.throughput(Throughput::Elements(count));
            group.bench_function(BenchmarkId::new(format!("masked {name}"), len), |b| {
                b.iter(|| receive(&mut ws, &stream, &mut buffer, &mut inbox, keep));
            });
        }
    }
}

fn sending(c: &mut Criterion) {
    let mut group = c.benchmark_group("send");
    let mut outbox = Vec::with_capacity(2 * READ);
    for len in SIZES {
        let payload = vec![0x5A; len];
        let (mut server, mut client) = (server(), client());
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("unmasked binary", len), |b| {
            b.iter(|| {
                Buffer::clear(&mut outbox);
                server.send(black_box(&payload[..]), &mut outbox)
            });
        });
        group.bench_function(BenchmarkId::new("masked binary", len), |b| {
            b.iter(|| {
                Buffer::clear(&mut outbox);
                client.send(black_box(&payload[..]), &mut outbox)
            });
        });
    }
}

fn echoing(c: &mut Criterion) {
    let mut buffer = vec![0; READ];
    let (mut inbox, mut outbox) = (Inbox::new(), Vec::with_capacity(2 * READ));
    let mut group = c.benchmark_group("echo");
    for len in SIZES {
        let payload = vec![0x5A; len];
        let (stream, count) = frames(&mut client(), Message::Binary(&payload));
        let mut ws = server();
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("masked binary", len), |b| {
            b.iter(|| {
                Buffer::clear(&mut outbox);
                receive(&mut ws, &stream, &mut buffer, &mut inbox, |ws, message| {
                    ws.send(message, &mut outbox).unwrap()
                })
            });
        });
    }
}

fn handshake(c: &mut Criterion) {
    let request = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
        Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
        Chrome/130.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://server.example.com\r\n\
        Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\n\
        Cookie: session=0123456789abcdef0123456789abcdef\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let (mut buffer, mut inbox, mut outbox) = (vec![0; READ], Vec::new(), Vec::new());
    let mut group = c.benchmark_group("handshake");
    group.bench_function(format!("server, a request of {} bytes", request.len()), |b| {
        b.iter(|| {
            Buffer::clear(&mut outbox);
            buffer[..request.len()].copy_from_slice(request.as_bytes());
            let mut input = &mut buffer[..request.len()];
            let mut ws = WebSocket::server(Config::default());
            let Some(Event::Request(request)) = ws.receive(&mut input, &mut inbox) else { panic!() };
            ws.accept(request.accept(), &mut outbox).unwrap();
            let Some(Event::Open(_)) = ws.receive(&mut input, &mut inbox) else { panic!() };
            ws
        });
    });
    // The same generator draws the same key: one response is right every time.
    let mut ws = WebSocket::client(Config::default(), rng());
    ws.connect(Connect::new("server.example.com", "/chat"), &mut outbox).unwrap();
    let mut server = WebSocket::server(Config::default());
    let mut response = Vec::new();
    Buffer::clear(&mut outbox);
    WebSocket::client(Config::default(), rng()).connect(Connect::new("a", "/"), &mut outbox).unwrap();
    if let Some(Event::Request(request)) = server.receive(&mut &mut outbox[..], &mut inbox) {
        server.accept(request.accept(), &mut response).unwrap();
    }
    group.bench_function("client", |b| {
        b.iter_batched(
            rng,
            |rng| {
                Buffer::clear(&mut outbox);
                buffer[..response.len()].copy_from_slice(&response);
                let mut input = &mut buffer[..response.len()];
                let mut ws = WebSocket::client(Config::default(), rng);
                ws.connect(Connect::new("server.example.com", "/chat"), &mut outbox).unwrap();
                let Some(Event::Open(_)) = ws.receive(&mut input, &mut inbox) else { panic!() };
                ws
            },
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, receiving, sending, echoing, handshake);
criterion_main!(benches);
