//! The opening handshake in one call (RFC 6455 section 4).

use crate::memory::Memory;
use crate::socket::Socket;
use crate::transport::{Clock, Transport};
use crate::{AcceptError, OpenError};
use sansocket::{Accept, ClientRole, Connect, Error, Event, Open, Reject, Request, ServerRole};

impl<R: ServerRole, T: Transport, C: Clock, M: Memory> Socket<R, T, C, M> {
    /// Waits for the client's request, and answers it as `decide` says: with `request.accept()`,
    /// for example, or a [`Reject`]. Afterwards messages can be sent and received.
    ///
    /// A rejected client gets the whole response before this returns. If the answer takes time, use
    /// [`next`](Self::next) and answer [`Event::Request`] instead.
    ///
    /// Not cancel-safe: drop the socket too.
    ///
    /// # Errors
    /// [`AcceptError`]: the connection has ended.
    pub async fn accept<'a>(
        &mut self,
        decide: impl FnOnce(&Request<'_>) -> Result<Accept<'a>, Reject<'a>>,
    ) -> Result<(), AcceptError<T::Error>> {
        let mut decide = Some(decide);
        let mut cause = None;
        while let Some((event, reply)) = self.next().await {
            match event {
                Event::Request(request) => {
                    if let Some(decide) = decide.take() {
                        reply.answer(decide(&request)).map_err(AcceptError::Answer)?;
                    }
                }
                // The client waits for the response, whatever the program does next.
                Event::Open(_) => {
                    reply.flush().await;
                    return Ok(());
                }
                Event::Error(error) => cause = Some(error),
                _ => {}
            }
        }
        Err(match (self.reply().failure.take(), cause) {
            (Some(failure), _) => AcceptError::Transport(failure),
            (None, Some(error)) => AcceptError::Client(error),
            (None, None) => AcceptError::Rejected,
        })
    }
}

impl<R: ClientRole, T: Transport, C: Clock, M: Memory> Socket<R, T, C, M> {
    /// Sends the request, and waits for the response. Afterwards messages can be sent and received.
    /// `on_open` sees the response with status 101: its headers and the subprotocol; what it
    /// returns is returned.
    ///
    /// Not cancel-safe: drop the socket too.
    ///
    /// # Errors
    /// [`OpenError`]: the connection has ended. After a redirect or a 401 it carries the status and
    /// the headers.
    pub async fn connect<O>(
        &mut self,
        connect: Connect<'_>,
        on_open: impl FnOnce(&Open<'_>) -> O,
    ) -> Result<O, OpenError<T::Error>> {
        self.reply().connect(connect).map_err(OpenError::Request)?;
        let mut cause = Error::EndOfStream;
        while let Some((event, _)) = self.next().await {
            match event {
                Event::Open(open) => return Ok(on_open(&open)),
                #[cfg(feature = "alloc")]
                Event::Refused(response) => return Err(OpenError::Refused(crate::Refusal::new(&response))),
                Event::Error(error) => {
                    cause = error;
                    break;
                }
                _ => {}
            }
        }
        let failure = self.reply().failure.take();
        Err(failure.map_or(OpenError::Server(cause), OpenError::Transport))
    }
}
