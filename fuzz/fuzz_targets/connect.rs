//! Proves that a client's request has the URI, subprotocols and headers that its caller gave, by a
//! naive parser of URIs and by httparse, that a server receives the same and opens the connection,
//! and that a request which cannot be made sends nothing.
#![no_main]

use sansocket::{Config, Connect, ConnectError, Event, Server, WebSocket};
use sansocket_fuzz::heads::{self, Head};
use sansocket_fuzz::{Choices, Peer, TestClient, inbox, rng};

// The index of the subprotocol that the server selects; then the URI, the subprotocols (separated
// by commas) and a header, each with its length before it.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut choices = Choices(data);
    let index = usize::from(choices.byte());
    let mut text = || str::from_utf8(choices.counted()).unwrap_or("");
    let (uri, protocols, header) = (text(), text(), text());
    let protocols: Vec<&str> = protocols.split(',').filter(|one| !one.is_empty()).collect();
    let headers: Vec<(&str, &str)> = header.split_once(':').into_iter().collect();

    let Ok(connect) = Connect::from_uri(uri) else { return assert!(!is_plain(uri), "{uri:?} is refused") };
    let naive = Naive::read(uri);
    assert_eq!((connect.host(), connect.port(), connect.is_secure()), (naive.host, naive.port, naive.secure));
    assert_eq!((connect.authority(), connect.zone()), (&naive.authority[..], naive.zone));
    let connect = match protocols[..] {
        [one] => connect.protocol(one),
        _ => connect.protocols(&protocols),
    };
    let connect = connect.headers(&headers);

    let mut client = Peer::new(WebSocket::<TestClient>::client(Config::default(), rng()), inbox(2));
    assert!(!format!("{connect:?}").is_empty(), "Debug does not panic");
    let connected = client.ws.connect(connect, &mut client.outbox);
    assert!(!format!("{:?}", client.ws).is_empty(), "Debug does not panic");
    if let Err(error) = connected {
        assert!(client.outbox.is_empty());
        // No random byte was drawn: the next key is the generator's first.
        client.ws.connect(Connect::new("a", "/"), &mut client.outbox).unwrap();
        assert_eq!(Head::read(&client.outbox).0.value("sec-websocket-key"), Some(heads::CLIENT_KEY));
        let unique = protocols
            .iter()
            .enumerate()
            .all(|(at, one)| heads::is_token(one) && !protocols[..at].contains(one));
        return assert!(match error {
            ConnectError::InvalidHost => !is_plain(uri),
            ConnectError::InvalidProtocol => !unique,
            ConnectError::TooManyProtocols => protocols.len() > 32,
            ConnectError::InvalidHeader => !headers.is_empty(),
            _ => false,
        });
    }
    let request = std::mem::take(&mut client.outbox);
    let (head, _) = Head::read(&request);
    let parsed = heads::parse_request(&request).expect("httparse reads the request");
    assert_eq!(parsed.len, request.len());
    assert_eq!(head.parts(), ["GET", &naive.target, "HTTP/1.1"]);
    assert_eq!(head.value("host"), Some(&naive.host_header[..]));
    assert_eq!(parsed.fields.len(), 5 + usize::from(!protocols.is_empty()) + headers.len());
    for (name, value) in &headers {
        let value = value.trim_matches([' ', '\t']);
        assert_eq!(head.values(&name.to_ascii_lowercase()), [value.as_bytes()]);
    }

    let scheme = if naive.secure { "https" } else { "http" };
    assert_eq!(connect.http_uri().to_string(), format!("{scheme}://{}{}", naive.host_header, naive.target));
    let offers = protocols.iter().map(|protocol| ("sec-websocket-protocol", *protocol));
    let version = [("sec-websocket-version", "13")];
    assert!(connect.connect_headers().eq(version.into_iter().chain(offers).chain(headers.iter().copied())));

    // `server_head` covers heads over the server's limit.
    if request.len() > 8 << 10 {
        return;
    }
    let mut server = Peer::new(WebSocket::<Server>::server(Config::default()), inbox(2));
    let selected = protocols.get(index).copied();
    server.receive(&mut request.clone(), |ws, event, _, outbox| {
        if let Event::Request(request) = event {
            assert_eq!((request.target(), request.host()), (&naive.target[..], &naive.host_header[..]));
            assert!(request.protocols().eq(protocols.iter().copied()));
            assert_eq!(request.to_string(), format!("{}{}", naive.host_header, naive.target));
            for (name, _) in &headers {
                assert_eq!(
                    request.header(name).map(<[u8]>::to_vec),
                    head.values(&name.to_ascii_lowercase()).first().map(|value| value.to_vec())
                );
            }
            let accept = selected.map_or(Some(request.accept()), |selected| request.select(&[selected]));
            ws.accept(accept.unwrap(), outbox).unwrap();
        }
        true
    });
    let mut opened = false;
    client.receive(&mut server.outbox, |_, event, _, _| {
        if let Event::Open(open) = event {
            assert_eq!((open.protocol(), open.header("upgrade")), (selected, Some(&b"websocket"[..])));
            opened = true;
        }
        true
    });
    assert!(opened, "{:?} {:?}", server.record, client.record);
});

/// A URI, parsed in the simplest way.
struct Naive<'u> {
    secure: bool,
    /// Without brackets and zone.
    host: &'u str,
    zone: Option<&'u str>,
    port: u16,
    /// Without the scheme's default port.
    authority: String,
    /// The same without the zone.
    host_header: String,
    target: String,
}

impl<'u> Naive<'u> {
    fn read(uri: &'u str) -> Self {
        let (scheme, rest) = uri.split_once("://").unwrap();
        let secure = scheme.eq_ignore_ascii_case("wss");
        assert!(secure || scheme.eq_ignore_ascii_case("ws"));
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        assert!(!authority.contains('@') && !rest.contains('#'));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let default = if secure { 443 } else { 80 };
        let port = if port.is_empty() { default } else { port.parse().unwrap() };
        let authority = if port == default { host.to_owned() } else { authority.to_owned() };
        let (mut address, mut zone) = (host, None);
        let mut host_header = authority.clone();
        if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            address = inside;
            if let Some((before, after)) = inside.split_once('%') {
                host_header = authority.replace(&format!("%{after}"), "");
                (address, zone) = (before, Some(after.strip_prefix("25").unwrap_or(after)));
            }
            // The end of an IPv4 address is checked for its characters only.
            assert!(address.contains('.') || is_ipv6(address), "{address} in brackets");
            assert!(zone.is_none_or(heads::is_token), "{zone:?}");
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Self { secure, host: address, zone, port, authority, host_header, target: format!("{slash}{target}") }
    }
}

/// Whether a URI is simple enough that it must be accepted.
fn is_plain(uri: &str) -> bool {
    let Some((_, rest)) = uri.split_once("://").filter(|(scheme, _)| ["ws", "wss"].contains(scheme)) else {
        return false;
    };
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let all =
        |text: &str, more: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || more.contains(one));
    let (is_host, port) = match authority.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((address, port)) => {
            let (address, zone) = address.split_once("%25").unwrap_or((address, "zone"));
            let port = if port.is_empty() { Some("1") } else { port.strip_prefix(':') };
            (is_ipv6(address) && !zone.is_empty() && all(zone, "-_.~"), port.unwrap_or("x"))
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, "1"));
            (!host.is_empty() && all(host, "-."), port)
        }
    };
    is_host
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok()
        && all(target, "/?&=-._~%")
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}
