//! Time as an argument: the handshake timeout, the idle Ping, the Pong timeout and the closing
//! timeout.

mod common;

use common::*;
use core::time::Duration;
use proptest::prelude::*;
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
        (new_server(config()), refused, 3),
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

#[test]
fn a_timeout_of_zero_is_a_millisecond() {
    let zero = Some(Duration::ZERO);
    let config =
        Config::new().handshake_timeout(zero).idle_ping(zero).pong_timeout(zero).closing_timeout(zero);
    let milli = Duration::from_millis(1);
    let mut peer = new_server(config);
    peer.ws.handle_timeout(milli);
    assert_eq!(peer.ws.poll_timeout(), Some(2 * milli));
    let mut peer = server(config);
    peer.ws.handle_timeout(milli);
    assert_eq!(peer.ws.poll_timeout(), Some(2 * milli));
    peer.ws.handle_timeout(2 * milli);
    assert_eq!(peer.ws.poll_timeout(), Some(3 * milli));
    peer.ws.close_without_code(&mut peer.outbox).unwrap();
    peer.ws.handle_timeout(Duration::ZERO);
    assert_eq!(peer.ws.poll_timeout(), Some(milli));
}

#[test]
fn a_deadline_after_the_largest_duration_is_never_reached() {
    let mut peer = server(config().idle_ping(Some(Duration::MAX)));
    peer.ws.handle_timeout(Duration::MAX);
    assert_eq!(peer.ws.poll_timeout(), None);
    peer.ws.handle_timeout(Duration::MAX);
    peer.receive(b"");
    assert_eq!((peer.take_sent(), peer.ws.state()), (vec![], State::Open));
    // An earlier time starts it anew.
    peer.ws.handle_timeout(seconds(1));
    assert!(peer.ws.poll_timeout().is_some_and(|at| at > seconds(4_000_000)));
    // A deadline that an earlier call has set stays.
    let mut peer = server(config());
    peer.ws.handle_timeout(Duration::MAX - seconds(35));
    peer.ws.handle_timeout(Duration::MAX - seconds(10));
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::MAX - seconds(5)));
    // The last deadline that there is.
    let mut peer = server(config());
    peer.ws.handle_timeout(Duration::MAX - seconds(30));
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::MAX));
    peer.ws.handle_timeout(Duration::MAX);
    peer.receive(b"");
    assert_eq!((peer.take_sent(), peer.ws.poll_timeout()), (vec![0x89, 0], None));
}

#[test]
fn a_time_that_goes_back_starts_the_timeout_anew() {
    let mut peer = server(config());
    peer.ws.handle_timeout(seconds(100));
    // Not further back than the timeout: the deadline stays.
    peer.ws.handle_timeout(seconds(100));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(130)));
    peer.ws.handle_timeout(seconds(99));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(129)));
    peer.ws.handle_timeout(seconds(3));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(33)));
    peer.ws.handle_timeout(seconds(33));
    peer.ws.handle_timeout(seconds(1));
    assert_eq!(peer.ws.poll_timeout(), Some(seconds(21)), "the Pong timeout");
    peer.ws.handle_timeout(seconds(21));
    peer.take_sent();
    ended(&mut peer, "not answered a Ping");
    // A counter of milliseconds that wraps.
    for mut peer in [new_server(config()), server(config().idle_ping(Some(seconds(10))))] {
        let time = |millis: u32| Duration::from_millis(millis.into());
        let start = u32::MAX - 5_000;
        peer.ws.handle_timeout(time(start));
        peer.ws.handle_timeout(time(start.wrapping_add(9_000)));
        assert_eq!(peer.ws.poll_timeout(), Some(time(start.wrapping_add(9_000) + 10_000)));
    }
}

/// An idle Ping that is due at 30 seconds is pending.
fn pending(config: Config) -> Peer<Server> {
    let mut peer = server(config);
    for now in [0, 30] {
        peer.ws.handle_timeout(seconds(now));
    }
    peer
}

/// When the timer acts next, if it is armed or runs at `now`.
fn next<R: sansocket::Role>(peer: &mut Peer<R>, now: u64) -> u64 {
    peer.ws.handle_timeout(seconds(now));
    peer.ws.poll_timeout().unwrap().as_secs()
}

