//! Proves that a client accepts only the responses that RFC 6455 section 4.1 allows, by naive
//! checks and by httparse, that it reports any other status unchanged, and that a failed handshake
//! sends nothing more.
#![no_main]

use sansocket::handshake::HeaderName as Name;
use sansocket::{Config, Connect, Error, Event, HeadError, Open, ResponseError, WebSocket, handshake};
use sansocket_fuzz::heads::{self, CLIENT_KEY, Head};
use sansocket_fuzz::{Choices, FIXED, OwnedEvent, Peer, inbox, portion, rng};

const OFFERS: [&[&str]; 2] = [&["chat", "v2"], &[]];
const SMALL: usize = 190;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let flags = choices.byte();
    let shape = choices.byte();
    // Unused: the layout is that of `server_head`.
    choices.byte();
    let accept = heads::accept_of(CLIENT_KEY);
    let offered = OFFERS[usize::from(flags & 1)];
    let valid = flags & 0x51 == 0x10 && choices.is_empty() && shape & 3 < 2;
    let stream = if flags & 0x10 != 0 {
        heads::edit(&heads::responses(&accept)[usize::from(shape & 3)], choices)
    } else {
        choices.0.to_vec()
    };
    let portion = if shape >> 2 & 0xF == 0 { usize::MAX } else { portion(shape >> 2).max(1) };
    let mut config = Config::default();
    if flags & 0x40 != 0 {
        config = config.max_head(SMALL as u16).max_headers(4);
    }
    let max_head = if flags & 0x40 != 0 { SMALL } else { 8 << 10 };
    let max_head = if flags >> 2 & 2 == 0 { max_head.min(FIXED) } else { max_head };
    let check = Check { accept: &accept, offered, max_head, stream: &stream };

    let mut peer = Peer::new(WebSocket::client(config, rng()), inbox(flags >> 2));
    peer.two_steps = flags & 0x80 != 0;
    peer.ws.connect(Connect::new("a.example", "/").protocols(offered), &mut peer.outbox).unwrap();
    check.request(&peer.outbox);
    peer.outbox.clear();

    let mut memory = stream.clone();
    let mut end = 0;
    for slice in memory.chunks_mut(portion) {
        end += slice.len();
        let left = peer.receive(slice, |ws, event, left, _| {
            match event {
                Event::Open(open) => check.open(open, &stream[..end - left]),
                Event::Refused(response) => {
                    let status = response.status();
                    let bytes = check.head(&stream, response.headers());
                    assert_ne!(status, 101);
                    let (head, _) = Head::read(bytes);
                    assert_eq!(head.parts()[1], status.to_string());
                    assert_eq!(response.header("location").is_some(), !head.values("location").is_empty());
                }
                Event::Error(Error::Response(error)) => check.error(*error),
                _ => {}
            }
            if let Event::Error(Error::Response(_) | Error::Refused(_)) = event {
                assert!(ws.is_closed(), "closed at once");
            }
            true
        });
        assert_eq!(left, 0, "every slice is used up");
    }
    let opened = matches!(peer.record.events.first(), Some(OwnedEvent::Open(_)));
    assert!(opened || !valid, "a valid response was refused: {:?}", peer.record);
    assert!(opened || peer.outbox.is_empty());
    peer.end();
});

/// The data that the response is checked against.
struct Check<'c> {
    accept: &'c str,
    offered: &'static [&'static str],
    max_head: usize,
    stream: &'c [u8],
}

