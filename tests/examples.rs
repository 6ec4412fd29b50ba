//! Runs the examples as child processes, connected over loopback.

#[path = "interop/process.rs"]
#[allow(dead_code)]
mod process;

use process::{Process, example};
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const REQUEST: &str = "GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn start(name: &str, args: &[&str]) -> Process {
    let program = example(name);
    Process::start(Command::new(program).args(args), Instant::now() + Duration::from_secs(20)).unwrap()
}

/// Starts a server; returns it and its address.
fn serve(name: &str, flags: &[&str]) -> (Process, String) {
    let server = start(name, &[&["127.0.0.1:0"], flags].concat());
    let address = server.output.listening();
    (server, address)
}

fn client(address: &str, path: &str, flags: &[&str]) -> Process {
    start("client", &[&[&*format!("ws://{address}{path}")], flags].concat())
}

/// Sends `request` and reads until `done` returns true or the stream ends.
fn exchange(address: &str, request: &[u8], done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request).unwrap();
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    while !done(&received) {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            len => received.extend_from_slice(&buffer[..len]),
        }
    }
    received
}

#[test]
fn the_client_talks_to_the_echo_server() {
    for flags in [&["--heap"][..], &["--fixed"], &["--pieces"], &["--fixed", "--pieces"]] {
        let (_server, address) = serve("echo_server", flags);
        let mut client = client(&address, "/", &[]);
        // Sent before the opening handshake is complete.
        client.send("aé€😀");
        client.output.expect("open");
        client.output.expect("text: aé€😀");
        client.send("");
        client.output.expect("text: ");
        client.send("/binary 00fF7f");
        client.output.expect("binary: 00ff7f");
        client.send("/binary ");
        client.output.expect("binary: ");
        client.send("/fragments one two three");
        client.output.expect("text: onetwothree");
        client.send("/ping a b\u{7}");
        client.output.expect("pong: a b\\x07");
        client.send("/close 4321 that is all");
        // The code is echoed, the reason is not.
        client.output.expect("close: 4321 (clean)");
        assert!(client.exit().success());
    }
}

#[test]
fn the_client_sends_and_receives_a_large_file_at_the_same_time() {
    // Larger than the socket buffers, so that both sides have to read while they write.
    let bytes: Vec<u8> = (0..6 << 20).map(|at| (at % 251) as u8).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples-file");
    fs::write(&path, &bytes).unwrap();
    let table: Vec<String> = (0..=255).map(|byte| format!("{byte:02x}")).collect();
    let hex: String = bytes.iter().map(|byte| table[usize::from(*byte)].as_str()).collect();
    for flags in [&["--pieces"][..], &[]] {
        let (_server, address) = serve("echo_server", flags);
        let mut client = client(&address, "/", &[]);
        client.output.expect("open");
        client.send(format!("/file {}", path.display()));
        client.output.expect(&format!("binary: {hex}"));
        client.end_input();
        client.output.expect("close: 1000 (clean)");
        assert!(client.exit().success());
    }
}

#[test]
fn the_client_reports_a_malformed_command_and_continues() {
    let (_server, address) = serve("echo_server", &[]);
    let mut client = client(&address, "/", &[]);
    client.output.expect("open");
    let (too_long, reason) = ("x".repeat(126), "x".repeat(124));
    for malformed in [
        "/close one",
        "/close 1005",
        "/close 99999",
        &*format!("/close 1000 {reason}"),
        &*format!("/ping {too_long}"),
        "/binary 0",
        "/binary 0g",
        "/binary é",
        "/file /no/such/file",
        "/fragments",
        "/fly",
    ] {
        client.send(malformed);
    }
    client.send("still here");
    client.output.expect("text: still here");
    client.end_input();
    client.output.expect("close: 1000 (clean)");
    assert!(client.exit().success());
    assert_eq!(client.output.log().lines().count(), 3 + 11, "one line each: {}", client.output.log());
}

#[test]
fn the_client_exits_when_the_server_closes() {
    let (_server, address) = serve("echo_server", &["--bye", "enough"]);
    let mut client = client(&address, "/", &[]);
    client.output.expect("open");
    client.send("enough");
    client.output.expect("close: 1000 enough (clean)");
    // The input of the client is still open.
    assert!(client.exit().success());
}

