//! The server: `/` echoes messages; `/device` takes commands and reports the device's state.

use crate::api::{Command, Device};
use crate::limits::{CHUNK, COMPRESSOR, CONFIG, DEFLATE, OwnCompressor, PIECE, REPLY, WINDOW, Window};
use core::time::Duration;
use sansocket::deflate::Deflate;
use sansocket::{
    Buffer, CloseCode, Event, OutboxFull, Part, Piece, Reject, Request, SendError, Server, Slice, WebSocket,
};
use smoltcp::socket::tcp;

pub const PORT: u16 = 80;

/// How long a closed connection waits for the peer to end the TCP connection.
const LINGER: Duration = Duration::from_secs(2);

pub type Inbox = heapless::Vec<u8, PIECE>;
pub type Outbox = heapless::Vec<u8, 1280>;
type Machine = WebSocket<Deflate<Server, Window>>;

/// The state of a connection, besides its TCP socket.
pub struct Connection {
    ws: Machine,
    compressor: OwnCompressor,
    inbox: Inbox,
    purpose: Purpose,
    /// When the TCP connection is aborted.
    deadline: Option<Duration>,
}

/// What the client requested.
enum Purpose {
    Echo,
    Device {
        /// The command received so far; `None` if it is invalid.
        command: Option<Command>,
        /// The version of the last report; `None` if the client needs a new one.
        reported: Option<u32>,
    },
}

impl Connection {
    pub fn new() -> Self {
        Self {
            ws: WebSocket::deflate_server(CONFIG, DEFLATE, WINDOW),
            compressor: COMPRESSOR,
            inbox: Inbox::new(),
            purpose: Purpose::Echo,
            deadline: None,
        }
    }

    /// Handles input, time and output. Returns whether there was input. Leaves `outbox` empty.
    pub fn turn(
        &mut self,
        socket: &mut tcp::Socket<'_>,
        device: &mut Device,
        outbox: &mut Outbox,
        now: Duration,
    ) -> bool {
        if !socket.is_open() {
            *self = Self::new();
            // Cannot fail: the socket is closed and the port is not 0.
            let _ = socket.listen(PORT);
        }
        if matches!(socket.state(), tcp::State::Listen | tcp::State::SynReceived) {
            return false;
        }
        let mut busy = false;
        // A full outbox must fit into the send ring. Otherwise the rest of the input stays in the
        // receive ring, and TCP slows the peer down.
        while free(socket) >= outbox.capacity() {
            let taken = socket.recv(|ring| {
                let len = ring.len().min(CHUNK);
                let input = ring.get_mut(..len).unwrap_or_default();
                let taken = self.take(input, device, outbox);
                (taken, taken)
            });
            if let Err(error) = taken {
                if error == tcp::RecvError::Finished {
                    self.ws.receive_eof();
                }
                // Poll for events that need no input.
                self.take(&mut [], device, outbox);
            }
            // Few bytes can stand for many pieces.
            let has_moved = matches!(taken, Ok(1..)) || !outbox.is_empty();
            send(socket, outbox);
            if !has_moved {
                break;
            }
            busy = true;
        }
        self.ws.handle_timeout(now);
        self.report(socket, device, outbox);
        if free(socket) >= outbox.capacity() {
            // A frame that does not fit stays pending.
            let _: Result<(), OutboxFull> = self.ws.transmit(outbox);
            send(socket, outbox);
        }
        if self.ws.is_closed() {
            socket.close();
            // Discard input, because a full ring would hide the peer's FIN.
            let _ = socket.recv(|ring| (ring.len(), ()));
            if now >= *self.deadline.get_or_insert(now + LINGER) {
                socket.abort();
            }
        }
        busy
    }

