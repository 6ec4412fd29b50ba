//! Sends a Ping, waits for the Pong, and closes: `ping ws://127.0.0.1:9001/`.

use sansocket_io::tokio::connect_with;
use sansocket_io::{CloseCode, Config, Connect, Event, Settings};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let uri = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:9001/".to_owned());
    // A peer that is silent for 10 seconds is sent a Ping, and has 5 to answer.
    let seconds = |count| Some(Duration::from_secs(count));
    let config = Config::new().idle_ping(seconds(10)).pong_timeout(seconds(5));
    let settings = Settings::new().config(config).connect_timeout(seconds(5));
    let (mut socket, ()) = connect_with(Connect::from_uri(&uri)?, settings, |_| ()).await?;
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
