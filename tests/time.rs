//! Time as an argument: the handshake timeout, the idle Ping, the Pong timeout and the closing
//! timeout.

mod common;

use common::*;
use core::time::Duration;
use sansocket::{CloseCode, Config, Event, Server, State, WebSocket};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config() -> Config {
    Config::default()
        .handshake_timeout(Some(seconds(10)))
        .idle_ping(Some(seconds(30)))
        .pong_timeout(Some(seconds(20)))
        .closing_timeout(Some(seconds(5)))
}

#[track_caller]
fn ended(peer: &mut Peer<impl sansocket::Role>, because: &str) {
    assert!(is_closed(peer), "closed at once");
    peer.receive(b"");
    let [Seen::Error(error), Seen::Close(1006, _, false)] = &peer.seen[..] else { panic!("{:?}", peer.seen) };
    assert!(error.contains(because), "{error}");
    assert_eq!(peer.take_sent(), b"");
    assert_eq!(peer.ws.poll_timeout(), None);
}

/// Proves: S11.
#[test]
fn the_handshake_timeout_limits_the_wait_for_a_request() {
    let mut peer = new_server(config());
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO));
    peer.ws.handle_timeout(seconds(1));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(11)));
    peer.receive(&request("").as_bytes()[..50]);
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(11)), "a slow head gets no more time");
    peer.ws.handle_timeout(seconds(10));
    assert!(!is_closed(&peer));
    peer.ws.handle_timeout(seconds(12));
    ended(&mut peer, "opening handshake took too long");
}

#[test]
fn the_time_to_answer_a_request_is_not_limited() {
    let mut peer = new_server(config());
    peer.ws.handle_timeout(seconds(1));
    peer.receive_with(request("").as_bytes(), |_, _, _| {});
    assert_eq!(peer.ws.poll_timeout(), None);
    peer.ws.handle_timeout(seconds(1000));
    assert!(peer.ws.awaits_caller());
}

#[test]
fn the_handshake_timeout_of_a_client_starts_with_its_request() {
    let mut peer = Peer::new(WebSocket::client(config(), rng()));
    assert_eq!(peer.ws.poll_timeout(), None);
    peer.ws.connect(sansocket::Connect::new("a", "/"), &mut peer.outbox).unwrap();
    peer.take_sent();
    peer.ws.handle_timeout(seconds(1));
    peer.ws.handle_timeout(seconds(11));
    ended(&mut peer, "opening handshake took too long");
}

#[test]
fn an_idle_peer_gets_a_ping_and_a_silent_one_ends_the_connection() {
    let mut peer = server(config());
    peer.ws.handle_timeout(seconds(100));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(130)));
    peer.receive(&masked(0x81, b"alive"));
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO), "received bytes arm the timer again");
    peer.ws.handle_timeout(seconds(120));
    peer.ws.handle_timeout(seconds(149));
    peer.receive(b"");
    assert_eq!(peer.take_sent(), b"");
    peer.ws.handle_timeout(seconds(150));
    peer.receive(b"");
    assert_eq!(peer.take_sent(), [0x89, 0]);
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(170)));
    // Even a part of a frame counts as activity.
    peer.receive(&[0x8A]);
    peer.ws.handle_timeout(seconds(160));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(190)));
    peer.ws.handle_timeout(seconds(195));
    peer.receive(b"");
    assert_eq!(peer.take_sent(), [0x89, 0]);
    peer.take_seen();
    peer.ws.handle_timeout(seconds(215));
    ended(&mut peer, "not answered a Ping");
}

#[test]
fn the_pong_timeout_runs_even_if_the_ping_cannot_be_written() {
    let mut ws = WebSocket::<Server>::open(config());
    ws.handle_timeout(seconds(0));
    ws.handle_timeout(seconds(30));
    let mut full = heapless::Vec::<u8, 1>::new();
    assert!(ws.transmit(&mut full).is_err());
    ws.handle_timeout(seconds(50));
    assert!(ws.is_closed());
    assert!(matches!(ws.receive(&mut &mut [][..], &mut full), Some(Event::Error(_))));
}