#[test]
fn output_counts_as_life_only_while_more_is_left() {
    let mut peer = server(config());
    assert_eq!(next(&mut peer, 0), 30);
    peer.ws.output_sent(0, 0);
    peer.ws.output_sent(0, 100);
    peer.ws.output_sent(100, 0);
    assert_eq!(next(&mut peer, 10), 30);
    peer.ws.output_sent(1, 100);
    assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO));
    assert_eq!(next(&mut peer, 11), 41);
    peer.ws.output_sent(100, 0);
    assert_eq!(next(&mut peer, 12), 41);
}

#[test]
fn the_time_for_a_pong_begins_when_the_ping_leaves_the_outbox() {
    // Pending: it is not in the outbox yet.
    let mut peer = pending(config());
    assert_eq!(next(&mut peer, 31), 50);
    peer.ws.output_sent(0, 10);
    assert_eq!(next(&mut peer, 31), 50);
    peer.ws.output_sent(10, 0);
    assert_eq!(next(&mut peer, 32), 52);
    peer.ws.output_sent(10, 10);
    assert_eq!(next(&mut peer, 33), 53);
    // Queued: behind 10 bytes in the outbox.
    peer.ws.transmit(&mut peer.outbox).unwrap();
    assert_eq!(next(&mut peer, 34), 53);
    peer.ws.output_sent(0, 12);
    assert_eq!(next(&mut peer, 34), 53);
    peer.ws.output_sent(9, 3);
    assert_eq!(next(&mut peer, 35), 55);
    peer.ws.output_sent(3, 0);
    assert_eq!(next(&mut peer, 36), 56);
    // Sent: what is small enough for the kernel does not count.
    peer.ws.output_sent(5, 0);
    assert_eq!(next(&mut peer, 37), 56);
    peer.ws.output_sent(5, 5);
    assert_eq!(next(&mut peer, 38), 58);
    peer.receive(b"");
    assert_eq!(peer.take_sent(), [0x89, 0], "it is sent once");
    peer.ws.handle_timeout(seconds(57));
    assert!(!is_closed(&peer));
    peer.ws.handle_timeout(seconds(58));
    ended(&mut peer, "not answered a Ping");
    // Input ends the wait in each phase.
    for steps in 0..3 {
        let mut peer = pending(config());
        if steps > 0 {
            peer.ws.transmit(&mut peer.outbox).unwrap();
        }
        if steps > 1 {
            peer.ws.output_sent(2, 0);
        }
        assert_eq!(peer.receive_only(&masked(0x8A, b"")), 1);
        assert_eq!(next(&mut peer, 40), 70, "{steps}");
    }
}

#[test]
fn without_a_pong_timeout_a_ping_is_repeated_in_each_phase() {
    let config = config().pong_timeout(None);
    for reports in [false, true] {
        let mut peer = pending(config);
        for now in 1..6 {
            peer.ws.handle_timeout(seconds(now * 30));
            peer.receive(b"");
            if reports {
                peer.ws.output_sent(2, 0);
                peer.ws.handle_timeout(seconds(now * 30));
            }
            assert_eq!(peer.ws.poll_timeout(), Some(seconds(now * 30 + 30)));
            assert_eq!(peer.take_sent(), [0x89, 0]);
        }
    }
}

#[test]
fn a_closing_timeout_starts_anew_while_a_backlog_moves() {
    fn check<R: sansocket::Role>(mut peer: Peer<R>) {
        peer.ws.handle_timeout(seconds(100));
        peer.ws.output_sent(1, 1);
        assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO));
        peer.ws.handle_timeout(seconds(103));
        assert_eq!(peer.ws.poll_timeout(), Some(seconds(108)));
        // The end is no sign of life.
        peer.ws.output_sent(1, 0);
        assert_eq!(peer.ws.poll_timeout(), Some(seconds(108)));
        assert!(!is_closed(&peer));
        peer.ws.handle_timeout(seconds(108));
        assert!(is_closed(&peer));
    }
    let (servers, clients) = closing(config());
    servers.into_iter().for_each(check);
    clients.into_iter().for_each(check);
}

#[test]
fn pongs_behind_our_close_frame_do_not_prolong_the_closing_handshake() {
    fn check<R: sansocket::Role>(mut peer: Peer<R>) {
        let restarts = |peer: &mut Peer<R>, now: u64, sent: usize, left: usize| {
            peer.ws.handle_timeout(seconds(now));
            peer.ws.output_sent(sent, left);
            peer.ws.poll_timeout() == Some(Duration::ZERO)
        };
        // 10 bytes are left, the last of them the Close frame. Then Pongs are appended as fast as
        // bytes are written.
        assert!(restarts(&mut peer, 100, 5, 10));
        assert!(restarts(&mut peer, 101, 4, 12));
        assert!(restarts(&mut peer, 102, 5, 13));
        assert!(!restarts(&mut peer, 103, 1, 14), "the Close frame is written");
        assert!(!restarts(&mut peer, 104, 14, 14));
        assert!(!restarts(&mut peer, 106, 1, 1 << 20));
        peer.ws.handle_timeout(seconds(108));
        assert!(is_closed(&peer));
    }
    let (servers, clients) = closing(config());
    servers.into_iter().for_each(check);
    clients.into_iter().for_each(check);
}

