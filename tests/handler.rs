//! The `Handler` trait: events as callbacks.

mod common;

use common::*;
use sansocket::{
    AnswerError, Close, Config, Connect, ControlPayload, Delivery, Error, Handler, Message, Open, OutboxFull,
    Part, Piece, Reject, Request, Responder, Response, Server, WebSocket,
};

/// Logs every call.
#[derive(Default)]
struct Log(Vec<String>);

impl Handler for Log {
    fn on_request(&mut self, request: Request<'_>, _: &mut Responder<'_>) {
        self.0.push(format!("request {}", request.target()));
    }
    fn on_open(&mut self, open: Open<'_>, _: &mut Responder<'_>) {
        self.0.push(format!("open {:?}", open.protocol()));
    }
    fn on_message(&mut self, message: Message<'_>, _: &mut Responder<'_>) {
        self.0.push(format!("message {message:?}"));
    }
    fn on_piece(&mut self, piece: &Piece<'_>, _: &mut Responder<'_>) {
        let Part::Text { text, .. } = &piece.part else { panic!() };
        self.0.push(format!("piece {text} {} {}", piece.first, piece.last));
    }
    fn on_ping(&mut self, payload: &ControlPayload, _: &mut Responder<'_>) {
        self.0.push(format!("ping {}", payload.len()));
    }
    fn on_pong(&mut self, payload: &ControlPayload, _: &mut Responder<'_>) {
        self.0.push(format!("pong {}", payload.len()));
    }
    fn on_refused(&mut self, response: Response<'_>) {
        self.0.push(format!("refused {}", response.status()));
    }
    fn on_error(&mut self, error: Error) {
        self.0.push(format!("error {error}"));
    }
    fn on_close(&mut self, close: &Close) {
        self.0.push(format!("close {close}"));
    }
}

struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, message: Message<'_>, sender: &mut Responder<'_>) {
        sender.send(message).unwrap();
    }
    fn on_piece(&mut self, piece: &Piece<'_>, sender: &mut Responder<'_>) {
        sender.send_piece(piece).unwrap();
    }
}

/// Dispatches `bytes` and returns the output.
fn dispatch(ws: &mut WebSocket<Server>, bytes: &[u8], handler: &mut dyn Handler) -> Vec<u8> {
    let (mut bytes, mut inbox, mut outbox) = (bytes.to_vec(), Vec::new(), Vec::new());
    let mut input = &mut bytes[..];
    while ws.dispatch(&mut input, &mut inbox, &mut outbox, handler).unwrap() {}
    assert!(input.is_empty() || ws.awaits_caller());
    outbox
}

#[test]
fn each_handler_of_a_tuple_gets_every_event_and_a_request_is_accepted_by_default() {
    let mut ws = WebSocket::server(Config::default());
    let mut pair = (Log::default(), Echo);
    let stream = [
        request("").into_bytes(),
        masked(0x81, b"one"),
        masked(0x89, b"p"),
        masked(0x8A, b""),
        masked(0x88, b""),
    ]
    .concat();
    let sent = dispatch(&mut ws, &stream, &mut pair);
    assert_eq!(
        pair.0.0,
        ["request /chat", "open None", "message Text(\"one\")", "ping 1", "pong 0", "close 1005 (clean)"]
    );
    let frames = [unmasked(0x81, b"one"), unmasked(0x8A, b"p"), vec![0x88, 0]].concat();
    assert!(sent.starts_with(b"HTTP/1.1 101") && sent.ends_with(&frames));
}

#[test]
fn pieces_and_errors_are_dispatched() {
    let mut ws = WebSocket::<Server>::open(Config::default().delivery(Delivery::Pieces));
    let mut three = (&mut Echo, Log::default(), ());
    let sent = dispatch(&mut ws, &[masked(0x01, b"a"), masked(0x80, b"b\xFF")].concat(), &mut three);
    assert_eq!(
        three.1.0,
        [
            "piece a true false",
            "piece b false false",
            "error text is not valid UTF-8 (close code 1007)",
            "close 1006 (not clean)"
        ]
    );
    let frames = [unmasked(0x01, b"a"), unmasked(0x00, b"b"), unmasked(0x88, &1007_u16.to_be_bytes())];
    assert_eq!(sent, frames.concat());
}

