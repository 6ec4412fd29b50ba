//! The client: one connection to an echo server, as a sequence of steps.

use crate::limits::{CHUNK, COMPRESSOR, DEFLATE, OwnCompressor, REPLY, WINDOW, Window};
use crate::rng::Rng;
use crate::server::{Inbox, Outbox};
use core::time::Duration;
use sansocket::deflate::Deflate;
use sansocket::{
    Buffer, Client, CloseCode, Config, Connect, Delivery, Event, Fragment, OutboxFull, Part, Piece, WebSocket,
};
use smoltcp::socket::tcp;

const CONFIG: Config = Config::new().delivery(Delivery::Pieces).closing_timeout(Some(Duration::from_secs(2)));

const GREETING: &str = "Grüße vom Gerät";
/// The size of a message that is larger than any buffer, and of its fragments.
const LARGE: usize = 100_000;
const FRAGMENT: usize = 300;

/// A connection and its current step.
pub struct Session {
    ws: WebSocket<Deflate<Client<Rng>, Window>>,
    compressor: OwnCompressor,
    inbox: Inbox,
    outbox: Outbox,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, defmt::Format)]
enum Step {
    Connecting,
    /// How many bytes of the greeting were received.
    Greeting(usize),
    /// How many bytes of the large message were sent and received.
    Large {
        sent: usize,
        received: usize,
    },
    Pinging,
    Closing,
    Done,
    Failed,
}

impl Session {
    /// Starts an opening handshake with `host` for `/`.
    pub fn new(host: &str) -> Self {
        let mut ws = WebSocket::deflate_client(CONFIG, Rng, DEFLATE, WINDOW);
        let mut outbox = Outbox::new();
        let connected = ws.connect(Connect::new(host, "/"), &mut outbox);
        let step = if connected.is_ok() { Step::Connecting } else { Step::Failed };
        Self { ws, compressor: COMPRESSOR, inbox: Inbox::new(), outbox, step }
    }

    /// Handles input, time and output. Returns whether the session succeeded, once it has ended.
    pub fn turn(&mut self, socket: &mut tcp::Socket<'_>, now: Duration) -> Option<bool> {
        let taken = socket.recv(|ring| {
            let len = ring.len().min(CHUNK);
            let taken = self.take(ring.get_mut(..len).unwrap_or_default());
            (taken, ())
        });
        if let Err(error) = taken {
            if error == tcp::RecvError::Finished || !socket.is_open() {
                self.ws.receive_eof();
            }
            self.take(&mut []);
        }
        self.ws.handle_timeout(now);
        self.go_on();
        // A frame that does not fit stays pending.
        let _: Result<(), OutboxFull> = self.ws.transmit(&mut self.outbox);
        if let Ok(sent) = socket.send_slice(&self.outbox) {
            self.outbox.rotate_left(sent);
            self.outbox.truncate(self.outbox.len() - sent);
        }
        match self.step {
            Step::Failed => Some(false),
            Step::Done if self.ws.is_closed() => {
                socket.close();
                Some(true)
            }
            _ => None,
        }
    }

    /// Handles events while the outbox has room for a reply. Returns the number of bytes consumed.
    fn take(&mut self, mut input: &mut [u8]) -> usize {
        let len = input.len();
        while self.outbox.remaining() >= REPLY
            && let Some(event) = self.ws.receive(&mut input, &mut self.inbox)
        {
            let step = self.step;
            self.step = step.next(&event);
            if self.step == Step::Failed {
                defmt::error!("{}: {}", step, event);
            }
            let sent = match (step, self.step) {
                (Step::Connecting, Step::Greeting(_)) => {
                    self.ws.send_deflated(GREETING, &mut self.compressor, &mut self.outbox).is_ok()
                }
                (Step::Large { .. }, Step::Pinging) => {
                    self.ws.ping(b"still there?", &mut self.outbox).is_ok()
                }
                (Step::Pinging, Step::Closing) => {
                    self.ws.close(CloseCode::NORMAL, "that is all", &mut self.outbox).is_ok()
                }
                _ => true,
            };
            if !sent {
                self.step = Step::Failed;
            }
            // A frame that does not fit stays pending.
            let _: Result<(), OutboxFull> = self.ws.transmit(&mut self.outbox);
        }
        len - input.len()
    }

    /// Adds the next fragment of the large message.
    fn go_on(&mut self) {
        let Step::Large { sent, .. } = &mut self.step else { return };
        if !self.outbox.is_empty() || *sent == LARGE {
            return;
        }
        let mut fragment = [0; FRAGMENT];
        let len = FRAGMENT.min(LARGE - *sent);
        fragment.iter_mut().zip(*sent..).for_each(|(byte, at)| *byte = byte_at(at));
        let fragment = Fragment::new(fragment.get(..len).unwrap_or_default(), *sent + len == LARGE);
        match self.ws.send_piece_deflated(fragment, &mut self.compressor, &mut self.outbox) {
            Ok(()) => *sent += len,
            Err(error) => {
                defmt::error!("{}", error);
                self.step = Step::Failed;
            }
        }
    }
}

impl Step {
    /// The step after an event.
    fn next(self, event: &Event<'_>) -> Self {
        match (self, event) {
            (Self::Connecting, Event::Open(_)) => Self::Greeting(0),
            (Self::Greeting(received), Event::Piece(Piece { part: Part::Text { lead, text }, last, .. })) => {
                // `lead` is a character that began in the previous piece.
                let mut utf8 = [0; 4];
                let lead = lead.map_or("", |lead| lead.encode_utf8(&mut utf8));
                let rest =
                    GREETING.get(received..).and_then(|rest| rest.strip_prefix(lead)?.strip_prefix(text));
                match rest {
                    Some("") if *last => Self::Large { sent: 0, received: 0 },
                    Some(rest) if !last => Self::Greeting(GREETING.len() - rest.len()),
                    _ => Self::Failed,
                }
            }
            (Self::Large { sent, received }, Event::Piece(Piece { part: Part::Binary(bytes), last, .. })) => {
                let same = bytes.iter().zip(received..).all(|(byte, at)| *byte == byte_at(at));
                let received = received + bytes.len();
                match (same, last) {
                    (true, false) => Self::Large { sent, received },
                    (true, true) if received == LARGE => Self::Pinging,
                    _ => Self::Failed,
                }
            }
            (Self::Pinging, Event::Pong(payload)) if payload == b"still there?" => Self::Closing,
            (Self::Closing, Event::Close(close)) if close.clean && close.code == CloseCode::NORMAL => {
                Self::Done
            }
            // The machine answers a Ping.
            (_, Event::Ping(_)) => self,
            _ => Self::Failed,
        }
    }
}

fn byte_at(at: usize) -> u8 {
    (at % 251) as u8
}
