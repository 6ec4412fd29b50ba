//! The WebSocket that carries the session's log to the page and the page's commands to the server,
//! one text message each. The page does not show or measure this connection.

use crate::race::Run;
use crate::session::{Session, Sessions, now};
use crate::talk::Order;
use crate::{Connection, Result};
use sansocket_io::{Accept, Event, Message, Reject};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// The maximum text that a page can order the server to send, in characters.
const MAX_TEXT: usize = 2000;
/// How often the counters of a race are sent.
const TICK: Duration = Duration::from_millis(200);
/// With more unsent bytes than this, they are not.
const MAX_UNSENT: usize = 64 << 10;

pub async fn watch(mut connection: Connection, sessions: &Sessions, accept: Accept<'static>) -> Result<()> {
    let reply = connection.reply();
    let Some((name, session)) = sessions.open(reply.sender()) else {
        reply.reject(Reject::status(503))?;
        while connection.next().await.is_some() {}
        return Ok(());
    };
    // The session ends with this connection, also after an error.
    let _end = End { sessions, name: &name, session: &session };
    reply.accept(accept)?;
    let deflate = cfg!(feature = "deflate");
    reply.send(&*format!(r#"{{"session":"{name}","deflate":{deflate}}}"#))?;

    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            next = connection.next() => match next {
                Some((Event::Message(Message::Text(line)), reply)) => {
                    if let Some(answer) = execute(&session, line) {
                        reply.send(&*answer)?;
                    }
                }
                Some(_) => {}
                None => return Ok(()),
            },
            _ = tick.tick() => {
                let reply = connection.reply();
                if reply.unsent() > MAX_UNSENT {
                    continue;
                }
                let missed = session.take_missed();
                if missed > 0 {
                    reply.send(&*format!(r#"{{"missed":{missed}}}"#))?;
                }
                if let Some(run) = session.run() {
                    reply.send(&*run.counters())?;
                }
            }
        }
    }
}

/// Executes a command, and returns the answer if it has one. Malformed commands are ignored.
fn execute(session: &Session, line: &str) -> Option<String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "clock" => return Some(format!(r#"{{"clock":{},"echo":{}}}"#, now(), rest.parse::<u64>().ok()?)),
        "send" => session.order(Order::Send(rest.chars().take(MAX_TEXT).collect())),
        "ping" => session.order(Order::Ping),
        "close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            session.order(Order::Close(code.parse().ok()?, reason.chars().take(MAX_TEXT).collect()));
        }
        "break" => session.order(Order::BreakRule),
        "cut" => session.order(Order::Cut),
        "race" => {
            session.set_run(Some(Run::new()));
            return Some(r#"{"race":"ready"}"#.to_owned());
        }
        "go" => {
            let (rate, seconds) = rest.split_once(' ')?;
            session.run()?.go(rate.parse().ok()?, seconds.parse().ok()?);
        }
        "stop" => {
            let counters = session.run()?.counters();
            session.set_run(None);
            return Some(counters);
        }
        _ => {}
    }
    None
}

struct End<'e> {
    sessions: &'e Sessions,
    name: &'e str,
    session: &'e Arc<Session>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.sessions.close(self.name);
        self.session.end();
    }
}
