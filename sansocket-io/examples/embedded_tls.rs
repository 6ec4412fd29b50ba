//! Sends a message over TLS with embedded-tls, and prints the answer:
//! `embedded_tls localhost:9001 root.pem Hello`.
//!
//! All but TCP, the clock and the certificate's file is code for firmware.
//!
//! **A `read` of embedded-tls 0.19 must not be dropped before it is ready**: the bytes of a
//! record's header that it has read are lost, and with a network that delivers small pieces no
//! message arrives. So a read must not stand in a `select`, and
//! [`Socket`](sansocket_io::Socket), which polls a read and drops it, cannot run over it. This
//! program uses the machine in a loop of its own. It pins the future of a read, and keeps it until
//! it is ready. Meanwhile, timeouts are handled and written through the other half of the TLS
//! connection.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::time::Duration;
use embassy_time::{Instant, Timer};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_tls::pki::CertVerifier;
use embedded_tls::{
    Aes128GcmSha256, Certificate, CryptoProvider, CryptoRngCore, TlsClock, TlsConfig, TlsConnection,
    TlsContext, TlsError, TlsVerifier,
};
use rand_core_06::OsRng;
use sansocket_io::sansocket::{ClientRole, FixedInbox, OutboxFull, Role, WebSocket, heapless};
use sansocket_io::{CloseCode, Config, Connect, Event};
use smol::future::or;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;
use std::error::Error;
use std::io;
use std::time::SystemTime;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};

/// The longest message, and the head of the opening handshake.
type Inbox = FixedInbox<1024>;
type Outbox = heapless::Vec<u8, 1280>;

/// The longest record of TLS, encrypted. The server chooses how long its records are.
const RECORD: usize = 16_640;
/// The connection ends if the network takes no bytes for this long.
const STALL: embassy_time::Duration = embassy_time::Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("embedded_tls HOST:PORT ROOT MESSAGE");
    let (address, root, message) = (argument()?, argument()?, argument()?);
    smol::block_on(run(&address, &CertificateDer::from_pem_file(root)?, &message))
}

/// Opens TCP and TLS, and has the conversation.
async fn run(address: &str, root: &[u8], message: &str) -> Result<(), Box<dyn Error>> {
    let (host, _) = address.rsplit_once(':').ok_or("no port")?;
    let tcp = RefCell::new(Tcp(TcpStream::connect(address).await?));
    let (mut received, mut sent) = ([0; RECORD], [0; 4096]);
    let mut tls = TlsConnection::new(Shared(&tcp), &mut received, &mut sent);
    let config = TlsConfig::new().with_server_name(host);
    let provider = Provider { verifier: CertVerifier::new(Certificate::X509(root)) };
    tls.open(TlsContext::new(&config, provider)).await.map_err(failed)?;
    let (mut reader, mut writer) = tls.split();
    converse(&mut reader, &mut writer, host, message).await?;
    // Once the server has ended TLS, embedded-tls would send its alert unencrypted.
    if tls.is_opened() {
        tls.close().await.map_err(|(_, error)| failed(error))?;
    }
    Ok(())
}

/// Sends a message, prints the answer, and closes.
async fn converse<R: Read, W: Write<Error = TlsError>>(
    reader: &mut R,
    writer: &mut W,
    host: &str,
    message: &str,
) -> Result<(), Box<dyn Error>> {
    let mut ws = WebSocket::client(Config::new(), rand::rng());
    let (mut buffer, mut inbox, mut outbox) = ([0; 512], Inbox::new(), Outbox::new());
    ws.connect(Connect::new(host, "/"), &mut outbox)?;
    ws.handle_timeout(now());
    write(&mut ws, &mut outbox, writer).await?;
    while !ws.is_closed() {
        let count = {
            // It is dropped when it is ready, or when the connection has ended.
            let mut read = pin!(reader.read(&mut buffer));
            loop {
                let ready = async { Some(read.as_mut().await) };
                let until = async {
                    sleep_until(ws.poll_timeout()).await;
                    None
                };
                if let Some(count) = or(ready, until).await {
                    // An error is the end of the stream.
                    break count.unwrap_or(0);
                }
                ws.handle_timeout(now());
                take(&mut ws, &mut [], &mut inbox, &mut outbox, message)?;
                write(&mut ws, &mut outbox, writer).await?;
                if ws.is_closed() {
                    return Ok(());
                }
            }
        };
        if count == 0 {
            ws.receive_eof();
        }
        take(&mut ws, buffer.get_mut(..count).unwrap_or_default(), &mut inbox, &mut outbox, message)?;
        ws.handle_timeout(now());
        write(&mut ws, &mut outbox, writer).await?;
    }
    Ok(())
}

