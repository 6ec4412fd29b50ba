//! Runs the examples as child processes, connected over loopback.

#[path = "interop/process.rs"]
#[allow(dead_code)]
mod process;

use process::{Process, example};
use rcgen::generate_simple_self_signed;
use sansocket::{Config, Event, WebSocket};
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
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

/// A request of a page of the server at `host`.
fn from_page(host: &str) -> String {
    format!("{}Origin: http://{host}\r\n\r\n", REQUEST.replace("Host: a\r\n", &format!("Host: {host}\r\n")))
}

/// Runs an example without input; returns its exit code, output and errors.
fn run(name: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(example(name)).args(args).stdin(Stdio::null()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Runs an example without input; returns its output.
#[track_caller]
fn succeeds(name: &str, args: &[&str]) -> String {
    let (code, output, errors) = run(name, args);
    assert_eq!(code, Some(0), "{name}: {errors}");
    output
}

/// An example fails with this exit code and one line of error that contains `wanted`.
#[track_caller]
fn fails(name: &str, args: &[&str], code: i32, wanted: &str) {
    let (exit, output, errors) = run(name, args);
    assert_eq!((exit, &*output), (Some(code), ""), "{name} {args:?}: {errors}");
    assert!(errors.lines().count() == 1 && errors.contains(wanted), "{name} {args:?}: {errors}");
    assert!(!errors.contains(['{', '}']), "Debug text: {errors}");
}

/// Sends a signal, for example "INT".
fn signal(process: &Process, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", process.id())).status();
    assert!(sent.unwrap().success());
}

/// Calls `test` with every case at the same time: most of it waits.
fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| test(case));
        }
    });
}

