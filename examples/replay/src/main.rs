//! Replays captured WebSocket connections through sansocket, and prints their heads, frames, events
//! and faults. The time of the capture is the only clock: each run prints the same.

mod capture;
mod connection;
mod endpoint;
mod fault;
mod frame;
mod record;
mod text;

use connection::Connection;
use lexopt::prelude::*;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "\
Replays captured WebSocket connections, and prints what happens on them.

usage: replay [--deflate] FILE

FILE is a capture (pcap or pcapng), or text with a line for each piece of a byte stream:

  # time in seconds, direction (> from the client, < from the server), bytes
  0.000 > \"GET /chat HTTP/1.1\\r\\nHost: example.com\\r\\n\"
  0.250 < 81 05 \"Hello\"
  0.300 < end

A stream that does not begin with a head is read as the frames of an open connection.

  --deflate  compression is agreed, where the capture does not say
  --help     print this

The exit code is 0 if no rule was broken, 1 if one was, and 2 if FILE cannot be read.
";

fn main() -> ExitCode {
    match run() {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether a rule was broken.
fn run() -> Result<bool, Box<dyn Error>> {
    let (mut file, mut deflate) = (None, false);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("deflate") => deflate = true,
            Long("help") | Short('h') => {
                print!("{USAGE}");
                return Ok(false);
            }
            Value(path) if file.is_none() => file = Some(path),
            other => return Err(other.unexpected().into()),
        }
    }
    let file = std::fs::read(file.ok_or("no file is given; see --help")?)?;
    let streams = match capture::read(&file)? {
        Some(streams) => streams,
        None => vec![text::read(str::from_utf8(&file)?)?],
    };

    let (mut faults, mut report) = (0, String::new());
    for stream in &streams {
        faults += Connection::replay(stream, deflate, &mut report);
    }
    report += &format!("connections: {}, faults: {faults}\n", streams.len());
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(faults > 0)
}
