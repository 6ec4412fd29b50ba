//! Sends every message back, with a thread for each connection: `blocking_echo 127.0.0.1:9001`.

use sansocket_io::{Event, blocking::Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9001".to_owned());
    let server = Server::bind(address)?;
    println!("listening on {}", server.local_addr()?);
    let stop = server.stop_handle();
    ctrlc::set_handler(move || stop.stop())?;
    server.run(|mut socket, peer| {
        if let Err(error) = socket.accept(|request| Ok(request.accept())) {
            return eprintln!("{peer}: {error}");
        }
        while let Some((event, reply)) = socket.next() {
            match event {
                Event::Message(message) => _ = reply.send(message),
                Event::Error(error) => eprintln!("{peer}: {error}"),
                _ => {}
            }
        }
    });
    Ok(())
}
