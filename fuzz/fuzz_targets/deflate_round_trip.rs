//! Proves that what one role sends compressed, the other receives: messages, fragments and
//! broadcasts, at every level, with compressors that change hands, and with an outbox that is full at
//! first. A call that fails changes nothing.
#![no_main]

use sansocket::deflate::{self, Best, Better, Compress, Compressor, Deflate, Level, Parameters};
use sansocket::{
    Buffer, CloseCode, Config, Delivery, Established, Kind, Message, OutboxFull, Part, Piece, Role,
    SendError, Server, WebSocket,
};
use sansocket_fuzz::{Bounded, Choices, OwnedEvent, Peer, TestClient, inbox, rng};

type ServerRole = Deflate<Established<Server>, Vec<u8>>;
type ClientRole = Deflate<Established<TestClient>, Box<[u8]>>;

// The windows, flags, the size of the outbox at first; then the calls, each with its data and the
// length of those before it.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let (windows, flags) = (choices.byte(), choices.byte());
    let parameters = Parameters {
        server_takeover: flags & 1 != 0,
        client_takeover: flags & 2 != 0,
        server_window_bits: 8 + windows % 8,
        client_window_bits: 8 + windows / 16 % 8,
    };
    let pieces = if flags & 4 != 0 { Delivery::Pieces } else { Delivery::Whole };
    let config = Config::default().delivery(pieces);
    let agreed = (flags & 64 == 0).then_some(parameters);
    let server = || WebSocket::<ServerRole>::open_deflate(config, agreed, Vec::new()).unwrap();
    let window = || vec![0; 1 << parameters.server_window_bits].into_boxed_slice();
    let client = || WebSocket::<ClientRole>::open_deflate(config, rng(), agreed, window()).unwrap();
    let small = vec![0; 1 << (parameters.server_window_bits - 1)].into_boxed_slice();
    assert!(WebSocket::<Established<Server>>::open(config).can_send());
    assert!(WebSocket::<Established<TestClient>>::open(config, rng()).can_send());
    let is_small = WebSocket::<ClientRole>::open_deflate(config, rng(), agreed, small);
    let needs = agreed.is_some() && (parameters.server_takeover || flags & 4 != 0);
    assert_eq!(is_small.is_err(), needs);
    if let Err(error) = is_small {
        assert_eq!(error.window_bits, parameters.server_window_bits);
        assert!(!error.to_string().is_empty());
    }
    let bits = if flags & 8 != 0 { parameters.server_window_bits } else { parameters.client_window_bits };
    let own = Compressor::with_takeover(vec![0; 256], vec![0; 3 << bits >> 1]);
    let agreed_bits = agreed.map(|_| bits);
    match (flags & 8 != 0, flags & 16 != 0) {
        (true, true) => {
            converse(server(), server(), client(), agreed_bits, flags & 8 != 0, own.level(Better), choices)
        }
        (true, false) => converse(server(), server(), client(), agreed_bits, flags & 8 != 0, own, choices),
        (false, true) => {
            converse(client(), client(), server(), agreed_bits, flags & 8 != 0, own.level(Best), choices)
        }
        (false, false) => converse(client(), client(), server(), agreed_bits, flags & 8 != 0, own, choices),
    }
});

