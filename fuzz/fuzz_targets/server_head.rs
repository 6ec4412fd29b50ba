//! Proves that a server accepts only the requests that RFC 6455 section 4.2.1 allows, by naive
//! checks and by httparse, that each refusal is a well-formed response with the status of a fault
//! in the request, that an inbox which is too small only loses headers without rules, that no
//! header can be injected into a response, and that an extended CONNECT with the same headers has
//! the same verdict.
#![no_main]

use sansocket::handshake::{HeaderName as Name, ResponseHead};
use sansocket::{
    Accept, AnswerError, BadRequest, Config, Event, HeadError, Reject, Request, RequestError, Server,
    WebSocket, handshake,
};
use sansocket_fuzz::heads::{self, Head};
use sansocket_fuzz::{Choices, FIXED, OwnedEvent, Peer, frames, inbox, portion, small_inbox};

/// Flags, the choice of a request and its portions, the material of the answer; then edits of that
/// request, or a head.
struct Input<'d> {
    flags: u8,
    portion: usize,
    answer: &'d [u8],
    stream: Vec<u8>,
    /// That of the inbox.
    capacity: usize,
    /// The request must be accepted.
    valid: bool,
}

/// How the request was answered.
#[derive(Debug, PartialEq)]
enum Answer {
    Accepted { key: String, protocol: Option<&'static str>, header: bool },
    Rejected { status: u16, header: bool, body: bool },
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let flags = choices.byte();
    let shape = choices.byte();
    let answer = choices.counted();
    let request = usize::from(shape & 3);
    let valid = flags & 0x50 == 0x10 && choices.is_empty() && request < 3 && shape < 0x40;
    let stream =
        if flags & 0x10 != 0 { heads::edit(heads::REQUESTS[request], choices) } else { choices.0.to_vec() };
    let portion = if shape >> 2 & 0xF == 0 { usize::MAX } else { portion(shape >> 2) };
    let capacity = match (shape >> 6, flags >> 2 & 2) {
        (0, 0) => FIXED,
        (0, _) => usize::MAX,
        (more, _) => 60 * usize::from(more) + usize::from(answer.first().copied().unwrap_or(0)),
    };
    run(&Input { flags, portion, answer, stream, capacity, valid });
});

const LIMITS: (usize, usize) = (300, 6);

fn run(input: &Input<'_>) {
    let Input { flags, stream, .. } = input;
    check_connect(&Head::read(stream).0);
    let mut config = Config::default().plain_requests(flags & 0x20 != 0);
    if flags & 0x40 != 0 {
        config = config.max_head(LIMITS.0 as u16).max_headers(LIMITS.1 as u16);
    }
    let inbox = match input.capacity {
        FIXED | usize::MAX => inbox(flags >> 2),
        capacity => small_inbox(capacity),
    };
    let mut peer = Peer::new(WebSocket::server(config), inbox);
    peer.two_steps = flags & 0x80 != 0;
    let mut answered = None;
    let mut fault = None;
    let mut memory = stream.clone();
    let mut end = 0;
    for slice in memory.chunks_mut(input.portion.clamp(1, usize::MAX)) {
        end += slice.len();
        let left = peer.receive(slice, |ws, event, left, outbox| {
            match event {
                Event::BadRequest(request) => check_bad(request, &stream[..end]),
                Event::Request(request) => {
                    check(request, &stream[..end - left], input);
                    answered = Some(answer(ws, request, outbox, input));
                }
                Event::Error(error) => fault = error.status().map(|status| (status, error.to_string())),
                _ => {}
            }
            if let Event::Error(sansocket::Error::Request(error)) = event {
                check_error(*error, input);
            }
            true
        });
        assert_eq!(left, 0, "every slice is used up");
    }
    assert!(!input.valid || answered.is_some(), "a valid request was refused: {fault:?}");
    let sent = peer.outbox.len();
    assert!(answered.is_some() || fault.is_some() || sent == 0);
    if let Some(Answer::Accepted { protocol, .. }) = &answered {
        assert_eq!(peer.record.events[1], OwnedEvent::Open(protocol.map(Into::into)));
    } else if sent > 0 {
        assert!(peer.ws.is_closed());
    }
    match (&answered, &fault) {
        (Some(Answer::Accepted { key, protocol, header }), _) => {
            let rest = check_switching(&peer.outbox, key, *protocol, header.then(|| added(input.answer)));
            assert_eq!(frames::read(rest).1, 0);
        }
        (Some(Answer::Rejected { status, header, body }), None) => {
            let body = if *body { input.answer } else { b"" };
            let (head, sent) = heads::check_refusal(&peer.outbox, *status, body.len());
            let is_head =
                matches!(&peer.record.events[0], OwnedEvent::Request(shown) if shown.starts_with("HEAD "));
            assert_eq!(sent, if is_head { b"" } else { body });
            check_added(&head, header.then(|| added(input.answer)));
        }
        (Some(_), Some(fault)) => panic!("{fault:?} after an answer"),
        (None, Some((status, _))) => {
            let (_, body) = heads::check_refusal(&peer.outbox, *status, 0);
            assert!(body.is_empty());
            assert_eq!(peer.record.events.len(), 3);
        }
        (None, None) => assert_eq!(sent, 0),
    }
    peer.end();
}

