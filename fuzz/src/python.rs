//! The implementations in Python, each in a process of its own that runs `peers.py`.

use crate::Seen;
use crate::differential::{Case, Difference, End, Heard, Limits, Other};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// `websockets`, or `wsproto`, which has no limits.
pub struct Python {
    name: &'static str,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Python {
    /// Starts it with the Python of the peers of the interop tests, in `peers`.
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

    /// Sends a question (flags, the limit on frames, the length of the stream and the stream), reads the answer: events,
    /// each a letter, its length and its content, the last of them the end.
    fn ask(&mut self, case: &Case, stream: &[u8]) -> io::Result<Heard> {
        let frame = self.limits(case.small).frame.unwrap_or(0);
        let mut question = vec![u8::from(case.client) | u8::from(case.head) << 1];
        question.extend_from_slice(&(frame as u32).to_be_bytes());
        question.extend_from_slice(&(stream.len() as u32).to_be_bytes());
        question.extend_from_slice(stream);
        self.input.write_all(&question)?;
        let mut seen = Vec::new();
        loop {
            let mut header = [0; 5];
            self.output.read_exact(&mut header)?;
            let [letter, len @ ..] = header;
            let mut content = vec![0; u32::from_be_bytes(len) as usize];
            self.output.read_exact(&mut content)?;
            let text = || String::from_utf8_lossy(&content).into_owned();
            seen.push(match letter {
                b'O' => Seen::Open(Some(text()).filter(|protocol| !protocol.is_empty())),
                b'T' => Seen::Text(text()),
                b'B' => Seen::Binary(content),
                b'I' => Seen::Ping(content),
                b'A' => Seen::Pong(content),
                b'C' => {
                    let (code, reason) = content.split_at(2);
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    return Ok((seen, End::Close(u16::from_be_bytes([code[0], code[1]]), reason)));
                }
                b'S' => return Ok((seen, End::Stream)),
                _ => return Ok((seen, End::Fault(text()))),
            });
        }
    }
}

impl Other for Python {
    fn differs(&self) -> &'static [Difference] {
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
                D::Folds,
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

    fn hears_heads(&self) -> bool {
        self.name == "websockets"
    }

    fn hear(&mut self, case: &Case, stream: &[u8]) -> Heard {
        self.ask(case, stream).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
