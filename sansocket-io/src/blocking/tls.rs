//! TLS streams of rustls, and connections to `wss` URIs.

use super::connect::{connect_tcp, deadline, new};
use super::stream::poll;
use super::{ClientSocket, OpenError, Stream, TcpStream};
use crate::{Settings, tcp};
use core::future::poll_fn;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use sansocket::{Connect, Open, WebSocket};
use std::borrow::ToOwned;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

/// A client's connection over TLS.
pub type TlsClientSocket = ClientSocket<TlsStream>;

/// Connects to a `wss://` URI with the default [`Settings`]. `config` says which certificates are
/// trusted; its ALPN protocols, if it has any, must not offer HTTP/2. The program chooses a
/// provider of cryptography, with a feature of rustls: `ring` or `aws_lc_rs`.
///
/// # Errors
/// [`OpenError`]: a certificate that is not trusted is
/// [`Unreachable`](crate::OpenError::Unreachable). A redirect or a 401 is
/// [`Refused`](crate::OpenError::Refused), with status and headers.
pub fn connect_tls(uri: &str, config: Arc<ClientConfig>) -> Result<TlsClientSocket, OpenError> {
    let connect = Connect::from_uri(uri).map_err(OpenError::Request)?;
    let (socket, ()) = connect_tls_with(connect, config, Settings::new(), |_| ())?;
    Ok(socket)
}

/// Connects over TLS, with subprotocols and headers of the caller. `on_open` sees the response;
/// what it returns is returned.
///
/// # Errors
/// [`OpenError`].
pub fn connect_tls_with<O>(
    connect: Connect<'_>,
    config: Arc<ClientConfig>,
    settings: Settings,
    on_open: impl FnOnce(&Open<'_>) -> O,
) -> Result<(TlsClientSocket, O), OpenError> {
    if !connect.is_secure() {
        return Err(OpenError::Scheme);
    }
    let deadline = deadline(&settings);
    let stream = connect_tcp(&connect, deadline)?;
    let ws = WebSocket::client(settings.config, tcp::rng().map_err(OpenError::Unreachable)?);
    let wrap = |tcp| {
        let name = ServerName::try_from(connect.host().to_owned()).map_err(io::Error::other)?;
        TlsStream::client(config, name, tcp)
    };
    let mut socket: TlsClientSocket = new(stream, wrap, ws, settings).map_err(OpenError::Unreachable)?;
    let stream = &mut socket.socket.reply().io.0;
    let handshake = poll_fn(|_| poll(|| stream.handshake()));
    let done = match deadline {
        Some(deadline) => socket.wait.block_until(deadline, handshake).ok_or(OpenError::ConnectTimeout)?,
        None => socket.wait.block_on(handshake),
    };
    done.map_err(OpenError::Unreachable)?;
    let opened = socket.connect(connect, on_open)?;
    Ok((socket, opened))
}

/// A TLS stream over another stream. Its TLS handshake is done by the first reads and writes.
#[derive(Debug)]
pub struct TlsStream<S = TcpStream> {
    connection: Connection,
    stream: S,
}

impl<S: Stream> TlsStream<S> {
    /// A client's stream to the server of this name.
    ///
    /// # Errors
    /// The configuration does not fit the name.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>, stream: S) -> io::Result<Self> {
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self { connection: connection.into(), stream })
    }

    /// A server's stream.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn server(config: Arc<ServerConfig>, stream: S) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self { connection: connection.into(), stream })
    }

    /// The state of TLS: the peer's certificates, the ALPN protocol.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The stream below.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    fn handshake(&mut self) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.write_tls()?;
            if self.connection.wants_read() && self.read_tls()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        self.write_tls()
    }

    /// Reads and decrypts what has arrived: how many bytes of the stream below.
    fn read_tls(&mut self) -> io::Result<usize> {
        let count = self.connection.read_tls(&mut self.stream)?;
        if let Err(error) = self.connection.process_new_packets() {
            // The alert that says so to the peer.
            let _ = self.write_tls();
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        Ok(count)
    }

    /// Writes all that is encrypted.
    fn write_tls(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut self.stream)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        self.stream.flush()
    }
}

impl<S: Stream> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            // The next message of the handshake, for example. It stops no read, and an error is
            // that of the next write too.
            let _ = self.write_tls();
            self.read_tls()?;
        }
    }
}

impl<S: Stream> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_tls()?;
        match self.connection.writer().write_vectored(slices)? {
            // Before the end of the handshake, it takes only as much as its buffer.
            0 => Err(ErrorKind::WouldBlock.into()),
            count => {
                // The bytes are taken: an error is that of the next write too.
                let _ = self.write_tls();
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_tls()
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    /// Sends `close_notify` before.
    fn shutdown(&mut self) -> io::Result<()> {
        self.connection.send_close_notify();
        self.write_tls()?;
        self.stream.shutdown()
    }
}