/// A header that the caller adds, made from the fuzzer's bytes.
fn added(answer: &[u8]) -> (&str, &str) {
    let text = str::from_utf8(answer).unwrap_or("X:\n");
    text.split_once(':').unwrap_or(("X", text))
}

fn answer(
    ws: &mut WebSocket<Server>,
    request: &Request<'_>,
    outbox: &mut Vec<u8>,
    input: &Input<'_>,
) -> Answer {
    let headers = [added(input.answer)];
    let accepted = |accept: Accept<'_>, protocol, header| Answer::Accepted {
        key: accept.value().as_str().to_owned(),
        protocol,
        header,
    };
    if !request.is_upgrade() {
        assert_eq!(ws.accept(request.accept(), outbox), Err(AnswerError::NotAnUpgrade));
    } else if input.flags & 3 == 1 {
        const PREFERRED: [&str; 2] = ["v2", "chat"];
        let offered: Vec<&str> = request.protocols().collect();
        let protocol = PREFERRED.into_iter().find(|protocol| offered.contains(protocol));
        let accept = request.select(&PREFERRED);
        assert_eq!(accept.is_some(), protocol.is_some());
        let same = request.accept().select(request.headers(), &PREFERRED);
        assert_eq!(same.is_some(), protocol.is_some());
        let accept = accept.unwrap_or(request.accept());
        ws.accept(accept, outbox).unwrap();
        check_response(&same.unwrap_or(request.accept()).response(), outbox);
        return accepted(accept, protocol, false);
    } else if input.flags & 3 != 2 {
        let accept = request.accept();
        assert!(!format!("{:?}", accept.headers(&headers)).is_empty(), "Debug does not panic");
        let result = ws.accept(accept.headers(&headers), outbox);
        if result.is_err() {
            assert_eq!((result, outbox.len()), (Err(AnswerError::InvalidHeader), 0));
            ws.accept(accept, outbox).unwrap();
        }
        return accepted(accept, None, result.is_ok());
    }
    let status =
        180 + 2 * u16::from(input.answer.first().copied().unwrap_or(100)) + (input.answer.len() as u16 & 1);
    let body = input.flags & 1 == 0;
    let reject = Reject::status(status).body(if body { input.answer } else { b"" }).headers(&headers);
    assert!(!format!("{reject:?}").is_empty(), "Debug does not panic");
    match ws.reject(reject, outbox) {
        Ok(()) => {
            check_response(&reject.response(), outbox);
            Answer::Rejected { status, header: true, body }
        }
        Err(error) => {
            assert!(outbox.is_empty());
            match error {
                AnswerError::InvalidStatus => assert!(!(200..600).contains(&status)),
                AnswerError::BodyNotAllowed => assert!(matches!(status, 204 | 205 | 304)),
                error => assert_eq!(error, AnswerError::InvalidHeader),
            }
            ws.reject(Reject::status(403), outbox).unwrap();
            Answer::Rejected { status: 403, header: false, body: false }
        }
    }
}

