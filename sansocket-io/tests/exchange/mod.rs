//! A client's part in the tests of the async runtimes.

use sansocket_io::sansocket::ClientRole;
use sansocket_io::{Clock, CloseCode, Event, Memory, Socket, Transport};

/// Sends messages of all sizes to an echo server, checks that they come back, and closes.
pub async fn messages_of_all_sizes<R: ClientRole, T: Transport, C: Clock, M: Memory>(
    mut socket: Socket<R, T, C, M>,
) {
    let messages: Vec<Vec<u8>> =
        [0, 1, 125, 126, 4096, 65_535, 65_536, 1 << 20, 3 << 20, 5].map(|len| vec![9; len]).into();
    for message in &messages {
        socket.reply().send(message).unwrap();
    }
    let mut back = 0;
    while let Some((event, reply)) = socket.next().await {
        match event {
            Event::Message(message) => {
                assert!(message.as_bytes() == messages[back]);
                back += 1;
                if back == messages.len() {
                    reply.close(CloseCode::NORMAL, "bye").unwrap();
                }
            }
            Event::Close(close) => assert_eq!(close.to_string(), "1000 (clean)"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(back, messages.len());
}