#[test]
fn a_pending_pong_and_an_idle_ping_are_sent_together() {
    let mut ws = WebSocket::<Server>::open(config());
    let (mut inbox, mut outbox) = (Vec::new(), Vec::new());
    let mut ping = masked(0x89, b"p");
    let _ = ws.receive(&mut &mut ping[..], &mut inbox);
    ws.handle_timeout(seconds(0));
    ws.handle_timeout(seconds(30));
    assert!(ws.transmit(&mut heapless::Vec::<u8, 4>::new()).is_err());
    ws.transmit(&mut outbox).unwrap();
    assert_eq!(outbox, [0x8A, 1, b'p', 0x89, 0]);
}

/// Proves: L11.
#[test]
fn an_unanswered_close_ends_without_an_error() {
    let mut peer = client(config());
    peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO));
    peer.ws.handle_timeout(seconds(7));
    peer.receive(&unmasked(0x81, b"not closing yet"));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(12)), "messages do not extend the closing timeout");
    peer.ws.handle_timeout(seconds(12));
    assert!(is_closed(&peer));
    peer.receive(b"");
    assert_eq!(peer.seen, [Seen::Text("not closing yet".into()), Seen::Close(1006, String::new(), false)]);
}

#[test]
fn pending_output_is_dropped_after_the_closing_timeout() {
    let refused = b"GET / HTTP/1.0\r\n\r\n".to_vec();
    for (mut peer, stream, events) in [
        (server(config()), masked(0x88, b""), 1),
        (server(config()), masked(0x83, b""), 2),
        (new_server(config()), refused, 2),
    ] {
        assert_eq!(peer.receive_only(&stream), events);
        peer.ws.handle_timeout(seconds(1));
        peer.ws.handle_timeout(seconds(5));
        assert!(!is_closed(&peer));
        peer.ws.handle_timeout(seconds(6));
        assert!(is_closed(&peer));
        peer.receive(b"");
        assert_eq!((peer.take_sent(), peer.seen.len()), (vec![], events));
    }
}

#[test]
fn timeouts_can_be_switched_off() {
    let never =
        Config::default().handshake_timeout(None).idle_ping(None).pong_timeout(None).closing_timeout(None);
    assert_eq!(WebSocket::server(never).poll_timeout(), None);
    let mut peer = server(never);
    assert_eq!(peer.ws.poll_timeout(), None);
    peer.receive(&masked(0x81, b"a"));
    assert_eq!(peer.ws.poll_timeout(), None);
    peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
    assert_eq!(peer.ws.poll_timeout(), None);
    // Idle Pings without a Pong timeout.
    let mut peer = server(never.idle_ping(Some(seconds(1))));
    for now in 0..4 {
        peer.ws.handle_timeout(seconds(now));
        peer.receive(b"");
    }
    assert_eq!(peer.take_sent(), [0x89, 0].repeat(3));
}

#[test]
fn a_deadline_at_the_largest_duration_does_not_overflow() {
    let mut peer = server(config().idle_ping(Some(Duration::MAX)));
    peer.ws.handle_timeout(Duration::MAX);
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::MAX));
}

#[test]
fn sending_a_large_payload_counts_as_activity() {
    let mut peer = server(config());
    peer.ws.send_header(sansocket::Kind::Binary, 1 << 30, &mut peer.outbox).unwrap();
    for now in 0..200 {
        peer.ws.payload_sent(1 << 20).unwrap();
        peer.ws.handle_timeout(seconds(now));
        assert!(!is_closed(&peer));
    }
    // Without progress, the peer counts as silent.
    peer.ws.handle_timeout(seconds(230));
    peer.ws.handle_timeout(seconds(250));
    assert!(is_closed(&peer));
}

