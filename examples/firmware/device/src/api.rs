//! The device's application: an LED and a counter. Commands and reports are text messages.

use core::fmt::Write;

/// The board's LED register.
const LEDS: *mut u32 = 0x4002_8000 as *mut u32;

/// Holds the longest command.
pub type Command = heapless::String<16>;
/// A report of the state.
pub type Report = heapless::String<64>;

/// The state that all connections share.
#[derive(Default)]
pub struct Device {
    led: bool,
    counter: u32,
    /// The number of changes.
    pub version: u32,
}

impl Device {
    /// Executes a command. `Err` if the command is unknown.
    pub fn execute(&mut self, command: &str) -> Result<(), ()> {
        match command {
            "state" => return Ok(()),
            "led on" | "led off" => {
                self.led = command == "led on";
                // SAFETY: the LED register of the board is at this address, and writing it only
                // switches LEDs.
                unsafe { LEDS.write_volatile(self.led.into()) };
            }
            "count" => self.counter = self.counter.wrapping_add(1),
            _ => return Err(()),
        }
        self.version = self.version.wrapping_add(1);
        Ok(())
    }

    /// The state as JSON.
    pub fn report(&self) -> Report {
        let mut report = Report::new();
        let uptime = crate::clock::now().as_millis();
        let (led, counter) = (self.led, self.counter);
        // The longest report has 63 bytes.
        let _ = write!(report, r#"{{"led":{led},"counter":{counter},"uptime":{uptime}}}"#);
        report
    }
}
