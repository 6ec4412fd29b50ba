//! The program of `flash_server`, with embedded-websocket.
#![no_std]
#![no_main]

use embedded_websocket::{WebSocketServer, read_http_header};
use measure::{BUFFER, consume, read, write};

#[measure::entry]
fn main() -> ! {
    measure::start();
    let mut ws = WebSocketServer::new_server();
    let mut outbox = [0; 2 * BUFFER];
    let mut buffer = [0; BUFFER];
    let mut head = heapless::Vec::<u8, BUFFER>::new();
    // The application has to find and parse the head.
    loop {
        if head.extend_from_slice(read(&mut buffer)).is_err() {
            break;
        }
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(_)) => {
                let headers = request.headers.iter().map(|header| (header.name, header.value));
                if let (Some("/"), Ok(Some(context))) = (request.path, read_http_header(headers)) {
                    let protocol = context.sec_websocket_protocol_list.first();
                    if let Ok(len) = ws.server_accept(&context.sec_websocket_key, protocol, &mut outbox) {
                        write(&outbox[..len]);
                    }
                } else {
                    write(b"HTTP/1.1 404 Not Found\r\n\r\n");
                }
                break;
            }
            Ok(httparse::Status::Partial) => {}
            Err(error) => {
                consume(error);
                break;
            }
        }
    }
    measure::peer::run(&mut ws, &mut outbox);
    measure::end()
}