#[test]
fn the_client_fails_on_a_refusal_a_missing_server_and_a_tls_url() {
    let (server, address) = serve("echo_server", &["--origin", "http://good.example"]);
    let mut refused = client(&address, "/", &["--header", "Origin: http://bad.example"]);
    refused.output.expect("error: the server refused with status 403");
    refused.output.expect("close: 1006 (not clean)");
    assert_eq!(refused.exit().code(), Some(1));
    let mut accepted = client(&address, "/", &["--header", "Origin: http://good.example"]);
    accepted.output.expect("open");
    drop(server);
    // The server was killed and sent no Close frame.
    assert_eq!(accepted.exit().code(), Some(1));

    for url in [format!("ws://{address}/"), "wss://localhost/".into(), "http://localhost/".into()] {
        let mut client = start("client", &[&url]);
        assert_eq!(client.exit().code(), Some(1));
        let log = client.output.log();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(!url.starts_with("wss") || log.contains("TLS"), "{log}");
    }
}

#[test]
fn the_echo_server_selects_the_subprotocol_it_prefers() {
    let (_server, address) = serve("echo_server", &["--protocol", "v2", "--protocol", "v1"]);
    for (offered, line) in [
        (&["--protocol", "v1", "--protocol", "v2"][..], "open protocol=v2"),
        (&["--protocol", "v1"], "open protocol=v1"),
        (&["--protocol", "v3"], "open"),
        (&[], "open"),
    ] {
        let mut client = client(&address, "/", offered);
        client.output.expect(line);
        client.end_input();
        client.output.expect("close: 1000 (clean)");
        assert!(client.exit().success());
    }
}

#[test]
fn a_message_larger_than_a_fixed_buffer_closes_with_1009() {
    let (_server, address) = serve("echo_server", &["--fixed"]);
    let mut client = client(&address, "/", &[]);
    client.output.expect("open");
    client.send("x".repeat(4096));
    client.output.expect(&format!("text: {}", "x".repeat(4096)));
    client.send("x".repeat(4097));
    client.output.expect("close: 1009 (clean)");
    assert!(client.exit().success());
}

#[test]
fn tokio_echo_answers_a_request_after_a_lookup() {
    let (_server, address) = serve("tokio_echo", &[]);
    let mut guest = client(&address, "/", &[]);
    guest.output.expect("open");
    let large = "aé€😀".repeat(100_000);
    guest.send(&*large);
    guest.output.expect(&format!("text: {large}"));
    guest.send("/close");
    guest.output.expect("close: 1005 (clean)");
    assert!(guest.exit().success());
    let mut unknown = client(&address, "/?token=mallory", &[]);
    unknown.output.expect("error: the server refused with status 401");
    unknown.output.expect("close: 1006 (not clean)");
    assert_eq!(unknown.exit().code(), Some(1));

    let glued = [REQUEST.replace("/socket", "/?token=alice").as_bytes(), b"\r\n", GLUED].concat();
    let received = exchange(&address, &glued, |received| received.ends_with(b"\x81\x05glued"));
    let received = String::from_utf8_lossy(&received).into_owned();
    assert!(
        received.starts_with("HTTP/1.1 101 ") && received.contains("\r\nX-Name: alice\r\n"),
        "{received}"
    );
    assert!(received.ends_with("glued"), "{received}");
}

/// A text message from a client, with masking key 0.
const GLUED: &[u8] = b"\x81\x85\0\0\0\0glued";

