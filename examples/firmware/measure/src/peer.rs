//! The application of `app`, with embedded-websocket: it echoes this library's pieces.

use crate::{BUFFER, consume, read, wants, write};
use embedded_websocket::{
    WebSocket, WebSocketCloseStatusCode as CloseCode, WebSocketReceiveMessageType as Received,
    WebSocketSendMessageType as Send, WebSocketState as State, WebSocketType,
};
use rand_core_06::RngCore;

/// Runs a connection after the opening handshake.
#[inline(always)]
pub fn run<R: RngCore, T: WebSocketType>(ws: &mut WebSocket<R, T>, outbox: &mut [u8]) {
    let mut buffer = [0; BUFFER];
    let mut payload = [0; BUFFER];
    loop {
        let mut input = &*read(&mut buffer);
        if input.is_empty() {
            return;
        }
        while !input.is_empty() {
            let result = match ws.read(input, &mut payload) {
                Ok(result) => result,
                Err(error) => {
                    consume(error);
                    return;
                }
            };
            input = input.get(result.len_from..).unwrap_or_default();
            let part = payload.get(..result.len_to).unwrap_or_default();
            let reply = match result.message_type {
                Received::Text => Send::Text,
                Received::Binary => Send::Binary,
                Received::Ping => Send::Pong,
                Received::CloseMustReply => Send::CloseReply,
                Received::Pong => continue,
                Received::CloseCompleted => {
                    consume(result.close_status);
                    return;
                }
            };
            if let Ok(len) = ws.write(reply, result.end_of_message, part, outbox) {
                write(outbox.get(..len).unwrap_or_default());
            }
        }
        if wants()
            && let Ok(len) = ws.write(Send::Ping, true, b"still there?", outbox)
        {
            write(outbox.get(..len).unwrap_or_default());
        }
        if wants()
            && let Ok(len) = ws.close(CloseCode::EndpointUnavailable, Some("that is all"), outbox)
        {
            write(outbox.get(..len).unwrap_or_default());
        }
        if ws.state == State::Closed {
            return;
        }
    }
}
