//! Runs every case of the Autobahn TestSuite's fuzzing server and echoes its messages:
//! `autobahn_client URL AGENT [--pieces]`.

use sansocket::{Config, Connect, Delivery, Event, Inbox, Message, WebSocket};
use std::io::{Read, Write};
use std::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (url, agent, delivery) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [url, agent] => (url, agent, Delivery::Whole),
        [url, agent, "--pieces"] => (url, agent, Delivery::Pieces),
        _ => return Err("usage: autobahn_client URL AGENT [--pieces]".into()),
    };
    let cases = talk(&format!("{url}/getCaseCount"), Delivery::Whole)?;
    let cases: u32 = cases.ok_or("the suite did not report the number of cases")?.parse()?;
    for case in 1..=cases {
        talk(&format!("{url}/runCase?case={case}&agent={agent}"), delivery)?;
    }
    talk(&format!("{url}/updateReports?agent={agent}&shutdownOnComplete=true"), Delivery::Whole)?;
    Ok(())
}

/// Runs one connection and echoes every message. Returns the last short text message.
fn talk(uri: &str, delivery: Delivery) -> Result<Option<String>> {
    let connect = Connect::from_uri(uri)?;
    let mut stream = TcpStream::connect((connect.host(), connect.port()))?;
    let mut ws = WebSocket::client(Config::new().delivery(delivery), rand::rng());
    let (mut buffer, mut inbox, mut outbox) = (vec![0; 64 << 10], Inbox::new(), Vec::new());
    let mut text = None;
    ws.connect(connect, &mut outbox)?;
    stream.write_all(&outbox)?;
    while !ws.is_closed() {
        // Some cases reset the connection: treat a read error as the end of the stream.
        let len = stream.read(&mut buffer).unwrap_or(0);
        let mut input = &mut buffer[..len];
        if len == 0 {
            ws.receive_eof();
        }
        outbox.clear();
        while let Some(event) = ws.receive(&mut input, &mut inbox) {
            match event {
                Event::Message(message) => {
                    if let Message::Text(short) = message
                        && short.len() < 20
                    {
                        text = Some(short.to_owned());
                    }
                    ws.send(message, &mut outbox)?;
                }
                Event::Piece(piece) => ws.send_piece(&piece, &mut outbox)?,
                _ => {}
            }
            ws.transmit(&mut outbox)?;
        }
        ws.transmit(&mut outbox)?;
        if stream.write_all(&outbox).is_err() {
            return Ok(text);
        }
    }
    Ok(text)
}
