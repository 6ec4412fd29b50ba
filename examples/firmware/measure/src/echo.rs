//! An echo server in an async task, over the driver crate and as a bare loop: the same buffers, the
//! same timeouts. `../cost` measures their memory and stack, `../flash` their flash.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use embedded_io_async::{Read, Write};
use sansocket::{Accept, Config, Event, OutboxFull, Reject, Request, Server, WebSocket, heapless};
use sansocket_io::embedded_io_async::Embedded;
use sansocket_io::{AcceptError, Clock, Fixed, Settings, Socket};

const INPUT: usize = 512;
const INBOX: usize = 1024;
/// The longest reply, with its header, and a Pong.
const OUTBOX: usize = INBOX + 4 + 127;
const STALL: Duration = Duration::from_secs(4);
const LINGER: Duration = Duration::from_secs(2);

/// The machine, and the buffers with their lengths: what both have.
pub const MACHINE: usize = size_of::<WebSocket<Server>>();
pub const BUFFERS: usize = size_of::<([u8; INPUT], heapless::Vec<u8, INBOX>, heapless::Vec<u8, OUTBOX>)>();

/// Over the driver.
pub async fn driven<S: Read + Write>(
    stream: &mut S,
    clock: impl Clock,
    close: fn(&mut &mut S),
) -> Result<(), AcceptError<S::Error>> {
    let io = Embedded::with_close(stream, close);
    let settings = Settings::new().max_unsent(0).write_timeout(Some(STALL)).linger(LINGER);
    let memory = Fixed::<INPUT, INBOX, OUTBOX>::new();
    let mut socket = Socket::new(io, clock, WebSocket::server(Config::new()), memory, settings);
    socket.accept(answer).await?;
    while let Some((event, reply)) = socket.next().await {
        if let Event::Message(message) = event {
            let _ = reply.send(message);
        }
    }
    Ok(())
}

/// Accepts a request for `/`, and rejects all others.
fn answer<'a>(request: &Request<'_>) -> Result<Accept<'a>, Reject<'a>> {
    if request.target() == "/" { Ok(request.accept()) } else { Err(Reject::status(404)) }
}

/// The bare loop. It does not read while it writes.
pub async fn bare<S: Read + Write>(
    stream: &mut S,
    mut clock: impl Clock,
    close: fn(&mut &mut S),
) -> Result<(), S::Error> {
    let mut ws = WebSocket::server(Config::new());
    let mut buffer = [0; INPUT];
    let mut inbox = heapless::Vec::<u8, INBOX>::new();
    let mut outbox = heapless::Vec::<u8, OUTBOX>::new();
    while !ws.is_closed() {
        ws.handle_timeout(clock.now());
        let deadline = ws.poll_timeout();
        let mut input = match until(&mut clock, deadline, stream.read(&mut buffer)).await {
            Some(count) => {
                let count = count?;
                if count == 0 {
                    ws.receive_eof();
                }
                buffer.get_mut(..count).unwrap_or_default()
            }
            None => {
                ws.handle_timeout(clock.now());
                &mut []
            }
        };
        loop {
            let event = ws.receive(&mut input, &mut inbox);
            let has_event = event.is_some();
            // Replies fail only while the connection is closing.
            let _ = match event {
                Some(Event::Request(request)) if request.target() == "/" => {
                    ws.accept(request.accept(), &mut outbox).is_ok()
                }
                Some(Event::Request(_)) => ws.reject(Reject::status(404), &mut outbox).is_ok(),
                Some(Event::Message(message)) => ws.send(message, &mut outbox).is_ok(),
                _ => true,
            };
            let _: Result<(), OutboxFull> = ws.transmit(&mut outbox);
            if !outbox.is_empty() {
                let stall = clock.now().saturating_add(STALL);
                let Some(written) = until(&mut clock, Some(stall), write_all(stream, &outbox)).await else {
                    return Ok(());
                };
                written?;
                outbox.clear();
            }
            if !has_event {
                break;
            }
        }
    }
    let mut stream = stream;
    close(&mut stream);
    let linger = clock.now().saturating_add(LINGER);
    let rest = async { while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
    until(&mut clock, Some(linger), rest).await;
    Ok(())
}

async fn write_all<S: Write>(stream: &mut S, bytes: &[u8]) -> Result<(), S::Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = stream.write(rest).await?;
        rest = rest.get(written..).unwrap_or_default();
    }
    stream.flush().await
}

/// Waits for `work`, until the deadline.
async fn until<T>(
    clock: &mut impl Clock,
    deadline: Option<Duration>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match (work.as_mut().poll(cx), deadline) {
        (Poll::Ready(value), _) => Poll::Ready(Some(value)),
        (Poll::Pending, Some(at)) => clock.poll_until(cx, at).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}
