//! An application that answers every event. Only the handshake depends on the role.

use crate::{BUFFER, Rng, consume, now, read, wants, write};
use sansocket::{
    ClientRole, CloseCode, Config, Connect, Delivery, Event, Message, OutboxFull, Reject, Request, Role,
    SendError, ServerRole, WebSocket,
};

type Memory = heapless::Vec<u8, BUFFER>;
type Outbox = heapless::Vec<u8, { 2 * BUFFER }>;

/// Runs a connection: echoes whole messages or pieces, pings, closes, and handles timeouts.
#[inline(always)]
pub fn run<R: Role, const PIECES: bool>(
    ws: WebSocket<R>,
    outbox: &mut Outbox,
    answer: impl Fn(&mut WebSocket<R>, &Request<'_>, &mut Outbox),
) {
    run_with::<_, PIECES>(ws, outbox, answer, |ws, message, outbox| ws.send(message, outbox));
}

/// The same, with another way to send a message.
#[inline(always)]
pub fn run_with<R: Role, const PIECES: bool>(
    mut ws: WebSocket<R>,
    outbox: &mut Outbox,
    answer: impl Fn(&mut WebSocket<R>, &Request<'_>, &mut Outbox),
    mut send: impl FnMut(&mut WebSocket<R>, Message<'_>, &mut Outbox) -> Result<(), SendError>,
) {
    let mut buffer = [0; BUFFER];
    let mut inbox = Memory::new();
    loop {
        let mut input = read(&mut buffer);
        if input.is_empty() {
            ws.receive_eof();
        }
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            match event {
                Event::Request(request) => answer(&mut ws, &request, outbox),
                Event::Open(open) => consume(open.protocol()),
                // The configuration selects one of the two.
                Event::Message(message) if !PIECES => consume(send(&mut ws, message, outbox)),
                Event::Piece(piece) if PIECES => consume(ws.send_piece(&piece, outbox)),
                Event::Message(_) | Event::Piece(_) | Event::BadRequest(_) | Event::Refused(_) => {}
                Event::Ping(payload) | Event::Pong(payload) => consume(payload),
                Event::Error(error) => consume((error.close_code(), error.status())),
                Event::Close(close) => consume((close.code, close.reason, close.clean)),
            }
            flush(&mut ws, outbox);
        }
        if wants() {
            consume(ws.ping(b"still there?", outbox));
        }
        if wants() {
            consume(ws.close(CloseCode::GOING_AWAY, "that is all", outbox));
        }
        ws.handle_timeout(now());
        consume(ws.poll_timeout());
        flush(&mut ws, outbox);
        if ws.is_closed() {
            return;
        }
    }
}

fn flush<R: Role>(ws: &mut WebSocket<R>, outbox: &mut Outbox) {
    let _: Result<(), OutboxFull> = ws.transmit(outbox);
    write(outbox);
    outbox.clear();
}

/// Accepts a request for `/`, and rejects all others.
pub fn answer<R: ServerRole>(ws: &mut WebSocket<R>, request: &Request<'_>, outbox: &mut Outbox) {
    if request.target() == "/" {
        consume(ws.accept(request.accept(), outbox));
    } else {
        consume(ws.reject(Reject::status(404), outbox));
    }
}

/// Runs a client that requests `/`.
#[inline(always)]
pub fn client<const PIECES: bool>() {
    let delivery = if PIECES { Delivery::Pieces } else { Delivery::Whole };
    let mut ws = WebSocket::client(Config::new().delivery(delivery), Rng);
    let mut outbox = Outbox::new();
    connect(&mut ws, &mut outbox);
    run::<_, PIECES>(ws, &mut outbox, |_, _, _| {});
}

/// Requests `/`.
#[inline(always)]
pub fn connect<R: ClientRole>(ws: &mut WebSocket<R>, outbox: &mut Outbox) {
    consume(ws.connect(Connect::new("device.example", "/"), outbox));
    flush(ws, outbox);
}
