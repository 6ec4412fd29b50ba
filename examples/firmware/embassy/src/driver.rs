//! What the executor needs of the board: its network controller, and its time.

#[path = "../../device/src/lan9118.rs"]
mod lan9118;

use core::cell::{Cell, RefCell};
use core::task::{Context, Waker};
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use critical_section::{Mutex, with};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use embassy_time_queue_utils::Queue;
use lan9118::FRAME;
pub use lan9118::Lan9118;

/// What the board runs at.
const HERTZ: u32 = 25_000_000;

/// The time, in milliseconds, and who waits for it.
struct Clock {
    millis: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    millis: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Who waits for the network controller: it is polled, once a millisecond.
static NETWORK: AtomicWaker = AtomicWaker::new();

/// Starts the clock.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(HERTZ / 1000 - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

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
        // The next tick looks at it.
        with(|section| self.queue.borrow_ref_mut(section).schedule_wake(at, waker));
    }
}

impl Driver for Lan9118 {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Room)> {
        NETWORK.register(context.waker());
        // The stack may want to answer at once.
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

/// A frame that has come.
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

/// Room for a frame to be sent.
pub struct Room;

impl TxToken for Room {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        lan9118::send(len, fill)
    }
}
