//! soketto, over the `AsyncRead + AsyncWrite` of `futures`, behind the buffers of its own example.

use super::{Peer, Receive, Receiving, Sending, doing, receiving};
use crate::{
    idle::{HELLO, hold},
    strict::LAST,
    wire::{Wire, now},
    work::Role,
};
use futures::io::{BufReader, BufWriter};
use soketto::{
    Incoming, Mode, Receiver, Sender,
    connection::Builder,
    handshake::{Client, Server, ServerResponse, server::Response},
};

type Io = BufReader<BufWriter<Wire>>;

pub fn peer() -> Peer {
    Peer {
        name: "soketto",
        utf8: "no: text is returned as bytes",
        notes: "behind `BufReader` (8 KiB) and `BufWriter` (16 KiB), as in its example; the caller's \
            vector is kept; one `flush` a pass; masking keys from rand's thread generator",
        receive: |Receiving { role, wire, count, .. }| {
            let (sender, receiver) = open(wire, role);
            receiving(Connection { _sender: sender, receiver, message: Vec::new() }, count)
        },
        echo: |Receiving { role, wire, count, .. }| {
            let ((mut sender, mut receiver), mut message) = (open(wire, role), Vec::new());
            doing(move || {
                now(async {
                    for _ in 0..count {
                        message.clear();
                        receiver.receive_data(&mut message).await.unwrap();
                        sender.send_binary_mut(&mut message).await.unwrap();
                    }
                    sender.flush().await.unwrap();
                })
            })
        },
        send: |Sending { role, wire, payload, count }| {
            let (mut sender, receiver) = open(wire, role);
            doing(move || {
                let _ = &receiver;
                now(async {
                    for _ in 0..count {
                        sender.send_binary(&payload).await.unwrap();
                    }
                    sender.flush().await.unwrap();
                })
            })
        },
        accept: Some(|wire| {
            now(async {
                let mut server = Server::new(wire);
                let key = server.receive_request().await.unwrap().key();
                server.send_response(&Response::Accept { key, protocol: None }).await.unwrap();
            });
        }),
        connect: Some(|wire| {
            let mut client = Client::new(wire, "server.example.com", "/chat");
            let Ok(ServerResponse::Accepted { .. }) = now(client.handshake()) else { panic!() };
        }),
        probe: Some(|wire| {
            let ((_sender, mut receiver), mut message) = (open(wire, Role::Server), Vec::new());
            now(async {
                loop {
                    message.clear();
                    match receiver.receive(&mut message).await.map_err(|error| error.to_string())? {
                        Incoming::Closed(_) => return Ok(false),
                        Incoming::Data(_) if message == LAST => return Ok(true),
                        _ => {}
                    }
                }
            })
        }),
        idle: Some(|count| {
            hold(count, |line| {
                now(async {
                    let mut server = Server::new(BufReader::new(BufWriter::new(line)));
                    let key = server.receive_request().await.unwrap().key();
                    server.send_response(&Response::Accept { key, protocol: None }).await.unwrap();
                    let (sender, mut receiver) = server.into_builder().finish();
                    let mut message = Vec::new();
                    receiver.receive_data(&mut message).await.unwrap();
                    assert_eq!(message, HELLO.as_bytes());
                    (sender, receiver)
                })
            })
        }),
    }
}

fn open(wire: Wire, role: Role) -> (Sender<Io>, Receiver<Io>) {
    let mode = match role {
        Role::Server => Mode::Server,
        Role::Client => Mode::Client,
    };
    let io = BufReader::with_capacity(8 * 1024, BufWriter::with_capacity(16 * 1024, wire));
    Builder::new(io, mode).finish()
}

struct Connection {
    /// Kept, because the receiver notices when its sender is dropped.
    _sender: Sender<Io>,
    receiver: Receiver<Io>,
    message: Vec<u8>,
}

impl Receive for Connection {
    fn receive(&mut self, count: usize, mut each: impl FnMut(bool, &[u8])) {
        now(async {
            for _ in 0..count {
                self.message.clear();
                let data = self.receiver.receive_data(&mut self.message).await.unwrap();
                each(data.is_text(), &self.message);
            }
        });
    }
}
