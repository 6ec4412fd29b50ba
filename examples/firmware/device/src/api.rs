//! What the device does: it has an LED and a counter. The commands are text messages; so are its answers.

use core::fmt::Write;

/// The board's register of LEDs.
const LEDS: *mut u32 = 0x4002_8000 as *mut u32;

/// No command is longer.
pub type Command = heapless::String<16>;
/// What the device says.
pub type Report = heapless::String<64>;

/// The state that all connections see.
#[derive(Default)]
pub struct Device {
    led: bool,
    counter: u32,
    /// How often it has changed.
    pub version: u32,
}

impl Device {
    /// Does as it is told: `Err` where that is nothing that it knows.
    pub fn obey(&mut self, command: &str) -> Result<(), ()> {
        match command {
            "state" => return Ok(()),
            "led on" | "led off" => {
                self.led = command == "led on";
                // SAFETY: the board has the register there, and it lights its LEDs alone.
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
        // The longest has 63 bytes.
        let _ = write!(report, r#"{{"led":{led},"counter":{counter},"uptime":{uptime}}}"#);
        report
    }
}
