//! A client and a server on smoltcp's loopback device, as firmware would run them: no heap, no
//! threads, no operating system's sockets, and a simulated clock.
//!
//! Input is read in place from the receive ring of the TCP socket. A message of 100,000 bytes goes
//! to the server and back piece by piece, although no buffer holds more than 704 bytes.

use rand::{SeedableRng, rngs::StdRng};
use sansocket::{
    Client, CloseCode, Config, Connect, Delivery, Event, Fragment, OutboxFull, Part, Role, SendError, Server,
    WebSocket,
};
use smoltcp::iface::{Config as InterfaceConfig, Interface, SocketSet, SocketStorage};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use std::process::ExitCode;
use std::time::Duration;

/// The size of each receive and transmit ring. A piece is at most one contiguous part of the ring.
const RING: usize = 512;
/// The most that the reply to one event needs: a header of 4 bytes, the 3 bytes of a character that
/// an earlier piece left unfinished, the largest piece, and a Pong. (The response to the opening
/// handshake needs 129 bytes.)
const ROOM: usize = RING + 3 + 4 + 127;
const OUTBOX: usize = 704;
/// Only used for the opening handshake.
const INBOX: usize = 256;
/// The size of a message that is larger than any buffer, and of its fragments.
const LARGE: usize = 100_000;
const FRAGMENT: usize = 200;
const GREETING: &str = "Grüße aus dem Ring";

/// A machine and its buffers.
struct Endpoint<R: Role> {
    ws: WebSocket<R>,
    inbox: heapless::Vec<u8, INBOX>,
    outbox: Outbox,
    /// How much of the outbox was handed to TCP.
    sent: usize,
}

type Outbox = heapless::Vec<u8, OUTBOX>;

impl<R: Role> Endpoint<R> {
    fn new(ws: WebSocket<R>) -> Self {
        Self { ws, inbox: heapless::Vec::new(), outbox: Outbox::new(), sent: 0 }
    }

    /// Receives input, and calls `handle` for each event.
    fn receive(
        &mut self,
        socket: &mut tcp::Socket<'_>,
        room: usize,
        mut handle: impl FnMut(&mut WebSocket<R>, Event<'_>, &mut Outbox),
    ) {
        let taken = socket.recv(|ring| (self.take(ring, room, &mut handle), ()));
        if let Err(error) = taken {
            if error == tcp::RecvError::Finished && !self.ws.is_closed() {
                self.ws.receive_eof();
            }
            // Poll for events that need no input.
            self.take(&mut [], room, &mut handle);
        }
    }

    /// Handles events while the outbox has `room` for the reply to one. Returns the number of bytes
    /// consumed: the rest of the input stays in the ring, so TCP slows the peer down.
    fn take(
        &mut self,
        mut input: &mut [u8],
        room: usize,
        handle: &mut impl FnMut(&mut WebSocket<R>, Event<'_>, &mut Outbox),
    ) -> usize {
        let len = input.len();
        while self.outbox.capacity() - self.outbox.len() >= room
            && let Some(event) = self.ws.receive(&mut input, &mut self.inbox)
        {
            handle(&mut self.ws, event, &mut self.outbox);
            // A frame that does not fit stays pending.
            let _: Result<(), OutboxFull> = self.ws.transmit(&mut self.outbox);
        }
        len - input.len()
    }

    /// Hands the outbox to TCP, as far as it fits. After the last byte of a closed connection, ends
    /// the stream.
    fn send(&mut self, socket: &mut tcp::Socket<'_>) {
        // A frame that does not fit stays pending.
        let _: Result<(), OutboxFull> = self.ws.transmit(&mut self.outbox);
        if let Ok(sent) = socket.send_slice(&self.outbox[self.sent..]) {
            self.sent += sent;
            self.ws.output_sent(sent, self.outbox.len() - self.sent);
        }
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.sent = 0;
            if self.ws.is_closed() {
                socket.close();
            }
        }
    }
}

/// The server: echoes pieces. Returns whether the event was expected.
fn echo(ws: &mut WebSocket<Server>, event: Event<'_>, outbox: &mut Outbox) -> bool {
    match event {
        Event::Request(request) => {
            println!("server: request: {}", request.to_string().escape_debug());
            ws.accept(request.accept(), outbox).is_ok()
        }
        Event::Piece(piece) => match ws.send_piece(&piece, outbox) {
            // The connection is closing.
            Ok(()) | Err(SendError::NotOpen) => true,
            Err(_) => false,
        },
        Event::Close(close) => {
            println!("server: closed: {}", close.to_string().escape_debug());
            close.clean
        }
        Event::Error(error) => {
            println!("server: {error}");
            false
        }
        _ => true,
    }
}

/// The steps of the client.
#[derive(PartialEq)]
enum Step {
    Connecting,
    Greeting(heapless::String<64>),
    /// How many bytes of the large message were sent and received.
    Large {
        sent: usize,
        received: usize,
    },
    Pinging,
    Closing,
    Closed,
    Failed,
}

impl Step {
    /// Handles an event and moves to the next step.
    fn take(
        &mut self,
        ws: &mut WebSocket<Client<StdRng>>,
        event: Event<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), Box<dyn std::error::Error>> {
        match (&mut *self, event) {
            (Self::Connecting, Event::Open(_)) => {
                ws.send(GREETING, outbox)?;
                *self = Self::Greeting(heapless::String::new());
            }
            (Self::Greeting(text), Event::Piece(piece)) => {
                let Part::Text { lead, text: part } = piece.part else { return Err("not text".into()) };
                for character in lead.into_iter().chain(part.chars()) {
                    text.push(character).map_err(|_| "longer than the greeting")?;
                }
                if piece.last {
                    println!("client: received {text:?}");
                    if text.as_str() != GREETING {
                        return Err("not the greeting".into());
                    }
                    *self = Self::Large { sent: 0, received: 0 };
                }
            }
            (Self::Large { received, .. }, Event::Piece(piece)) => {
                let Part::Binary(bytes) = piece.part else { return Err("not binary".into()) };
                if bytes.iter().zip(*received..).any(|(byte, at)| *byte != byte_at(at)) {
                    return Err("the large message came back changed".into());
                }
                *received += bytes.len();
                if piece.last {
                    println!("client: received {received} bytes in pieces");
                    if *received != LARGE {
                        return Err("the large message came back with another length".into());
                    }
                    ws.ping(b"still there?", outbox)?;
                    *self = Self::Pinging;
                }
            }
            (Self::Pinging, Event::Pong(payload)) => {
                println!("client: Pong \"{}\"", payload.escape_ascii());
                ws.close(CloseCode::NORMAL, "that is all", outbox)?;
                *self = Self::Closing;
            }
            (Self::Closing, Event::Close(close)) => {
                println!("client: closed: {}", close.to_string().escape_debug());
                *self = if close.clean { Self::Closed } else { Self::Failed };
            }
            _ => return Err("an unexpected event".into()),
        }
        Ok(())
    }

