//! Runs every case of the Autobahn TestSuite's fuzzing server and echoes its messages. See
//! `--help`.

#[path = "common/mod.rs"]
mod common;
#[path = "common/compression.rs"]
mod compression;

use common::{Parsed, Result};
use compression::{Compression, Encoder};
use sansocket::{Delivery, Role};
use sansocket_io::tokio::{Tokio, TokioClock, connect_with};
#[cfg(feature = "deflate")]
use sansocket_io::tokio::{connect_tcp, deflate_client};
use sansocket_io::{Config, Connect, Event, Message, Pooled, Settings, Socket};
use std::process::ExitCode;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

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
    common::start(&[USAGE, compression::USAGE].concat(), parse, |options| {
        Runtime::new()?.block_on(run(options))?;
        Ok(ExitCode::SUCCESS)
    })
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

async fn run(Options { url, agent, delivery, compression }: Options) -> Result<()> {
    let cases = talk(&format!("{url}/getCaseCount"), Delivery::Whole, compression).await?;
    let cases: u32 = cases.ok_or("the suite did not report the number of cases")?.parse()?;
    for case in 1..=cases {
        talk(&format!("{url}/runCase?case={case}&agent={agent}"), delivery, compression).await?;
    }
    let update = format!("{url}/updateReports?agent={agent}&shutdownOnComplete=true");
    // The suite ends without a response.
    let _ = talk(&update, Delivery::Whole, compression).await;
    Ok(())
}

/// Runs one connection and echoes every message. Returns the last short text message.
async fn talk(uri: &str, delivery: Delivery, compression: Compression) -> Result<Option<String>> {
    let connect = Connect::from_uri(uri).map_err(|error| lexopt::Error::from(format!("{uri}: {error}")))?;
    let settings = Settings::new().config(Config::new().delivery(delivery));
    #[cfg(feature = "deflate")]
    if let Some(deflate) = compression.settings() {
        let stream = connect_tcp(&connect, &settings).await?;
        let mut socket = deflate_client(stream, settings, deflate)?;
        let encoder = socket.connect(connect, |open| compression.encoder(open, false)).await?;
        return echo(socket, encoder).await;
    }
    let (socket, encoder) = connect_with(connect, settings, |open| compression.encoder(open, false)).await?;
    echo(socket, encoder).await
}

async fn echo<R: Role>(
    mut socket: Socket<R, Tokio<TcpStream>, TokioClock, Pooled>,
    mut encoder: Encoder,
) -> Result<Option<String>> {
    let mut last = None;
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Message(message) => {
                if let Message::Text(text) = message
                    && text.len() < 20
                {
                    last = Some(text.to_owned());
                }
                encoder.send(reply, message)?;
            }
            Event::Piece(piece) => encoder.send_piece(reply, &piece)?,
            _ => {}
        }
    }
    Ok(last)
}
