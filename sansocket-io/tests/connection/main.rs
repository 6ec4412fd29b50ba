//! Connections whose transports are slow, cut short, reset or stalled: the same tests over each
//! kind of stream, on virtual time.

mod ends;
mod flow;
mod sending;
mod world;

use sansocket_io::sansocket::{Client, Established, Server, WebSocket};
use sansocket_io::{Heap, Settings, Socket, Transport};
use std::io;
use world::{Pipe, Time};

/// A connection of each side over pipes.
pub type ServerEnd<T> = Socket<Server, T, Time, Heap>;
pub type ClientEnd = Socket<Established<Client<rand::rngs::StdRng>>, Pipe, Time, Heap>;

pub fn server<T: Transport<Error = io::Error>>(io: T, time: &Time, settings: Settings) -> ServerEnd<T> {
    let ws = WebSocket::server(settings_config(settings));
    Socket::new(io, time.clone(), ws, Heap::default(), settings)
}

/// A server whose handshake is done.
pub fn open_server<T: Transport<Error = io::Error>>(io: T, time: &Time, settings: Settings) -> ServerEnd<T> {
    let ws = WebSocket::<Server>::open(settings_config(settings));
    Socket::new(io, time.clone(), ws, Heap::default(), settings)
}

pub fn open_client(io: Pipe, time: &Time) -> ClientEnd {
    let ws = WebSocket::<Established<Client<rand::rngs::StdRng>>>::open(Default::default(), rand::make_rng());
    Socket::new(io, time.clone(), ws, Heap::default(), Settings::new())
}

fn settings_config(_: Settings) -> sansocket_io::Config {
    sansocket_io::Config::new()
}

/// Runs each test over each kind of stream.
macro_rules! over_each_stream {
    ($($test:ident)*) => {
        mod direct {
            $(#[test]
            fn $test() {
                super::$test(|pipe| pipe);
            })*
        }
        #[cfg(feature = "tokio")]
        mod tokio {
            $(#[test]
            fn $test() {
                super::$test(sansocket_io::tokio::Tokio);
            })*
        }
    };
}
pub(crate) use over_each_stream;
