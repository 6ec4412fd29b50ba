//! Proves that what one role sends, compressed or not, in one frame or in fragments, the other
//! receives, whatever both have negotiated; and that a compressor of another connection, and a
//! broadcast that was not agreed to, are refused.
#![no_main]

use sansocket::deflate::{self, Compress, Compressor, Settings};
use sansocket::{Config, Connect, Delivery, Event, Fragment, Message, Part, Role, SendError, WebSocket};
use sansocket_fuzz::{Choices, rng};

type Own = Compressor<Vec<u16>, Vec<u8>>;

// Two bytes of settings for each end, a byte of flags; then actions, each with a message and its
// length before it.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let (client, server, flags) = (settings(&mut choices), settings(&mut choices), choices.byte());
    let config =
        |pieces: bool| Config::new().delivery(if pieces { Delivery::Pieces } else { Delivery::Whole });
    let mut client = WebSocket::deflate_client(config(flags & 1 != 0), rng(), client, Vec::new());
    let mut server =
        WebSocket::deflate_server(config(flags & 2 != 0), server, vec![0; 2048].into_boxed_slice());
    let mut inbox = Vec::new();
    let (mut up, mut down) = (Vec::new(), Vec::new());
    client.connect(Connect::new("a", "/"), &mut up).unwrap();
    let mut input = &mut up[..];
    let Some(Event::Request(request)) = server.receive(&mut input, &mut inbox) else { panic!("no request") };
    let accept = request.accept();
    if flags & 4 != 0 {
        server.decline_deflate();
    }
    server.accept(accept, &mut down).unwrap();
    let Some(Event::Open(open)) = server.receive(&mut input, &mut inbox) else { panic!("not open") };
    let agreed = open.deflate();
    let Some(Event::Open(open)) = client.receive(&mut &mut down[..], &mut inbox) else { panic!("not open") };
    assert_eq!(open.deflate(), agreed);
    assert!(flags & 4 == 0 || agreed.is_none());
    assert!(!format!("{client:?} {server:?}").is_empty(), "Debug does not panic");
    // Replaced by itself, the configuration changes nothing.
    client.set_config(*client.config());
    server.set_config(*server.config());
    let bits = agreed.map(|agreed| (agreed.server_window_bits, agreed.client_window_bits));
    let mut session = Session { agrees: agreed.is_some(), choices, broadcast: flags & 8 != 0 };
    if flags & 16 != 0 {
        session.run(&mut client, &mut server, bits.map(|bits| bits.1));
    } else {
        session.run(&mut server, &mut client, bits.map(|bits| bits.0));
    }
});

fn settings(choices: &mut Choices<'_>) -> Settings {
    let (kind, bits) = (choices.byte(), choices.byte());
    let settings = match kind % 3 {
        0 => Settings::firmware(),
        1 => Settings::server(),
        _ => Settings::client(),
    };
    match kind & 0x80 {
        0 => settings,
        _ => settings
            .send_takeover(kind & 0x10 != 0)
            .receive_takeover(kind & 0x20 != 0)
            .send_window_bits(bits >> 4)
            .receive_window_bits(bits & 15),
    }
}

struct Session<'d> {
    agrees: bool,
    choices: Choices<'d>,
    /// The sender is a server, and broadcasts.
    broadcast: bool,
}

