//! The WebSocket that the page shows: echoes messages, follows orders, and logs everything.

use crate::compression::{Compression, Encoder};
use crate::session::{Session, now};
use crate::tap::{Cutter, Direction, Found, Inflated, Sink};
use crate::{Connection, Result, decline_deflate, json};
use sansocket_io::{Accept, CloseCode, Event, Message, State};
use std::sync::Arc;

/// The page's orders for this end.
pub enum Order {
    Send(String),
    Ping,
    Close(u16, String),
    /// Send an invalid frame.
    BreakRule,
    /// Drop the connection without a Close frame.
    Cut,
}

/// A text frame with RSV2 set, which no extension uses here.
const BROKEN_FRAME: &[u8] = b"\xA1\x03bad";
/// With more unsent bytes than this, orders have to wait.
const MAX_UNSENT: usize = 64 << 10;
/// The log shows at most this many characters of a message.
const EXCERPT: usize = 120;

pub async fn talk(
    mut connection: Connection,
    session: &Arc<Session>,
    accept: Accept<'static>,
    compress: bool,
) -> Result<()> {
    let (number, mut orders) = session.begin_talk();
    let mut log = Log { session: Arc::clone(session), number, state: None };
    connection.transport().0.wire().claim_connection(log.of_wire());
    log.state(State::Connecting);
    log.event("request", "GET /talk");

    if !compress {
        log.call("decline_deflate()");
        decline_deflate(&mut connection);
    }
    log.call("accept(request.accept())");
    connection.reply().accept(accept)?;

    let mut encoder = Encoder::default();
    loop {
        log.state(connection.reply().state());
        let is_busy = connection.reply().unsent() >= MAX_UNSENT;
        let order = tokio::select! {
            order = orders.recv(), if !is_busy => order,
            next = connection.next_or_room(if is_busy { MAX_UNSENT } else { 0 }) => {
                let Ok(next) = next else { continue };
                let Some((event, reply)) = next else { break };
                match &event {
                    Event::Open(open) => {
                        encoder = Compression::default().encoder(open, true);
                        log.event("open", if encoder.compresses() { "with compression" } else { "" });
                    }
                    Event::Message(message) => log.message(*message),
                    Event::Ping(payload) => log.event("ping", &format!("{} bytes", payload.len())),
                    Event::Pong(payload) => log.event("pong", &String::from_utf8_lossy(payload)),
                    Event::Error(error) => log.event("error", &error.to_string()),
                    Event::Close(close) => log.event("close", &close.to_string()),
                    Event::Request(_) | Event::BadRequest(_) | Event::Refused(_) | Event::Piece(_) => {}
                }
                log.state(reply.state());
                if let Event::Message(message) = event && reply.state() == State::Open {
                    encoder.send(reply, message)?;
                }
                continue;
            }
        };
        let reply = connection.reply();
        match order {
            Some(Order::Cut) => {
                log.call("(drops the TCP connection)");
                log.state(State::Closed);
                return Ok(());
            }
            _ if reply.state() != State::Open => {}
            Some(Order::Send(text)) => {
                log.call(&format!("send({text:?})"));
                encoder.send(reply, &*text)?;
            }
            Some(Order::Ping) => {
                log.call("ping(b\"are you there?\")");
                reply.ping(b"are you there?")?;
            }
            Some(Order::Close(code, reason)) => {
                log.call(&format!("close({code}, {reason:?})"));
                if let Err(error) = reply.close(CloseCode(code), &reason) {
                    log.call(&error.to_string());
                }
            }
            Some(Order::BreakRule) => {
                log.call("(sends a frame with RSV2 set)");
                reply.parts_mut().1.extend_from_slice(BROKEN_FRAME);
            }
            None => {}
        }
        // The page is gone, or has opened a new connection.
        if orders.is_closed() {
            return Ok(());
        }
    }
    log.state(State::Closed);
    Ok(())
}

/// Logs this end's view to the page.
struct Log {
    session: Arc<Session>,
    number: u32,
    state: Option<State>,
}

impl Log {
    fn entry(&self, fields: &str) {
        self.entry_at(now(), fields);
    }

    fn entry_at(&self, at: u64, fields: &str) {
        self.session.log(at, &format!(r#""talk":{},{fields}"#, self.number));
    }

    fn call(&self, call: &str) {
        self.entry(&format!(r#""call":{}"#, json::string(call)));
    }

    fn event(&self, name: &str, detail: &str) {
        self.entry(&format!(r#""event":"{name}","detail":{}"#, json::string(detail)));
    }

    fn message(&self, message: Message<'_>) {
        let length = message.as_bytes().len();
        let (kind, excerpt) = match message {
            Message::Text(text) => ("text", text.chars().take(EXCERPT).collect()),
            Message::Binary(_) => ("binary", String::new()),
        };
        self.entry(&format!(
            r#""event":"message","kind":"{kind}","length":{length},"text":{}"#,
            json::string(&excerpt)
        ));
    }

    /// Logs each change of state.
    fn state(&mut self, state: State) {
        if self.state.replace(state) != Some(state) {
            self.entry(&format!(r#""state":"{}""#, format!("{state:?}").to_lowercase()));
        }
    }

    /// Logs the heads and frames on the wire.
    fn of_wire(&self) -> Sink {
        let log = Self { session: Arc::clone(&self.session), number: self.number, state: None };
        let (mut incoming, mut outgoing) = (Cutter::default(), Cutter::default());
        Box::new(move |at, direction, bytes| {
            let (cutter, way) = match direction {
                Direction::In => (&mut incoming, "in"),
                Direction::Out => (&mut outgoing, "out"),
            };
            cutter.cut(bytes, |found| match found {
                Found::Head(head) => {
                    let head = json::string(&String::from_utf8_lossy(head));
                    log.entry_at(at, &format!(r#""wire":"{way}","head":{head}"#));
                }
                Found::Frame { header, payload, length, inflated } => {
                    let (header, payload) = (json::hex(header), json::hex(payload));
                    let inflated = inflated.map_or(String::new(), |Inflated { data, length }| {
                        format!(r#","inflated":{{"data":{},"length":{length}}}"#, json::hex(data))
                    });
                    log.entry_at(
                        at,
                        &format!(
                            r#""wire":"{way}","header":{header},"payload":{payload},"length":{length}{inflated}"#
                        ),
                    );
                }
            });
        })
    }
}
