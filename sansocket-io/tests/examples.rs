//! Runs the examples as child processes, connected over loopback.

use rcgen::generate_simple_self_signed;
use sansocket_io::tokio::{ClientSocket, connect};
use sansocket_io::{CloseCode, Event, OpenError};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

fn example(name: &str) -> Command {
    // target/debug/deps/examples-… is this test.
    let deps = env::current_exe().unwrap();
    Command::new(deps.parent().unwrap().with_file_name("examples").join(name))
}

/// A child process, which is killed at the end of the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server, and returns its address.
fn serve(name: &str, arguments: &[&str]) -> (Process, String) {
    let mut command = example(name);
    let command = command.arg("127.0.0.1:0").args(arguments);
    let mut server = Process(command.stdout(Stdio::piped()).spawn().expect(name));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").expect(name).to_owned();
    (server, address)
}

/// Interrupts a server, as Ctrl+C does, and waits for its end.
fn interrupt(server: &mut Process) {
    let id = server.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(server.0.wait().unwrap().success());
}

fn run(name: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = example(name).args(arguments).output().expect(name);
    assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The next text message.
async fn text(socket: &mut ClientSocket) -> String {
    match timeout(Duration::from_secs(10), socket.next()).await.expect("no message in time") {
        Some((Event::Message(message), _)) => String::from_utf8(message.as_bytes().into()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Waits for this message, whatever comes before it.
async fn hear(member: &mut ClientSocket, wanted: &str) {
    while text(member).await != wanted {}
}

/// A member of a chat, who hears what is said from now on.
async fn join(uri: &str, name: &str) -> ClientSocket {
    let mut member = connect(uri).await.unwrap();
    member.reply().send(name).unwrap();
    hear(&mut member, name).await;
    member
}

/// Sends messages, and checks that they come back.
async fn check_echo(uri: &str) -> ClientSocket {
    let mut socket = connect(uri).await.unwrap();
    for message in ["Hello".to_owned(), "a".repeat(100_000)] {
        socket.reply().send(&message).unwrap();
        assert!(text(&mut socket).await == message);
    }
    socket
}

#[tokio::test]
async fn the_client_pings_the_echo_servers_and_closes() {
    for name in ["echo", "smol_echo"] {
        let (mut server, address) = serve(name, &[]);
        let uri = format!("ws://{address}/");
        assert_eq!(run("ping", &[&uri]), "closed: 1000 (clean)\n");
        let mut socket = check_echo(&uri).await;
        let client = async {
            match socket.next().await {
                Some((Event::Close(close), _)) => assert_eq!(close.code, CloseCode::GOING_AWAY),
                other => panic!("{other:?}"),
            }
            while socket.next().await.is_some() {}
        };
        let stop = tokio::task::spawn_blocking(move || interrupt(&mut server));
        tokio::join!(client, stop).1.unwrap();
    }
}

#[tokio::test]
async fn servers_behind_http_stacks_echo_and_refuse() {
    for (name, path) in [("hyper_server", "/"), ("axum_server", "/echo")] {
        let (_server, address) = serve(name, &[]);
        let mut socket = check_echo(&format!("ws://{address}{path}")).await;
        socket.reply().close(CloseCode::NORMAL, "").unwrap();
        match socket.next().await {
            Some((Event::Close(close), _)) => assert!(close.clean, "{name}"),
            other => panic!("{other:?}"),
        }
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let answer = answer.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 426 "), "{answer}");
        assert!(answer.contains("\r\nsec-websocket-version: 13\r\n"), "{answer}");
        assert!(answer.contains("\r\nupgrade: websocket\r\n"), "{answer}");
    }
    let (_server, address) = serve("axum_server", &[]);
    match connect(&format!("ws://{address}/nowhere")).await {
        Err(OpenError::Refused(refusal)) => assert_eq!(refusal.status, 404),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_member_that_reads_nothing_is_dropped_from_the_chat() {
    let (_server, address) = serve("chat", &[]);
    let uri = format!("ws://{address}/");
    let stalled = join(&uri, "stalled").await;
    let (mut one, mut other) = (join(&uri, "one").await, join(&uri, "other").await);
    // More than the kernel's buffers, the outbox and the queue hold.
    let long = "a".repeat(1 << 20);
    for _ in 0..20 {
        other.reply().send(&long).unwrap();
        hear(&mut other, &long).await;
        hear(&mut one, &long).await;
    }
    let (mut stream, _) = stalled.into_transport();
    let mut left = vec![];
    let _ = stream.0.read_to_end(&mut left).await;
    assert!(left.len() < 15 << 20, "{}", left.len());
}

#[tokio::test]
async fn two_servers_have_one_chat_with_redis_between_them() {
    if Command::new("redis-server").arg("--version").output().is_err() {
        assert!(env::var_os("SANSOCKET_INTEROP").is_none(), "redis-server is not installed");
        return eprintln!("skipped: no redis-server");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut redis = Command::new("redis-server");
    let redis = redis.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    let mut redis = Process(redis.stdout(Stdio::null()).spawn().unwrap());
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "Redis does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let url = format!("redis://127.0.0.1:{port}/");
    let (_first, one) = serve("chat_redis", &[&url]);
    let (_second, other) = serve("chat_redis", &[&url]);
    let mut members = vec![];
    for (number, address) in [&one, &other, &other].into_iter().enumerate() {
        members.push(join(&format!("ws://{address}/"), &format!("member {number}")).await);
    }
    for speaker in 0..3 {
        let said = format!("from {speaker}");
        members[speaker].reply().send(&said).unwrap();
        members[speaker].reply().flush().await;
        for member in &mut members {
            hear(member, &said).await;
        }
    }
    // Without Redis, the servers send a Close frame and end.
    redis.0.kill().unwrap();
    for member in &mut members {
        match member.next().await {
            Some((Event::Close(close), _)) => assert_eq!(close.code, CloseCode::GOING_AWAY),
            other => panic!("{other:?}"),
        }
    }
}

/// Starts `wss_server` with a certificate for `localhost` that is its own root. Returns its address
/// and the file of the certificate.
fn serve_tls(name: &str) -> (Process, String, String) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |extension: &str| directory.join(format!("{name}.{extension}")).to_str().unwrap().to_owned();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (server, address) = serve("wss_server", &[&certificate, &key]);
    (server, address, certificate)
}

#[test]
fn a_message_goes_over_tls_and_back() {
    let (mut server, address, certificate) = serve_tls("tokio");
    let uri = format!("wss://localhost:{}/", address.rsplit_once(':').unwrap().1);
    let output = run("client", &[&uri, "--roots", &certificate]);
    assert_eq!(output, "open\nclose: 1000 (clean)\n");
    let output = run("wss_client", &[&uri, &certificate]);
    assert_eq!(output, "Text(\"Hello\")\nclosed: 1000 (clean)\n");
    interrupt(&mut server);
}

/// Forwards connections to `server`, in pieces of up to 3 bytes in both directions. Returns its
/// port.
fn cut_into_pieces(server: &str) -> u16 {
    fn forward(mut from: TcpStream, mut to: TcpStream) {
        let mut piece = [0; 3];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if to.write_all(&piece[..count]).is_err() {
                break;
            }
            // Otherwise the receiver reads many pieces at once.
            std::thread::sleep(Duration::from_micros(100));
        }
        let _ = to.shutdown(Shutdown::Write);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = server.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            for (from, to) in [(&client, &server), (&server, &client)] {
                to.set_nodelay(true).unwrap();
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(|| forward(from, to));
            }
        }
    });
    port
}

#[test]
fn a_message_goes_over_embedded_tls_and_back_in_pieces() {
    let (_server, address, certificate) = serve_tls("embedded");
    let port = cut_into_pieces(&address);
    for message in ["Hello", &"a".repeat(1000)] {
        let output = run("embedded_tls", &[&format!("localhost:{port}"), &certificate, message]);
        assert_eq!(output, format!("Text({message:?})\nclosed: 1000 (clean)\n"));
    }
    let (_server, _, other) = serve_tls("other");
    let refused =
        example("embedded_tls").args([&format!("localhost:{port}"), &other, "Hello"]).output().unwrap();
    assert!(!refused.status.success(), "a certificate of another root");
}