#[test]
fn a_handshake_timeout_starts_anew_while_the_request_leaves() {
    let mut peer = connecting_with(config(), sansocket::Connect::new("a", "/"));
    let limit = next(&mut peer, 1) - 1;
    for (now, left) in [(2, 800), (5, 400), (6, 0)] {
        peer.ws.output_sent(400, left);
        assert_eq!(next(&mut peer, now), now + limit);
    }
    peer.ws.output_sent(0, 0);
    assert_eq!(next(&mut peer, 7), 6 + limit);
}

#[test]
fn a_report_of_output_after_the_end_starts_no_timer() {
    let mut closed = server(config());
    closed.eof();
    closed.ws.output_sent(1, 1);
    assert_eq!(closed.ws.poll_timeout(), None);
}

/// Sends `len` bytes to a peer that takes `rate` bytes a second and sends nothing but Pongs, one
/// for each Ping that arrives. Returns how many Pings it got, and whether the connection lived for
/// a minute after the end.
fn slow_peer<R: sansocket::Role>(
    mut peer: Peer<R>,
    len: usize,
    rate: usize,
    pong: &[u8],
    pieces: bool,
) -> (usize, bool) {
    let payload = vec![0; len];
    if pieces {
        for (index, piece) in payload.chunks(1000).enumerate() {
            let fragment = sansocket::Fragment::new(piece, index == len.div_ceil(1000) - 1);
            peer.ws.send_piece(fragment, &mut peer.outbox).unwrap();
        }
    } else {
        peer.ws.send(&payload, &mut peer.outbox).unwrap();
    }
    let (seconds_needed, mut pings) = ((len / rate) as u64, 0);
    for now in 0..seconds_needed + 70 {
        peer.ws.handle_timeout(seconds(now));
        peer.receive(b"");
        let before = peer.outbox.len();
        let sent = rate.min(before);
        peer.outbox.drain(..sent);
        peer.ws.output_sent(sent, peer.outbox.len());
        // After the message, all that is sent are Pings.
        if now > seconds_needed + 1 && sent > 0 {
            pings += 1;
            peer.receive(pong);
        }
    }
    (pings, !is_closed(&peer))
}

#[test]
fn a_peer_that_takes_a_large_message_slowly_is_alive() {
    for pieces in [false, true] {
        let pong = masked(0x8A, b"");
        assert_eq!(slow_peer(server(Config::default()), 1 << 20, 10_000, &pong, pieces), (2, true));
        let pong = unmasked(0x8A, b"");
        assert_eq!(slow_peer(client(Config::default()), 1 << 20, 10_000, &pong, pieces), (2, true));
    }
    // A peer that stops is noticed.
    let mut peer = server(Config::default());
    peer.ws.send(&[0; 100_000], &mut peer.outbox).unwrap();
    for now in 0..=5 {
        peer.ws.handle_timeout(seconds(now));
        peer.ws.output_sent(10_000, 100_000);
    }
    for now in 6..=56 {
        peer.ws.output_sent(0, 100_000);
        peer.ws.handle_timeout(seconds(now));
        peer.receive(b"");
        assert_eq!(is_closed(&peer), now == 56, "{now}");
    }
}

/// Runs the loop of `missing` in the crate's documentation: each second brings one of these reads,
/// and time passes only if the read brought nothing. Returns the connection after the reads.
fn wait_for_whole_frames(config: Config, reads: impl Iterator<Item = Vec<u8>>) -> Peer<Server> {
    let mut peer = server(config);
    let (mut buffer, mut kept) = (vec![0; 64 * 1024], 0);
    peer.ws.handle_timeout(seconds(0));
    for (now, read) in reads.enumerate() {
        let end = kept + read.len();
        buffer[kept..end].copy_from_slice(&read);
        let capacity = buffer.len();
        let mut input = &mut buffer[..end];
        loop {
            let missing = peer.ws.missing(input, &peer.inbox);
            if missing > 0 && missing <= (capacity - input.len()) as u64 {
                break;
            }
            let Some(event) = peer.ws.receive(&mut input, &mut peer.inbox) else { break };
            push(&mut peer.seen, &event);
        }
        kept = input.len();
        buffer.copy_within(end - kept..end, 0);
        if read.is_empty() {
            peer.ws.handle_timeout(seconds(now as u64));
        }
        peer.ws.transmit(&mut peer.outbox).unwrap();
    }
    peer
}

