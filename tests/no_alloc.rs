//! Both roles with fixed buffers only, as on firmware. This test needs no feature.

use sansocket::{
    Buffer, CloseCode, Config, Connect, Event, FixedInbox, Message, Role, Slice, State, WebSocket,
};

/// Receives `bytes` in small slices and calls `each` with each event. Returns the number of events.
fn deliver<R: Role>(
    ws: &mut WebSocket<R>,
    bytes: &[u8],
    inbox: &mut dyn Buffer,
    outbox: &mut dyn Buffer,
    mut each: impl FnMut(&mut WebSocket<R>, Event<'_>, &mut dyn Buffer),
) -> usize {
    let mut events = 0;
    for slice in bytes.chunks(7) {
        let mut copy = [0; 7];
        let mut input = &mut copy[..slice.len()];
        input.copy_from_slice(slice);
        while let Some(event) = ws.receive(&mut input, inbox) {
            each(ws, event, outbox);
            ws.transmit(outbox).unwrap();
            events += 1;
        }
        ws.transmit(outbox).unwrap();
    }
    events
}

#[test]
fn a_whole_session_runs_in_fixed_memory() {
    let mut server = WebSocket::server(Config::default());
    let mut client = WebSocket::client(Config::default(), rand::rng());
    let (mut memory, mut inbox) = ([0; 512], FixedInbox::<512>::new());
    let mut server_inbox = Slice::new(&mut memory);
    let (mut up, mut down) = (heapless::Vec::<u8, 1024>::new(), heapless::Vec::<u8, 1024>::new());

    client.connect(Connect::new("device.local", "/"), &mut up).unwrap();
    let events = deliver(&mut server, &up, &mut server_inbox, &mut down, |ws, event, outbox| match event {
        Event::Request(request) => ws.accept(request.accept(), outbox).unwrap(),
        Event::Open(_) => {}
        other => panic!("{other:?}"),
    });
    assert_eq!(events, 2);
    up.clear();
    let events = deliver(&mut client, &down, &mut inbox, &mut up, |ws, event, outbox| {
        assert!(matches!(event, Event::Open(_)));
        ws.send("fixed memory: πάντα", outbox).unwrap();
        ws.ping(b"p", outbox).unwrap();
        ws.close(CloseCode::NORMAL, "bye", outbox).unwrap();
    });
    assert_eq!(events, 1);
    down.clear();
    let events = deliver(&mut server, &up, &mut server_inbox, &mut down, |ws, event, outbox| match event {
        Event::Message(message) => ws.send(message, outbox).unwrap(),
        Event::Ping(_) => {}
        Event::Close(close) => assert_eq!((close.code, close.reason.as_str()), (CloseCode::NORMAL, "bye")),
        other => panic!("{other:?}"),
    });
    assert_eq!((events, server.state()), (3, State::Closed));
    up.clear();
    let mut echoed = false;
    deliver(&mut client, &down, &mut inbox, &mut up, |_, event, _| {
        echoed |= event == Event::Message(Message::Text("fixed memory: πάντα"));
    });
    assert!(echoed && up.is_empty());
    client.receive_eof();
    assert!(client.is_closed());
}
