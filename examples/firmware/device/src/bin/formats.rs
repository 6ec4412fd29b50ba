//! Logs every event, error and state with `defmt` and with `Debug`: `../formats` compares the two.
#![no_std]
#![no_main]

#[path = "../rng.rs"]
mod rng;

use core::fmt::Debug;
use cortex_m as _;
use defmt::{Debug2Format, Format};
use defmt_semihosting as _;
use rng::Rng;
use sansocket::handshake::HeaderName;
use sansocket::{
    AnswerError, CloseCode, Config, Connect, ConnectError, Delivery, Error, Event, HeadError, Kind,
    OutboxFull, ProtocolError, RequestError, ResponseError, SendError, Server, State, WebSocket,
};
use semihosting::process::exit;

type Bytes = heapless::Vec<u8, 512>;

fn show(value: impl Format + Debug) {
    defmt::println!("{:?}|{}", value, Debug2Format(&value));
}

fn errors() {
    let full = OutboxFull { needed: 4097 };
    for error in [
        ProtocolError::ReservedBits,
        ProtocolError::ReservedOpcode,
        ProtocolError::FragmentedControl,
        ProtocolError::ControlTooLong,
        ProtocolError::UnexpectedContinuation,
        ProtocolError::ExpectedContinuation,
        ProtocolError::Unmasked,
        ProtocolError::Masked,
        ProtocolError::NonMinimalLength,
        ProtocolError::LengthOver63Bits,
        ProtocolError::FrameTooBig,
        ProtocolError::MessageTooBig,
        ProtocolError::TooManyEmptyFragments,
        ProtocolError::InvalidDeflate,
        ProtocolError::InvalidUtf8,
        ProtocolError::TruncatedCloseCode,
        ProtocolError::InvalidCloseCode,
        ProtocolError::InvalidCloseReason,
    ] {
        show(Error::Protocol(error));
    }
    for error in [
        HeadError::ControlCharacter,
        HeadError::BareCr,
        HeadError::BareLf,
        HeadError::TooLong,
        HeadError::TooManyHeaders,
        HeadError::Folded,
        HeadError::NoColon,
        HeadError::InvalidName,
        HeadError::SpaceBeforeColon,
    ] {
        show(Error::Request(RequestError::Head(error)));
        show(Error::Response(ResponseError::Head(error)));
    }
    for error in [
        RequestError::InvalidRequestLine,
        RequestError::MethodNotAllowed,
        RequestError::HttpTooOld,
        RequestError::InvalidTarget,
        RequestError::TargetTooLong,
        RequestError::Body,
        RequestError::Missing(HeaderName::Host),
        RequestError::Duplicate(HeaderName::Origin),
        RequestError::Invalid(HeaderName::SecWebSocketKey),
        RequestError::UnsupportedVersion,
    ] {
        show(Error::Request(error));
    }
    for error in [
        ResponseError::InvalidStatusLine,
        ResponseError::HttpTooOld,
        ResponseError::Missing(HeaderName::Upgrade),
        ResponseError::Duplicate(HeaderName::SecWebSocketAccept),
        ResponseError::Invalid(HeaderName::SecWebSocketAccept),
        ResponseError::Unoffered(HeaderName::SecWebSocketProtocol),
        ResponseError::InvalidKey,
        ResponseError::Refused(404),
    ] {
        show(Error::Response(error));
    }
    show(Error::HandshakeTimeout);
    show(Error::PongTimeout);
    show(Error::EndOfStream);
    for error in [
        SendError::OutboxFull(full),
        SendError::NotOpen,
        SendError::MessageUnfinished,
        SendError::KindMismatch,
        SendError::PayloadPending,
        SendError::PayloadExceeded,
        SendError::TooLong,
        SendError::InvalidCode,
        SendError::OtherCompressor,
        SendError::NotAgreed,
    ] {
        show(error);
    }
    for error in [
        AnswerError::OutboxFull(full),
        AnswerError::NoRequest,
        AnswerError::NotAnUpgrade,
        AnswerError::OtherRequest,
        AnswerError::InvalidHeader,
        AnswerError::InvalidStatus,
        AnswerError::BodyNotAllowed,
        AnswerError::Refused,
        AnswerError::Deferred,
    ] {
        show(error);
    }
    for error in [
        ConnectError::OutboxFull(full),
        ConnectError::AlreadySent,
        ConnectError::InvalidUri,
        ConnectError::InvalidHost,
        ConnectError::InvalidPath,
        ConnectError::InvalidProtocol,
        ConnectError::TooManyProtocols,
        ConnectError::InvalidHeader,
    ] {
        show(error);
    }
    // The match makes sure that a new state is added here.
    for state in [State::Connecting, State::Open, State::Closing, State::Closed] {
        match state {
            State::Connecting | State::Open | State::Closing | State::Closed => show(state),
        }
    }
    show(Kind::Text);
    show(Delivery::Pieces);
    show(CloseCode::NORMAL);
}

/// Shows the events of a stream.
fn events(config: Config, open: bool, stream: &[u8]) {
    let mut ws = if open { WebSocket::<Server>::open(config) } else { WebSocket::server(config) };
    let (mut inbox, mut outbox) = (Bytes::new(), Bytes::new());
    let mut bytes = Bytes::from_slice(stream).expect("room");
    let mut input = &mut bytes[..];
    while let Some(event) = ws.receive(&mut input, &mut inbox) {
        match &event {
            Event::Request(request) => {
                if ws.accept(request.accept(), &mut outbox).is_err() {
                    exit(1);
                }
            }
            // The match makes sure that a new event is added here.
            Event::Open(_)
            | Event::BadRequest(_)
            | Event::Refused(_)
            | Event::Message(_)
            | Event::Piece(_) => {}
            Event::Ping(_) | Event::Pong(_) | Event::Error(_) | Event::Close(_) => {}
        }
        show(event);
        outbox.clear();
    }
}

/// Shows the events of a client that is refused.
fn refusal() {
    let mut ws = WebSocket::client(Config::new(), Rng);
    let (mut inbox, mut outbox) = (Bytes::new(), Bytes::new());
    let connect = Connect::new("device.example", "/").protocol("a");
    if ws.connect(connect, &mut outbox).is_err() {
        exit(1);
    }
    let mut response = *b"HTTP/1.1 404 Not Found\r\nServer: other\r\n\r\n";
    let mut input = &mut response[..];
    while let Some(event) = ws.receive(&mut input, &mut inbox) {
        show(event);
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    errors();
    events(
        Config::new(),
        false,
        b"GET /chat HTTP/1.1\r\nHost: device.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
        \x81\x83\0\0\0\0\xE2\x82\xAC\x82\x82\0\0\0\0\x01\xFF\x89\x81\0\0\0\0a\x8A\x80\0\0\0\0\
        \x88\x85\0\0\0\0\x03\xE8bye",
    );
    let bad: [&[u8]; 3] = [
        b"GET /a?token=b HTTP/1.1\r\nHost: device.example\r\nCookie: c\r\nX : y\r\n",
        b"GET\0",
        b"POST /a HTTP/1.1\r\n",
    ];
    for stream in bad {
        events(Config::new(), false, stream);
    }
    let pieces = Config::new().delivery(Delivery::Pieces);
    events(pieces, true, b"\x81\x83\0\0\0\0\xE2\x82\xAC\x02\x82\0\0\0\0\x01\xFF\x80\x80\0\0\0\0\x83");
    refusal();
    exit(0)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(1)
}
