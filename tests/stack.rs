//! Receiving into a large fixed inbox does not copy it to the stack.

use sansocket::{Config, Event, FixedInbox, Server, WebSocket};

const SIZE: usize = 1 << 20;
/// Without optimisation, each move takes stack space.
const STACK: usize = if cfg!(debug_assertions) { 8 * SIZE } else { SIZE / 8 };

#[test]
fn a_fixed_inbox_switches_between_text_and_bytes_in_place() {
    static INBOX: std::sync::Mutex<FixedInbox<SIZE>> = std::sync::Mutex::new(FixedInbox::new());
    let receive = || {
        let mut inbox = INBOX.lock().unwrap();
        let mut ws = WebSocket::<Server>::open(Config::default());
        // A text and a binary message, each in two fragments.
        let mut stream = *b"\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b\x02\x81\0\0\0\0c\x80\x81\0\0\0\0d";
        let mut input = &mut stream[..];
        let mut messages = 0;
        while let Some(event) = ws.receive(&mut input, &mut *inbox) {
            assert!(matches!(event, Event::Message(_)));
            messages += 1;
        }
        assert_eq!(messages, 2);
    };
    std::thread::Builder::new().stack_size(STACK).spawn(receive).unwrap().join().unwrap();
}