/// Two open connections with an idle Ping pending, 30 seconds after their start.
fn with_pending_ping() -> (Peer<Server>, Peer<TestClient>) {
    let (mut one, mut two) = (server(config()), client(config()));
    for now in [0, 30] {
        one.ws.handle_timeout(seconds(now));
        two.ws.handle_timeout(seconds(now));
    }
    (one, two)
}

#[test]
fn the_end_of_the_stream_drops_a_pending_idle_ping() {
    let (mut one, mut two) = with_pending_ping();
    one.ws.receive_eof();
    ended(&mut one, "stream ended");
    two.ws.receive_eof();
    ended(&mut two, "stream ended");
}

#[test]
fn the_pong_timeout_drops_a_pending_pong_and_idle_ping() {
    let mut peer = server(config());
    assert_eq!(peer.receive_only(&masked(0x89, b"p")), 1);
    for now in [0, 30, 50] {
        assert!(!is_closed(&peer));
        peer.ws.handle_timeout(seconds(now));
    }
    peer.take_seen();
    ended(&mut peer, "not answered a Ping");
}

#[test]
fn no_idle_ping_follows_our_close() {
    fn check<R: sansocket::Role>(mut peer: Peer<R>, ping: &[u8], sizes: [usize; 2]) {
        peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap();
        peer.receive(b"");
        let sent = peer.take_sent();
        assert_eq!((sent[0], sent.len()), (0x88, sizes[0]), "only the Close");
        for now in [31, 32, 33] {
            peer.ws.handle_timeout(seconds(now));
            peer.receive(b"");
        }
        assert_eq!(peer.take_sent(), b"");
        peer.receive(ping);
        let sent = peer.take_sent();
        assert_eq!((sent[0], sent.len()), (0x8A, sizes[1]), "only a Pong");
    }
    let (one, two) = with_pending_ping();
    check(one, &masked(0x89, b"p"), [4, 3]);
    check(two, &unmasked(0x89, b"p"), [8, 7]);
}

#[test]
fn no_idle_ping_precedes_the_close_that_answers_the_peer() {
    let (mut one, _) = with_pending_ping();
    one.receive(&masked(0x88, b""));
    assert_eq!(one.take_sent(), [0x88, 0]);
    let (mut one, _) = with_pending_ping();
    one.receive(&masked(0x83, b""));
    assert_eq!(one.take_sent(), unmasked(0x88, &1002_u16.to_be_bytes()));
}

/// Connections that were open for some time and start to close at 100 seconds, in each way.
fn closing(config: Config) -> (Vec<Peer<Server>>, Vec<Peer<TestClient>>) {
    fn close<R: sansocket::Role>(mut peer: Peer<R>, close: impl Fn(&mut Peer<R>)) -> Peer<R> {
        peer.ws.handle_timeout(seconds(100));
        close(&mut peer);
        assert_eq!(peer.ws.state(), State::Closing);
        peer
    }
    let (new_server, new_client) = (|| server(config), || client(config));
    let servers = vec![
        close(new_server(), |peer| peer.ws.close(CloseCode::NORMAL, "", &mut peer.outbox).unwrap()),
        // The reply, or the Close frame of a failure, is not transmitted yet.
        close(new_server(), |peer| _ = peer.receive_only(&masked(0x88, b""))),
        close(new_server(), |peer| _ = peer.receive_only(&masked(0x83, b""))),
    ];
    let clients = vec![
        close(new_client(), |peer| peer.ws.close_without_code(&mut peer.outbox).unwrap()),
        close(new_client(), |peer| _ = peer.receive_only(&unmasked(0x88, b""))),
        close(new_client(), |peer| _ = peer.receive_only(&unmasked(0x83, b""))),
        // The reply is transmitted, and the client waits for the end of the stream.
        close(new_client(), |peer| peer.receive(&unmasked(0x88, b""))),
    ];
    (servers, clients)
}

