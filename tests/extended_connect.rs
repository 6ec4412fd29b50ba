//! A client and a server over a stream of HTTP/2 or HTTP/3: the headers of an extended CONNECT and
//! of its response (RFC 8441, RFC 9220), then frames.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Peer, Seen, rng};
use sansocket::handshake::{check_connect, check_connect_response};
use sansocket::{Client, CloseCode, Config, Connect, Established, Server, WebSocket};

/// Headers as a stack hands them over.
fn parsed<'h>(headers: &'h [(&str, &str)]) -> impl Iterator<Item = (&'h str, &'h [u8])> + Clone {
    headers.iter().map(|(name, value)| (*name, value.as_bytes()))
}

/// The subprotocol that server and client agree on.
fn agree<'o>(connect: &Connect<'o>, preferred: &[&str]) -> Option<&'o str> {
    connect.check().unwrap();
    let request: Vec<_> = connect.connect_headers().collect();
    let accept = check_connect(parsed(&request)).unwrap();
    let accept = accept.select(parsed(&request), preferred).unwrap_or(accept).headers(&[("server", "a")]);
    let response = accept.response();
    let headers: Vec<_> = response.headers().collect();
    let agreed = check_connect_response(response.status(), parsed(&headers), connect).unwrap();
    let protocols = connect.connect_headers().filter(|(name, _)| *name == "sec-websocket-protocol");
    protocols.map(|(_, value)| value).find(|offered| agreed.protocol() == Some(offered))
}

/// Proves: H3, H7, H8, J1.
#[test]
fn both_ends_agree_on_an_offered_subprotocol_or_none() {
    let connect = Connect::from_uri("wss://server.example.com/chat").unwrap();
    let connect = connect.headers(&[("origin", "https://server.example.com")]);
    assert_eq!(agree(&connect, &["v1"]), None);
    assert_eq!(agree(&connect.protocol("v1"), &[]), None);
    assert_eq!(agree(&connect.protocols(&["v3", "v2", "v1"]), &["v1", "v2"]), Some("v1"));
}

/// Proves: H5, H6, H8.
#[test]
fn neither_head_has_what_http_2_forbids_and_names_are_in_lower_case() {
    let connect = Connect::new("a", "/").protocol("v1");
    let request: Vec<_> = connect.connect_headers().collect();
    let accept = check_connect(parsed(&request)).unwrap().select(parsed(&request), &["v1"]).unwrap();
    let (response, refusal) = (accept.response(), check_connect([]).unwrap_err().response());
    assert_eq!((response.status(), refusal.status()), (200, 400));
    for (name, _) in request.iter().copied().chain(response.headers()).chain(refusal.headers()) {
        assert_eq!(name, name.to_ascii_lowercase());
        for forbidden in ["connection", "upgrade", "host", "sec-websocket-key", "sec-websocket-accept"] {
            assert_ne!(name, forbidden);
        }
    }
}

/// Proves: H10.
#[test]
fn the_stream_carries_masked_and_unmasked_frames_from_its_first_byte_on() {
    let mut server = Peer::new(WebSocket::<Established<Server>>::open(Config::default()));
    let mut client = Peer::new(WebSocket::<Established<Client<_>>>::open(Config::default(), rng()));
    client.ws.send("Hello", &mut client.outbox).unwrap();
    let sent = client.take_sent();
    assert_eq!(sent[..2], [0x81, 0x85], "masked");
    server.receive(&sent);
    assert_eq!(server.take_seen(), [Seen::Text("Hello".into())]);
    server.ws.send("Hello", &mut server.outbox).unwrap();
    let sent = server.take_sent();
    assert_eq!(sent, b"\x81\x05Hello");
    client.receive(&sent);
    assert_eq!(client.take_seen(), [Seen::Text("Hello".into())]);
    client.ws.close(CloseCode::NORMAL, "", &mut client.outbox).unwrap();
    server.receive(&client.take_sent());
    client.receive(&server.take_sent());
    for seen in [client.take_seen(), server.take_seen()] {
        assert_eq!(seen, [Seen::Close(1000, String::new(), true)]);
    }
    // The server ends the stream.
    assert!(server.ws.is_closed() && !client.ws.is_closed());
    client.eof();
    assert!(client.ws.is_closed() && client.take_seen().is_empty());
}
