//! The Python implementations: each runs `peers.py` in its own process.

use crate::OwnedEvent;
use crate::differential::{Case, Difference, End, Limits, Other, Outcome};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// `websockets` or `wsproto`; the latter has no limits.
pub struct Python {
    name: &'static str,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Python {
    /// Starts it with the interop tests' Python, which `sansocket-io/tests/interop/setup` has installed in
    /// `peers`.
    pub fn start(name: &'static str, peers: &Path) -> io::Result<Self> {
        let mut child = Command::new(peers.join("venv/bin/python"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers.py"))
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { unreachable!("both are pipes") };
        Ok(Self { name, input, output: BufReader::new(output), child })
    }

    /// Sends a question: flags, the limit on frames, the stream's length and the stream. Reads the
    /// answer: events, each a letter, a length and the content; the last is the end.
    fn ask(&mut self, case: &Case, stream: &[u8]) -> io::Result<Outcome> {
        let frame = self.limits(case.small).frame.unwrap_or(0);
        let mut question = vec![u8::from(case.client) | u8::from(case.head) << 1];
        question.extend_from_slice(&(frame as u32).to_be_bytes());
        question.extend_from_slice(&(stream.len() as u32).to_be_bytes());
        question.extend_from_slice(stream);
        self.input.write_all(&question)?;
        let mut events = Vec::new();
        loop {
            let mut header = [0; 5];
            self.output.read_exact(&mut header)?;
            let [letter, len @ ..] = header;
            let mut content = vec![0; u32::from_be_bytes(len) as usize];
            self.output.read_exact(&mut content)?;
            let text = || String::from_utf8_lossy(&content).into_owned();
            events.push(match letter {
                b'O' => OwnedEvent::Open(Some(text()).filter(|protocol| !protocol.is_empty())),
                b'T' => OwnedEvent::Text(text()),
                b'B' => OwnedEvent::Binary(content),
                b'I' => OwnedEvent::Ping(content),
                b'A' => OwnedEvent::Pong(content),
                b'C' => {
                    let (code, reason) = content.split_at(2);
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    return Ok((events, End::Close(u16::from_be_bytes([code[0], code[1]]), reason)));
                }
                b'S' => return Ok((events, End::Stream)),
                _ => return Ok((events, End::Error(text()))),
            });
        }
    }
}

impl Other for Python {
    fn differences(&self) -> &'static [Difference] {
        use Difference as D;
        match self.name {
            "websockets" => &[
                D::LongForm,
                D::CutOff,
                D::LateText,
                D::CloseInside,
                D::Host,
                D::Extensions,
                D::Interim,
                D::EmptyLine,
                D::NewerHttp,
                D::Lists,
                D::EmptyValue,
                D::Target,
                D::Lenient,
                D::Zeros,
                D::OneValue,
                D::Digits,
                D::NoReason,
                D::WholeLines,
            ],
            _ => &[D::CutOff, D::LateText, D::BadGateway, D::NoLimit],
        }
    }

    fn limits(&self, small: bool) -> Limits {
        let frame = if small { 130 } else { 8 << 10 };
        Limits { message: None, frame: Some(frame).filter(|_| self.name == "websockets") }
    }

    fn reads_heads(&self) -> bool {
        self.name == "websockets"
    }

    fn receive(&mut self, case: &Case, stream: &[u8]) -> Outcome {
        self.ask(case, stream).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
