//! Sends every message back: `echo 127.0.0.1:9001`.

use sansocket_io::{Event, tokio::accept};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve(stream: TcpStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut socket = accept(stream, |request| Ok(request.accept())).await?;
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Message(message) => reply.send(message)?,
            Event::Error(error) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
