//! tungstenite, with a thread for each connection.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};
use tungstenite::protocol::WebSocketConfig;

pub fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        thread::spawn(move || {
            if let Err(error) = echo(stream) {
                eprintln!("tungstenite: {error}");
            }
        });
    }
    Ok(())
}

fn echo(stream: TcpStream) -> Result<(), tungstenite::Error> {
    // The stream collects what is written.
    let config = WebSocketConfig::default().write_buffer_size(0);
    let mut stream = Collecting { stream, unsent: Vec::new() };
    stream.flush()?;
    let accepted = tungstenite::accept_with_config(stream, Some(config));
    let mut socket = accepted.map_err(|error| io::Error::other(error.to_string()))?;
    loop {
        match socket.read() {
            Ok(message) if message.is_close() => return Ok(()),
            Ok(message) => socket.write(message)?,
            Err(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Writes before it reads: with one system call for all replies to the messages of one read.
struct Collecting {
    stream: TcpStream,
    unsent: Vec<u8>,
}

/// With this many bytes, it does not wait for more.
const ENOUGH: usize = 64 << 10;

impl Read for Collecting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        self.stream.read(buffer)
    }
}

impl Write for Collecting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unsent.is_empty() && bytes.len() >= ENOUGH {
            return self.stream.write(bytes);
        }
        self.unsent.extend_from_slice(bytes);
        if self.unsent.len() >= ENOUGH {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.unsent)?;
        self.unsent.clear();
        Ok(())
    }
}
