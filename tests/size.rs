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
