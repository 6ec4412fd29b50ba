//! An echo server over embassy-net, with one async task per connection. There is no heap, and a
//! message may be larger than all buffers.
#![no_std]
#![no_main]

mod driver;
#[path = "../../device/src/limits.rs"]
mod limits;

use core::time::Duration;
use driver::Lan9118;
use embassy_executor::Spawner;
use embassy_net::tcp::{Error, TcpSocket};
use embassy_net::{
    Config as NetworkConfig, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4,
};
use embassy_time::{Instant, with_deadline, with_timeout};
use limits::{CHUNK, COMPRESSOR, CONFIG, DEFLATE, Inbox, Outbox, OwnCompressor, REPLY, RING, WINDOW, Window};
use sansocket::deflate::Deflate;
use sansocket::{Buffer, Event, OutboxFull, Reject, Server, WebSocket};
use semihosting::println;
use static_cell::StaticCell;

const CONNECTIONS: usize = 8;
/// How long a closed connection waits for the peer to end the TCP connection.
const LINGER: embassy_time::Duration = embassy_time::Duration::from_secs(2);
/// A peer that reads nothing for this long is given up.
const STALL: embassy_time::Duration = embassy_time::Duration::from_secs(4);

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let processor = cortex_m::Peripherals::take().expect("once");
    driver::start(processor.SYST);
    let mut seed = [0; 8];
    // A real device would use its hardware random number generator.
    semihosting::experimental::random::fill_bytes(&mut seed).expect("random numbers from the host");
    static RESOURCES: StaticCell<StackResources<CONNECTIONS>> = StaticCell::new();
    let address = Ipv4Cidr::new(Ipv4Address::new(10, 0, 2, 15), 24);
    let config = StaticConfigV4 { address, gateway: None, dns_servers: Default::default() };
    let (stack, runner) = embassy_net::new(
        Lan9118::new().expect("a network controller"),
        NetworkConfig::ipv4_static(config),
        RESOURCES.init(StackResources::new()),
        u64::from_ne_bytes(seed),
    );
    spawner.spawn(network(runner).expect("its only task"));
    for _ in 0..CONNECTIONS {
        spawner.spawn(serve(stack).expect("a task in the pool"));
    }
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Lan9118>) -> ! {
    runner.run().await
}

/// Serves one connection after another.
#[embassy_executor::task(pool_size = CONNECTIONS)]
async fn serve(stack: Stack<'static>) -> ! {
    let (mut receive, mut send) = ([0; RING], [0; RING]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut receive, &mut send);
        socket.set_nagle_enabled(false);
        if socket.accept(80).await.is_err() {
            continue;
        }
        // On an error, the peer is gone.
        let _ = converse(&mut socket).await;
        socket.close();
        // Wait for the peer to end the stream.
        let rest = async {
            while socket.read_with(|ring| (ring.len(), ring.len())).await.is_ok_and(|len| len > 0) {}
            let _ = socket.flush().await;
        };
        let _ = with_timeout(LINGER, rest).await;
        socket.abort();
        let _ = with_timeout(LINGER, socket.flush()).await;
    }
}

/// Runs one connection.
async fn converse(socket: &mut TcpSocket<'_>) -> Result<(), Error> {
    let mut ws = WebSocket::deflate_server(CONFIG, DEFLATE, WINDOW);
    let mut compressor = COMPRESSOR;
    let mut inbox = Inbox::new();
    let mut outbox = Outbox::new();
    while !ws.is_closed() {
        ws.handle_timeout(Duration::from_millis(Instant::now().as_millis()));
        let deadline = ws.poll_timeout().map_or(u64::MAX, |deadline| deadline.as_millis() as u64);
        // Read in place from the receive ring.
        let receive = socket.read_with(|ring| {
            let len = ring.len().min(CHUNK);
            if len == 0 {
                ws.receive_eof();
            }
            let input = ring.get_mut(..len).unwrap_or_default();
            (take(&mut ws, input, &mut inbox, &mut compressor, &mut outbox), ())
        });
        match with_deadline(Instant::from_millis(deadline), receive).await {
            Ok(received) => received?,
            Err(_) => ws.handle_timeout(Duration::from_millis(Instant::now().as_millis())),
        }
        // Poll for events that need no input, and for pending bytes. Few bytes of a compressed message
        // can stand for many pieces.
        loop {
            take(&mut ws, &mut [], &mut inbox, &mut compressor, &mut outbox);
            let _: Result<(), OutboxFull> = ws.transmit(&mut outbox);
            if outbox.is_empty() {
                break;
            }
            with_timeout(STALL, write_all(socket, &outbox)).await.unwrap_or(Err(Error::ConnectionReset))?;
            outbox.clear();
        }
    }
    Ok(())
}

/// Handles events while the outbox has room for a reply. Returns the number of bytes consumed.
fn take(
    ws: &mut WebSocket<Deflate<Server, Window>>,
    mut input: &mut [u8],
    inbox: &mut Inbox,
    compressor: &mut OwnCompressor,
    outbox: &mut Outbox,
) -> usize {
    let len = input.len();
    while outbox.remaining() >= REPLY
        && let Some(event) = ws.receive(&mut input, inbox)
    {
        // Ignore errors: they only occur while the connection is closing.
        match event {
            Event::Request(request) if request.target() == "/" => {
                let _ = ws.accept(request.accept(), outbox);
            }
            Event::Request(_) => {
                let _ = ws.reject(Reject::status(404), outbox);
            }
            Event::Piece(piece) => {
                let _ = ws.send_piece_deflated(&piece, compressor, outbox);
            }
            Event::Error(error) => println!("{error}"),
            Event::Open(_) | Event::BadRequest(_) | Event::Refused(_) | Event::Message(_) => {}
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {}
        }
        let _: Result<(), OutboxFull> = ws.transmit(outbox);
    }
    len - input.len()
}

async fn write_all(socket: &mut TcpSocket<'_>, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        let written = socket.write(bytes).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