#[test]
fn a_page_and_its_websocket_share_a_port() {
    let (_server, address) = serve("page_and_socket", &[]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let page = exchange(&address, get("/").as_bytes(), |_| false);
    let page = String::from_utf8(page).unwrap();
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/html; charset=utf-8"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    assert!(body.contains("new WebSocket(") && body.ends_with("</html>\n"));

    for (request, status) in [(get("/other"), 404), (get("/socket"), 426)] {
        let response = exchange(&address, request.as_bytes(), |_| false);
        assert!(
            response.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
            "{}",
            response.escape_ascii()
        );
    }
    let cross_origin = format!("{REQUEST}Origin: http://elsewhere\r\n\r\n");
    let response = exchange(&address, cross_origin.as_bytes(), |_| false);
    assert!(response.starts_with(b"HTTP/1.1 403 "), "{}", response.escape_ascii());

    let same_origin = format!("{REQUEST}Origin: http://a\r\n\r\n");
    let glued = [same_origin.as_bytes(), GLUED].concat();
    let response = exchange(&address, &glued, |received| received.ends_with(b"\x81\x05glued"));
    assert!(response.starts_with(b"HTTP/1.1 101 "), "{}", response.escape_ascii());
    assert!(response.ends_with(b"\r\n\r\n\x81\x05glued"), "{}", response.escape_ascii());

    let mut client = client(&address, "/socket", &[]);
    client.send("hello");
    client.output.expect("open");
    client.output.expect("text: hello");
    client.end_input();
    client.output.expect("close: 1000 (clean)");
    assert!(client.exit().success());
}

#[test]
fn the_demo_keeps_http_connections_open_and_refuses_bad_requests() {
    let (_server, address) = serve("demo", &[]);
    let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    // Two pipelined requests on one connection; the second one closes it.
    let two = get("/", "") + &get("/style.css", "Connection: close\r\n");
    let both = String::from_utf8(exchange(&address, two.as_bytes(), |_| false)).unwrap();
    assert_eq!(both.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{both}");
    assert!(both.contains("</html>\nHTTP/1.1 200 OK\r\nContent-Type: text/css"), "{both}");

    // Every file that the page refers to exists.
    let page = include_str!("../examples/demo/page/index.html");
    for path in page.split('"').filter(|text| text.starts_with('/')) {
        let response = exchange(&address, get(path, "Connection: close\r\n").as_bytes(), |_| false);
        assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n"), "{path}: {}", response.escape_ascii());
    }

    let cross_origin = REQUEST.replace("/socket", "/watch") + "Origin: http://elsewhere\r\n\r\n";
    let unknown = REQUEST.replace("/socket", "/talk?session=none") + "\r\n";
    for (request, status) in [
        (get("/other", ""), 404),
        (get("/../Cargo.toml", ""), 404),
        (get("/watch", ""), 426),
        (get("/race/poll?session=none&after=-1", ""), 404),
        (get("/race/long-poll", ""), 404),
        (get("/", &format!("X: {}\r\n", "x".repeat(64 << 10))), 431),
        (get("/", "Content-Length: 5\r\n"), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 405),
        ("\0\u{1}\u{2}\r\n\r\n".into(), 400),
        (unknown, 404),
        (cross_origin, 403),
    ] {
        let response = exchange(&address, request.as_bytes(), |_| false);
        let expected = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(expected.as_bytes()), "{status}: {}", response.escape_ascii());
    }
}

#[test]
fn the_demo_reports_server_events_to_the_page_and_follows_its_commands() {
    let (_server, address) = serve("demo", &[]);
    let watch = client(&address, "/watch", &[]);
    watch.output.expect("open");
    let hello = watch.output.next().unwrap();
    let session =
        hello.strip_prefix("text: {\"session\":\"").and_then(|rest| rest.strip_suffix("\"}")).unwrap();
    let talk = client(&address, &format!("/talk?session={session}"), &[]);
    talk.output.expect("open");
    talk.send("hi");
    talk.output.expect("text: hi");
    // Unknown commands are ignored.
    for line in ["", "fly", "close", "close no", "go", "go 1", "stop", "clock x", "send from the server"] {
        watch.send(line);
    }
    talk.output.expect("text: from the server");
    watch.send("close 4001 enough");
    talk.output.expect("close: 4001 enough (clean)");
    for report in [
        "\"state\":\"connecting\"",
        "\"event\":\"request\"",
        "\"event\":\"open\"",
        "\"wire\":\"in\",\"header\":\"8182",
        "\"event\":\"message\",\"kind\":\"text\",\"length\":2,\"text\":\"hi\"",
        "\"wire\":\"out\",\"header\":\"8102\",\"payload\":\"6869\",\"length\":2",
        "\"call\":\"send(\\\"from the server\\\")\"",
        "\"wire\":\"in\",\"header\":\"8882",
        "\"event\":\"close\",\"detail\":\"4001 (clean)\"",
        "\"state\":\"closed\"",
    ] {
        while !watch.output.next().unwrap().contains(report) {}
    }
}

#[test]
fn the_examples_without_sockets_succeed() {
    for name in ["smoltcp_loopback", "broadcast"] {
        assert!(start(name, &[]).exit().success(), "{name}");
    }
}
