//! What a blocking server reads with, timers included, and how it parts from a peer.

use sansocket::{Server, State, WebSocket};
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// A read waits at most this long, and at least a millisecond: a timeout of zero is an error.
const WAIT: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));
/// How long a closed connection waits for the peer to end the stream.
const LINGER: Duration = Duration::from_secs(2);

/// Reads until something comes or a timer of the machine's runs out.
pub fn read(
    mut stream: &TcpStream,
    ws: &mut WebSocket<Server>,
    buffer: &mut [u8],
    started: Instant,
) -> io::Result<usize> {
    let (shortest, longest) = WAIT;
    let wait = ws.poll_timeout().map_or(longest, |at| at.saturating_sub(started.elapsed()));
    stream.set_read_timeout(Some(wait.clamp(shortest, longest)))?;
    let filled = match stream.read(buffer) {
        Ok(0) => {
            ws.receive_eof();
            0
        }
        Ok(filled) => filled,
        Err(error) if is_timeout(&error) => 0,
        Err(error) => return Err(error),
    };
    // The timers of an open connection measure the peer's silence: whoever has just read something has none to tell of.
    // The opening and the closing handshake have to end in time whatever comes.
    if filled == 0 || ws.state() != State::Open {
        ws.handle_timeout(started.elapsed());
    }
    Ok(filled)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Ends our side of the stream and waits for the peer to end its own: to drop a socket with unread input makes the
/// kernel reset the connection, and our last bytes may be lost.
pub fn linger(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + LINGER;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if is_timeout(&error) => {}
            Err(_) => return Ok(()),
        }
    }
}
