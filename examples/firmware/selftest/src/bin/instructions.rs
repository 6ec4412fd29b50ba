//! Counts the instructions of messages and handshakes, beside embedded-websocket. In the emulator
//! each instruction takes a fixed time (`-icount shift=10`), which a timer of the board measures.
//! The counts are exact and repeatable.
#![no_std]
#![no_main]

use core::hint::black_box;
use embedded_websocket as peer;
use sansocket::{Buffer, Client, Config, Connect, Event, Message, Role, Server, Slice, WebSocket};
use selftest::figures::{report, start_timer};
use selftest::{BINARY, REQUEST, RESPONSE, Rng, TEXT, frame};

const LONGEST: usize = 1024;

type Frame = heapless::Vec<u8, 1536>;

#[selftest::entry]
fn main() -> ! {
    start_timer();
    let server = || WebSocket::<Server>::open(Config::new());
    let client = || WebSocket::<Client<Rng>>::open(Config::new(), Rng);
    let mut memory = [0; LONGEST];
    for (slot, byte) in
        memory.iter_mut().zip(br#"{"led":true,"counter":1234,"uptime":98765}, "#.iter().cycle())
    {
        *slot = *byte;
    }
    for (len, column) in [(16, "16"), (125, "125"), (LONGEST, "1,024")] {
        let payload = black_box(&memory[..len]);
        let text = str::from_utf8(payload).expect("ASCII");
        let message = |kind| if kind == TEXT { Message::Text(text) } else { Message::Binary(payload) };

        for (kind, name) in [(BINARY, "binary"), (TEXT, "text")] {
            receive(server(), ("receive masked ", name), column, &frame(kind, true, payload));
            receive(client(), ("receive unmasked ", name), column, &frame(kind, false, payload));
            // Into a borrowed slice, as embedded-websocket does.
            let memory = &mut [0; LONGEST + 14];
            send(server(), ("send unmasked ", name), column, message(kind), &mut Slice::new(memory));
            send(client(), ("send masked ", name), column, message(kind), &mut Slice::new(memory));
        }
        let binary = Message::Binary(payload);
        send(server(), ("send unmasked binary", IN_A_VEC), column, binary, &mut Frame::new());
        send(client(), ("send masked binary", IN_A_VEC), column, binary, &mut Frame::new());
        let mut umlauts = heapless::String::<LONGEST>::new();
        while umlauts.len() + 3 <= len {
            let _ = umlauts
                .push_str("ä€"[..].get(..if umlauts.len() + 5 <= len { 5 } else { 2 }).unwrap_or_default());
        }
        let masked = frame(TEXT, true, umlauts.as_bytes());
        receive(server(), ("receive masked ", "text, not ASCII"), column, &masked);

        let mut server = peer::WebSocketServer::new_server();
        server.state = peer::WebSocketState::Open;
        let mut client = peer::WebSocketClient::new_client(Rng);
        client.state = peer::WebSocketState::Open;
        peer_receive(&mut server, "receive masked binary", column, &frame(BINARY, true, payload));
        peer_receive(&mut client, "receive unmasked binary", column, &frame(BINARY, false, payload));
        peer_send(&mut server, "send unmasked binary", column, payload);
        peer_send(&mut client, "send masked binary", column, payload);
    }
    handshakes();
    semihosting::process::exit(0)
}

fn row(operation: (&str, &str), library: &str) -> heapless::String<64> {
    let mut row = heapless::String::new();
    for part in [operation.0, operation.1, library] {
        row.push_str(part).expect("a short name");
    }
    row
}

fn receive<R: Role>(mut ws: WebSocket<R>, operation: (&str, &str), column: &str, frame: &Frame) {
    let mut inbox = heapless::Vec::<u8, 1024>::new();
    let mut frame = frame.clone();
    let mut input = black_box(&mut frame[..]);
    report(&row(operation, ""), column, || {
        let event = ws.receive(&mut input, &mut inbox);
        assert!(matches!(&event, Some(Event::Message(_))));
        black_box(event);
    });
}

fn send<R: Role, B: Buffer>(
    mut ws: WebSocket<R>,
    operation: (&str, &str),
    column: &str,
    message: Message<'_>,
    outbox: &mut B,
) {
    report(&row(operation, ""), column, || assert!(ws.send(message, outbox).is_ok()));
    black_box(outbox.bytes());
}

const IN_A_VEC: &str = ", in a heapless Vec";
const PEER: &str = ", embedded-websocket";

fn peer_receive<R: rand_core_06::RngCore, T: peer::WebSocketType>(
    ws: &mut peer::WebSocket<R, T>,
    operation: &str,
    column: &str,
    frame: &Frame,
) {
    let mut payload = [0; LONGEST];
    let frame = black_box(frame);
    report(&row((operation, ""), PEER), column, || {
        let result = ws.read(frame, &mut payload);
        assert!(matches!(&result, Ok(result) if result.end_of_message));
        black_box(result).ok();
    });
    black_box(&payload);
}

fn peer_send<R: rand_core_06::RngCore, T: peer::WebSocketType>(
    ws: &mut peer::WebSocket<R, T>,
    operation: &str,
    column: &str,
    payload: &[u8],
) {
    let mut outbox = [0; LONGEST + 14];
    report(&row((operation, ""), PEER), column, || {
        assert!(ws.write(peer::WebSocketSendMessageType::Binary, true, payload, &mut outbox).is_ok());
    });
    black_box(&outbox);
}

/// Counts both sides of the opening handshake, with both libraries.
fn handshakes() {
    let mut inbox = heapless::Vec::<u8, 1024>::new();
    let mut outbox = heapless::Vec::<u8, 1024>::new();

    let mut request = [0; REQUEST.len()];
    request.copy_from_slice(REQUEST);
    let mut ws = WebSocket::server(Config::new());
    let mut input = black_box(&mut request[..]);
    report("server's handshake", "once", || {
        let Some(Event::Request(request)) = ws.receive(&mut input, &mut inbox) else { panic!("no request") };
        assert!(ws.accept(request.accept(), &mut outbox).is_ok());
    });
    assert!(outbox.starts_with(b"HTTP/1.1 101 "));

    outbox.clear();
    let mut response = [0; RESPONSE.len()];
    response.copy_from_slice(RESPONSE);
    let mut ws = WebSocket::client(Config::new(), Rng);
    let mut input = black_box(&mut response[..]);
    report("client's handshake", "once", || {
        assert!(ws.connect(Connect::new("device.example", "/chat"), &mut outbox).is_ok());
        assert!(matches!(ws.receive(&mut input, &mut inbox), Some(Event::Open(_))));
    });

    let mut bytes = [0; 512];
    let request = black_box(REQUEST);
    let mut ws = peer::WebSocketServer::new_server();
    report(&row(("server's handshake", ""), PEER), "once", || {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut parsed = httparse::Request::new(&mut headers);
        assert!(parsed.parse(request).is_ok_and(|status| status.is_complete()));
        let headers = parsed.headers.iter().map(|header| (header.name, header.value));
        let Ok(Some(context)) = peer::read_http_header(headers) else { panic!("no request") };
        assert!(ws.server_accept(&context.sec_websocket_key, None, &mut bytes).is_ok());
    });
    assert!(bytes.starts_with(b"HTTP/1.1 101 "));

    let response = black_box(RESPONSE);
    let mut ws = peer::WebSocketClient::new_client(Rng);
    let options = peer::WebSocketOptions {
        path: "/chat",
        host: "device.example",
        origin: "http://device.example",
        sub_protocols: None,
        additional_headers: None,
    };
    report(&row(("client's handshake", ""), PEER), "once", || {
        let Ok((_, key)) = ws.client_connect(&options, &mut bytes) else { panic!("no request") };
        assert!(ws.client_accept(&key, response).is_ok());
    });
}