impl Check<'_> {
    /// The request has the parts that section 4.1 requires.
    fn request(&self, bytes: &[u8]) {
        let parsed = heads::parse_request(bytes).expect("httparse reads the request");
        assert_eq!(parsed.len, bytes.len());
        let (head, _) = Head::read(bytes);
        assert_eq!(head.first, "GET / HTTP/1.1");
        assert_eq!(head.value("host"), Some("a.example"));
        assert_eq!(head.value("sec-websocket-key"), Some(CLIENT_KEY));
        assert_eq!(head.value("sec-websocket-version"), Some("13"));
        assert!(head.lists("upgrade", "websocket") && head.lists("connection", "upgrade"));
        assert!(self.offered.iter().all(|offer| head.lists("sec-websocket-protocol", offer)));
    }

    /// Returns the final head in `bytes`, after interim responses. httparse reads the same `fields`
    /// in it.
    fn head<'b, 'h>(&self, bytes: &'b [u8], fields: impl Iterator<Item = (&'h str, &'h [u8])>) -> &'b [u8] {
        let mut rest = bytes;
        loop {
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n").expect("a complete head") + 4;
            let (head, after) = rest.split_at(end);
            let switches = Head::read(head).0.parts()[1] == "101";
            // A response that does not switch protocols may fold its lines; continuation lines are
            // left out.
            let lines = if switches { head.to_vec() } else { heads::without_folds(head) };
            let parsed = heads::parse_response(&lines).expect("httparse reads an accepted head");
            assert_eq!(parsed.len, lines.len());
            if !(100..200).contains(&parsed.status) || switches {
                assert!(bytes.len() - after.len() <= self.max_head);
                assert!(fields.map(|(name, value)| (name.into(), value.into())).eq(parsed.fields));
                return head;
            }
            rest = after;
        }
    }

    /// The response that opened the connection passes each check of section 4.1.
    fn open(&self, open: &Open<'_>, bytes: &[u8]) {
        let last = self.head(bytes, open.headers());
        assert!(bytes.ends_with(last));
        let (head, complete) = Head::read(last);
        assert!(complete);
        // 1: "If the status code received from the server is not 101"
        assert!(heads::is_new_enough(head.parts()[0]));
        assert_eq!(head.parts()[1], "101");
        // 2: "an ASCII case-insensitive match for the value "websocket""
        let [upgrade] = head.values("upgrade")[..] else { panic!("{head:?}") };
        assert!(upgrade.eq_ignore_ascii_case(b"websocket"));
        // 3: "a token that is an ASCII case-insensitive match for the value "Upgrade""
        assert!(head.lists("connection", "upgrade"));
        // 4: "the base64-encoded SHA-1"
        assert_eq!(head.values("sec-websocket-accept"), [self.accept.as_bytes()]);
        // 5: "an extension that was not present in the client's handshake"
        assert!(head.values("sec-websocket-extensions").is_empty());
        // 6: "a subprotocol that was not present in the client's handshake"
        let protocols = head.values("sec-websocket-protocol");
        assert!(protocols.len() <= 1);
        assert_eq!(open.protocol(), head.value("sec-websocket-protocol"));
        assert!(open.protocol().is_none_or(|protocol| self.offered.contains(&protocol)));
        let connect = Connect::new("a.example", "/").protocols(self.offered);
        let agreed = handshake::check_response(open.headers(), CLIENT_KEY, &connect).unwrap();
        assert_eq!(agreed.protocol(), open.protocol());
        assert!(!format!("{agreed:?}").is_empty(), "Debug does not panic");
    }

    /// The stream has the fault that the error names.
    fn error(&self, error: ResponseError) {
        use ResponseError as E;
        let mut rest = self.stream;
        let head = loop {
            let (head, complete) = Head::read(rest);
            let interim =
                head.parts().get(1).is_some_and(|status| status.len() == 3 && status.starts_with('1'));
            if !interim || !complete || head.parts()[1] == "101" {
                break head;
            }
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n");
            rest = &rest[end.unwrap() + 4..];
        };
        let values = |name: Name| head.values(&name.as_str().to_ascii_lowercase());
        let there = match error {
            E::Head(HeadError::TooLong) => self.stream.len() > self.max_head,
            E::HttpTooOld => !heads::is_new_enough(head.parts()[0]),
            E::Missing(Name::Connection) => !head.lists("connection", "upgrade"),
            E::Missing(name) => values(name).is_empty(),
            E::Duplicate(name) => values(name).len() > 1,
            E::Invalid(Name::Upgrade) => {
                values(Name::Upgrade).iter().any(|value| !value.eq_ignore_ascii_case(b"websocket"))
            }
            E::Invalid(name @ Name::SecWebSocketAccept) => {
                values(name).iter().any(|value| *value != self.accept.as_bytes())
            }
            E::Unoffered(name @ Name::SecWebSocketProtocol) => {
                values(name).iter().any(|value| !self.offered.iter().any(|offer| offer.as_bytes() == *value))
            }
            E::Unoffered(name) | E::Invalid(name) => !values(name).is_empty(),
            _ => true,
        };
        assert!(there, "{error:?} in {head:?}");
    }
}
