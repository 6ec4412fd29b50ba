//! A chat in one room: `chat 127.0.0.1:9001`. A member that reads too slowly is dropped, so that
//! the others need not wait, and the server's memory stays bounded.

use sansocket_io::tokio::{Server, ServerSocket};
use sansocket_io::{Broadcast, Event, Sender, TrySendError};
use std::io;
use std::sync::{Arc, Mutex};

type Room = Arc<Mutex<Vec<Sender>>>;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".to_owned());
    let server = Server::bind(address).await?;
    println!("listening on {}", server.local_addr()?);
    let room = Room::default();
    server.run(tokio::signal::ctrl_c(), move |socket, _| join(socket, room.clone())).await;
    Ok(())
}

async fn join(mut socket: ServerSocket, room: Room) {
    if socket.accept(|request| Ok(request.accept())).await.is_err() {
        return;
    }
    room.lock().unwrap().push(socket.reply().sender());
    while let Some((event, _)) = socket.next().await {
        if let Event::Message(message) = event {
            say(&room, &message.into());
        }
    }
}

/// Sends to all members. Those that have left or are too slow are removed.
fn say(room: &Room, message: &Broadcast) {
    room.lock().unwrap().retain(|member| match member.try_send(message) {
        Ok(()) => true,
        Err(TrySendError::Full(_)) => {
            member.abort();
            false
        }
        Err(TrySendError::Closed(_)) => false,
    });
}
