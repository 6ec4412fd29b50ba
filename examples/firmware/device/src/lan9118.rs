//! A driver for the board's Ethernet controller, a LAN9118. It polls and uses no interrupts.

const BASE: usize = 0x4020_0000;
/// The maximum frame, without its checksum.
pub const FRAME: usize = 1514;

/// Offsets of the registers.
mod register {
    pub const RX_DATA: usize = 0x00;
    pub const TX_DATA: usize = 0x20;
    pub const RX_STATUS: usize = 0x40;
    pub const TX_STATUS: usize = 0x48;
    pub const BYTE_TEST: usize = 0x64;
    pub const TX_CONFIG: usize = 0x70;
    pub const RX_FILL: usize = 0x7C;
    pub const TX_FILL: usize = 0x80;
    pub const MAC_COMMAND: usize = 0xA4;
    pub const MAC_DATA: usize = 0xA8;
}

/// The registers of the MAC, which are accessed through `MAC_COMMAND` and `MAC_DATA`.
mod mac {
    pub const CONTROL: u32 = 1;
    pub const ADDRESS_HIGH: u32 = 2;
    pub const ADDRESS_LOW: u32 = 3;
}

fn read(register: usize) -> u32 {
    // SAFETY: the controller's registers are at this address. Reading does not change memory.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as above; the controller does not access memory.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
}

const MAC_BUSY: u32 = 1 << 31;
const MAC_READ: u32 = 1 << 30;

fn mac_command(command: u32) {
    write(register::MAC_COMMAND, MAC_BUSY | command);
    while read(register::MAC_COMMAND) & MAC_BUSY != 0 {}
}

fn mac_read(register: u32) -> u32 {
    mac_command(MAC_READ | register);
    read(register::MAC_DATA)
}

fn mac_write(register: u32, value: u32) {
    write(register::MAC_DATA, value);
    mac_command(register);
}

/// The controller, enabled.
pub struct Lan9118 {
    frame: [u8; FRAME],
}

impl Lan9118 {
    /// Enables the controller. `None` if there is none.
    pub fn new() -> Option<Self> {
        if read(register::BYTE_TEST) != 0x8765_4321 {
            return None;
        }
        // Enable transmission, and let new statuses overwrite unread ones.
        write(register::TX_CONFIG, 1 << 1 | 1 << 2);
        // Full duplex, transmit, receive.
        mac_write(mac::CONTROL, 1 << 20 | 1 << 3 | 1 << 2);
        Some(Self { frame: [0; FRAME] })
    }

    /// The controller's MAC address.
    pub fn address(&self) -> [u8; 6] {
        let [a, b, c, d] = mac_read(mac::ADDRESS_LOW).to_le_bytes();
        let [e, f, ..] = mac_read(mac::ADDRESS_HIGH).to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// The next frame without errors and of valid length.
    pub fn receive(&mut self) -> Option<&mut [u8]> {
        const ERROR: u32 = 1 << 15;
        while read(register::RX_FILL) >> 16 & 0xFF > 0 {
            let status = read(register::RX_STATUS);
            // Includes the checksum of four bytes.
            let len = (status >> 16 & 0x3FFF) as usize;
            for at in (0..len).step_by(4) {
                let word = read(register::RX_DATA).to_le_bytes();
                let slots = self.frame.iter_mut().skip(at);
                slots.zip(word).for_each(|(slot, byte)| *slot = byte);
            }
            let payload = len.saturating_sub(4);
            if status & ERROR == 0 && (1..=FRAME).contains(&payload) {
                return self.frame.get_mut(..payload);
            }
        }
        None
    }
}

/// Whether the controller has room for a frame.
pub fn has_room() -> bool {
    // Discard the statuses: TCP detects lost frames.
    while read(register::TX_FILL) >> 16 & 0xFF > 0 {
        read(register::TX_STATUS);
    }
    // A frame, two command words and padding.
    read(register::TX_FILL) & 0xFFFF > FRAME as u32 + 16
}

/// Sends a frame of `len` bytes that `fill` writes. There must be room.
pub fn send<R>(len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
    const FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;
    let mut frame = [0; FRAME];
    let frame = &mut frame[..len];
    let result = fill(frame);
    write(register::TX_DATA, FIRST_AND_LAST | len as u32);
    write(register::TX_DATA, len as u32);
    for bytes in frame.chunks(4) {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        write(register::TX_DATA, u32::from_le_bytes(word));
    }
    result
}