#[test]
fn bytes_that_wait_for_the_rest_of_their_frame_count_as_life() {
    let frame = masked(0x82, &[7; 60_000]);
    // Reads of 800 bytes, and after each a read that brings nothing.
    let slowly = |bytes: &[u8]| {
        let reads: Vec<Vec<u8>> = bytes.chunks(800).map(<[u8]>::to_vec).collect();
        reads.into_iter().flat_map(|read| [read, vec![]])
    };
    let mut peer = wait_for_whole_frames(Config::default(), slowly(&frame));
    assert_eq!(peer.take_seen(), [Seen::Binary(vec![7; 60_000])]);
    assert_eq!(peer.take_sent(), b"", "no Ping while bytes arrive");
    // The same at the end of every kind of header and payload, and with frames one after the other.
    let frames =
        [masked(0x01, &[b'a'; 999]), masked(0x89, &[b'p'; 125]), masked(0x80, &[b'b'; 999])].concat();
    for stop in 1..frames.len() {
        let reads = frames[..stop].chunks(1);
        let mut alive = wait_for_whole_frames(
            Config::default().idle_ping(Some(seconds(2))),
            reads.flat_map(|read| [read.to_vec(), vec![]]),
        );
        let sent = alive.take_sent();
        assert!(!sent.contains(&0x89), "{stop}: {sent:x?}");
    }
    // A peer that stops inside a frame is noticed, however often `missing` is asked.
    for stop in [1, 2, 5, 100, 6_000, 59_999] {
        let silence = std::iter::repeat_n(vec![], 60);
        let mut peer = wait_for_whole_frames(Config::default(), slowly(&frame[..stop]).chain(silence));
        assert_eq!(peer.take_sent(), [0x89, 0]);
        ended(&mut peer, "not answered a Ping");
    }
}

#[test]
fn missing_without_new_bytes_is_no_sign_of_life() {
    let config = Config::default();
    let frame = masked(0x82, &[0; 1000]);
    let mut peer = server(config);
    assert_eq!(next(&mut peer, 0), 30);
    assert_eq!(peer.ws.missing(b"", &peer.inbox), 0);
    assert_eq!(next(&mut peer, 1), 30, "nothing has arrived");
    assert!(peer.ws.missing(&frame[..100], &peer.inbox) > 0);
    assert_eq!(next(&mut peer, 2), 32);
    for now in 3..10 {
        assert!(peer.ws.missing(&frame[..100], &peer.inbox) > 0);
        assert_eq!(next(&mut peer, now), 32, "the same bytes");
    }
    peer.ws.output_sent(1, 1);
    assert_eq!(next(&mut peer, 10), 40);
    assert!(peer.ws.missing(&frame[..100], &peer.inbox) > 0);
    assert_eq!(next(&mut peer, 11), 40, "the same bytes after a report of output");
    assert_eq!(next(&mut peer, 40), 60);
    assert!(peer.ws.missing(&frame[..100], &peer.inbox) > 0);
    assert_eq!(next(&mut peer, 41), 60, "the same bytes after the Ping became due");
    peer.ws.transmit(&mut peer.outbox).unwrap();
    assert!(peer.ws.missing(&frame[..101], &peer.inbox) > 0);
    assert_eq!(next(&mut peer, 42), 72, "one more");
    // Received bytes do not wait any more: the next ones are new, whatever their number.
    peer.receive_only(&frame);
    assert_eq!(next(&mut peer, 50), 80);
    assert!(peer.ws.missing(&frame[..101], &peer.inbox) > 0);
    assert_eq!(next(&mut peer, 51), 81);
    // A frame that is received in parts.
    peer.receive_only(&frame[..500]);
    assert_eq!(next(&mut peer, 60), 90);
    assert!(peer.ws.missing(b"", &peer.inbox) > 0);
    assert_eq!(next(&mut peer, 61), 90);
    // It changes no other timeout.
    peer.ws.close_without_code(&mut peer.outbox).unwrap();
    assert_eq!(next(&mut peer, 62), 67);
    assert!(peer.ws.missing(&frame[500..600], &peer.inbox) > 0);
    assert_eq!(next(&mut peer, 63), 67);
}