#[test]
fn a_handler_can_select_reject_and_defer() {
    struct Choosing;
    impl Handler for Choosing {
        fn on_request(&mut self, request: Request<'_>, sender: &mut Responder<'_>) {
            match request.target() {
                "/later" => sender.defer(),
                "/no" => sender.reject(Reject::status(403)).unwrap(),
                _ => {
                    sender.accept(request.select(&["chat"]).unwrap()).unwrap();
                    assert_eq!(sender.reject(Reject::status(403)), Err(AnswerError::NoRequest));
                }
            }
        }
    }
    let head =
        |target: &str| request("Sec-WebSocket-Protocol: chat\r\n").replacen("/chat", target, 1).into_bytes();
    let mut ws = WebSocket::server(Config::default());
    assert!(
        String::from_utf8(dispatch(&mut ws, &head("/"), &mut Choosing))
            .unwrap()
            .contains("Protocol: chat\r\n")
    );
    let mut ws = WebSocket::server(Config::default());
    assert!(dispatch(&mut ws, &head("/no"), &mut Choosing).starts_with(b"HTTP/1.1 403"));
    let mut ws = WebSocket::server(Config::default());
    assert_eq!(dispatch(&mut ws, &head("/later"), &mut Choosing), b"");
    assert!(ws.awaits_caller());
    // An unanswered plain request gets 426.
    let mut ws = WebSocket::server(Config::default().plain_requests(true));
    assert!(dispatch(&mut ws, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut ()).starts_with(b"HTTP/1.1 426"));
}

#[test]
fn no_event_is_consumed_while_the_outbox_is_full() {
    let mut ws = WebSocket::server(Config::default());
    let mut log = Log::default();
    let mut bytes = [request("").into_bytes(), masked(0x89, b"p")].concat();
    let mut input = &mut bytes[..];
    let mut inbox = Vec::new();
    let mut small = heapless::Vec::<u8, 159>::new();
    let full = ws.dispatch(&mut input, &mut inbox, &mut small, &mut log);
    assert_eq!(full, Err(OutboxFull { needed: 160 }));
    assert!(log.0.is_empty());
    let mut outbox = heapless::Vec::<u8, 160>::new();
    while ws.dispatch(&mut input, &mut inbox, &mut outbox, &mut log).unwrap() {}
    // Pending output is sent before the next event.
    let mut ping = masked(0x89, b"");
    let mut input = &mut ping[..];
    let mut none = heapless::Vec::<u8, 0>::new();
    assert_eq!(ws.dispatch(&mut input, &mut inbox, &mut none, &mut log), Ok(true));
    assert_eq!(ws.dispatch(&mut input, &mut inbox, &mut none, &mut log), Err(OutboxFull { needed: 2 }));
    assert_eq!(log.0, ["request /chat", "open None", "ping 1", "ping 0"]);
}

#[test]
fn a_client_connection_can_be_dispatched() {
    struct Hello;
    impl Handler for Hello {
        fn on_open(&mut self, _: Open<'_>, sender: &mut Responder<'_>) {
            sender.ping(b"p").unwrap();
            sender.send("hello").unwrap();
            sender.close(sansocket::CloseCode::NORMAL, "bye").unwrap();
        }
    }
    let mut ws = WebSocket::client(Config::default(), rng());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    ws.connect(Connect::new("a", "/"), &mut outbox).unwrap();
    let mut server = WebSocket::server(Config::default());
    let mut response = dispatch(&mut server, &outbox, &mut ());
    outbox.clear();
    let mut input = &mut response[..];
    while ws.dispatch(&mut input, &mut inbox, &mut outbox, &mut Hello).unwrap() {}
    let mut log = Log::default();
    dispatch(&mut server, &outbox, &mut log);
    assert_eq!(log.0, ["ping 1", "message Text(\"hello\")", "close 1000 bye (clean)"]);
}

/// Proves: R2.
#[test]
fn a_failed_answer_does_not_accept_the_request() {
    struct Refusing(&'static [(&'static str, &'static str)], &'static [u8]);
    impl Handler for Refusing {
        fn on_request(&mut self, _: Request<'_>, sender: &mut Responder<'_>) {
            assert_eq!(sender.state(), sansocket::State::Connecting);
            let refused = sender.reject(Reject::status(403).headers(self.0).body(self.1));
            assert!(refused.is_err());
        }
    }
    for mut handler in [Refusing(&[("X", "a\nb")], b""), Refusing(&[], &[b'x'; 600])] {
        let mut ws = WebSocket::server(Config::default());
        let mut bytes = request("").into_bytes();
        let mut input = &mut bytes[..];
        let (mut inbox, mut outbox) = (Vec::new(), heapless::Vec::<u8, 512>::new());
        while ws.dispatch(&mut input, &mut inbox, &mut outbox, &mut handler).unwrap() {}
        assert!(outbox.starts_with(b"HTTP/1.1 500 "), "{}", outbox.escape_ascii());
        assert!(ws.is_closed());
    }
}