    /// Adds the next fragment of the large message.
    fn go_on(&mut self, ws: &mut WebSocket<Client<StdRng>>, outbox: &mut Outbox) -> Result<(), SendError> {
        let Self::Large { sent, .. } = self else { return Ok(()) };
        if !outbox.is_empty() || *sent == LARGE {
            return Ok(());
        }
        let mut fragment = [0; FRAGMENT];
        let len = FRAGMENT.min(LARGE - *sent);
        fragment.iter_mut().zip(*sent..).for_each(|(byte, at)| *byte = byte_at(at));
        ws.send_piece(Fragment::new(&fragment[..len], *sent + len == LARGE), outbox)?;
        *sent += len;
        Ok(())
    }
}

fn byte_at(at: usize) -> u8 {
    (at % 251) as u8
}

fn main() -> ExitCode {
    let mut device = Loopback::new(Medium::Ip);
    let mut interface = Interface::new(InterfaceConfig::new(HardwareAddress::Ip), &mut device, Instant::ZERO);
    let address = IpAddress::v4(127, 0, 0, 1);
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(address, 8)).expect("room for one address");
    });

    let mut memory = [[0; RING]; 4];
    let [a, b, c, d] = memory.each_mut().map(|ring| tcp::SocketBuffer::new(&mut ring[..]));
    let mut storage = [SocketStorage::EMPTY; 2];
    let mut sockets = SocketSet::new(&mut storage[..]);
    let server_socket = sockets.add(tcp::Socket::new(a, b));
    let client_socket = sockets.add(tcp::Socket::new(c, d));
    for handle in [server_socket, client_socket] {
        sockets.get_mut::<tcp::Socket>(handle).set_nagle_enabled(false);
    }
    sockets.get_mut::<tcp::Socket>(server_socket).listen(80).expect("a port to listen on");
    let client_tcp = sockets.get_mut::<tcp::Socket>(client_socket);
    client_tcp.connect(interface.context(), (address, 80), 49152).expect("an address to connect to");

    let config = Config::new().delivery(Delivery::Pieces);
    let mut server = Endpoint::new(WebSocket::server(config));
    // A microcontroller would use its hardware random number generator.
    let mut client = Endpoint::new(WebSocket::client(config, StdRng::seed_from_u64(6455)));
    client.ws.connect(Connect::new("127.0.0.1", "/echo"), &mut client.outbox).expect("a valid request");

    let mut step = Step::Connecting;
    let mut served = true;
    // Each round advances the clock by a millisecond.
    for now in (0..60_000).map(Duration::from_millis) {
        interface.poll(Instant::from_millis(now.as_millis() as i64), &mut device, &mut sockets);

        let socket = sockets.get_mut::<tcp::Socket>(server_socket);
        server.receive(socket, ROOM, |ws, event, outbox| served &= echo(ws, event, outbox));
        server.ws.handle_timeout(now);
        server.send(socket);

        let socket = sockets.get_mut::<tcp::Socket>(client_socket);
        // The client also reads while its own fragments wait. Otherwise both sides could wait for
        // the other to read.
        client.receive(socket, 0, |ws, event, outbox| {
            if let Err(error) = step.take(ws, event, outbox) {
                println!("client: {error}");
                step = Step::Failed;
            }
        });
        if step.go_on(&mut client.ws, &mut client.outbox).is_err() {
            step = Step::Failed;
        }
        client.ws.handle_timeout(now);
        client.send(socket);

        if step == Step::Failed || client.ws.is_closed() && server.ws.is_closed() {
            println!("ended after {} ms", now.as_millis());
            break;
        }
    }
    if step == Step::Closed && served { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
