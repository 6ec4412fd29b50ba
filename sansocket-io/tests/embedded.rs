//! A connection of fixed memory over a stream of embedded-io-async, on embassy's clock.

use embedded_io_async::{ErrorType, Read, Write};
use sansocket_io::embedded_io_async::Embedded;
use sansocket_io::sansocket::{Error, Server, WebSocket};
use sansocket_io::{Clock, Config, EmbassyClock, Event, Fixed, Settings, Socket};
use std::future::{pending, poll_fn};
use std::io;
use std::time::Duration;

/// A peer that takes everything and sends nothing.
struct Silent {
    taken: Vec<u8>,
}

impl ErrorType for Silent {
    type Error = io::Error;
}

impl Read for Silent {
    async fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        pending().await
    }
}

impl Write for Silent {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.taken.extend(bytes);
        Ok(bytes.len())
    }
    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_timeouts_of_the_protocol_are_kept() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let timeout = Some(Duration::from_millis(20));
    let config = Config::new().idle_ping(timeout).pong_timeout(timeout);
    let ws = WebSocket::<Server>::open(config);
    let memory = Fixed::<64, 128, 256>::new();
    let io = Embedded::new(Silent { taken: vec![] });
    let mut socket = Socket::new(io, EmbassyClock, ws, memory, Settings::new().linger(Duration::ZERO));
    smol::block_on(is_send(async {
        match socket.next().await {
            Some((Event::Error(error), _)) => assert_eq!(error, Error::PongTimeout),
            other => panic!("{other:?}"),
        }
        while is_send(socket.next()).await.is_some() {}
    }));
    let (io, failure) = socket.into_transport();
    assert!(failure.is_none());
    assert!(io.get_ref().taken.starts_with(b"\x89\0"), "{:?}", io.get_ref().taken);
}

#[test]
fn the_clock_wakes_not_before_its_time() {
    let mut clock = EmbassyClock;
    let at = clock.now() + Duration::from_micros(1500);
    smol::block_on(poll_fn(|cx| clock.poll_until(cx, at)));
    assert!(clock.now() >= at);
    let never = smol::future::poll_once(poll_fn(|cx| clock.poll_until(cx, Duration::MAX)));
    assert_eq!(smol::block_on(never), None);
}