#[test]
fn a_deferred_request_needs_no_outbox_capacity() {
    struct Later;
    impl Handler for Later {
        fn on_request(&mut self, _: Request<'_>, sender: &mut Responder<'_>) {
            sender.defer();
        }
    }
    let mut ws = WebSocket::server(Config::default());
    let mut bytes = request("").into_bytes();
    let mut input = &mut bytes[..];
    let mut inbox = Vec::new();
    assert_eq!(ws.dispatch(&mut input, &mut inbox, &mut Vec::new(), &mut Later), Ok(true));
    let mut none = heapless::Vec::<u8, 0>::new();
    assert_eq!(ws.dispatch(&mut input, &mut inbox, &mut none, &mut Later), Ok(false));
}

#[test]
fn a_refused_response_is_dispatched() {
    let mut ws = connecting(Connect::new("a", "/")).ws;
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let mut logs = (Log::default(), &mut Log::default());
    let mut response = *b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n";
    let mut input = &mut response[..];
    while ws.dispatch(&mut input, &mut inbox, &mut outbox, &mut logs).unwrap() {}
    let expected = ["refused 302", "error the server refused with status 302", "close 1006 (not clean)"];
    assert_eq!([&logs.0.0[..], &logs.1.0[..]], [expected; 2]);
}

#[test]
fn a_second_answer_in_a_handler_changes_nothing() {
    struct Twice;
    impl Handler for Twice {
        fn on_request(&mut self, request: Request<'_>, sender: &mut Responder<'_>) {
            sender.accept(request.accept()).unwrap();
            assert_eq!(sender.accept(request.accept()), Err(AnswerError::NoRequest));
            assert_eq!(sender.state(), sansocket::State::Open);
        }
        fn on_open(&mut self, _: Open<'_>, sender: &mut Responder<'_>) {
            sender.close_without_code().unwrap();
        }
    }
    let mut ws = WebSocket::server(Config::default());
    let sent = dispatch(&mut ws, request("").as_bytes(), &mut Twice);
    assert!(sent.starts_with(b"HTTP/1.1 101") && sent.ends_with(b"\r\n\r\n\x88\0"));
    assert_eq!(sent.windows(4).filter(|bytes| bytes == b"HTTP").count(), 1);
}

/// What a handler does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Nothing,
    Accept,
    /// With a status that succeeds.
    Reject,
    Defer,
    /// `reject` that fails.
    TooLong,
    BadHeader,
    BadStatus,
    BadBody,
}

impl Does {
    const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Accept,
        Self::Reject,
        Self::Defer,
        Self::TooLong,
        Self::BadHeader,
        Self::BadStatus,
        Self::BadBody,
    ];

    fn fails_to_reject(self) -> bool {
        matches!(self, Self::TooLong | Self::BadHeader | Self::BadStatus | Self::BadBody)
    }
}

/// A handler that does this, and what its call returned.
struct Doing(Does, Option<Result<(), AnswerError>>);

impl Doing {
    fn new(does: Does) -> Self {
        Self(does, None)
    }
}

impl Handler for Doing {
    fn on_request(&mut self, request: Request<'_>, sender: &mut Responder<'_>) {
        let reject = match self.0 {
            Does::Nothing => return,
            Does::Defer => return sender.defer(),
            Does::Accept => return self.1 = Some(sender.accept(request.accept())),
            Does::Reject => Reject::status(403),
            Does::TooLong => Reject::status(403).body(&[b'x'; 600]),
            Does::BadHeader => Reject::status(403).headers(&[("X", "a\nb")]),
            Does::BadStatus => Reject::status(101),
            Does::BadBody => Reject::status(204).body(b"x"),
        };
        self.1 = Some(sender.reject(reject));
    }
}

/// The status of the answer, 0 for none, after one request.
fn status(handler: &mut dyn Handler) -> u16 {
    let mut ws = WebSocket::server(Config::default());
    let mut bytes = request("").into_bytes();
    let mut input = &mut bytes[..];
    let (mut inbox, mut outbox) = (Vec::new(), heapless::Vec::<u8, 512>::new());
    while ws.dispatch(&mut input, &mut inbox, &mut outbox, handler).unwrap() {}
    assert_eq!(ws.awaits_caller(), outbox.is_empty());
    if outbox.is_empty() {
        return 0;
    }
    assert_eq!(outbox.windows(8).filter(|bytes| bytes == b"HTTP/1.1").count(), 1, "one answer");
    let status = str::from_utf8(&outbox[9..12]).unwrap().parse().unwrap();
    assert_eq!(ws.is_closed(), status != 101);
    status
}