/// Proves: L11.
#[test]
fn each_way_of_closing_starts_the_closing_timeout() {
    fn check<R: sansocket::Role>(mut peer: Peer<R>) {
        assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO));
        peer.ws.handle_timeout(seconds(101));
        assert_eq!(peer.ws.poll_timeout(), Some(seconds(106)));
        peer.ws.handle_timeout(seconds(105));
        assert!(!is_closed(&peer));
        peer.ws.handle_timeout(seconds(106));
        assert!(is_closed(&peer));
        assert_eq!(peer.ws.poll_timeout(), None);
        peer.take_sent();
        peer.receive(b"");
        assert_eq!(peer.take_sent(), b"");
    }
    for config in [config(), config().idle_ping(None)] {
        let (servers, clients) = closing(config);
        servers.into_iter().for_each(check);
        clients.into_iter().for_each(check);
    }
}

#[test]
fn without_a_closing_timeout_closing_stops_the_timer() {
    fn check<R: sansocket::Role>(peer: Peer<R>) {
        assert_eq!(peer.ws.poll_timeout(), None);
    }
    let (servers, clients) = closing(config().closing_timeout(None));
    servers.into_iter().for_each(check);
    clients.into_iter().for_each(check);
}

#[test]
fn the_opening_handshake_starts_the_idle_timer() {
    let (mut one, accept) = requested(config(), &request(""));
    one.ws.accept(accept, &mut one.outbox).unwrap();
    assert_eq!(one.ws.poll_timeout(), Some(Duration::ZERO));
    one.ws.handle_timeout(seconds(5));
    assert_eq!(one.ws.poll_timeout(), Some(seconds(35)));

    let mut two = connecting_with(config(), sansocket::Connect::new("a", "/"));
    two.ws.handle_timeout(seconds(1));
    assert_eq!(two.ws.poll_timeout(), Some(seconds(11)));
    let response = response_to(&two.take_sent());
    two.receive(response.as_bytes());
    assert_eq!(two.ws.poll_timeout(), Some(Duration::ZERO));
    two.ws.handle_timeout(seconds(5));
    assert_eq!(two.ws.poll_timeout(), Some(seconds(35)));
}

#[test]
fn a_connection_without_input_gets_no_activity() {
    let mut peer = server(config());
    peer.ws.handle_timeout(seconds(0));
    peer.receive(b"");
    peer.ws.payload_sent(0).unwrap();
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(30)));
}

#[test]
fn a_sent_idle_ping_is_not_sent_again() {
    let (mut one, _) = with_pending_ping();
    one.receive(b"");
    one.receive(b"");
    assert_eq!(one.take_sent(), [0x89, 0]);
    assert_eq!(one.ws.poll_timeout(), Some(seconds(50)), "the Pong timeout runs since the Ping was due");
}

#[test]
fn input_cancels_a_pending_idle_ping() {
    let (mut one, mut two) = with_pending_ping();
    one.receive_only(&masked(0x81, b"a"));
    two.receive_only(&unmasked(0x8A, b""));
    assert_eq!([one.ws.poll_timeout(), two.ws.poll_timeout()], [Some(Duration::ZERO); 2]);
    one.receive(b"");
    two.receive(b"");
    assert_eq!([one.take_sent(), two.take_sent()], [b"", b""]);
}

#[test]
fn a_pending_idle_ping_waits_for_a_pending_payload() {
    let (mut one, _) = with_pending_ping();
    one.ws.send_header(sansocket::Kind::Binary, 2, &mut one.outbox).unwrap();
    assert_eq!(one.take_sent(), [0x82, 2]);
    one.receive(b"");
    assert_eq!(one.take_sent(), b"");
    one.ws.handle_timeout(seconds(31));
    assert_eq!(one.ws.poll_timeout(), Some(seconds(50)));
}