/// `from` and its `twin` make the same calls, and those of `from` fail before they succeed.
fn converse<F: Role, T: Role, L: Level>(
    mut from: WebSocket<F>,
    mut twin: WebSocket<F>,
    to: WebSocket<T>,
    bits: Option<u8>,
    is_server: bool,
    mut own: Compressor<Vec<u16>, Vec<u8>, L>,
    mut choices: Choices<'_>,
) where
    Compressor<Vec<u16>, Vec<u8>, L>: Compress + Clone,
{
    let first = usize::from(choices.byte());
    let mut shared = Compressor::shared(vec![0; 128]);
    let mut tokens = vec![0; 64];
    let (mut sent, mut to) = (Vec::new(), Peer::new(to, inbox(2)));
    // The message in fragments so far, and whether it is compressed.
    let mut fragments: Option<(Kind, bool, Vec<u8>)> = None;
    while !choices.is_empty() {
        let action = choices.byte();
        let mut data = choices.counted().to_vec();
        if action & 0x80 != 0 {
            data = data.repeat(1 + usize::from(choices.byte()));
        }
        let text = str::from_utf8(&data);
        let message = match text {
            Ok(text) if action & 0x40 != 0 => Message::Text(text),
            _ => Message::Binary(&data),
        };
        let kind = message.kind();
        let last = action & 0x20 != 0;
        let uses_own = action & 8 == 0;
        let lead = (kind == Kind::Text && action & 0x10 != 0).then_some('é');
        let mut copy = message.as_bytes().to_vec();
        let part = match message {
            Message::Text(text) => Part::Text { lead, text },
            _ => Part::Binary(&mut copy),
        };
        let piece = Piece { part, first: false, last };
        let call = |ws: &mut WebSocket<F>, compressor: &mut dyn Compress, outbox: &mut dyn Buffer| {
            match action & 3 {
                0 => ws.send(message, outbox),
                1 => ws.send_piece(&piece, outbox),
                2 => ws.send_piece_deflated(&piece, compressor, outbox),
                _ => ws.send_deflated(message, compressor, outbox),
            }
        };
        if action & 7 == 4 {
            // A broadcast, which a server can write.
            let mut frame = Vec::new();
            let window_bits = 8 + action / 16 % 8;
            deflate::encode(message, window_bits, &mut shared, &mut frame).unwrap();
            let mut small = Bounded { bytes: Vec::new(), capacity: 1 };
            let full = deflate::encode(message, window_bits, &mut shared, &mut small);
            assert!(full.unwrap_err().needed >= frame.len());
            // An outbox that can only be appended to holds the message as it is.
            let mut plain = Bounded { bytes: Vec::new(), capacity: 1 << 20 };
            deflate::encode(message, window_bits, &mut shared, &mut plain).unwrap();
            assert!(plain.bytes[0] & 0x40 == 0 && plain.bytes.ends_with(message.as_bytes()));
            let noted = from.note_deflated(window_bits);
            assert_eq!(twin.note_deflated(window_bits), noted);
            match noted {
                Ok(()) => assert!(fragments.is_none() && bits.is_some_and(|bits| bits >= window_bits)),
                Err(SendError::MessageUnfinished) => assert!(fragments.is_some()),
                Err(error) => {
                    assert_eq!(error, SendError::NotAgreed);
                    // The frame of a client would be masked.
                    assert!(!is_server || bits.is_none_or(|bits| bits < window_bits));
                }
            }
            if noted.is_ok() {
                assert!(is_server);
                sent.push(OwnedEvent::new(kind, &data));
                to.receive_all(&mut frame);
            }
            continue;
        }
        // The table of a compressor is part of its state: what it finds depends on earlier messages.
        let (mut of_twin, mut shared_of_twin) = (own.clone(), shared.clone());
        let mut outboxes = [Vec::new(), Vec::new()];
        let result = {
            let compressor: &mut dyn Compress = match (uses_own, action & 4) {
                (true, 0) => &mut of_twin,
                (true, _) => &mut of_twin.with_codes(&mut tokens),
                _ => &mut shared_of_twin,
            };
            call(&mut twin, compressor, &mut outboxes[0])
        };
        let compressor: &mut dyn Compress = match (uses_own, action & 4) {
            (true, 0) => &mut own,
            (true, _) => &mut own.with_codes(&mut tokens),
            _ => &mut shared,
        };
        let mut memory = vec![0xAA; first];
        let mut outbox = sansocket::Slice::new(&mut memory);
        let mut tried = call(&mut from, compressor, &mut outbox);
        outboxes[1] = outbox.bytes().to_vec();
        if let Err(SendError::OutboxFull(OutboxFull { needed })) = tried {
            assert!(outboxes[1].is_empty() && needed > first);
            let mut memory = vec![0xAA; needed];
            let mut outbox = sansocket::Slice::new(&mut memory);
            tried = call(&mut from, compressor, &mut outbox);
            outboxes[1] = outbox.bytes().to_vec();
        }
        assert_eq!(tried, result);
        assert_eq!(outboxes[1], outboxes[0]);
        let data = [lead.map_or(String::new(), String::from).as_bytes(), &data].concat();
        match tried {
            Ok(()) if action & 3 == 0 || action & 3 == 3 => {
                sent.push(OwnedEvent::new(kind, message.as_bytes()))
            }
            Ok(()) => {
                let compressed = action & 3 == 2 && bits.is_some();
                let (begun, was_compressed, mut message) =
                    fragments.take().unwrap_or((kind, compressed, Vec::new()));
                assert_eq!((begun, was_compressed), (kind, compressed));
                message.extend(data);
                match last {
                    true => sent.push(OwnedEvent::new(kind, &message)),
                    false => fragments = Some((kind, compressed, message)),
                }
            }
            Err(error) => {
                assert!(outboxes[0].is_empty());
                match error {
                    SendError::MessageUnfinished | SendError::KindMismatch => assert!(fragments.is_some()),
                    SendError::OtherCompressor => own.reset(),
                    other => panic!("{other}"),
                }
                // A fragment goes on with the same compressor, or not at all.
                if error == SendError::OtherCompressor && fragments.is_some() {
                    return;
                }
            }
        }
        to.receive_all(&mut outboxes[0]);
    }
    // What changes nothing.
    from.set_config(*from.config());
    from.output_sent(0, 0);
    from.close(CloseCode::NORMAL, "", &mut Vec::new()).unwrap();
    from.pong(b"", &mut Vec::new()).unwrap();
    assert!(!format!("{from:?}").is_empty(), "Debug does not panic");
    assert_eq!(to.record.events, sent);
}