/// Handles the events in received bytes.
fn take<R: ClientRole>(
    ws: &mut WebSocket<R>,
    mut input: &mut [u8],
    inbox: &mut Inbox,
    outbox: &mut Outbox,
    message: &str,
) -> Result<(), Box<dyn Error>> {
    while let Some(event) = ws.receive(&mut input, inbox) {
        match event {
            Event::Open(_) => ws.send(message, outbox)?,
            Event::Message(answer) => {
                println!("{answer:?}");
                ws.close(CloseCode::NORMAL, "", outbox)?;
            }
            Event::Error(error) => return Err(error.into()),
            Event::Close(close) => println!("closed: {close}"),
            _ => {}
        }
    }
    Ok(())
}

/// Writes and flushes all that is to be sent.
async fn write<R: Role, W: Write<Error = TlsError>>(
    ws: &mut WebSocket<R>,
    outbox: &mut Outbox,
    writer: &mut W,
) -> Result<(), Box<dyn Error>> {
    // A frame that does not fit is sent the next time.
    let _: Result<(), OutboxFull> = ws.transmit(outbox);
    let all = async {
        writer.write_all(outbox).await?;
        writer.flush().await
    };
    let stalled = async {
        Timer::after(STALL).await;
        Err(TlsError::Io(ErrorKind::TimedOut))
    };
    // A write that is dropped has lost bytes too: then the connection has ended.
    or(all, stalled).await.map_err(failed)?;
    outbox.clear();
    Ok(())
}

fn failed(error: TlsError) -> String {
    format!("TLS: {error:?}")
}

fn now() -> Duration {
    Duration::from_millis(Instant::now().as_millis())
}

async fn sleep_until(deadline: Option<Duration>) {
    match deadline {
        Some(at) => Timer::at(Instant::from_millis(at.as_millis() as u64 + 1)).await,
        None => core::future::pending().await,
    }
}

/// What embedded-tls needs besides the stream: randomness, and the check of the certificate.
struct Provider<'r> {
    verifier: CertVerifier<'r, Aes128GcmSha256, Calendar, 4096>,
}

impl CryptoProvider for Provider<'_> {
    type CipherSuite = Aes128GcmSha256;
    /// A client without a certificate signs nothing.
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        OsRng
    }
    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.verifier)
    }
}

/// The time, against which the certificate's validity is checked.
struct Calendar;

impl TlsClock for Calendar {
    fn now() -> Option<u64> {
        SystemTime::UNIX_EPOCH.elapsed().ok().map(|time| time.as_secs())
    }
}

/// A stream for both halves of a TLS connection, which must be `Clone`. It is borrowed only while
/// it is polled, which takes a stream whose futures can be dropped: as those of embassy-net.
struct Shared<'s, S>(&'s RefCell<S>);

impl<S> Clone for Shared<'_, S> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<S: ErrorType> ErrorType for Shared<'_, S> {
    type Error = S::Error;
}

impl<S: Read> Read for Shared<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, S::Error> {
        poll_fn(|cx| pin!(self.0.borrow_mut().read(buffer)).poll(cx)).await
    }
}

impl<S: Write> Write for Shared<'_, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, S::Error> {
        poll_fn(|cx| pin!(self.0.borrow_mut().write(bytes)).poll(cx)).await
    }
    async fn flush(&mut self) -> Result<(), S::Error> {
        poll_fn(|cx| pin!(self.0.borrow_mut().flush()).poll(cx)).await
    }
}

/// The host's TCP. On a board: a `TcpSocket` of embassy-net.
struct Tcp(TcpStream);

impl ErrorType for Tcp {
    type Error = io::Error;
}

impl Read for Tcp {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).await
    }
}

impl Write for Tcp {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }
    async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await
    }
}
