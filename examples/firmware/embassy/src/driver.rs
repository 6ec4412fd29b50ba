//! The board's drivers for embassy: network controller and time.

#[path = "../../device/src/lan9118.rs"]
mod lan9118;
#[path = "../../device/src/systick.rs"]
mod systick;

use core::cell::{Cell, RefCell};
use core::task::{Context, Waker};
use cortex_m_rt::exception;
use critical_section::{Mutex, with};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use embassy_time_queue_utils::Queue;
use lan9118::FRAME;
pub use lan9118::Lan9118;
pub use systick::start;

/// The time in milliseconds, and the tasks that wait for it.
struct Clock {
    millis: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    millis: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// The task that waits for the network controller, which is polled once per millisecond.
static NETWORK: AtomicWaker = AtomicWaker::new();

#[exception]
fn SysTick() {
    with(|section| {
        let now = CLOCK.millis.borrow(section).get() + 1;
        CLOCK.millis.borrow(section).set(now);
        CLOCK.queue.borrow_ref_mut(section).next_expiration(now);
    });
    NETWORK.wake();
}

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        with(|section| self.millis.borrow(section).get())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The next tick checks the queue.
        with(|section| self.queue.borrow_ref_mut(section).schedule_wake(at, waker));
    }
}

impl Driver for Lan9118 {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Room)> {
        NETWORK.register(context.waker());
        // The stack needs a transmit token for the reply.
        if !lan9118::has_room() {
            return None;
        }
        self.receive().map(|frame| (Received(frame), Room))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Room> {
        NETWORK.register(context.waker());
        lan9118::has_room().then_some(Room)
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address())
    }
}

/// A received frame.
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

/// Permission to send one frame.
pub struct Room;

impl TxToken for Room {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        lan9118::send(len, fill)
    }
}
