//! An echo server on sansocket-io over embassy-net, with one async task per connection. There is no
//! heap, and a message may be larger than all buffers.
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
use embassy_time::with_timeout;
use limits::{CHUNK, COMPRESSOR, CONFIG, DEFLATE, PIECE, REPLY, RING, WINDOW};
use sansocket::WebSocket;
use sansocket_io::embedded_io_async::Embedded;
use sansocket_io::{Accept, AcceptError, EmbassyClock, Event, Fixed, Reject, Request, Settings, Socket};
use semihosting::println;
use static_cell::StaticCell;

const CONNECTIONS: usize = 8;
/// The limits of the I/O. No event comes before the reply to the last one is written, so the outbox
/// needs space for one reply only.
const SETTINGS: Settings = Settings::new().max_unsent(0).write_timeout(Some(Duration::from_secs(4)));
/// How long the end of a TCP connection may take.
const LINGER: embassy_time::Duration = embassy_time::Duration::from_secs(2);

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
        let mut stream = TcpSocket::new(stack, &mut receive, &mut send);
        stream.set_nagle_enabled(false);
        if stream.accept(80).await.is_err() {
            continue;
        }
        if let Err(error) = echo(&mut stream).await {
            println!("{error}");
        }
        // Resets a connection that the peer has not ended.
        stream.abort();
        let _ = with_timeout(LINGER, stream.flush()).await;
    }
}

/// Runs one connection.
async fn echo(stream: &mut TcpSocket<'_>) -> Result<(), AcceptError<Error>> {
    let io = Embedded::with_close(stream, |stream| stream.close());
    let ws = WebSocket::deflate_server(CONFIG, DEFLATE, WINDOW);
    let memory = Fixed::<CHUNK, PIECE, REPLY>::new();
    let mut socket = Socket::new(io, EmbassyClock, ws, memory, SETTINGS);
    let mut compressor = COMPRESSOR;
    socket.accept(answer).await?;
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Piece(piece) => {
                // Fails only while the connection is closing.
                let _ = reply.send_piece_deflated(&piece, &mut compressor);
            }
            Event::Error(error) => println!("{error}"),
            _ => {}
        }
    }
    Ok(())
}

fn answer<'a>(request: &Request<'_>) -> Result<Accept<'a>, Reject<'a>> {
    if request.target() == "/" { Ok(request.accept()) } else { Err(Reject::status(404)) }
}