/// What can change the timer.
#[derive(Clone, Debug)]
enum Step {
    /// The time, and whether the caller calls `handle_timeout` for as long as it is due.
    Time(Duration, bool),
    Receive(Vec<u8>),
    Missing(usize),
    Sent(usize, usize),
    Transmit,
    Payload(u64),
    Set(Config),
    Close,
    End,
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..100_000_u64).prop_map(Duration::from_millis),
        1 => (0..100_000_u64).prop_map(|millis| Duration::MAX - Duration::from_millis(millis)),
        1 => (0..100_000_u32).prop_map(|millis| Duration::from_millis((u32::MAX - millis).into())),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
        1 => (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
    ]
}

fn any_timeout() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        2 => Just(None),
        2 => Just(Some(Duration::ZERO)),
        2 => (1..2_000_000_u64).prop_map(|nanos| Some(Duration::from_nanos(nanos))),
        4 => (1..60_000_u64).prop_map(|millis| Some(Duration::from_millis(millis))),
        1 => any_time().prop_map(Some),
    ]
}

fn any_config() -> impl Strategy<Value = Config> {
    let timeouts = (any_timeout(), any_timeout(), any_timeout(), any_timeout());
    timeouts.prop_map(|(handshake, idle, pong, closing)| {
        let config = Config::new().handshake_timeout(handshake).idle_ping(idle);
        config.pong_timeout(pong).closing_timeout(closing)
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let frame = prop_oneof![
        Just(masked(0x81, b"text")),
        Just(masked(0x89, b"p")),
        Just(masked(0x01, b"part")),
        Just(masked(0x88, b"")),
        Just(unmasked(0x81, b"not masked")),
        proptest::collection::vec(any::<u8>(), 0..3),
    ];
    prop_oneof![
        8 => (any_time(), any::<bool>()).prop_map(|(now, all)| Step::Time(now, all)),
        2 => frame.prop_map(Step::Receive),
        1 => (0..100_usize).prop_map(Step::Missing),
        2 => (0..3_usize, 0..3_usize).prop_map(|(sent, left)| Step::Sent(sent, left)),
        2 => Just(Step::Transmit),
        1 => (0..5_u64).prop_map(Step::Payload),
        2 => any_config().prop_map(Step::Set),
        1 => Just(Step::Close),
        1 => Just(Step::End),
    ]
}

/// The longest wait that a machine may ask for: the longest timeout.
const LONGEST: Duration = Duration::from_millis(u32::MAX as u64 - 1);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_loop_over_due_timeouts_ends_and_no_timeout_is_lost(
        config in any_config(), connecting in any::<bool>(), steps in proptest::collection::vec(any_step(), 1..40)
    ) {
        let mut peer = if connecting { new_server(config) } else { server(config) };
        for step in steps {
            match step {
                Step::Time(now, all) => {
                    let mut calls = 0;
                    while peer.ws.poll_timeout().is_some_and(|at| at <= now) {
                        peer.ws.handle_timeout(now);
                        calls += 1;
                        prop_assert!(calls == 1, "{now:?}: {:?}", peer.ws);
                    }
                    if all {
                        peer.ws.handle_timeout(now);
                        if let Some(at) = peer.ws.poll_timeout() {
                            prop_assert!(at > now && at - now <= LONGEST, "{now:?}: {:?}", peer.ws);
                        }
                    }
                }
                Step::Receive(bytes) => _ = peer.receive_only(&bytes),
                Step::Missing(len) => _ = peer.ws.missing(&masked(0x82, &[0; 126])[..len], &peer.inbox),
                Step::Sent(sent, left) => peer.ws.output_sent(sent, left),
                Step::Transmit => peer.ws.transmit(&mut peer.outbox).unwrap(),
                Step::Payload(len) => {
                    let _ = peer.ws.send_header(sansocket::Kind::Binary, 9, &mut peer.outbox);
                    let _ = peer.ws.payload_sent(len);
                }
                Step::Set(config) => peer.ws.set_config(config),
                Step::Close => _ = peer.ws.close_without_code(&mut peer.outbox),
                Step::End => peer.ws.receive_eof(),
            }
            // A closed connection has no timeout.
            prop_assert!(!is_closed(&peer) || peer.ws.poll_timeout().is_none());
        }
    }
}

/// The setter of a timeout.
type Setter = fn(Config, Option<Duration>) -> Config;

/// A connection in each phase of the timer whose timeout `set` changes: it runs until the returned
/// deadline, in seconds, with the timeout that was configured.
fn running(config: Config) -> [(Peer<Server>, u64, Setter); 4] {
    let mut idle = server(config);
    idle.ws.handle_timeout(seconds(100));
    let mut pong = server(config.idle_ping(Some(seconds(1))));
    pong.ws.handle_timeout(seconds(99));
    pong.ws.handle_timeout(seconds(100));
    let mut closing = server(config);
    closing.ws.close_without_code(&mut closing.outbox).unwrap();
    closing.take_sent();
    closing.ws.handle_timeout(seconds(100));
    let mut handshake = new_server(config);
    handshake.ws.handle_timeout(seconds(100));
    [
        (idle, 130, Config::idle_ping),
        (pong, 120, Config::pong_timeout),
        (closing, 105, Config::closing_timeout),
        (handshake, 110, Config::handshake_timeout),
    ]
}

#[test]
fn a_configuration_that_changes_no_timeout_restarts_none() {
    for (mut peer, deadline, _) in running(config()) {
        for max in [1, 2, 3] {
            peer.ws.set_config(peer.ws.config().max_message(max).max_frame(max).max_head(900));
            assert_eq!(peer.ws.poll_timeout(), Some(seconds(deadline)));
        }
    }
}

#[test]
fn a_changed_timeout_starts_anew() {
    for index in 0..4 {
        for timeout in [1, 3, 6, 50, 500] {
            let (mut peer, deadline, set) = running(config()).into_iter().nth(index).unwrap();
            assert_eq!(peer.ws.poll_timeout(), Some(seconds(deadline)));
            peer.ws.set_config(set(*peer.ws.config(), Some(seconds(timeout))));
            assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO));
            assert_eq!(next(&mut peer, 102), 102 + timeout);
            peer.ws.handle_timeout(seconds(102 + timeout) - Duration::from_nanos(1));
            assert_eq!(peer.ws.poll_timeout(), Some(seconds(102 + timeout)));
            peer.ws.handle_timeout(seconds(102 + timeout));
            peer.receive(b"");
            match index {
                0 => assert_eq!(peer.take_sent(), [0x89, 0]),
                _ => assert!(is_closed(&peer)),
            }
        }
        // Never, and again a time.
        let (mut peer, _, set) = running(config()).into_iter().nth(index).unwrap();
        let never = set(peer.ws.config().idle_ping(None), None);
        peer.ws.set_config(never);
        assert_eq!(peer.ws.poll_timeout(), None);
        peer.ws.handle_timeout(seconds(100_000));
        peer.receive(b"");
        let state = peer.ws.state();
        peer.ws.set_config(set(never, Some(seconds(4))));
        assert_eq!(peer.ws.poll_timeout(), Some(Duration::ZERO));
        assert_eq!(next(&mut peer, 7), 11);
        assert_eq!(peer.ws.state(), state);
        peer.ws.handle_timeout(seconds(11));
        assert_eq!(is_closed(&peer), index > 0);
    }
    // A timeout of another phase changes nothing.
    for index in 0..4 {
        let (mut peer, deadline, _) = running(config()).into_iter().nth(index).unwrap();
        for (other, (_, _, set)) in running(config()).into_iter().enumerate() {
            if other != index {
                peer.ws.set_config(set(*peer.ws.config(), Some(seconds(77))));
            }
        }
        assert_eq!(next(&mut peer, 101), deadline);
    }
}

#[test]
fn a_changed_timeout_waits_for_its_phase() {
    // While the caller answers a request, and after the end, no timer runs.
    let (mut peer, accept) = requested(config(), &request(""));
    peer.ws.set_config(config().handshake_timeout(Some(seconds(1))).idle_ping(Some(seconds(3))));
    assert_eq!(peer.ws.poll_timeout(), None);
    peer.ws.accept(accept, &mut peer.outbox).unwrap();
    assert_eq!(next(&mut peer, 1), 4);
    peer.eof();
    peer.ws.set_config(config());
    assert_eq!(peer.ws.poll_timeout(), None);
    let mut peer = Peer::new(WebSocket::client(config(), rng()));
    peer.ws.set_config(config().handshake_timeout(Some(seconds(1))));
    assert_eq!(peer.ws.poll_timeout(), None);
    peer.ws.connect(sansocket::Connect::new("a", "/"), &mut peer.outbox).unwrap();
    assert_eq!(next(&mut peer, 1), 2);
}
