//! A program that calls every function of the crate, with input that the compiler cannot predict.
//! It contains nothing else, so that its panics come from the crate or its dependencies.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::fmt::{self, Write};
use core::hint::black_box;
use core::time::Duration;
use sansocket::frame::{self, Masking};
use sansocket::handshake::{check_connect, check_connect_response, check_request, check_response};
use sansocket::deflate::{
    self, Best, Better, Compress, Compressor, Deflate, Inflater, Offers, Parameters, Settings, Window, WithTables,
};
use sansocket::{
    Buffer, Client, ClientRole, CloseCode, Config, Connect, Delivery, Event, FixedInbox, Fragment, Handler, Kind,
    Message, Part, Reject, Request, Role, Responder, Server, ServerRole, Slice, WebSocket, Established,
};

type Headers<'h> = &'h [(&'h str, &'h str)];

/// Input and randomness that the compiler cannot predict.
struct Opaque;

impl Opaque {
    fn text(&self) -> &'static str {
        black_box("opaque")
    }
    fn bytes(&self) -> &'static [u8] {
        black_box(b"opaque")
    }
    fn headers(&self) -> Headers<'static> {
        black_box(&[("a", "b")])
    }
    fn number(&self) -> u64 {
        black_box(7)
    }
}

impl rand_core::TryRng for Opaque {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.number() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.number())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.iter_mut().for_each(|byte| *byte = self.number() as u8);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Opaque {}

/// A panic that the test must find.
#[inline(never)]
fn fails_on_purpose() {
    assert!(Opaque.number() == 7);
}

#[unsafe(no_mangle)]
extern "C" fn main(_: i32, _: *const *const u8) -> i32 {
    fails_on_purpose();
    let mut memory = [0; 4096];
    let mut inboxes = (FixedInbox::<4096>::new(), heapless::Vec::<u8, 4096>::new(), Slice::new(&mut memory));
    let mut outbox = heapless::Vec::<u8, 4096>::new();
    for inbox in [&mut inboxes.0 as &mut dyn Buffer, &mut inboxes.1, &mut inboxes.2] {
        let delivery = if Opaque.number() > 7 { Delivery::Pieces } else { Delivery::Whole };
        let timeout = Some(Duration::from_nanos(Opaque.number()));
        let config = Config::new()
            .delivery(delivery)
            .max_head(Opaque.number() as u16)
            .max_frame(Opaque.number())
            .max_message(Opaque.number())
            .idle_ping(timeout)
            .pong_timeout(timeout)
            .plain_requests(Opaque.number() > 7);
        serve(WebSocket::server(config), inbox, &mut outbox);
        serve(WebSocket::<Server>::open(config), inbox, &mut outbox);
        ask(WebSocket::client(config, Opaque), inbox, &mut outbox);
        ask(WebSocket::<Client<Opaque>>::open(config, Opaque), inbox, &mut outbox);
        let _ = black_box(frame::encode(Opaque.text(), &mut outbox));
        let headers = || black_box([(Opaque.text(), Opaque.bytes())]);
        let _ = black_box(check_request(headers()));
        let connect = Connect::new(Opaque.text(), Opaque.text()).protocol(Opaque.text());
        let _ = black_box(check_response(headers(), Opaque.text(), &connect));
        extended_connect(&connect.headers(Opaque.headers()));
        let settings = settings();
        let mut client = WebSocket::deflate_client(config, Opaque, settings, [0; 512]);
        compress(&mut client, outbox_of(&mut outbox));
        ask(client, inbox, &mut outbox);
        let mut server = WebSocket::deflate_server(config, settings, WithTables::new([0; 512]));
        compress(&mut server, outbox_of(&mut outbox));
        server.decline_deflate();
        serve(server, inbox, &mut outbox);
        let parameters = (Opaque.number() > 7).then_some(parameters());
        if let Ok(mut ws) =
            WebSocket::<Deflate<Established<Server>, ()>>::open_deflate(config, parameters, ())
        {
            compress(&mut ws, outbox_of(&mut outbox));
            drive(&mut ws, inbox, &mut outbox, |_, _, _| {});
        }
        let _ = black_box(deflate::check_request(headers(), &settings));
        let _ = black_box(deflate::check_response(headers(), Opaque.text(), &connect, &settings));
        let _ = black_box(deflate::check_connect(headers(), &settings));
        let _ = black_box(deflate::check_connect_response(Opaque.number() as u16, headers(), &connect, &settings));
        let _ = black_box(deflate::negotiate([Opaque.bytes()], &settings));
        let _ = black_box(deflate::check([Opaque.bytes()], &settings));
        let _ = black_box(Offers::new(&settings));
    }
    0
}