/// Forwards connections to `address`, in pieces of at most this many bytes, and counts the bytes to
/// it and from it.
fn forward_to(address: String, piece: usize) -> (String, &'static [AtomicUsize; 2]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let counted: &[AtomicUsize; 2] = Box::leak(Box::default());
    let own = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), TcpStream::connect(&address).unwrap());
            let ways = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
            for ((mut from, mut to), count) in ways.into_iter().zip(counted) {
                to.set_nodelay(true).unwrap();
                thread::spawn(move || {
                    let mut buffer = vec![0; piece];
                    while let Ok(len @ 1..) = from.read(&mut buffer) {
                        count.fetch_add(len, Relaxed);
                        if to.write_all(&buffer[..len]).is_err() {
                            break;
                        }
                        // Otherwise the receiver reads many pieces at once.
                        thread::sleep(Duration::from_micros(100));
                    }
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    (own, counted)
}

const SERVERS: [(&str, &str); 4] =
    [("echo_server", "/"), ("tokio_echo", "/"), ("page_and_socket", "/socket"), ("demo", "/watch")];

/// An open connection without a machine.
fn open(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{}\r\n", REQUEST.replace("/socket", path)).as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
    stream
}

#[test]
fn every_example_prints_its_usage_and_names_a_bad_argument() {
    for (name, needed) in [
        ("autobahn_client", &["ws://127.0.0.1:1", "agent"][..]),
        ("broadcast", &["127.0.0.1:0"]),
        ("client", &["ws://127.0.0.1:1"]),
        ("demo", &[]),
        ("echo_server", &["127.0.0.1:0"]),
        ("page_and_socket", &["127.0.0.1:0"]),
        ("tokio_echo", &["127.0.0.1:0"]),
    ] {
        for help in [&["--help"][..], &["-h"]] {
            let (code, usage, errors) = run(name, &[needed, help].concat());
            assert_eq!((code, &*errors), (Some(0), ""), "{name}");
            assert!(usage.starts_with(&format!("usage: {name}")), "{usage}");
        }
        fails(name, &[needed, &["--bogus"]].concat(), 2, "--bogus");
        fails(name, &[needed, &["stray", "astray"]].concat(), 2, "stray");
        if let [.., last] = needed {
            let missing = if *last == "agent" {
                "AGENT"
            } else if name.ends_with("client") {
                "URL"
            } else {
                "ADDR"
            };
            fails(name, &needed[..needed.len() - 1], 2, missing);
        }
    }
    for (name, args, wanted) in [
        ("echo_server", &["--patience"][..], "--patience"),
        ("echo_server", &["--patience", "0"], "\"0\""),
        ("echo_server", &["--patience", "soon"], "\"soon\""),
        ("echo_server", &["--read", "0"], "\"0\""),
        ("echo_server", &["--connections", "-1"], "\"-1\""),
        ("echo_server", &["--bye", &"x".repeat(124)], "--bye"),
        ("echo_server", &["--pieces=yes"], "--pieces"),
        ("echo_server", &["--max-message", "-1"], "\"-1\""),
        ("tokio_echo", &["--patience", "0"], "\"0\""),
        ("tokio_echo", &["--connections", "few"], "\"few\""),
        ("page_and_socket", &["--connections", "few"], "\"few\""),
        ("demo", &["--connections", "few"], "\"few\""),
        ("client", &["http://localhost/"], "http://localhost/"),
        ("client", &["ws://localhost/", "--header", "no colon"], "no colon"),
        ("client", &["ws://localhost/", "--header", "Host: other"], "--header"),
        ("client", &["ws://localhost/", "--protocol", "a b"], "a b"),
        ("autobahn_client", &["nowhere", "agent"], "nowhere"),
    ] {
        fails(name, args, 2, wanted);
    }
    #[cfg(not(feature = "deflate"))]
    fails("broadcast", &["--deflate"], 2, "the feature deflate");
    let wrong: &[(&[&str], &str)] = match cfg!(feature = "deflate") {
        true => &[
            (&["--window", "8"], "9 to 15"),
            (&["--window", "x"], "9 to 15"),
            (&["--level", "best"], "codes"),
        ],
        false => &[(&["--deflate"], "the feature deflate"), (&["--window", "9"], "the feature deflate")],
    };
    for (args, wanted) in wrong {
        for name in ["client", "echo_server", "tokio_echo", "autobahn_client"] {
            fails(name, args, 2, wanted);
        }
    }
}

#[test]
fn an_address_that_cannot_be_used_is_an_error_without_debug_text() {
    for (name, _) in SERVERS {
        let (_server, address) = serve(name, &[]);
        for bad in [&*address, "nonsense"] {
            fails(name, &[bad], 1, &format!("{bad}: "));
        }
    }
    fails("autobahn_client", &["ws://127.0.0.1:1", "agent"], 1, "refused");
}

#[test]
fn text_of_the_server_cannot_drive_the_terminal_or_forge_a_line() {
    let (server, address) = serve("echo_server", &["--bye", "bye\u{1b}[2J"]);
    let mut client = client(&address, "/", &[]);
    client.output.expect("open");
    for (text, printed) in [
        ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
        ("\rclose: 1000 (clean)", "\\rclose: 1000 (clean)"),
        ("C1 \u{9b}, bidi \u{202e}, \tgrüße 😀", "C1 \\u{9b}, bidi \\u{202e}, \\tgrüße 😀"),
        (r"C:\new", r"C:\new"),
    ] {
        client.send(text);
        client.output.expect(&format!("text: {printed}"));
    }
    // The server sends it as the reason of its Close frame, and logs the client's.
    client.send("bye\u{1b}[2J");
    let close = client.output.next().unwrap();
    assert!(close.starts_with("close: 1000 bye") && !close.contains('\u{1b}'), "{close}");
    assert!(client.exit().success());

    // A Close frame with code 1000 and the reason "a\nb".
    let request = format!("{REQUEST}\r\n");
    exchange(&address, &[request.as_bytes(), b"\x88\x85\0\0\0\0\x03\xE8a\nb"].concat(), |_| false);
    while !server.output.log().contains("closed: 1000 a") {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!server.output.log().lines().any(|line| line.starts_with('b')), "{}", server.output.log());
}

#[test]
fn many_lines_are_echoed_in_order_and_soon() {
    let (_server, address) = serve("echo_server", &[]);
    let mut client = client(&address, "/", &[]);
    let start = Instant::now();
    let lines: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    client.send(lines.join("\n"));
    client.end_input();
    client.output.expect("open");
    for line in lines {
        client.output.expect(&format!("text: {line}"));
    }
    client.output.expect("close: 1000 (clean)");
    assert!(client.exit().success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn lines_behind_a_file_wait_until_it_is_sent() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples-short-file");
    fs::write(&path, "ab").unwrap();
    let (_server, address) = serve("echo_server", &[]);
    let mut client = client(&address, "/", &[]);
    client.send(format!("1\n/file {0}\n2\n/file {0}\n3\r", path.display()));
    client.end_input();
    for line in ["open", "text: 1", "binary: 6162", "text: 2", "binary: 6162", "text: 3"] {
        client.output.expect(line);
    }
    client.output.expect("close: 1000 (clean)");
    assert!(client.exit().success());
}

#[test]
fn a_signal_closes_every_connection_with_1001_and_ends_the_server() {
    let cases = SERVERS.iter().flat_map(|server| ["INT", "TERM"].map(|signal| (*server, signal)));
    let cases =
        cases.chain([(("echo", "/"), "INT"), (("blocking_echo", "/"), "INT"), (("smol_echo", "/"), "INT")]);
    at_once(cases, |((name, path), signal_name)| {
        let (mut server, address) = serve(name, &[]);
        let mut clients = [client(&address, path, &[]), client(&address, path, &[])];
        for client in &clients {
            client.output.expect("open");
        }
        // This one does not ask for anything.
        let _silent = TcpStream::connect(&address).unwrap();
        signal(&server, signal_name);
        for client in &mut clients {
            while !client.output.next().unwrap().starts_with("close: 1001 (clean)") {}
            assert!(client.exit().success());
        }
        assert_eq!(server.exit().code(), Some(0), "{name} {signal_name}");
    });
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_peer_that_does_not_close() {
    at_once([("echo_server", "/"), ("tokio_echo", "/")], |(name, path)| {
        let (mut server, address) = serve(name, &[]);
        let _open = open(&address, path);
        signal(&server, "TERM");
        assert_eq!(server.exit().code(), Some(0), "{name}");
    });
}

#[test]
fn a_signal_closes_the_client_with_1001() {
    let (server, address) = serve("echo_server", &[]);
    for signal_name in ["INT", "TERM"] {
        let mut client = client(&address, "/", &[]);
        client.output.expect("open");
        signal(&client, signal_name);
        client.output.expect("close: 1001 (clean)");
        assert!(client.exit().success());
    }
    let start = Instant::now();
    while server.output.log().matches("closed: 1001 (clean)").count() < 2 {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", server.output.log());
        thread::sleep(Duration::from_millis(10));
    }

    // A server that does not answer the request, and one that does not answer the Close frame.
    for answers in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = client(&listener.local_addr().unwrap().to_string(), "/", &[]);
        let (mut stream, _) = listener.accept().unwrap();
        let mut ws = WebSocket::server(Config::default());
        let (mut buffer, mut inbox, mut outbox) = ([0; 1024], Vec::new(), Vec::new());
        let len = stream.read(&mut buffer).unwrap();
        match ws.receive(&mut &mut buffer[..len], &mut inbox) {
            Some(Event::Request(request)) => ws.accept(request.accept(), &mut outbox).unwrap(),
            _ => panic!("no request"),
        }
        if answers {
            stream.write_all(&outbox).unwrap();
            client.output.expect("open");
        }
        let start = Instant::now();
        signal(&client, "INT");
        assert_eq!(client.exit().code(), Some(1));
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    }
}

#[test]
fn the_client_connects_again_after_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = client(&listener.local_addr().unwrap().to_string(), "/", &["--reconnect"]);
    // The first connection ends before the handshake, the second one is answered.
    drop(listener.accept().unwrap());
    client.output.expect("error: the stream ended without a Close frame");
    client.output.expect("close: 1006 (not clean)");
    let (mut stream, _) = listener.accept().unwrap();
    let mut ws = WebSocket::server(Config::default());
    let (mut buffer, mut inbox, mut outbox) = ([0; 1024], Vec::new(), Vec::new());
    let len = stream.read(&mut buffer).unwrap();
    match ws.receive(&mut &mut buffer[..len], &mut inbox) {
        Some(Event::Request(request)) => ws.accept(request.accept(), &mut outbox).unwrap(),
        _ => panic!("no request"),
    }
    stream.write_all(&outbox).unwrap();
    client.output.expect("open");
    // After a clean close, it does not.
    stream.write_all(b"\x88\x02\x03\xE8").unwrap();
    client.output.expect("close: 1000 (clean)");
    drop(stream);
    assert!(client.exit().success());
}

#[test]
fn a_connection_over_the_limit_waits() {
    at_once(SERVERS, |(name, path)| {
        let (_server, address) = serve(name, &["--connections", "2"]);
        let mut clients = [client(&address, path, &[]), client(&address, path, &[])];
        for client in &clients {
            client.output.expect("open");
        }
        // The operating system accepts it, and nothing answers its request.
        let mut waiting = TcpStream::connect(&address).unwrap();
        let request = format!("{}\r\n", REQUEST.replace("/socket", path));
        waiting.write_all(request.as_bytes()).unwrap();
        waiting.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(waiting.read(&mut [0]).is_err(), "{name}");
        clients[0].end_input();
        while clients[0].output.next().unwrap() != "close: 1000 (clean)" {}
        assert!(clients[0].exit().success());
        waiting.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut status = [0; 13];
        waiting.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 101 ", "{name}");
    });
}

#[test]
fn a_page_whose_name_was_made_to_resolve_to_the_server_is_refused() {
    for (name, path, flags) in [
        ("page_and_socket", "/socket", &[][..]),
        ("demo", "/watch", &[]),
        ("echo_server", "/", &["--origin", "http://ORIGIN"]),
    ] {
        for (host, status) in [
            ("127.0.0.1", 101),
            ("localhost", 101),
            ("LOCALHOST.", 403),
            ("evil.example", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("127.0.0.2", 403),
            ("[::1]", 403),
            ("mine.example", 101),
        ] {
            let flags: Vec<String> = flags.iter().map(|flag| flag.replace("ORIGIN", host)).collect();
            let flags: Vec<&str> =
                flags.iter().map(String::as_str).chain(["--host", "mine.example"]).collect();
            let (_server, address) = serve(name, &flags);
            let request = from_page(host).replace("/socket", path);
            let response = exchange(&address, request.as_bytes(), |received| !received.is_empty());
            let expected = format!("HTTP/1.1 {status} ");
            assert!(response.starts_with(expected.as_bytes()), "{name} {host}: {}", response.escape_ascii());
        }
    }
}

#[test]
fn a_client_that_writes_20_mb_before_it_reads_gets_its_echo() {
    const LEN: usize = 20_000_000;
    for flags in [&["--pieces"][..], &["--max-message", "20000000"]] {
        let (_server, address) = serve("echo_server", flags);
        let mut stream = open(&address, "/");
        stream.write_all(&[&b"\x82\xFF"[..], &(LEN as u64).to_be_bytes(), &[0; 4]].concat()).unwrap();
        let message: Vec<u8> = (0..LEN).map(|at| (at % 251) as u8).collect();
        stream.write_all(&message).unwrap();
        thread::sleep(Duration::from_millis(100));
        let mut echo = vec![0; LEN];
        let mut received = 0;
        while received < LEN {
            let mut header = [0; 2];
            stream.read_exact(&mut header).unwrap();
            let mut extended = [0; 8];
            let (from, length) = match header[1] {
                126 => (6, None),
                127 => (0, None),
                short => (8, Some(usize::from(short))),
            };
            stream.read_exact(&mut extended[from..]).unwrap();
            let length = length.unwrap_or(u64::from_be_bytes(extended) as usize);
            stream.read_exact(&mut echo[received..received + length]).unwrap();
            received += length;
        }
        assert!(echo == message);
    }
}

#[test]
fn a_peer_that_reads_a_little_at_a_time_is_dropped_and_a_steady_one_is_served() {
    const LEN: usize = 6_000_000;
    let servers = [("echo_server", &[][..]), ("echo_server", &["--pieces"]), ("tokio_echo", &[])];
    at_once(servers, |(name, flags)| {
        let (server, address) = serve(name, &[&["--patience", "1"], flags].concat());
        let send = || {
            let mut stream = open(&address, "/");
            stream.write_all(&[&b"\x82\xFF"[..], &(LEN as u64).to_be_bytes(), &[0; 4]].concat()).unwrap();
            stream.write_all(&vec![b'x'; LEN]).unwrap();
            stream
        };
        let mut steady = send();
        let mut slow = send();
        let start = Instant::now();
        let (mut received, mut buffer) = (0, vec![0; 100_000]);
        // The steady one takes 3 s. The slow one reads a byte in each round.
        while received < LEN {
            let len = steady.read(&mut buffer).unwrap();
            assert!(len > 0, "{name}: the steady reader was dropped after {received} bytes");
            received += len;
            let _ = slow.read(&mut [0]);
            let due = Duration::from_secs_f64(received as f64 / 2_000_000.0);
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
        while !server.output.log().contains("too slowly") {
            let _ = slow.read(&mut [0]);
            thread::sleep(Duration::from_millis(20));
            assert!(start.elapsed() < Duration::from_secs(15), "{name}: the slow reader was not dropped");
        }
    });
}

#[test]
fn the_client_talks_to_the_echo_server() {
    for flags in [&[][..], &["--pieces"], &["--read", "1"], &["--read", "7", "--pieces"]] {
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
        assert_eq!(client.exit().code(), Some(1), "the code does not mean success");
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
        "/",
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
    for (line, sent) in [("//fly", "/fly"), ("//", "/"), ("still here", "still here")] {
        client.send(line);
        client.output.expect(&format!("text: {sent}"));
    }
    client.end_input();
    client.output.expect("close: 1000 (clean)");
    assert!(client.exit().success());
    assert_eq!(client.output.log().lines().count(), 5 + 12, "one line each: {}", client.output.log());
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

    for (url, log) in [(format!("ws://{address}/"), &*address), ("wss://localhost/".into(), "TLS")] {
        fails("client", &[&url], 1, log);
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
fn a_message_over_the_limit_closes_with_1009() {
    let (_server, address) = serve("echo_server", &["--max-message", "4096"]);
    let mut client = client(&address, "/", &[]);
    client.output.expect("open");
    client.send("x".repeat(4096));
    client.output.expect(&format!("text: {}", "x".repeat(4096)));
    client.send("x".repeat(4097));
    client.output.expect("close: 1009 (clean)");
    assert_eq!(client.exit().code(), Some(1));
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

    let same_origin = from_page(&address);
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
    let page = include_str!("../../examples/demo/page/index.html");
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
        hello.strip_prefix("text: {\"session\":\"").and_then(|rest| rest.split('"').next()).unwrap();
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
fn short_servers_echo_and_those_behind_http_stacks_refuse() {
    let servers = [
        ("echo", "/", false),
        ("blocking_echo", "/", false),
        ("smol_echo", "/", false),
        ("hyper_server", "/", true),
        ("axum_server", "/echo", true),
    ];
    at_once(servers, |(name, path, is_http)| {
        let (_server, address) = serve(name, &[]);
        let mut client = client(&address, path, &[]);
        client.output.expect("open");
        for message in ["Hello", &"a".repeat(100_000)] {
            client.send(message);
            client.output.expect(&format!("text: {message}"));
        }
        client.end_input();
        client.output.expect("close: 1000 (clean)");
        if is_http {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let answer = exchange(&address, request.as_bytes(), |_| false);
            let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
            assert!(answer.starts_with("http/1.1 426 "), "{answer}");
            assert!(answer.contains("\r\nsec-websocket-version: 13\r\n"), "{answer}");
            assert!(answer.contains("\r\nupgrade: websocket\r\n"), "{answer}");
        }
        if name == "axum_server" {
            let answer = exchange(&address, format!("{REQUEST}\r\n").as_bytes(), |head| !head.is_empty());
            assert!(answer.starts_with(b"HTTP/1.1 404 "), "{}", answer.escape_ascii());
        }
    });
}

#[test]
fn a_ping_is_answered_and_the_connection_closed() {
    for name in ["echo", "smol_echo"] {
        let (_server, address) = serve(name, &[]);
        assert_eq!(succeeds("ping", &[&format!("ws://{address}/")]), "closed: 1000 (clean)\n");
    }
}

/// Starts `wss_server` with a certificate for `localhost` that is its own root. Returns its address
/// and the file of the certificate.
fn serve_tls(name: &str) -> (Process, String, String) {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |extension: &str| format!("{}/{name}.{extension}", env!("CARGO_TARGET_TMPDIR"));
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (server, address) = serve("wss_server", &[&certificate, &key]);
    (server, address, certificate)
}

/// The port of an address.
fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

#[test]
fn a_message_goes_over_tls_and_back() {
    let (mut server, address, certificate) = serve_tls("tokio");
    let uri = format!("wss://localhost:{}/", port(&address));
    let output = succeeds("client", &[&uri, "--roots", &certificate]);
    assert_eq!(output, "open\nclose: 1000 (clean)\n");
    let output = succeeds("wss_client", &[&uri, &certificate]);
    assert_eq!(output, "Text(\"Hello\")\nclosed: 1000 (clean)\n");
    signal(&server, "INT");
    assert!(server.exit().success());
}

#[test]
fn a_message_goes_over_embedded_tls_and_back_in_pieces() {
    let (_server, address, certificate) = serve_tls("embedded");
    let (address, _) = forward_to(address, 3);
    let server = format!("localhost:{}", port(&address));
    for message in ["Hello", &"a".repeat(1000)] {
        let output = succeeds("embedded_tls", &[&server, &certificate, message]);
        assert_eq!(output, format!("Text({message:?})\nclosed: 1000 (clean)\n"));
    }
    let (_server, _, other) = serve_tls("other");
    let (code, ..) = run("embedded_tls", &[&server, &other, "Hello"]);
    assert_ne!(code, Some(0), "a certificate of another root");
}

/// Waits until the client prints this message, whatever it prints before.
#[track_caller]
fn hear(client: &Process, message: &str) {
    while client.output.next().expect("a message") != format!("text: {message}") {}
}

/// A member of a chat, who hears what is said from now on.
fn join(address: &str, name: &str) -> Process {
    let member = client(address, "/", &[]);
    member.send(name);
    hear(&member, name);
    member
}

/// Sends more to all clients than the kernel's buffers, the outbox and the queue hold: `stalled`,
/// which does not read, gets a part.
fn flood(speaker: &Process, clients: &[Process], mut stalled: TcpStream) {
    for number in 0..30 {
        let line = format!("{number}{}", "x".repeat(500_000));
        speaker.send(&*line);
        for client in clients {
            hear(client, &line);
        }
    }
    let mut left = vec![];
    let _ = stalled.read_to_end(&mut left);
    assert!(left.len() < 15_000_000, "{}", left.len());
}

#[test]
fn a_broadcast_reaches_all_clients_but_those_that_do_not_read() {
    let (server, address) = serve("broadcast", &[]);
    let stalled = open(&address, "/");
    let clients = [client(&address, "/", &[]), client(&address, "/", &[])];
    for client in &clients {
        client.output.expect("open");
    }
    flood(&server, &clients, stalled);
}

#[test]
fn a_member_that_reads_nothing_is_dropped_from_the_chat() {
    let (_server, address) = serve("chat", &[]);
    let mut stalled = open(&address, "/");
    stalled.write_all(GLUED).unwrap();
    stalled.read_exact(&mut [0; 7]).unwrap();
    let members = [join(&address, "one"), join(&address, "other")];
    flood(&members[1], &members, stalled);
}

#[test]
fn two_servers_have_one_chat_with_redis_between_them() {
    if Command::new("redis-server").arg("--version").output().is_err() {
        assert!(env::var_os("SANSOCKET_INTEROP").is_none(), "redis-server is not installed");
        return eprintln!("skipped: no redis-server");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut redis = Command::new("redis-server");
    redis.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
    let redis = Process::start(&mut redis, Instant::now() + Duration::from_secs(30)).unwrap();
    while !redis.output.next().expect("Redis listens").contains("Ready to accept connections") {}
    let url = format!("redis://127.0.0.1:{port}/");
    let servers = [serve("chat_redis", &[&url]), serve("chat_redis", &[&url])];
    let members =
        [(0, "one"), (1, "other"), (1, "third")].map(|(server, name)| join(&servers[server].1, name));
    for (number, speaker) in members.iter().enumerate() {
        speaker.send(format!("from {number}"));
        for member in &members {
            hear(member, &format!("from {number}"));
        }
    }
    // Without Redis, the servers send a Close frame and end.
    drop(redis);
    for member in &members {
        member.output.expect("close: 1001 (clean)");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn the_client_and_the_servers_compress() {
    const AGREED: &str = "open extensions=permessage-deflate";
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples-compressible");
    fs::write(&path, [b'x'; 200_000]).unwrap();
    let cases: &[(&str, &[&str], &[&str], &str)] = &[
        ("echo_server", &["--deflate"], &["--deflate"], AGREED),
        ("tokio_echo", &["--deflate"], &["--deflate", "--level", "codes"], AGREED),
        ("echo_server", &["--deflate", "--pieces"], &["--window", "9"], "; server_max_window_bits=9"),
        ("tokio_echo", &["--window", "10"], &["--level", "better"], "; client_max_window_bits=10"),
        ("echo_server", &["--read", "7", "--deflate"], &["--no-takeover"], "; client_no_context_takeover"),
        ("tokio_echo", &["--no-takeover"], &["--deflate"], "; server_no_context_takeover"),
    ];
    at_once(cases, |(name, of_server, of_client, agreed)| {
        let (_server, address) = serve(name, of_server);
        let (address, counted) = forward_to(address, 4096);
        let mut client = client(&address, "/", of_client);
        let open = client.output.next().unwrap();
        assert!(
            open.starts_with(AGREED) && open.contains(agreed),
            "{name} {of_server:?} {of_client:?}: {open}"
        );
        let text = "grün, 値段, 😀 ".repeat(150);
        for _ in 0..30 {
            client.send(&*text);
            client.output.expect(&format!("text: {text}"));
        }
        client.send("");
        client.output.expect("text: ");
        client.send("/binary 00ff00ff00ff00ff");
        client.output.expect("binary: 00ff00ff00ff00ff");
        client.send("/fragments one two three");
        client.output.expect("text: onetwothree");
        client.send("/ping a");
        client.output.expect("pong: a");
        client.send(format!("/file {}", path.display()));
        client.output.expect(&format!("binary: {}", "78".repeat(200_000)));
        client.end_input();
        client.output.expect("close: 1000 (clean)");
        assert!(client.exit().success());
        for count in counted {
            let bytes = count.load(Relaxed);
            assert!(bytes < 20_000, "{name} {of_server:?} {of_client:?}: {bytes} bytes one way");
        }
    });
}

#[cfg(feature = "deflate")]
#[test]
fn an_endpoint_without_compression_gets_none() {
    for (server, flags, of_client) in [
        ("echo_server", &["--deflate"][..], &[][..]),
        ("tokio_echo", &[], &["--deflate"]),
        ("page_and_socket", &[], &["--deflate"]),
    ] {
        let (_server, address) = serve(server, flags);
        let path = if server == "page_and_socket" { "/socket" } else { "/" };
        let mut client = client(&address, path, of_client);
        client.output.expect("open");
        client.send("plain");
        client.output.expect("text: plain");
        client.end_input();
        client.output.expect("close: 1000 (clean)");
        assert!(client.exit().success());
    }
}

#[cfg(feature = "deflate")]
#[test]
fn a_broadcast_is_compressed_for_those_who_have_agreed() {
    let (server, address) = serve("broadcast", &["--deflate"]);
    let line = "news for everyone, ".repeat(1000);
    let clients = [
        (&["--deflate"][..], "open extensions=permessage-deflate", true),
        // Its window is too small for the compressed frame.
        (&["--window", "10"], "open extensions=permessage-deflate", false),
        (&[], "open", false),
    ]
    .map(|(flags, opened, is_compressed)| {
        let (address, counted) = forward_to(address.clone(), 4096);
        let client = client(&address, "/", flags);
        let open = client.output.next().unwrap();
        assert!(open.starts_with(opened), "{open}");
        (client, counted, is_compressed)
    });
    server.send(&*line);
    for (client, [_, from_server], is_compressed) in &clients {
        client.output.expect(&format!("text: {line}"));
        assert_eq!(from_server.load(Relaxed) < 2000, *is_compressed);
    }
}

#[cfg(feature = "deflate")]
#[test]
fn the_demo_reports_what_compressed_frames_stand_for() {
    let (_server, address) = serve("demo", &[]);
    let watch = client(&address, "/watch", &["--deflate"]);
    watch.output.expect("open");
    let hello = watch.output.next().unwrap();
    let session =
        hello.strip_prefix("text: {\"session\":\"").and_then(|rest| rest.split('"').next()).unwrap();
    for (option, opened) in [("", "open extensions=permessage-deflate"), ("&compress=no", "open")] {
        let mut talk = client(&address, &format!("/talk?session={session}{option}"), &["--deflate"]);
        talk.output.expect(opened);
        if option.is_empty() {
            // The first part is compressed by itself, the second refers to it.
            talk.send("/fragments twice,twice,twice,twice, twice,twice,twice,twice,");
            talk.output.expect("text: twice,twice,twice,twice,twice,twice,twice,twice,");
            for report in [
                "\"inflated\":{\"data\":\"74776963652c7477",
                "\"inflated\":{\"data\":\"74776963652c7477",
                "\"event\":\"message\",\"kind\":\"text\",\"length\":48",
                "\"wire\":\"out\",\"header\":\"c1",
            ] {
                while !watch.output.next().unwrap().contains(report) {}
            }
        }
        talk.end_input();
        talk.output.expect("close: 1000 (clean)");
        assert!(talk.exit().success());
    }
}
