//! A program that drives a server's and a client's connection of fixed memory over a stream of
//! embedded-io-async, with input that the compiler cannot predict. It contains nothing else, so that
//! its panics come from the crate or its dependencies.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::future::poll_fn;
use core::hint::black_box;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use sansocket_io::embedded_io_async::{Embedded, Halves};
use sansocket_io::sansocket::{ClientRole, Role, ServerRole, WebSocket};
use sansocket_io::{
    Clock, CloseCode, Config, Connect, Event, Fixed, Memory, Reject, Reply, Settings, Socket, Transport,
};

/// Input and randomness that the compiler cannot predict.
struct Opaque;

impl Opaque {
    fn text(&self) -> &'static str {
        black_box("opaque")
    }
    fn number(&self) -> u64 {
        black_box(7)
    }
    fn count(&self) -> Poll<Result<usize, ErrorKind>> {
        black_box(Poll::Ready(Ok(7)))
    }
}

impl rand_core::TryRng for Opaque {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.number() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.number())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.iter_mut().for_each(|byte| *byte = self.number() as u8);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Opaque {}

impl ErrorType for Opaque {
    type Error = ErrorKind;
}

impl Read for Opaque {
    // An `async` function contains the panic of a future that is polled after its end.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, ErrorKind>> {
        black_box(buffer);
        poll_fn(|_| self.count())
    }
}

impl Write for Opaque {
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, ErrorKind>> {
        black_box(bytes);
        poll_fn(|_| self.count())
    }
    fn flush(&mut self) -> impl Future<Output = Result<(), ErrorKind>> {
        poll_fn(|_| self.count().map_ok(|_| ()))
    }
}

impl Clock for Opaque {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.number())
    }
    fn poll_until(&mut self, _: &mut Context<'_>, at: Duration) -> Poll<()> {
        if at > self.now() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// A panic that the test must find.
#[inline(never)]
fn fails_on_purpose() {
    assert!(Opaque.number() == 7);
}

#[unsafe(no_mangle)]
extern "C" fn main(_: i32, _: *const *const u8) -> i32 {
    fails_on_purpose();
    let timeout = Some(Duration::from_nanos(Opaque.number()));
    let config = Config::new().idle_ping(timeout).max_message(Opaque.number());
    let settings = Settings::new()
        .config(config)
        .max_unsent(Opaque.number() as usize)
        .max_read_buffer(Opaque.number() as usize)
        .write_timeout(timeout)
        .linger(Duration::from_nanos(Opaque.number()))
        .keep_memory(Duration::from_nanos(Opaque.number()));
    let memory = || Fixed::<512, 1024, 2048>::new();
    let io = Embedded::with_close(Opaque, |_| fails_not());
    serve(Socket::new(io, Opaque, WebSocket::server(config), memory(), settings));
    let io = Embedded::new(Halves { reader: Opaque, writer: Opaque });
    ask(Socket::new(io, Opaque, WebSocket::client(config, Opaque), memory(), settings));
    0
}

fn fails_not() {
    black_box(());
}

#[inline(never)]
fn serve<R: ServerRole, T: Transport, M: Memory>(mut socket: Socket<R, T, Opaque, M>) {
    drive(&mut socket, |event, reply| {
        if let Event::Request(request) = event {
            let _ = match request.select(&[Opaque.text()]) {
                Some(accept) => reply.accept(accept),
                None => reply.reject(Reject::status(404).body(b"not here")),
            };
        }
    });
}

#[inline(never)]
fn ask<R: ClientRole, T: Transport, M: Memory>(mut socket: Socket<R, T, Opaque, M>) {
    let (ws, outbox) = socket.reply().parts_mut();
    let _ = black_box(ws.connect(Connect::new(Opaque.text(), Opaque.text()), outbox));
    drive(&mut socket, |_, _| {});
}

fn drive<R: Role, T: Transport, M: Memory>(
    socket: &mut Socket<R, T, Opaque, M>,
    answer: impl Fn(&Event<'_>, &mut Reply<R, T, Opaque, M>),
) {
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some((event, reply))) = socket.poll_next(&mut cx) {
        answer(&event, reply);
        match event {
            Event::Message(message) => {
                let _ = black_box(reply.send(message));
            }
            Event::Piece(piece) => {
                let _ = black_box(reply.send_piece(&piece));
            }
            _ => {}
        }
        let _ = black_box(reply.ping(Opaque.text().as_bytes()));
        let _ = black_box(reply.pong(Opaque.text().as_bytes()));
        let _ = black_box(reply.close(CloseCode(Opaque.number() as u16), Opaque.text()));
        let _ = black_box((reply.unsent(), reply.failure().is_some(), reply.state()));
        let _ = black_box(reply.poll_flush(&mut cx));
    }
    let _ = black_box(socket.failure().is_some());
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