/// A request that the server reports passes each check of section 4.2.1.
fn check(request: &Request<'_>, bytes: &[u8], input: &Input<'_>) {
    assert!(bytes.len() <= max_head(input));
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let (head, complete) = Head::read(bytes);
    assert!(complete && bytes.ends_with(b"\r\n\r\n"));
    assert!(head.fields.len() <= if input.flags & 0x40 != 0 { LIMITS.1 } else { 100 });
    // 1: "An HTTP/1.1 or higher GET request"
    let [method, target, version] = head.parts()[..] else { panic!("{head:?}") };
    let is_head = method == "HEAD" && input.flags & 0x20 != 0;
    assert!(method == "GET" || is_head);
    assert_eq!(request.method(), method);
    let old = !heads::is_new_enough(version);
    assert!(!old || version == "HTTP/1.0" && input.flags & 0x20 != 0, "only a plain request may be old");
    assert!(target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
    // 2: "A |Host| header field"
    assert!(head.values("host").len() == 1 || old && head.values("host").is_empty());
    if target.starts_with('/') {
        assert_eq!((request.target(), request.host()), (target, head.value("host").unwrap_or("")));
    } else {
        let (_, rest) = target.split_once("://").expect("a path or a URI");
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let slash = if path.starts_with('/') { "" } else { "/" };
        assert_eq!((request.host(), request.target()), (host, &*format!("{slash}{path}")));
    }
    // No body.
    assert!(head.values("transfer-encoding").is_empty());
    assert!(head.values("content-length").iter().all(|value| is_zero(value)));
    // 3 and 4: "An |Upgrade| header field", "A |Connection| header field"
    let upgrade =
        !old && !is_head && head.lists("upgrade", "websocket") && head.lists("connection", "upgrade");
    assert_eq!(request.is_upgrade(), upgrade);
    if upgrade {
        // 5: "a base64-encoded value that, when decoded, is 16 bytes in length"
        let [key] = head.values("sec-websocket-key")[..] else { panic!("{head:?}") };
        assert!(heads::is_key(key));
        // 6: "A |Sec-WebSocket-Version| header field, with a value of 13"
        assert_eq!(head.values("sec-websocket-version"), [b"13"]);
        let value = heads::accept_of(str::from_utf8(key).unwrap());
        assert_eq!(request.accept().value(), &*value);
        assert_eq!(handshake::check_request(request.headers()).unwrap().value(), &*value);
        let with = |name: &'static str, value: &'static [u8]| {
            handshake::check_request(request.headers().chain([(name, value)]))
        };
        assert_eq!(with("X Y", b""), Err(HeadError::InvalidName.into()));
        assert_eq!(with("X", b"\n"), Err(HeadError::ControlCharacter.into()));
    } else {
        assert!(input.flags & 0x20 != 0);
    }
    // 8 and 9: subprotocols and extensions
    let offered = head.values("sec-websocket-protocol").join(&b',');
    let offered: Vec<String> =
        String::from_utf8(offered).unwrap().split(',').map(|one| one.trim().into()).collect();
    let offered: Vec<&str> = offered.iter().map(|one| &one[..]).filter(|one| !one.is_empty()).collect();
    assert_eq!(request.protocols().collect::<Vec<_>>(), offered);
    assert!(request.extensions().all(|extension| !extension.is_empty()));
    let origins = head.values("origin");
    let origin = origins.first().map(|origin| str::from_utf8(origin).unwrap_or(""));
    assert!(request.origin() == origin && origins.len() < 2);
    // httparse reads the same fields. Those with rules are there.
    let parsed = heads::parse_request(bytes).expect("httparse reads an accepted request");
    assert_eq!((parsed.len, parsed.fields.len()), (bytes.len(), head.fields.len()));
    let fields = heads::owned(request.headers());
    assert!(heads::are_among(&fields, &parsed.fields));
    assert_eq!(
        heads::named(&fields, &heads::REQUEST_RULES),
        heads::named(&parsed.fields, &heads::REQUEST_RULES)
    );
    assert_eq!(request.is_complete(), fields.len() == parsed.fields.len());
    assert!(request.is_complete() || bytes.len() > input.capacity);
}

/// The verdict on these headers in an extended CONNECT is that on a request with the headers that
/// HTTP/2 replaces.
fn check_connect(head: &Head) {
    const REPLACED: [(&str, &[u8]); 4] = [
        ("host", b"a"),
        ("upgrade", b"websocket"),
        ("connection", b"upgrade"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let fields = || head.fields.iter().map(|(name, value)| (&name[..], &value[..]));
    let is_replaced = |name: &str| REPLACED.iter().any(|(replaced, _)| *replaced == name);
    let others = fields().map(|(name, value)| (if is_replaced(name) { "x" } else { name }, value));
    let expected =
        handshake::check_request(REPLACED.into_iter().chain(others)).map_err(|error| match error {
            RequestError::Missing(Name::SecWebSocketVersion)
            | RequestError::Invalid(Name::SecWebSocketVersion) => RequestError::UnsupportedVersion,
            error => error,
        });
    let checked = handshake::check_connect(fields());
    assert_eq!(checked.map(|_| ()), expected.map(|_| ()));
    let response = match checked {
        Ok(accept) => {
            assert!(accept.value().is_empty());
            let selected = accept.select(fields(), &["v2", "chat"]);
            let offered = head.values("sec-websocket-protocol").join(&b',');
            let mut offered = offered.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            assert_eq!(selected.is_some(), offered.any(|one| one == b"v2" || one == b"chat"));
            selected.unwrap_or(accept).response()
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            error.response()
        }
    };
    assert_eq!(response.status(), checked.map_or_else(RequestError::status, |_| 200));
    assert!(response.headers().all(|(name, _)| name.starts_with("sec-websocket-")));
}

/// A bad request shows what has arrived of it: `bytes` end with the slice that holds the fault.
fn check_bad(request: &BadRequest<'_>, bytes: &[u8]) {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let (head, _) = Head::read(bytes);
    assert!(bytes.starts_with(request.first_line()));
    assert!(head.first.starts_with(request.method()) && head.first.contains(request.target()));
    let all = heads::Lenient::read(bytes).all;
    assert!(heads::are_among(&heads::owned(request.headers()), &all));
}

/// Whether a `Content-Length` is 0: `1*DIGIT`, all of them 0.
fn is_zero(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|&byte| byte == b'0')
}

/// The longest head.
fn max_head(input: &Input<'_>) -> usize {
    if input.flags & 0x40 != 0 { LIMITS.0 } else { 8 << 10 }
}

/// The stream has the fault that the error names.
fn check_error(error: RequestError, input: &Input<'_>) {
    use RequestError as E;
    let (head, complete) = Head::read(&input.stream);
    let values = |name: Name| head.values(&name.as_str().to_ascii_lowercase());
    let there = match error {
        E::Head(HeadError::TooLong) => {
            let bytes = input.stream.strip_prefix(b"\r\n").unwrap_or(&input.stream);
            let last = &bytes[..heads::Lenient::read(bytes).len.unwrap_or(bytes.len())];
            input.stream.len() > max_head(input)
                || heads::needed(last, &heads::REQUEST_RULES) > input.capacity
        }
        E::TargetTooLong => head.first.len() + 4 > max_head(input).min(input.capacity),
        E::Head(HeadError::BareLf) => input.stream.contains(&b'\n'),
        E::Head(HeadError::BareCr) => input.stream.contains(&b'\r'),
        E::Head(HeadError::ControlCharacter) => input.stream.iter().any(|&byte| byte < b' ' || byte == 0x7F),
        E::MethodNotAllowed => !matches!((head.parts()[0], input.flags & 0x20), ("GET", _) | ("HEAD", 0x20)),
        E::HttpTooOld => head.parts().get(2).is_none_or(|version| !heads::is_new_enough(version)),
        E::Body => {
            !head.values("transfer-encoding").is_empty()
                || !head.values("content-length").iter().all(|value| is_zero(value))
        }
        E::Missing(Name::Upgrade) => complete && !head.lists("upgrade", "websocket"),
        E::Missing(Name::Connection) => complete && !head.lists("connection", "upgrade"),
        E::Missing(name) => complete && values(name).is_empty(),
        E::Duplicate(name) => values(name).len() > 1,
        E::Invalid(name @ Name::SecWebSocketKey) => values(name).iter().any(|key| !heads::is_key(key)),
        E::Invalid(name @ Name::SecWebSocketVersion) => values(name).iter().any(|version| version != b"13"),
        _ => true,
    };
    assert!(there, "{error:?} in {head:?}");
}

/// The head for software that writes the response itself is what the machine has sent.
fn check_response(response: &ResponseHead<'_>, sent: &[u8]) {
    assert!(!format!("{response:?}").is_empty(), "Debug does not panic");
    let (head, _) = Head::read(sent);
    assert!(head.first.contains(&response.status().to_string()));
    for (name, value) in response.headers() {
        let value = value.trim_matches([' ', '\t']).as_bytes();
        assert!(head.values(&name.to_ascii_lowercase()).iter().any(|sent| *sent == value), "{name}");
    }
}

/// Checks the response with status 101 (section 4.2.2); returns the bytes after it.
fn check_switching<'b>(
    bytes: &'b [u8],
    accept: &str,
    protocol: Option<&str>,
    header: Option<(&str, &str)>,
) -> &'b [u8] {
    let parsed = heads::parse_response(bytes).expect("httparse reads the response");
    let (head, _) = Head::read(bytes);
    assert_eq!((parsed.status, &head.first[..]), (101, "HTTP/1.1 101 Switching Protocols"));
    assert_eq!(head.values("upgrade"), [b"websocket"]);
    assert_eq!(head.values("connection"), [b"Upgrade"]);
    assert_eq!(head.values("sec-websocket-accept"), [accept.as_bytes()]);
    assert_eq!(head.value("sec-websocket-protocol"), protocol);
    let expected = 3 + usize::from(protocol.is_some()) + usize::from(header.is_some());
    assert_eq!((parsed.fields.len(), head.fields.len()), (expected, expected));
    check_added(&head, header);
    &bytes[parsed.len..]
}

/// The head has the added header, with the given value.
fn check_added(head: &Head, header: Option<(&str, &str)>) {
    if let Some((name, value)) = header {
        let value = value.trim_matches([' ', '\t']);
        assert_eq!(head.values(&name.to_ascii_lowercase()), [value.as_bytes()]);
    }
}