fn extended_connect(connect: &Connect<'_>) {
    let _ = black_box(write!(Sink, "{}", connect.http_uri()));
    let headers = || connect.connect_headers().map(|(name, value)| (name, value.as_bytes()));
    let response = match check_connect(headers()) {
        Ok(accept) => accept.select(headers(), &[Opaque.text()]).unwrap_or(accept).response(),
        Err(error) => error.response(),
    };
    let headers = response.headers().map(|(name, value)| (name, value.as_bytes()));
    let _ = black_box(check_connect_response(response.status(), headers, connect));
}

/// What is written is not kept.
struct Sink;

impl Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        black_box(text);
        Ok(())
    }
}

fn outbox_of(outbox: &mut dyn Buffer) -> &mut dyn Buffer {
    outbox
}

fn settings() -> Settings {
    let delivery = if Opaque.number() > 7 { Delivery::Pieces } else { Delivery::Whole };
    Settings::server()
        .send_takeover(Opaque.number() > 7)
        .receive_takeover(Opaque.number() > 7)
        .send_window_bits(Opaque.number() as u8)
        .receive_window_bits(Opaque.number() as u8)
        .limited_to(Opaque.number() as u8, delivery)
}

fn parameters() -> Parameters {
    Parameters {
        server_takeover: Opaque.number() > 7,
        client_takeover: Opaque.number() > 7,
        server_window_bits: Opaque.number() as u8,
        client_window_bits: Opaque.number() as u8,
    }
}

/// Sends with every kind of compressor.
fn compress<R: Role>(ws: &mut WebSocket<R>, outbox: &mut dyn Buffer) {
    let mut memory = ([0; 512], [0; 768], [0; 100]);
    let table = memory.0.get_mut(..Opaque.number() as usize).unwrap_or_default();
    let history = memory.1.get_mut(..Opaque.number() as usize).unwrap_or_default();
    let mut fast = Compressor::with_takeover([0; 512], [0; 768]);
    let mut better = Compressor::with_takeover(table, history).level(Better);
    let mut best = Compressor::shared([0; 512]).level(Best);
    let compressors: [&mut dyn Compress; 3] = [&mut fast, &mut better, &mut best.with_codes(&mut memory.2)];
    for compressor in compressors {
        let _ = black_box(ws.send_deflated(Opaque.text(), compressor, outbox));
        let piece = Fragment::new(Opaque.text(), Opaque.number() > 7);
        let _ = black_box(ws.send_piece_deflated(piece, compressor, outbox));
        let _ = black_box(deflate::encode(Opaque.text(), Opaque.number() as u8, compressor, outbox));
        black_box(compressor.compress(Opaque.bytes(), Opaque.number() as u8, black_box(&mut [0; 99])));
        compressor.undo();
        black_box(compressor.context());
        compressor.reset();
    }
    let _ = black_box(ws.note_deflated(Opaque.number() as u8));
    inflate(());
    inflate([0; 512]);
    inflate(WithTables::new(&mut [0; 700][..]));
}

fn inflate<W: Window>(window: W) {
    let mut inflater = Inflater::new(window);
    let (mut out, mut pos, mut input) = (black_box([0; 1000]), Opaque.number() as usize, Opaque.bytes());
    let bits = Opaque.number() as u8;
    black_box(inflater.inflate(bits, &mut input, &mut out, &mut pos));
    black_box(inflater.finish(bits, &mut out, &mut pos));
    inflater.remember(Opaque.bytes(), bits);
    inflater.forget();
    black_box((inflater.max_window_bits(), out, pos, input));
}

fn serve<R: ServerRole>(mut ws: WebSocket<R>, inbox: &mut dyn Buffer, outbox: &mut dyn Buffer) {
    let answer = |ws: &mut WebSocket<R>, request: &Request<'_>, outbox: &mut dyn Buffer| {
        black_box((request.target(), request.host(), request.origin(), request.is_upgrade()));
        for header in request.headers() {
            black_box(header);
        }
        for extension in request.extensions() {
            black_box(extension);
        }
        let accept = request.select(&[Opaque.text()]).unwrap_or(request.accept()).headers(Opaque.headers());
        let _ = black_box(ws.accept(accept, outbox));
        let reject = Reject::status(Opaque.number() as u16).headers(Opaque.headers()).body(Opaque.bytes());
        let _ = black_box(ws.reject(reject, outbox));
    };
    drive(&mut ws, inbox, outbox, answer);
    let mut input = black_box([0; 64]);
    let _ = black_box(ws.dispatch(&mut &mut input[..], inbox, outbox, &mut (Echo, Echo)));
}

