//! The server: connections to `/` are echoed, those to `/device` are told what the device does.

use crate::api::{Command, Device};
use crate::{CHUNK, Inbox, Outbox, ROOM};
use core::time::Duration;
use sansocket::{
    Buffer, CloseCode, Config, Delivery, Event, OutboxFull, Part, Piece, Reject, Request, SendError, Server,
    Slice, WebSocket,
};
use smoltcp::socket::tcp;

pub const PORT: u16 = 80;

/// Short, since the slots are few: a peer that has vanished is noticed after four seconds.
const CONFIG: Config = Config::new()
    .delivery(Delivery::Pieces)
    .max_frame(u64::MAX)
    .max_message(u64::MAX)
    .handshake_timeout(Some(Duration::from_secs(2)))
    .idle_ping(Some(Duration::from_secs(2)))
    .pong_timeout(Some(Duration::from_secs(2)))
    .closing_timeout(Some(Duration::from_secs(2)));
/// How long TCP may take to end after the WebSocket has.
const LINGER: Duration = Duration::from_secs(2);

/// One slot: what a connection has beside its TCP socket.
pub struct Connection {
    ws: WebSocket<Server>,
    inbox: Inbox,
    purpose: Purpose,
    /// When the TCP socket is given up.
    deadline: Option<Duration>,
}

/// What the client has asked for.
enum Purpose {
    Echo,
    Device {
        /// The command, as far as it has come; `None` where it is longer than any.
        command: Option<Command>,
        /// The version of the state that the client has been told; `None` where it has to be told.
        told: Option<u32>,
    },
}

impl Connection {
    pub fn new() -> Self {
        Self { ws: WebSocket::server(CONFIG), inbox: Inbox::new(), purpose: Purpose::Echo, deadline: None }
    }

    /// Does what there is to do: whether there was any input. `outbox` is empty before and afterwards.
    pub fn turn(
        &mut self,
        socket: &mut tcp::Socket<'_>,
        device: &mut Device,
        outbox: &mut Outbox,
        now: Duration,
    ) -> bool {
        if !socket.is_open() {
            *self = Self::new();
            // It cannot fail: the socket is closed and the port is not 0.
            let _ = socket.listen(PORT);
        }
        if matches!(socket.state(), tcp::State::Listen | tcp::State::SynReceived) {
            return false;
        }
        let mut busy = false;
        // All that the outbox can hold must fit into the send ring. Where it does not, the rest of the input stays in
        // the receive ring, and TCP slows the peer down.
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
                // Events may be due that no input causes.
                self.take(&mut [], device, outbox);
            }
            send(socket, outbox);
            match taken {
                Ok(1..) => busy = true,
                _ => break,
            }
        }
        self.ws.handle_timeout(now);
        self.report(socket, device, outbox);
        if free(socket) >= outbox.capacity() {
            // What does not fit stays owed.
            let _: Result<(), OutboxFull> = self.ws.transmit(outbox);
            send(socket, outbox);
        }
        if self.ws.is_closed() {
            socket.close();
            // Else what the peer still sends would fill the ring, and its FIN behind it would not be seen.
            let _ = socket.recv(|ring| (ring.len(), ()));
            if now >= *self.deadline.get_or_insert(now + LINGER) {
                socket.abort();
            }
        }
        busy
    }

    /// Takes events as long as the outbox has room for the replies to one. Returns how much of the input it has taken.
    fn take(&mut self, mut input: &mut [u8], device: &mut Device, outbox: &mut Outbox) -> usize {
        let len = input.len();
        while outbox.remaining() >= ROOM
            && let Some(event) = self.ws.receive(&mut input, &mut self.inbox)
        {
            match event {
                Event::Request(request) => {
                    defmt::info!("{=str} is asked for", request.target());
                    self.purpose = answer(&mut self.ws, &request, outbox);
                }
                Event::Piece(piece) => match &mut self.purpose {
                    Purpose::Echo => match self.ws.send_piece(&piece, outbox) {
                        // After a Close there is nobody to send to.
                        Ok(()) | Err(SendError::NotOpen) => {}
                        Err(error) => defmt::error!("{}", error),
                    },
                    Purpose::Device { command, told } => {
                        collect(command, &piece);
                        if piece.last {
                            match command.take().map(|command| device.obey(&command)) {
                                Some(Ok(())) => *told = None,
                                _ => {
                                    let reason = "commands: led on, led off, count, state";
                                    // It can only fail where it is closing already.
                                    let _ = self.ws.close(CloseCode::POLICY_VIOLATION, reason, outbox);
                                }
                            }
                            *command = Some(Command::new());
                        }
                    }
                },
                Event::Error(error) => defmt::warn!("{}", error),
                Event::Close(close) => defmt::info!("{}", close),
                // A Ping has been answered by the machine, and messages come in pieces.
                Event::Open(_) | Event::Message(_) | Event::Ping(_) | Event::Pong(_) => {}
            }
            // What does not fit stays owed.
            let _: Result<(), OutboxFull> = self.ws.transmit(outbox);
        }
        len - input.len()
    }

    /// Tells the client of the device's state, where it has changed or the client has asked: straight into the send ring.
    fn report(&mut self, socket: &mut tcp::Socket<'_>, device: &Device, outbox: &mut Outbox) {
        let Purpose::Device { told, .. } = &mut self.purpose else { return };
        if *told == Some(device.version) || !self.ws.can_send() {
            return;
        }
        let report = device.report();
        let mut sent = socket.send(|ring| {
            let mut ring = Slice::new(ring);
            let sent = self.ws.send(report.as_str(), &mut ring);
            (ring.bytes().len(), sent)
        });
        // A ring lends what lies up to its end. Where that is too short, the outbox goes round the corner.
        if let Ok(Err(SendError::OutboxFull(full))) = sent
            && free(socket) >= full.needed
        {
            sent = Ok(self.ws.send(report.as_str(), outbox));
            send(socket, outbox);
        }
        if let Ok(Ok(())) = sent {
            *told = Some(device.version);
        }
    }
}

/// Accepts a request for what there is, refuses any other.
fn answer(ws: &mut WebSocket<Server>, request: &Request<'_>, outbox: &mut Outbox) -> Purpose {
    let (answered, purpose) = match request.target() {
        "/" => (ws.accept(request.accept(), outbox), Purpose::Echo),
        "/device" => {
            let purpose = Purpose::Device { command: Some(Command::new()), told: None };
            (ws.accept(request.accept(), outbox), purpose)
        }
        _ => (ws.reject(Reject::status(404), outbox), Purpose::Echo),
    };
    if let Err(error) = answered {
        defmt::error!("{}", error);
    }
    purpose
}

/// Adds a piece to a command. What is no text, or too long, is none.
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

/// How much the send ring has room for.
fn free(socket: &tcp::Socket<'_>) -> usize {
    socket.send_capacity() - socket.send_queue()
}

/// Moves the outbox into the send ring, where it fits.
fn send(socket: &mut tcp::Socket<'_>, outbox: &mut Outbox) {
    // After a reset there is nobody to send to.
    let _ = socket.send_slice(outbox);
    outbox.clear();
}
