//! The machine that plays the receiver of a stream.

use base64ct::{Base64, Encoding};
use sansocket::deflate::{Deflate, Parameters, Settings};
use sansocket::rand_core::{TryCryptoRng, TryRng};
use sansocket::{
    Accept, Client, CloseCode, Config, Connect, Established, Event, Inbox, Role, Server, WebSocket,
};
use std::convert::Infallible;
use std::time::Duration;

/// A machine of any type, whose output is not looked at.
pub trait Machine {
    /// The next event of the input, whose front it takes.
    fn receive<'i: 'e, 'b: 'e, 'e>(
        &mut self,
        input: &mut &'i mut [u8],
        inbox: &'b mut Inbox,
    ) -> Option<Event<'e>>;
    fn receive_eof(&mut self);
    /// Drops the output that is pending, as if it were sent.
    fn transmit(&mut self);
    fn handle_timeout(&mut self, now: Duration);
    fn poll_timeout(&self) -> Option<Duration>;
    /// Does what the recorded endpoint did, if the connection is open.
    fn ping(&mut self, payload: &[u8]);
    fn close(&mut self, code: CloseCode, reason: &str);
}

impl<R: Role> Machine for WebSocket<R> {
    fn receive<'i: 'e, 'b: 'e, 'e>(
        &mut self,
        input: &mut &'i mut [u8],
        inbox: &'b mut Inbox,
    ) -> Option<Event<'e>> {
        self.receive(input, inbox)
    }

    fn receive_eof(&mut self) {
        self.receive_eof();
    }

    fn transmit(&mut self) {
        // A `Vec` is never full.
        let _ = self.transmit(&mut Vec::new());
    }

    fn handle_timeout(&mut self, now: Duration) {
        self.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.poll_timeout()
    }

    fn ping(&mut self, payload: &[u8]) {
        let _ = self.ping(payload, &mut Vec::new());
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        let outbox = &mut Vec::new();
        let _ = match code {
            CloseCode::NO_STATUS => self.close_without_code(outbox),
            code => self.close(code, reason, outbox),
        };
    }
}

/// The receiver of a stream.
pub enum Endpoint {
    Server(WebSocket<Deflate<Server, Vec<u8>>>),
    OpenServer(WebSocket<Deflate<Established<Server>, Vec<u8>>>),
    Client(WebSocket<Client<Nonce>>),
    DeflateClient(WebSocket<Deflate<Client<Nonce>, Vec<u8>>>),
    OpenClient(WebSocket<Deflate<Established<Client<Nonce>>, Vec<u8>>>),
}

/// The defaults, without the Pings that the recorded endpoint did not send.
const CONFIG: Config = Config::new().idle_ping(None);
/// Windows of every size, and context takeover.
const SETTINGS: Settings = Settings::client();

impl Endpoint {
    /// A server that waits for a request.
    pub fn server() -> Self {
        Self::Server(WebSocket::deflate_server(CONFIG, SETTINGS, Vec::new()))
    }

    /// A server whose connection is open.
    pub fn open_server(deflate: bool) -> Self {
        let parameters = deflate.then_some(PARAMETERS);
        Self::OpenServer(
            WebSocket::<Deflate<Established<Server>, _>>::open_deflate(CONFIG, parameters, Vec::new())
                .expect(WINDOW),
        )
    }

    /// A client whose connection is open.
    pub fn open_client(deflate: bool) -> Self {
        let parameters = deflate.then_some(PARAMETERS);
        let nonce = Nonce::default();
        Self::OpenClient(
            WebSocket::<Deflate<Established<Client<Nonce>>, _>>::open_deflate(
                CONFIG,
                nonce,
                parameters,
                Vec::new(),
            )
            .expect(WINDOW),
        )
    }

    /// A client that has sent the recorded request. `None` if the machine cannot send it.
    pub fn client(request: &Offer) -> Option<Self> {
        let protocols: Vec<_> = request.protocols.iter().map(String::as_str).collect();
        let connect = Connect::new(&request.host, &request.target).protocols(&protocols);
        let nonce = Nonce(request.key?);
        if request.deflate {
            let mut ws = WebSocket::deflate_client(CONFIG, nonce, SETTINGS, Vec::new());
            ws.connect(connect, &mut Vec::new()).ok()?;
            Some(Self::DeflateClient(ws))
        } else {
            let mut ws = WebSocket::client(CONFIG, nonce);
            ws.connect(connect, &mut Vec::new()).ok()?;
            Some(Self::Client(ws))
        }
    }

    pub fn machine(&mut self) -> &mut dyn Machine {
        match self {
            Self::Server(ws) => ws,
            Self::OpenServer(ws) => ws,
            Self::Client(ws) => ws,
            Self::DeflateClient(ws) => ws,
            Self::OpenClient(ws) => ws,
        }
    }

    /// Accepts the request of a server's client.
    pub fn accept(&mut self, accept: Accept<'_>, deflate: bool) {
        let Self::Server(ws) = self else { return };
        if !deflate {
            ws.decline_deflate();
        }
        // It fails if the connection has ended, by a timeout.
        let _ = ws.accept(accept, &mut Vec::new());
    }
}

/// All that a peer can agree on, so that every message can be read.
const PARAMETERS: Parameters = Parameters {
    server_takeover: true,
    client_takeover: true,
    server_window_bits: 15,
    client_window_bits: 15,
};
const WINDOW: &str = "a Vec is as large as any window";

/// The nonce of the recorded request, in place of random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nonce([u8; 16]);

impl TryRng for Nonce {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for (byte, recorded) in bytes.iter_mut().zip(self.0.iter().cycle()) {
            *byte = *recorded;
        }
        Ok(())
    }
}

impl TryCryptoRng for Nonce {}

/// What a recorded request offers.
#[derive(Debug)]
pub struct Offer {
    host: String,
    target: String,
    protocols: Vec<String>,
    deflate: bool,
    key: Option<[u8; 16]>,
}

impl Offer {
    pub fn new<'r>(target: &str, headers: impl Iterator<Item = (&'r str, &'r [u8])>) -> Self {
        let (host, target, protocols) = (String::new(), target.to_owned(), Vec::new());
        let mut offer = Self { host, target, protocols, deflate: false, key: None };
        for (name, value) in headers {
            let Ok(value) = str::from_utf8(value) else { continue };
            match name.to_ascii_lowercase().as_str() {
                "host" => offer.host = value.to_owned(),
                "sec-websocket-key" => {
                    offer.key = Base64::decode_vec(value).ok().and_then(|key| key.try_into().ok());
                }
                "sec-websocket-protocol" => {
                    offer.protocols.extend(value.split(',').map(|name| name.trim().to_owned()));
                }
                "sec-websocket-extensions" => offer.deflate |= names_deflate(value),
                _ => {}
            }
        }
        offer
    }
}

/// Whether an extension in a `Sec-WebSocket-Extensions` is permessage-deflate.
pub fn names_deflate(value: &str) -> bool {
    value.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("permessage-deflate"))
}