fn ask<R: ClientRole>(mut ws: WebSocket<R>, inbox: &mut dyn Buffer, outbox: &mut dyn Buffer) {
    if let Ok(connect) = Connect::from_uri(Opaque.text()) {
        black_box((connect.host(), connect.authority(), connect.port()));
        let offer = [Opaque.text()];
        let _ = black_box(ws.connect(connect.protocols(&offer).headers(Opaque.headers()), outbox));
    }
    drive(&mut ws, inbox, outbox, |_, _, _| {});
}

/// Calls every function that both roles have.
fn drive<R: Role>(
    ws: &mut WebSocket<R>,
    inbox: &mut dyn Buffer,
    outbox: &mut dyn Buffer,
    answer: impl Fn(&mut WebSocket<R>, &Request<'_>, &mut dyn Buffer),
) {
    let mut bytes = black_box([0; 1024]);
    let mut input = bytes.get_mut(..Opaque.number() as usize).unwrap_or_default();
    while let Some(event) = ws.receive(&mut input, inbox) {
        match &event {
            Event::Request(request) => answer(ws, request, outbox),
            Event::BadRequest(request) => {
                black_box((request.method(), request.target(), request.header(Opaque.text())));
            }
            Event::Refused(response) => {
                black_box((response.status(), response.header(Opaque.text()), response.is_complete()));
            }
            Event::Open(open) => {
                let _ = black_box((open.protocol(), open.header(Opaque.text()), open.deflate()));
            }
            Event::Message(message) => {
                let _ = black_box(ws.send(*message, outbox));
            }
            Event::Piece(piece) => {
                let _ = black_box(ws.send_piece(piece, outbox));
                if let Part::Text { lead, text } = &piece.part {
                    black_box((lead, text));
                }
            }
            Event::Ping(payload) | Event::Pong(payload) => {
                let _ = black_box(payload.as_slice());
            }
            Event::Error(error) => {
                black_box((error.close_code(), error.status()));
            }
            Event::Close(close) => {
                let _ = black_box((close.code, close.reason.as_str(), close.clean));
            }
        }
        let _ = black_box(ws.transmit(outbox));
    }
    let mut bytes = black_box([0; 64]);
    black_box(ws.missing(&bytes, inbox));
    if let Some(ready) = ws.poll(&mut bytes, inbox) {
        black_box(ready.consumed());
        black_box(ws.event(ready, black_box(&mut [0; 9]), inbox));
    }
    let timeout = Some(Duration::from_nanos(Opaque.number()));
    let delivery = if Opaque.number() > 7 { Delivery::Pieces } else { Delivery::Whole };
    ws.set_config(ws.config().delivery(delivery).idle_ping(timeout).pong_timeout(timeout));
    ws.output_sent(Opaque.number() as usize, Opaque.number() as usize);
    ws.handle_timeout(Duration::from_nanos(Opaque.number()));
    black_box((ws.poll_timeout(), ws.state(), ws.is_closed(), ws.awaits_caller(), ws.can_send()));
    let _ = black_box(ws.send(Message::Binary(Opaque.bytes()), outbox));
    let _ = black_box(ws.send_piece(Fragment::new(Opaque.text(), Opaque.number() > 7), outbox));
    if let Ok(mut mask) = ws.send_header(Kind::Binary, Opaque.number(), outbox) {
        mask.apply(&mut bytes);
        black_box(&bytes);
    }
    let _ = black_box(ws.payload_sent(Opaque.number()));
    let _ = black_box(ws.ping(Opaque.bytes(), outbox));
    let _ = black_box(ws.pong(Opaque.bytes(), outbox));
    let _ = black_box(ws.close(CloseCode(Opaque.number() as u16), Opaque.text(), outbox));
    let _ = black_box(ws.close_without_code(outbox));
    ws.receive_eof();
    outbox.clear();
}

struct Echo;

impl Handler for Echo {
    fn on_request(&mut self, request: Request<'_>, sender: &mut Responder<'_>) {
        let _ = black_box(sender.accept(request.accept()));
    }
    fn on_message(&mut self, message: Message<'_>, sender: &mut Responder<'_>) {
        let _ = black_box(sender.send(message));
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
