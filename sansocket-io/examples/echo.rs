//! Sends every message back: `echo 127.0.0.1:9001`.

use sansocket_io::Event;
use sansocket_io::tokio::{Server, ServerSocket};
use std::io;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".to_owned());
    let server = Server::bind(address).await?;
    println!("listening on {}", server.local_addr()?);
    let stop = tokio::signal::ctrl_c();
    server
        .run(stop, |socket, peer| async move {
            if let Err(error) = echo(socket).await {
                eprintln!("{peer}: {error}");
            }
        })
        .await;
    Ok(())
}

async fn echo(mut socket: ServerSocket) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    socket.accept(|request| Ok(request.accept())).await?;
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Message(message) => reply.send(message)?,
            Event::Error(error) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
