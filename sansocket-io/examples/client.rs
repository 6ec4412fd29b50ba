//! Sends a Ping, waits for the Pong, and closes: `client ws://127.0.0.1:9001/`.

use sansocket_io::{CloseCode, Event, tokio::connect};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let uri = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:9001/".to_owned());
    let mut socket = connect(&uri).await?;
    socket.reply().ping(b"are you there?")?;
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Pong(_) => reply.close(CloseCode::NORMAL, "")?,
            Event::Error(error) => return Err(error.into()),
            Event::Close(close) => println!("closed: {close}"),
            _ => {}
        }
    }
    Ok(())
}
