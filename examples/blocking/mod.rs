//! Helpers for blocking servers: the accept loop, reads that respect the machine's timers, and an
//! orderly end of the stream.

use sansocket::{Server, State, WebSocket};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Minimum and maximum of a read timeout. (A timeout of zero is an error.)
const WAIT: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));
/// How long a closed connection waits for the peer to end the stream.
const LINGER: Duration = Duration::from_secs(2);

/// Accepts connections on `address` forever, and runs `serve` on a thread for each.
pub fn listen(
    address: &str,
    serve: impl Fn(&TcpStream) -> Result<()> + Clone + Send + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            // For example "too many open files": retry, because other connections may end.
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let serve = serve.clone();
        let spawned = thread::Builder::new().spawn(move || {
            if let Err(error) = serve(&stream) {
                eprintln!("{peer}: {error}");
            }
        });
        if let Err(error) = spawned {
            eprintln!("{peer}: {error}");
        }
    }
}

/// Reads into `buffer` until bytes arrive or one of the machine's timers expires. Returns the
/// number of bytes.
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
    // The timers of an open connection measure the peer's silence, so they only matter if nothing
    // was read. The timeouts of the opening and the closing handshake apply in any case.
    if filled == 0 || ws.state() != State::Open {
        ws.handle_timeout(started.elapsed());
    }
    Ok(filled)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Shuts down our side of the stream and waits for the peer to end its side. Dropping a socket that
/// has unread input would make the kernel reset the connection, and the peer could lose our last
/// bytes.
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
