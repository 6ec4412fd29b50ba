//! Proves that a client accepts only the responses that RFC 6455 section 4.1 allows, by naive
//! checks and by httparse, that it reports any other status with the headers that can be read and
//! leaves its body, that an inbox which is too small only loses headers without rules, that a
//! failed handshake sends nothing more, and that the response to an extended CONNECT with the same
//! headers has the same verdict.
#![no_main]

use sansocket::handshake::HeaderName as Name;
use sansocket::{
    Config, Connect, Error, Event, HeadError, Open, Response, ResponseError, WebSocket, handshake,
};
use sansocket_fuzz::heads::{self, CLIENT_KEY, Head, Lenient};
use sansocket_fuzz::{Choices, FIXED, OwnedEvent, Peer, inbox, portion, rng, small_inbox};

/// The subprotocols that are offered: with a name of 150 bytes, and as many as can be.
const LONG: &str = "header-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OFFERS: [&[&str]; 4] = [
    &["chat", "v2"],
    &[],
    &[LONG, "v2", "chat"],
    &[
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t",
        "u", "v", "w", "x", "y", "z", "va", "v22", "V2", "cha", "hat", "Chat",
    ],
];
const SMALL: usize = 190;
/// The head of a refusal is read so far, and kept up to `max_head`.
const MAX_REFUSAL: usize = 65_535;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let flags = choices.byte();
    let shape = choices.byte();
    let capacity = 2 * usize::from(choices.byte());
    let accept = heads::accept_of(CLIENT_KEY);
    let offered = OFFERS[usize::from(flags & 3)];
    let valid = flags & 0x51 == 0x10 && choices.is_empty() && shape & 3 < 2 && shape & 0x40 == 0;
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
    let (inbox, capacity) = match (shape & 0x40, flags >> 2 & 2) {
        (0, 0) => (inbox(flags >> 2), FIXED),
        (0, _) => (inbox(flags >> 2), usize::MAX),
        _ => (small_inbox(capacity), capacity),
    };
    let check = Check { accept: &accept, offered, max_head, capacity, stream: &stream };
    check.connect_response(150 + u16::from(shape));

    let mut peer = Peer::new(WebSocket::client(config, rng()), inbox);
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
                Event::Refused(response) => check.refused(response, end - left),
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
    if peer.record.events.is_empty() {
        check.unfinished();
    }
    peer.end();
    // A head that was cut short tells its status too.
    if let [OwnedEvent::Refused(status), ..] = &peer.record.events[..] {
        let (head, _) = Lenient::read_final(&stream);
        assert!(head.first == 0 || head.status.starts_with(&status.to_string()));
    }
});

/// The data that the response is checked against.
struct Check<'c> {
    accept: &'c str,
    offered: &'static [&'static str],
    max_head: usize,
    capacity: usize,
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
        let offer = self.offered.join(", ");
        let expected = if offer.is_empty() { None } else { Some(&offer[..]) };
        assert_eq!(head.value("sec-websocket-protocol"), expected);
    }

    /// A refusal shows the headers that can be read, in order, and all of them if the inbox has
    /// room. `taken`: where its body begins.
    fn refused(&self, response: &Response<'_>, taken: usize) {
        let (head, start) = Lenient::read_final(&self.stream[..taken]);
        let status = response.status();
        // The status of a first line that does not fit is read from its first 12 bytes.
        let is_kept = head.first + 2 <= self.capacity.min(self.max_head);
        let is_status =
            head.status == status.to_string() || !is_kept && head.status.starts_with(&status.to_string());
        assert!(status >= 200 && (is_status || head.first == 0));
        let fields = heads::owned(response.headers());
        assert!(heads::are_among(&fields, &head.all));
        let Some(len) = head.len.filter(|len| start + len <= MAX_REFUSAL) else {
            return assert!(!response.is_complete() && taken == MAX_REFUSAL, "over the limit");
        };
        assert_eq!(taken, start + len, "the rest is the body");
        if len < self.capacity.min(self.max_head) {
            assert!(response.is_complete());
        }
        if response.is_complete() {
            assert_eq!(fields, head.fields);
            // httparse is stricter. Where it reads the head, it reads the same.
            if let Ok(parsed) = heads::parse_response(&self.stream[start..taken]) {
                assert_eq!((parsed.status, parsed.len, parsed.fields), (status, len, fields));
            }
        }
    }

    /// The stream has ended before the head has.
    fn unfinished(&self) {
        let (head, _) = Lenient::read_final(self.stream);
        assert!(head.status == "101" || head.len.is_none(), "a complete head is reported");
        let is_strict = head.first > 0 && head.status == "101";
        assert!(self.stream.len() <= if is_strict { self.max_head } else { MAX_REFUSAL });
    }

    /// The response that opened the connection passes each check of section 4.1.
    fn open(&self, open: &Open<'_>, bytes: &[u8]) {
        assert!(bytes.len() <= self.max_head);
        let (found, start) = Lenient::read_final(bytes);
        let last = &bytes[start..];
        assert_eq!(found.len, Some(last.len()));
        // httparse reads the same fields. Those with rules are there.
        let parsed = heads::parse_response(last).expect("httparse reads an accepted head");
        assert_eq!(parsed.len, last.len());
        let fields = heads::owned(open.headers());
        assert!(heads::are_among(&fields, &parsed.fields));
        assert_eq!(
            heads::named(&fields, &heads::RESPONSE_RULES),
            heads::named(&parsed.fields, &heads::RESPONSE_RULES)
        );
        assert_eq!(open.is_complete(), fields.len() == parsed.fields.len());
        assert!(open.is_complete() || last.len() > self.capacity);
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

    /// The verdict on these headers in the response to an extended CONNECT is that on a response
    /// with the headers that HTTP/2 replaces.
    fn connect_response(&self, status: u16) {
        let replaced = [
            ("upgrade", &b"websocket"[..]),
            ("connection", b"upgrade"),
            ("sec-websocket-accept", self.accept.as_bytes()),
        ];
        let (head, _) = Head::read(self.stream);
        let fields = || head.fields.iter().map(|(name, value)| (&name[..], &value[..]));
        let is_replaced = |name: &str| replaced.iter().any(|(replaced, _)| *replaced == name);
        let others = fields().map(|(name, value)| (if is_replaced(name) { "x" } else { name }, value));
        let connect = Connect::new("a.example", "/").protocols(self.offered);
        let expected = match status {
            200..300 => handshake::check_response(replaced.into_iter().chain(others), CLIENT_KEY, &connect),
            _ => Err(ResponseError::Refused(status)),
        };
        assert_eq!(handshake::check_connect_response(status, fields(), &connect), expected);
        assert!(expected.err().is_none_or(|error| !error.to_string().is_empty()));
    }

    /// The stream has the fault that the error names.
    fn error(&self, error: ResponseError) {
        use ResponseError as E;
        let (lenient, start) = Lenient::read_final(self.stream);
        let rest = &self.stream[start..];
        let (head, _) = Head::read(rest);
        let values = |name: Name| head.values(&name.as_str().to_ascii_lowercase());
        let there = match error {
            E::Head(HeadError::TooLong) => {
                let last = &rest[..lenient.len.unwrap_or(rest.len())];
                self.stream.len() > self.max_head
                    || heads::needed(last, &heads::RESPONSE_RULES) > self.capacity
                    || Lenient::longest_first(&self.stream[..start]) + 2 > self.capacity
            }
            // An interim response before the last head may have it.
            E::HttpTooOld => start > 0 || !heads::is_new_enough(head.parts()[0]),
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