/// Checks what each handler got and the answer, for handlers that do this in order.
fn check_answers(does: &[Does], results: &[Option<Result<(), AnswerError>>], status: u16) {
    let (mut answered, mut refused, mut deferred) = (None, false, false);
    for (does, result) in does.iter().zip(results) {
        let expected = match does {
            Does::Nothing => None,
            Does::Defer => {
                deferred |= !refused;
                None
            }
            Does::Accept if deferred && !refused => Some(Err(AnswerError::Deferred)),
            _ if answered.is_some() => Some(Err(AnswerError::NoRequest)),
            Does::Accept if refused => Some(Err(AnswerError::Refused)),
            Does::Accept => {
                answered = Some(101);
                Some(Ok(()))
            }
            Does::Reject => {
                (answered, refused, deferred) = (Some(403), false, false);
                Some(Ok(()))
            }
            Does::TooLong => Some(Err(AnswerError::OutboxFull(OutboxFull { needed: 666 }))),
            Does::BadHeader => Some(Err(AnswerError::InvalidHeader)),
            Does::BadStatus => Some(Err(AnswerError::InvalidStatus)),
            Does::BadBody => Some(Err(AnswerError::BodyNotAllowed)),
        };
        refused |= does.fails_to_reject() && answered.is_none();
        assert_eq!(*result, expected, "{does:?}");
    }
    let default = if refused {
        500
    } else if deferred {
        0
    } else {
        101
    };
    assert_eq!(status, answered.unwrap_or(default), "{does:?}");
    let first = |wanted: fn(Does) -> bool| does.iter().position(|does| wanted(*does));
    if let Some(failed) = first(Does::fails_to_reject) {
        let before = first(|does| matches!(does, Does::Accept | Does::Reject)).is_some_and(|at| at < failed);
        assert!(before || status != 101 && status != 0, "a failed refusal is no acceptance: {does:?}");
    }
}

/// Proves: R2.
#[test]
fn a_failed_refusal_never_ends_in_an_acceptance() {
    for one in Does::ALL {
        for two in Does::ALL {
            let mut pair = (Doing::new(one), Doing::new(two));
            let answer = status(&mut pair);
            check_answers(&[one, two], &[pair.0.1, pair.1.1], answer);
            for three in Does::ALL {
                let mut handlers = (Doing::new(one), Doing::new(two), Doing::new(three));
                let answer = status(&mut handlers);
                check_answers(&[one, two, three], &[handlers.0.1, handlers.1.1, handlers.2.1], answer);
                // The same handlers nested, and as trait objects.
                let mut nested = (Doing::new(one), (Doing::new(two), ((), Doing::new(three))));
                assert_eq!(status(&mut nested), answer);
                let (mut a, mut b, mut c) = (Doing::new(one), Doing::new(two), Doing::new(three));
                let (a, mut rest): (&mut dyn Handler, _) = (&mut a, (&mut b as &mut dyn Handler, &mut c));
                assert_eq!(status(&mut (a, &mut rest as &mut dyn Handler)), answer);
                for four in [Does::Accept, Does::Defer, Does::Reject, Does::TooLong] {
                    let mut handlers =
                        (Doing::new(one), Doing::new(two), Doing::new(three), Doing::new(four));
                    let answer = status(&mut handlers);
                    let results = [handlers.0.1, handlers.1.1, handlers.2.1, handlers.3.1];
                    check_answers(&[one, two, three, four], &results, answer);
                }
            }
        }
    }
}

#[test]
fn a_handler_can_send_a_pong() {
    struct Answering;
    impl Handler for Answering {
        fn on_ping(&mut self, payload: &ControlPayload, sender: &mut Responder<'_>) {
            assert_eq!(sender.pong(&[0; 126]), Err(sansocket::SendError::TooLong));
            sender.pong(payload).unwrap();
        }
    }
    let mut ws = WebSocket::<Server>::open(Config::default().answer_pings(false));
    assert_eq!(dispatch(&mut ws, &masked(0x89, b"p"), &mut Answering), unmasked(0x8A, b"p"));
}
