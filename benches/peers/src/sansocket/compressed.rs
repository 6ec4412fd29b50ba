//! This crate's compressed messages.

use super::{Connection, FLUSH};
use crate::{
    compression::{Case, Held, Work},
    peers::{Bench, doing, receiving},
    wire::{READ, Wire},
};
use sansocket::deflate::{Compressor, Deflate, Fast, Level, Parameters, Settings, Window};
use sansocket::{Config, Established, Event, Message, Role, Server, WebSocket};

/// The length of the tokens for codes. They belong to a thread.
const TOKENS: usize = 4096;

/// A compressor, and how it is used.
trait Send: 'static {
    fn send<R: Role>(&mut self, ws: &mut WebSocket<R>, message: Message<'_>, outbox: &mut Vec<u8>);
}

type Memory<L> = Compressor<Vec<u16>, Vec<u8>, L>;

/// With the largest window. The history of a compressor without takeover is empty.
fn compressor<L: Level>(level: L, entries: usize, takeover: bool) -> Memory<L> {
    let history = vec![0; if takeover { 38 * 1024 } else { 0 }];
    Compressor::with_takeover(vec![0; entries], history).level(level)
}

impl Send for Memory<Fast> {
    #[inline]
    fn send<R: Role>(&mut self, ws: &mut WebSocket<R>, message: Message<'_>, outbox: &mut Vec<u8>) {
        ws.send_deflated(message, self, outbox).unwrap();
    }
}

struct WithCodes<L>(Memory<L>, Vec<u32>);

impl<L: Level + 'static> Send for WithCodes<L> {
    #[inline]
    fn send<R: Role>(&mut self, ws: &mut WebSocket<R>, message: Message<'_>, outbox: &mut Vec<u8>) {
        ws.send_deflated(message, &mut self.0.with_codes(&mut self.1), outbox).unwrap();
    }
}

/// With the fixed codes.
pub fn fast(case: Case) -> Option<Box<dyn Bench>> {
    // Without takeover, the table belongs to a thread, and there is one for all connections.
    let entries = if case.takeover { 4 * 1024 } else { 16 * 1024 };
    let compressor = compressor(Fast, entries, case.takeover);
    with(case, compressor)
}

/// With codes for each message. Receiving is the same work.
pub fn with_codes(case: Case, level: impl Level + 'static, entries: usize) -> Option<Box<dyn Bench>> {
    if case.work == Work::Receive {
        return None;
    }
    let compressor = compressor(level, entries, case.takeover);
    with(case, WithCodes(compressor, vec![0; TOKENS]))
}

fn with(case: Case, compressor: impl Send) -> Option<Box<dyn Bench>> {
    if case.takeover { working(case, Vec::new(), compressor) } else { working(case, (), compressor) }
}

fn open<W: Window>(takeover: bool, window_bits: u8, window: W) -> WebSocket<Deflate<Established<Server>, W>> {
    let parameters = Parameters {
        server_takeover: takeover,
        client_takeover: takeover,
        server_window_bits: window_bits,
        client_window_bits: window_bits,
    };
    WebSocket::<Deflate<Established<Server>, W>>::open_deflate(Config::default(), Some(parameters), window)
        .unwrap()
}

fn working<W: Window + 'static>(case: Case, window: W, mut compressor: impl Send) -> Option<Box<dyn Bench>> {
    let Case { work, takeover, mut wire, messages } = case;
    let mut ws = open(takeover, 15, window);
    let count = messages.len();
    match work {
        Work::Receive => receiving(Connection::new(ws, wire), count),
        Work::Send => {
            let messages: Vec<_> =
                messages.iter().map(|text| str::from_utf8(text).unwrap().to_owned()).collect();
            let mut outbox = Vec::with_capacity(2 * FLUSH);
            doing(move || {
                for text in &messages {
                    compressor.send(&mut ws, text.as_str().into(), &mut outbox);
                    if outbox.len() >= FLUSH {
                        wire.write(&outbox);
                        outbox.clear();
                    }
                }
                wire.write(&outbox);
                outbox.clear();
            })
        }
        Work::Echo => {
            let mut connection = Connection::new(ws, wire);
            doing(move || {
                let mut left = count;
                while left > 0 {
                    connection.turn(|ws, _, outbox, message| {
                        compressor.send(ws, message, outbox);
                        left -= 1;
                    });
                }
            })
        }
    }
}

/// A connection that has echoed a message, with windows of 2^`window_bits` bytes and the smallest
/// compressor for them. Inbox and outbox are empty then, and belong to the thread.
pub fn after_echo(wire: &mut Wire, window_bits: u8) -> Held {
    let (entries, history) = match window_bits {
        9 => (512, 768),
        12 => (1024, 6 * 1024),
        _ => (4096, 38 * 1024),
    };
    let table = vec![0_u16; entries].into_boxed_slice();
    let compressor = Compressor::with_takeover(table, vec![0; history].into_boxed_slice());
    let mut connection = (open(true, window_bits, Vec::new()), compressor);
    let (ws, compressor) = &mut connection;
    echo(wire, |input, inbox, outbox| match ws.receive(input, inbox) {
        Some(Event::Message(message)) => ws.send_deflated(message, compressor, outbox).unwrap(),
        event => assert!(event.is_none(), "{event:?}"),
    });
    let size = size_of_val(&connection);
    (Box::new(connection), size)
}

/// The same without takeover: the compressor belongs to the thread too. The connection has done its
/// own handshake.
pub fn after_echo_alone(wire: &mut Wire) -> Held {
    let mut ws = WebSocket::deflate_server(Config::default(), Settings::firmware(), ());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let mut request = crate::measure::REQUEST.as_bytes().to_vec();
    let mut input = &mut request[..];
    while let Some(event) = ws.receive(&mut input, &mut inbox) {
        if let Event::Request(request) = event {
            ws.accept(request.accept(), &mut outbox).unwrap();
        }
    }
    let mut compressor = Compressor::shared(vec![0_u16; 4096]);
    echo(wire, |input, inbox, outbox| match ws.receive(input, inbox) {
        Some(Event::Message(message)) => ws.send_deflated(message, &mut compressor, outbox).unwrap(),
        event => assert!(event.is_none(), "{event:?}"),
    });
    let size = size_of_val(&ws);
    (Box::new(ws), size)
}

/// Reads until something is sent.
fn echo(wire: &mut Wire, mut turn: impl FnMut(&mut &mut [u8], &mut Vec<u8>, &mut Vec<u8>)) {
    let (mut buffer, mut inbox, mut outbox) = (vec![0; READ], Vec::new(), Vec::new());
    while outbox.is_empty() {
        let len = wire.read(&mut buffer);
        turn(&mut &mut buffer[..len], &mut inbox, &mut outbox);
    }
}
