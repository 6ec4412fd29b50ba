//! A device on the network: it serves WebSocket connections; started as `device client PORT`, it is a client of a server on
//! the host.
//!
//! No heap: each connection has its machine, an inbox for the handshake's head, and the two rings of its TCP socket.
//! Input is taken in place from the receive ring. Replies go through one small outbox, which all connections share,
//! because a socket lends one of its rings at a time; what the device says unasked is written straight into the send
//! ring. A message may be longer than all of that together: it passes through piece by piece.
#![no_std]
#![no_main]

mod api;
mod client;
mod clock;
mod lan9118;
mod phy;
mod rng;
mod server;

use api::Device;
use client::Session;
use defmt_semihosting as _;
use lan9118::Lan9118;
use rand_core::Rng as _;
use rng::Rng;
use server::Connection;
use smoltcp::iface::{Config, Interface, PollResult, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{self, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// Each ring of a TCP socket.
const RING: usize = 4096;
/// The most input that is taken at a time, and so the longest piece.
const CHUNK: usize = 512;
/// What an event may add to the outbox: a piece with its header, and the character that an earlier one has left
/// unfinished; a Pong. (The opening handshake takes less.)
const ROOM: usize = CHUNK + 3 + 4 + 127;
const OUTBOX: usize = 768;
/// For the head of the opening handshake; a browser's is about 600 bytes.
const INBOX: usize = 1024;

type Inbox = heapless::Vec<u8, INBOX>;
type Outbox = heapless::Vec<u8, OUTBOX>;

/// How many connections there can be at once.
const SLOTS: usize = 8;

/// The device's address in the emulator's network, and the host's.
const ADDRESS: IpAddress = IpAddress::v4(10, 0, 2, 15);
const HOST: (IpAddress, &str) = (IpAddress::v4(10, 0, 2, 2), "10.0.2.2");

#[cortex_m_rt::entry]
fn main() -> ! {
    let processor = cortex_m::Peripherals::take().expect("once");
    clock::start(processor.SYST);
    let mut controller = Lan9118::new().expect("a network controller");
    let mut config = Config::new(EthernetAddress(controller.address()).into());
    // TCP's first sequence numbers should not be guessed.
    config.random_seed = Rng.next_u64();
    let mut interface = Interface::new(config, &mut controller, now());
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(ADDRESS, 24)).expect("room for one address");
    });

    let mut rings = [[[0; RING]; 2]; SLOTS];
    let mut storage = [SocketStorage::EMPTY; SLOTS];
    let mut sockets = SocketSet::new(&mut storage[..]);
    let handles = rings.each_mut().map(|[receive, send]| {
        let (receive, send) = (SocketBuffer::new(&mut receive[..]), SocketBuffer::new(&mut send[..]));
        let mut socket = tcp::Socket::new(receive, send);
        // Messages go out at once.
        socket.set_nagle_enabled(false);
        sockets.add(socket)
    });

    let arguments = semihosting::experimental::env::args::<64>().expect("arguments");
    let mut arguments = (&arguments).filter_map(Result::ok).skip(1);
    let client_of = match arguments.next() {
        Some("client") => arguments.next().and_then(|port| port.parse().ok()),
        _ => None,
    };
    match client_of {
        None => {
            let mut connections: [Connection; SLOTS] = core::array::from_fn(|_| Connection::new());
            let mut device = Device::default();
            let mut outbox = Outbox::new();
            defmt::info!(
                "{=usize} connections of {=usize} bytes and two rings of {=usize} each, one outbox of {=usize}",
                SLOTS,
                size_of::<Connection>(),
                RING,
                size_of::<Outbox>()
            );
            loop {
                let mut busy = interface.poll(now(), &mut controller, &mut sockets) != PollResult::None;
                for (connection, handle) in connections.iter_mut().zip(handles) {
                    let socket = sockets.get_mut(handle);
                    busy |= connection.turn(socket, &mut device, &mut outbox, clock::now());
                }
                rest(busy);
            }
        }
        Some(port) => {
            let handle = handles[0];
            let local: u16 = 49152 + (Rng.next_u32() % 16384) as u16;
            let socket = sockets.get_mut::<tcp::Socket>(handle);
            socket.connect(interface.context(), (HOST.0, port), local).expect("an address to connect to");
            let mut session = Session::new(HOST.1);
            loop {
                let busy = interface.poll(now(), &mut controller, &mut sockets) != PollResult::None;
                let ended = session.turn(sockets.get_mut(handle), clock::now());
                if let Some(succeeded) = ended {
                    // What TCP still has to say.
                    interface.poll(now(), &mut controller, &mut sockets);
                    semihosting::process::exit(if succeeded { 0 } else { 1 });
                }
                rest(busy);
            }
        }
    }
}

/// Sleeps, where nothing has happened: until the next millisecond.
fn rest(busy: bool) {
    if !busy {
        cortex_m::asm::wfi();
    }
}

fn now() -> Instant {
    Instant::from_millis(clock::now().as_millis() as i64)
}

#[panic_handler]
fn panic(panic: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(panic));
    semihosting::process::exit(1)
}