impl Session<'_> {
    fn run<F: Role, T: Role>(&mut self, from: &mut WebSocket<F>, to: &mut WebSocket<T>, bits: Option<u8>) {
        let mut own = Own::with_takeover(vec![0; 512], vec![0; 3000]);
        let mut shared = Compressor::shared(vec![0; 512]);
        assert!(!format!("{own:?}").is_empty(), "Debug does not panic");
        let mut tokens = vec![0; 100];
        while !self.choices.is_empty() {
            let action = self.choices.byte();
            let data = self.choices.counted();
            let message = match str::from_utf8(data) {
                Ok(text) if action & 1 != 0 => Message::Text(text),
                _ => Message::Binary(data),
            };
            let mut outbox = Vec::new();
            let compressor: &mut dyn Compress = match action & 6 {
                0 => &mut shared,
                2 => &mut shared.with_codes(&mut tokens),
                4 => &mut own,
                _ => &mut own.with_codes(&mut tokens),
            };
            let mut sent = match action & 0x30 {
                0x10 => {
                    let (first, last) = data.split_at(data.len() / 2);
                    let send = |from: &mut WebSocket<F>,
                                part,
                                last,
                                compressor: &mut dyn Compress,
                                outbox: &mut Vec<u8>| {
                        from.send_piece_deflated(Fragment::new(part, last), compressor, outbox)
                    };
                    let sent = send(from, first, false, compressor, &mut outbox);
                    sent.map(|()| send(from, last, true, compressor, &mut outbox).unwrap())
                }
                0x20 => from.send(message, &mut outbox),
                0x30 => {
                    from.pong(data.get(..9).unwrap_or(data), &mut outbox).unwrap();
                    let Some(Event::Pong(_)) = to.receive(&mut &mut outbox[..], &mut Vec::new()) else {
                        panic!("no Pong")
                    };
                    outbox.clear();
                    from.send_deflated(message, compressor, &mut outbox)
                }
                _ => from.send_deflated(message, compressor, &mut outbox),
            };
            let message = if action & 0x30 == 0x10 { Message::Binary(data) } else { message };
            if sent == Err(SendError::OtherCompressor) {
                assert!(self.agrees && action & 4 != 0 && outbox.is_empty());
                // Reset, it can be used.
                own.reset();
                sent = from.send_deflated(message, &mut own, &mut outbox);
            }
            sent.unwrap();
            assert_eq!(received(to, &mut outbox), owned(message));
            if self.broadcast && F::IS_SERVER && action & 0x40 != 0 {
                self.broadcast(from, to, bits, message);
            }
            if action & 0x80 != 0 {
                // A message on another connection.
                own.reset();
                let mut other = [0; 2000];
                own.compress(b"another connection", 15, &mut other);
            }
        }
    }
    /// Sends a message that is compressed for many connections, if this one takes it.
    fn broadcast<F: Role, T: Role>(
        &self,
        from: &mut WebSocket<F>,
        to: &mut WebSocket<T>,
        bits: Option<u8>,
        message: Message<'_>,
    ) {
        let mut frame = Vec::new();
        deflate::encode(message, 11, &mut Compressor::shared([0; 256]), &mut frame).unwrap();
        let noted = from.note_deflated(11);
        assert_eq!(noted.is_ok(), bits.is_some_and(|bits| bits >= 11));
        if noted.is_ok() {
            assert_eq!(received(to, &mut frame), owned(message));
        }
    }
}

/// Whether it is text, and its bytes.
fn owned(message: Message<'_>) -> (bool, Vec<u8>) {
    (matches!(message, Message::Text(_)), message.as_bytes().to_vec())
}

/// The one message in `stream`, whole or from its pieces.
fn received<R: Role>(ws: &mut WebSocket<R>, stream: &mut [u8]) -> (bool, Vec<u8>) {
    let (mut input, mut inbox) = (stream, Vec::new());
    let (mut is_text, mut bytes, mut done) = (false, Vec::new(), false);
    while let Some(event) = ws.receive(&mut input, &mut inbox) {
        assert!(!done, "one message");
        match event {
            Event::Message(message) => {
                (is_text, bytes) = owned(message);
                done = true;
            }
            Event::Piece(piece) => {
                done = piece.last;
                match piece.part {
                    Part::Text { lead, text } => {
                        is_text = true;
                        let mut memory = [0; 4];
                        bytes.extend(lead.map_or("", |lead| lead.encode_utf8(&mut memory)).as_bytes());
                        bytes.extend(text.as_bytes());
                    }
                    Part::Binary(part) => bytes.extend_from_slice(part),
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(done, "a message");
    (is_text, bytes)
}
