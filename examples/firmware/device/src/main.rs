//! A device on the network: a WebSocket server. With the arguments `client PORT` it is a client of
//! a server on the host instead.
//!
//! There is no heap. Each connection has its machine, an inbox for the handshake's head, and the
//! two rings of its TCP socket. Input is read in place from the receive ring. Replies go through
//! one small outbox that all connections share, because a socket gives access to one of its rings
//! at a time. Reports are written directly into the send ring. A message may be larger than all
//! buffers: it passes through piece by piece.
#![no_std]
#![no_main]

mod api;
mod client;
mod clock;
mod lan9118;
mod limits;
mod phy;
mod rng;
mod server;
mod systick;

use api::Device;
use client::Session;
use defmt_semihosting as _;
use lan9118::Lan9118;
use limits::RING;
use rand_core::Rng as _;
use rng::Rng;
use server::{Connection, Outbox};
use smoltcp::iface::{Config, Interface, PollResult, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{self, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// The maximum number of connections.
const SLOTS: usize = 8;

/// The device's address in the emulator's network, and the host's.
const ADDRESS: IpAddress = IpAddress::v4(10, 0, 2, 15);
const HOST: (IpAddress, &str) = (IpAddress::v4(10, 0, 2, 2), "10.0.2.2");

#[cortex_m_rt::entry]
fn main() -> ! {
    let processor = cortex_m::Peripherals::take().expect("once");
    systick::start(processor.SYST);
    let mut controller = Lan9118::new().expect("a network controller");
    let mut config = Config::new(EthernetAddress(controller.address()).into());
    // TCP's initial sequence numbers must be unpredictable.
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
        // Send messages without delay.
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
                    // Send TCP's last segments.
                    interface.poll(now(), &mut controller, &mut sockets);
                    semihosting::process::exit(if succeeded { 0 } else { 1 });
                }
                rest(busy);
            }
        }
    }
}

/// Sleeps until the next millisecond if nothing happened.
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
