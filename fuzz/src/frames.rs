//! A naive parser and encoder of frames (RFC 6455 section 5.2): whole streams, no limits, no state.

/// A frame, with its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub reserved: u8,
    pub opcode: u8,
    pub masked: bool,
    /// The length is in its shortest form.
    pub minimal: bool,
    pub payload: Vec<u8>,
}

/// The complete frames at the start of `stream`, and the number of bytes that follow them.
pub fn read(mut stream: &[u8]) -> (Vec<Frame>, usize) {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = next(stream) {
        frames.push(frame);
        stream = rest;
    }
    (frames, stream.len())
}

/// The start of the first frame for which `is` returns true. `is` gets all bytes from the frame's
/// start.
pub fn find(stream: &[u8], is: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let mut rest = stream;
    while !is(rest) {
        rest = next(rest)?.1;
    }
    Some(stream.len() - rest.len())
}

/// Whether the frame's length is in a longer form than it needs.
pub fn is_non_minimal(frame: &[u8]) -> bool {
    matches!(frame, [_, 126 | 254, 0, ..126, ..] | [_, 127 | 255, 0, 0, 0, 0, 0, 0, ..])
}

/// Whether it is a control frame with a length in a longer form than any control frame needs.
pub fn is_long_control(frame: &[u8]) -> bool {
    matches!(frame, [first, 126 | 127 | 254 | 255, ..] if first & 8 != 0)
}

fn next(stream: &[u8]) -> Option<(Frame, &[u8])> {
    let (&[first, second], rest) = stream.split_first_chunk()?;
    let (len, minimal, mut rest) = match second & 0x7F {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u16::from_be_bytes(*len);
            (len.into(), len > 125, rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from_be_bytes(*len);
            (len, len > 0xFFFF, rest)
        }
        len => (len.into(), true, rest),
    };
    let masked = second & 0x80 != 0;
    let mut key = [0; 4];
    if masked {
        (key, rest) = rest.split_first_chunk().map(|(key, rest)| (*key, rest))?;
    }
    let (payload, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    let payload = payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
    let frame = Frame {
        fin: first & 0x80 != 0,
        reserved: first & 0x70,
        opcode: first & 0x0F,
        masked,
        minimal,
        payload,
    };
    Some((frame, rest))
}

/// Bytes that complete the frame in which `stream` ends, at most `limit`. They are zeros, so that
/// the rest of its header declares the shortest possible payload.
pub fn missing(stream: &[u8], masked: bool, limit: usize) -> Vec<u8> {
    let (_, rest) = read(stream);
    let mut frame = stream[stream.len() - rest..].to_vec();
    if rest == 1 {
        frame.push(if masked { 0x80 } else { 0 });
    }
    while rest > 0 && frame.len() < rest + limit && next(&frame).is_none() {
        frame.push(0);
    }
    frame.split_off(rest)
}

/// A frame with its length in the shortest form; `masked` uses a fixed key.
pub fn write(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    write_with(first, masked.then_some([0x37, 0xFA, 0x21, 0x3D]), payload)
}

/// A frame with its length in the shortest form, masked if there is a key.
pub fn write_with(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let bit = if key.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(bit | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(bit | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(bit | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend(key.into_iter().flatten());
    let key = key.unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]));
    frame
}
