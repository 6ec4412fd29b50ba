//! Sends every message back, with smol: `smol_echo 127.0.0.1:9001`.

use sansocket_io::{Event, futures_io::Server};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".to_owned());
    let (interrupt, interrupted) = smol::channel::bounded(1);
    ctrlc::set_handler(move || _ = interrupt.try_send(()))?;
    smol::block_on(async {
        let server = Server::bind(address).await?;
        println!("listening on {}", server.local_addr()?);
        let spawn = |task| smol::spawn(task).detach();
        let echo = server.run(interrupted.recv(), spawn, |mut socket, peer| async move {
            if let Err(error) = socket.accept(|request| Ok(request.accept())).await {
                return eprintln!("{peer}: {error}");
            }
            while let Some((event, reply)) = socket.next().await {
                match event {
                    Event::Message(message) => _ = reply.send(message),
                    Event::Error(error) => eprintln!("{peer}: {error}"),
                    _ => {}
                }
            }
        });
        echo.await;
        Ok(())
    })
}
