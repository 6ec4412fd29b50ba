//! Frames on the wire (RFC 6455 section 5.2): where they begin and end, for the listing. It judges
//! nothing; that is the machine's task.

/// Follows the frames of a stream.
#[derive(Debug, Default)]
pub struct Frames {
    header: Vec<u8>,
    /// How many bytes of the payload are still to come.
    payload: u64,
}

impl Frames {
    /// Splits off the front of `input` up to the end of a frame. Returns its length, which is not
    /// 0, and the description of the frame if its header has become complete.
    pub fn split(&mut self, input: &[u8]) -> (usize, Option<String>) {
        let mut len = 0;
        let mut described = None;
        if self.payload == 0 {
            loop {
                let Some(byte) = input.get(len) else { return (len, None) };
                self.header.push(*byte);
                len += 1;
                if self.header.len() == header_len(&self.header) {
                    break;
                }
            }
            self.payload = payload_len(&self.header);
            described = Some(describe(&self.header, self.payload));
            self.header.clear();
        }
        let payload = self.payload.min((input.len() - len) as u64);
        self.payload -= payload;
        (len + payload as usize, described)
    }
}

/// The length of the header that begins with these bytes; 2 if there are fewer.
fn header_len(header: &[u8]) -> usize {
    let [_, second, ..] = header else { return 2 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 != 0 { 4 } else { 0 }
}

fn payload_len(header: &[u8]) -> u64 {
    let extended = match header[1] & 0x7f {
        126 => &header[2..4],
        127 => &header[2..10],
        short => return short.into(),
    };
    extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte))
}

fn describe(header: &[u8], payload: u64) -> String {
    let mut text = match header[0] & 0x0f {
        0x0 => "continuation".to_owned(),
        0x1 => "text".to_owned(),
        0x2 => "binary".to_owned(),
        0x8 => "close".to_owned(),
        0x9 => "ping".to_owned(),
        0xa => "pong".to_owned(),
        reserved => format!("opcode {reserved:#x}"),
    };
    for (bit, name) in [(0x80, " FIN"), (0x40, " RSV1"), (0x20, " RSV2"), (0x10, " RSV3")] {
        if header[0] & bit != 0 {
            text += name;
        }
    }
    if header[1] & 0x80 != 0 {
        text += " mask";
        for byte in &header[header.len() - 4..] {
            text += &format!(" {byte:02x}");
        }
    }
    format!("{text} payload {payload}")
}
