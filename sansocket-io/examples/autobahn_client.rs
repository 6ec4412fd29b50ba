//! Runs every case of the Autobahn TestSuite's fuzzing server and echoes its messages. See
//! `--help`.

#[path = "common/mod.rs"]
mod common;
#[path = "common/compression.rs"]
mod compression;

use common::{Parsed, Result};
use compression::{Compression, Encoder};
use sansocket::{ClientRole, Config, Connect, Delivery, Event, Inbox, Message, WebSocket};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

const USAGE: &str = "\
usage: autobahn_client URL AGENT [OPTION]...

Echoes the messages of every case of the fuzzing server at URL. AGENT is the name in its report.

  --pieces  echo each message piece by piece
";

struct Options {
    url: String,
    agent: String,
    delivery: Delivery,
    compression: Compression,
}

fn main() -> ExitCode {
    common::start(&[USAGE, compression::USAGE].concat(), parse, run)
}

fn parse(args: &mut lexopt::Parser) -> Parsed<Options> {
    use lexopt::prelude::*;
    let (mut url, mut agent, mut delivery) = (None, None, Delivery::Whole);
    let mut compression = Compression::default();
    while let Some(arg) = args.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("pieces") => delivery = Delivery::Pieces,
            Long(name) if Compression::has_option(name) => compression.take(name.to_owned(), args)?,
            Value(value) if url.is_none() => url = Some(value.string()?),
            Value(value) if agent.is_none() => agent = Some(value.string()?),
            _ => return Err(arg.unexpected()),
        }
    }
    let (url, agent) = (url.ok_or("URL is missing")?, agent.ok_or("AGENT is missing")?);
    Ok(Some(Options { url, agent, delivery, compression }))
}

fn run(Options { url, agent, delivery, compression }: Options) -> Result<ExitCode> {
    let cases = talk(&format!("{url}/getCaseCount"), Delivery::Whole, compression)?;
    let cases: u32 = cases.ok_or("the suite did not report the number of cases")?.parse()?;
    for case in 1..=cases {
        talk(&format!("{url}/runCase?case={case}&agent={agent}"), delivery, compression)?;
    }
    let update = format!("{url}/updateReports?agent={agent}&shutdownOnComplete=true");
    talk(&update, Delivery::Whole, compression)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs one connection and echoes every message. Returns the last short text message.
fn talk(uri: &str, delivery: Delivery, compression: Compression) -> Result<Option<String>> {
    let connect = Connect::from_uri(uri).map_err(|error| lexopt::Error::from(format!("{uri}: {error}")))?;
    let config = Config::new().delivery(delivery);
    #[cfg(feature = "deflate")]
    if let Some(settings) = compression.settings() {
        return echo(
            WebSocket::deflate_client(config, rand::rng(), settings, Vec::new()),
            connect,
            compression,
        );
    }
    echo(WebSocket::client(config, rand::rng()), connect, compression)
}

fn echo<R: ClientRole>(
    mut ws: WebSocket<R>,
    connect: Connect<'_>,
    compression: Compression,
) -> Result<Option<String>> {
    let mut stream = TcpStream::connect((connect.host(), connect.port()))?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut inbox, mut outbox) = (vec![0; 64 << 10], Inbox::new(), Vec::new());
    let (mut encoder, mut text) = (Encoder::default(), None);
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
                Event::Open(open) => encoder = compression.encoder(&open, false),
                Event::Message(message) => {
                    if let Message::Text(short) = message
                        && short.len() < 20
                    {
                        text = Some(short.to_owned());
                    }
                    encoder.send(&mut ws, message, &mut outbox)?;
                }
                Event::Piece(piece) => encoder.send_piece(&mut ws, &piece, &mut outbox)?,
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
