//! What the runtimes share: the options of TCP streams, the errors of accepts, the end of TLS
//! streams, and the client's host and random numbers.

use core::time::Duration;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use sansocket::Connect;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::string::String;

/// How many bytes the kernel takes that are not sent yet; it takes more once half of them are gone.
/// By default it takes megabytes: a Ping would queue behind them, and a slow reader would look like
/// one that does not read. So a peer has to read 64 KiB within the write timeout, 2.2 KB/s by
/// default. With less than this, a large message to a fast peer takes more system calls: at 1 MiB
/// and pipelined 7 with this limit, 14 with 16 KiB, and 2 without any.
const NOT_SENT: u32 = 128 << 10;

/// Sets `TCP_NODELAY`, and `TCP_NOTSENT_LOWAT` where the platform has it.
pub(crate) fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    limit_unsent(socket)
}

/// Limits what the kernel takes of a socket's output.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn limit_unsent(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(NOT_SENT)
}

/// The platform has no such option.
#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn limit_unsent(_: &socket2::Socket) -> io::Result<()> {
    let _ = NOT_SENT;
    Ok(())
}

/// How long a server waits after a failed accept. Without resources, the next one would fail too,
/// until connections end; so it would if the listener is none. Other errors are those of one
/// connection, which is gone.
pub(crate) fn delay_after(error: &io::Error) -> Option<Duration> {
    let code = error.raw_os_error()?;
    (NO_RESOURCES.contains(&code) || NO_LISTENER.contains(&code)).then_some(Duration::from_millis(100))
}

#[cfg(unix)]
const NO_RESOURCES: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
#[cfg(unix)]
const NO_LISTENER: [i32; 3] = [libc::EBADF, libc::EINVAL, libc::ENOTSOCK];
/// WSAEMFILE, WSAENOBUFS.
#[cfg(not(unix))]
const NO_RESOURCES: [i32; 2] = [10024, 10055];
/// WSAEINVAL, WSAENOTSOCK.
#[cfg(not(unix))]
const NO_LISTENER: [i32; 2] = [10022, 10038];

/// The end of a TLS stream without `close_notify` is an end of the stream. Frames have lengths, and
/// a connection that ends without a Close frame is reported as such, so nothing can be cut off
/// unnoticed.
pub(crate) fn end_of_stream(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
        read => read,
    }
}

/// The host of the request as name resolution takes it: with the zone of an IPv6 address.
pub(crate) fn host(connect: &Connect<'_>) -> String {
    let mut host = String::from(connect.host());
    if let Some(zone) = connect.zone() {
        host.push('%');
        host.push_str(zone);
    }
    host
}

/// The generator of a client's masking keys, seeded by the operating system.
pub(crate) fn rng() -> io::Result<StdRng> {
    StdRng::try_from_rng(&mut SysRng).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_server_waits_for_resources_and_not_for_a_connection_that_is_gone() {
        let waits = |code| delay_after(&io::Error::from_raw_os_error(code)).is_some();
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert!(waits(code), "{code}");
        }
        for code in [libc::ECONNABORTED, libc::EPROTO, libc::EPERM, libc::ENETUNREACH, libc::ETIMEDOUT] {
            assert!(!waits(code), "{code}");
        }
    }
}