    /// Handles events while the outbox has room for a reply. Returns the number of bytes consumed.
    fn take(&mut self, mut input: &mut [u8], device: &mut Device, outbox: &mut Outbox) -> usize {
        let len = input.len();
        while outbox.remaining() >= REPLY
            && let Some(event) = self.ws.receive(&mut input, &mut self.inbox)
        {
            match event {
                Event::Request(request) => {
                    defmt::info!("request for {=str}", request.target());
                    self.purpose = answer(&mut self.ws, &request, outbox);
                }
                Event::Piece(piece) => match &mut self.purpose {
                    Purpose::Echo => {
                        match self.ws.send_piece_deflated(&piece, &mut self.compressor, outbox) {
                            // The connection is closing.
                            Ok(()) | Err(SendError::NotOpen) => {}
                            Err(error) => defmt::error!("{}", error),
                        }
                    }
                    Purpose::Device { command, reported } => {
                        collect(command, &piece);
                        if piece.last {
                            match command.take().map(|command| device.execute(&command)) {
                                Some(Ok(())) => *reported = None,
                                _ => {
                                    let reason = "commands: led on, led off, count, state";
                                    // Only fails if the connection is already closing.
                                    let _ = self.ws.close(CloseCode::POLICY_VIOLATION, reason, outbox);
                                }
                            }
                            *command = Some(Command::new());
                        }
                    }
                },
                Event::Error(error) => defmt::warn!("{}", error),
                Event::Close(close) => defmt::info!("{}", close),
                // The machine answers a Ping, and messages arrive in pieces.
                Event::Open(_) | Event::BadRequest(_) | Event::Refused(_) | Event::Message(_) => {}
                Event::Ping(_) | Event::Pong(_) => {}
            }
            // A frame that does not fit stays pending.
            let _: Result<(), OutboxFull> = self.ws.transmit(outbox);
        }
        len - input.len()
    }

    /// Sends the device's state if it has changed or was requested, directly into the send ring.
    fn report(&mut self, socket: &mut tcp::Socket<'_>, device: &Device, outbox: &mut Outbox) {
        let Purpose::Device { reported, .. } = &mut self.purpose else { return };
        if *reported == Some(device.version) || !self.ws.can_send() {
            return;
        }
        let report = device.report();
        let mut sent = socket.send(|ring| {
            let mut ring = Slice::new(ring);
            let sent = self.ws.send_deflated(report.as_str(), &mut self.compressor, &mut ring);
            (ring.bytes().len(), sent)
        });
        // The free part of the ring may be too short before its end: then use the outbox.
        if let Ok(Err(SendError::OutboxFull(full))) = sent
            && free(socket) >= full.needed
        {
            sent = Ok(self.ws.send_deflated(report.as_str(), &mut self.compressor, outbox));
            send(socket, outbox);
        }
        if let Ok(Ok(())) = sent {
            *reported = Some(device.version);
        }
    }
}

/// Accepts requests for known paths, and rejects all others.
fn answer(ws: &mut Machine, request: &Request<'_>, outbox: &mut Outbox) -> Purpose {
    let (result, purpose) = match request.target() {
        "/" => (ws.accept(request.accept(), outbox), Purpose::Echo),
        "/device" => {
            let purpose = Purpose::Device { command: Some(Command::new()), reported: None };
            (ws.accept(request.accept(), outbox), purpose)
        }
        _ => (ws.reject(Reject::status(404), outbox), Purpose::Echo),
    };
    if let Err(error) = result {
        defmt::error!("{}", error);
    }
    purpose
}

/// Adds a piece to a command. Binary and too long messages are invalid commands.
fn collect(command: &mut Option<Command>, piece: &Piece<'_>) {
    let added = match (command.as_mut(), &piece.part) {
        (Some(command), Part::Text { lead, text }) => {
            lead.iter().try_for_each(|lead| command.push(*lead)).and_then(|()| command.push_str(text)).is_ok()
        }
        _ => false,
    };
    if !added {
        *command = None;
    }
}

/// The free space in the send ring.
fn free(socket: &tcp::Socket<'_>) -> usize {
    socket.send_capacity() - socket.send_queue()
}

/// Moves the outbox into the send ring. There must be room.
fn send(socket: &mut tcp::Socket<'_>, outbox: &mut Outbox) {
    // Fails after a reset, when the bytes are useless.
    let _ = socket.send_slice(outbox);
    outbox.clear();
}
