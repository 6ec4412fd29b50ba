//! The Ethernet controller as a smoltcp device.

use crate::lan9118::{self, FRAME, Lan9118};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

impl Device for Lan9118 {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Room)> {
        // smoltcp needs a transmit token for the reply.
        if !lan9118::has_room() {
            return None;
        }
        self.receive().map(|frame| (Received(frame), Room))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room> {
        lan9118::has_room().then_some(Room)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities
    }
}

/// A received frame.
pub struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
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
