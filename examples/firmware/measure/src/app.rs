//! An application that answers every event: the same for both roles, of which only the handshake differs.

use crate::{BUFFER, Rng, now, read, tell, wants, write};
use sansocket::{
    CloseCode, Config, Connect, Delivery, Event, OutboxFull, Reject, Request, Role, Server, WebSocket,
};

type Memory = heapless::Vec<u8, BUFFER>;
type Outbox = heapless::Vec<u8, { 2 * BUFFER }>;

/// A connection from its first byte to its last: echoes whatever comes, in whole messages or in pieces, pings and closes
/// when the application wants to, and keeps the time.
#[inline(always)]
pub fn run<R: Role, const PIECES: bool>(
    mut ws: WebSocket<R>,
    outbox: &mut Outbox,
    answer: impl Fn(&mut WebSocket<R>, &Request<'_>, &mut Outbox),
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
                Event::Open(open) => tell(open.protocol()),
                // A configuration delivers one or the other.
                Event::Message(message) if !PIECES => tell(ws.send(message, outbox)),
                Event::Piece(piece) if PIECES => tell(ws.send_piece(&piece, outbox)),
                Event::Message(_) | Event::Piece(_) => {}
                Event::Refused(_) => {}
                Event::Ping(payload) | Event::Pong(payload) => tell(payload),
                Event::Error(error) => tell((error.close_code(), error.status())),
                Event::Close(close) => tell((close.code, close.reason, close.clean)),
            }
            flush(&mut ws, outbox);
        }
        if wants() {
            tell(ws.ping(b"still there?", outbox));
        }
        if wants() {
            tell(ws.close(CloseCode::GOING_AWAY, "that is all", outbox));
        }
        ws.handle_timeout(now());
        tell(ws.poll_timeout());
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

/// Accepts a request for `/`, refuses another one.
pub fn answer(ws: &mut WebSocket<Server>, request: &Request<'_>, outbox: &mut Outbox) {
    if request.target() == "/" {
        tell(ws.accept(request.accept(), outbox));
    } else {
        tell(ws.reject(Reject::status(404), outbox));
    }
}

/// A client that asks for `/`.
#[inline(always)]
pub fn client<const PIECES: bool>() {
    let delivery = if PIECES { Delivery::Pieces } else { Delivery::Whole };
    let mut ws = WebSocket::client(Config::new().delivery(delivery), Rng);
    let mut outbox = Outbox::new();
    tell(ws.connect(Connect::new("device.example", "/"), &mut outbox));
    flush(&mut ws, &mut outbox);
    run::<_, PIECES>(ws, &mut outbox, |_, _, _| {});
}
