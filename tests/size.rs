//! The size of a connection.

use sansocket::{Client, Established, Server, WebSocket};

#[test]
fn a_server_takes_at_most_384_bytes() {
    let (server, client) =
        (size_of::<WebSocket<Server>>(), size_of::<WebSocket<Client<rand::rngs::StdRng>>>());
    let client = client - size_of::<rand::rngs::StdRng>();
    println!("WebSocket<Server>: {server} bytes, WebSocket<Client<R>>: {client} bytes and R");
    assert!(server <= 384, "{server}");
    assert!(client <= 416, "{client}");
    assert_eq!(size_of::<WebSocket<Established<Server>>>(), server);
}

#[cfg(feature = "deflate")]
#[test]
fn compression_takes_at_most_256_bytes_and_the_window() {
    use sansocket::deflate::{Deflate, WithTables};
    let server = size_of::<WebSocket<Server>>();
    let without_window = size_of::<WebSocket<Deflate<Server, ()>>>();
    println!("WebSocket<Deflate<Server, ()>>: {without_window} bytes");
    assert!(without_window <= server + 256, "{without_window}");
    assert_eq!(size_of::<WebSocket<Deflate<Server, [u8; 512]>>>(), without_window + 512);
    let tables = size_of::<WebSocket<Deflate<Server, WithTables<()>>>>() - without_window;
    assert!(tables <= 6144, "{tables}");
}
