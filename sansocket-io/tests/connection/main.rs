//! Connections whose transports are slow, cut short, reset or stalled: the same tests over each
//! kind of stream, on virtual time.

mod ends;
mod flow;
mod sending;
#[cfg(feature = "stream")]
mod streams;
mod world;

use sansocket_io::sansocket::{Client, Established, Server, WebSocket};
use sansocket_io::{Config, Heap, Pooled, Settings, Socket, Transport};
use std::io;
use world::{Pipe, Time};

/// A connection of each side over pipes, and of each kind of memory on the heap.
pub type ServerEnd<T> = Socket<Server, T, Time, Heap>;
pub type ClientEnd = Socket<Established<Client<rand::rngs::StdRng>>, Pipe, Time, Pooled>;

pub fn server<T: Transport<Error = io::Error>>(io: T, time: &Time, settings: Settings) -> ServerEnd<T> {
    let ws = WebSocket::server(Config::new());
    Socket::new(io, time.clone(), ws, Heap::default(), settings)
}

/// A server whose handshake is done.
pub fn open_server<T: Transport<Error = io::Error>>(io: T, time: &Time, settings: Settings) -> ServerEnd<T> {
    let ws = WebSocket::<Server>::open(Config::new());
    Socket::new(io, time.clone(), ws, Heap::default(), settings)
}

pub fn open_client(io: Pipe, time: &Time) -> ClientEnd {
    let ws = WebSocket::<Established<Client<rand::rngs::StdRng>>>::open(Default::default(), rand::make_rng());
    Socket::new(io, time.clone(), ws, Pooled::default(), Settings::new())
}

/// Runs each test over each kind of stream.
macro_rules! over_each_stream {
    ($($test:ident)*) => {
        over_each_stream!(direct, |pipe| pipe, $($test)*);
        #[cfg(feature = "tokio")]
        over_each_stream!(tokio, sansocket_io::tokio::Tokio, $($test)*);
        #[cfg(feature = "futures-io")]
        over_each_stream!(futures_io, sansocket_io::futures_io::FuturesIo, $($test)*);
        #[cfg(feature = "blocking")]
        over_each_stream!(blocking, crate::world::Nonblocking::new, $($test)*);
        #[cfg(feature = "embedded-io-async")]
        over_each_stream!(embedded_io_async, |pipe| {
            sansocket_io::embedded_io_async::Embedded::with_close(pipe, crate::world::Pipe::end)
        }, $($test)*);
        #[cfg(feature = "embedded-io-async")]
        over_each_stream!(embedded_halves, |pipe| {
            sansocket_io::embedded_io_async::Embedded::with_close(
                crate::world::halves(pipe),
                |halves| halves.writer.end(),
            )
        }, $($test)*);
    };
    ($stream:ident, $wrap:expr, $($test:ident)*) => {
        mod $stream {
            $(#[test]
            fn $test() {
                super::$test($wrap);
            })*
        }
    };
}
pub(crate) use over_each_stream;
