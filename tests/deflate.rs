//! Compression in the machine (RFC 7692).

use rand::SeedableRng;
use rand::rngs::StdRng;
use sansocket::deflate::{Better, Compressor, Deflate, Settings};
use sansocket::{Client, Config, Connect, Delivery, Event, Message, Part, Server, WebSocket};

#[test]
fn smoke() {
    for delivery in [Delivery::Whole, Delivery::Pieces] {
        let config = Config::new().delivery(delivery);
        let mut server: WebSocket<Deflate<Server, Vec<u8>>> =
            WebSocket::deflate_server(config, Settings::server(), Vec::new());
        let mut client: WebSocket<Deflate<Client<StdRng>, Vec<u8>>> =
            WebSocket::deflate_client(config, StdRng::seed_from_u64(1), Settings::client(), Vec::new());
        let (mut out, mut inbox) = (Vec::new(), Vec::new());
        client.connect(Connect::new("a", "/"), &mut out).unwrap();
        println!("{}", String::from_utf8_lossy(&out));
        let mut input = &mut out[..];
        let mut back = Vec::new();
        match server.receive(&mut input, &mut inbox) {
            Some(Event::Request(request)) => server.accept(request.accept(), &mut back).unwrap(),
            other => panic!("{other:?}"),
        }
        println!("{}", String::from_utf8_lossy(&back));
        println!("{:?}", server.receive(&mut &mut [][..], &mut inbox));
        let mut input = &mut back[..];
        println!("{:?}", client.receive(&mut input, &mut inbox));
        let mut compressor = Compressor::with_takeover(vec![0; 1024], vec![0; 6144]);
        let mut tokens = vec![0; 4096];
        for i in 0..20 {
            let text = format!("{{\"sensor\": {i}, \"value\": {}, \"unit\": \"°C\"}}", i * 7);
            let mut out = Vec::new();
            if i % 2 == 0 {
                client.send_deflated(&text[..], &mut compressor, &mut out).unwrap();
            } else {
                client.send_deflated(&text[..], &mut compressor.with_codes(&mut tokens), &mut out).unwrap();
            }
            println!("{} -> {}", text.len(), out.len());
            let mut input = &mut out[..];
            let mut got = String::new();
            let mut inbox = heapless::Vec::<u8, 60>::new();
            while let Some(event) = server.receive(&mut input, &mut inbox) {
                match event {
                    Event::Message(Message::Text(message)) => got.push_str(message),
                    Event::Piece(piece) => match piece.part {
                        Part::Text { lead, text } => {
                            got.extend(lead);
                            got.push_str(text);
                        }
                        other => panic!("{other:?}"),
                    },
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(got, text);
        }
        println!("{}", size_of_val(&server));
        let _ = Better;
    }
}
