//! Child processes, and their output with a deadline.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// The lines that a peer prints. If the test fails, all lines so far are shown.
pub struct Output {
    name: String,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
    deadline: Instant,
}

/// The other end of an [`Output`].
pub struct Printer {
    lines: Sender<String>,
    log: Arc<Mutex<String>>,
}

impl Drop for Output {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {}\n{}---", self.name, self.log());
        }
    }
}

impl Output {
    pub fn new(name: String, deadline: Instant) -> (Printer, Self) {
        let (sender, lines) = mpsc::channel();
        let log = Arc::default();
        (Printer { lines: sender, log: Arc::clone(&log) }, Self { name, lines, log, deadline })
    }

    /// Waits for the next line; `None` at the end of the output.
    #[track_caller]
    pub fn next(&self) -> Option<String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("deadline missed"),
        }
    }

    #[track_caller]
    pub fn expect(&self, wanted: &str) {
        let line = self.next().unwrap_or_else(|| panic!("the end instead of {:?}", beginning(wanted)));
        let same = line.trim_end() == wanted.trim_end();
        assert!(same, "{:?} instead of {:?}", beginning(&line), beginning(wanted));
    }

    /// The address in the first line of a server.
    #[track_caller]
    pub fn listening(&self) -> String {
        let line = self.next().unwrap_or_default();
        line.strip_prefix("listening on ").expect("an address").to_owned()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Printer {
    pub fn print(&self, line: String) {
        self.note(&line);
        // The receiver is gone if the test is over.
        let _ = self.lines.send(line);
    }

    fn note(&self, line: &str) {
        let mut log = self.log.lock().unwrap();
        log.push_str(beginning(line));
        log.push('\n');
    }
}

/// The beginning of `line`: some messages have a megabyte.
fn beginning(line: &str) -> &str {
    line.char_indices().nth(300).map_or(line, |(end, _)| &line[..end])
}

/// A child process that is killed at the end of the test.
pub struct Process {
    child: Guard,
    input: Option<Sender<String>>,
    pub output: Output,
}

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    pub fn start(command: &mut Command, deadline: Instant) -> io::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (printer, output) = Output::new(format!("{command:?}"), deadline);
        // A thread for each stream, so that a wait for this process ends at the deadline.
        let errors = Printer { lines: printer.lines.clone(), log: Arc::clone(&printer.log) };
        thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| printer.print(line)));
        // It holds `errors.lines` too, so that the output ends when both streams have ended.
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| errors.note(&line)));
        let (input, lines) = mpsc::channel::<String>();
        thread::spawn(move || lines.iter().try_for_each(|line| writeln!(stdin, "{line}")));
        Ok(Self { child: Guard(child), input: Some(input), output })
    }

    /// Writes a line to its standard input.
    pub fn send(&self, line: impl Into<String>) {
        let _ = self.input.as_ref().unwrap().send(line.into());
    }

    pub fn end_input(&mut self) {
        self.input = None;
    }

    #[allow(dead_code, reason = "for signals, which not all tests send")]
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn exit(&mut self) -> ExitStatus {
        while self.output.next().is_some() {}
        // The standard library has no wait with a deadline. The output has ended, so the process
        // ends soon.
        loop {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < self.output.deadline, "deadline missed");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The path of an example. All examples are built once, with the profile and the features of this
/// test.
pub fn example(name: &str) -> PathBuf {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLES.get_or_init(build_examples).join(name)
}

macro_rules! features {
    ($($name:literal)*) => {
        [$(($name, cfg!(feature = $name))),*]
    };
}

/// The features of sansocket-io, and which of them this test has.
const FEATURES: [(&str, bool); 9] = features!(
    "blocking" "deflate" "embassy-time" "embedded-io-async" "futures-io" "rustls" "simd" "stream" "tokio"
);

fn build_examples() -> PathBuf {
    // target directory / profile / "deps" / this test
    let test = env::current_exe().unwrap();
    let [profile_dir, target_dir] = [2, 3].map(|n| test.ancestors().nth(n).unwrap());
    let profile = match profile_dir.file_name().unwrap().to_str() {
        Some("debug") => "dev",
        other => other.unwrap(),
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--examples", "--profile", profile]);
    cargo.args(["-p", "sansocket-io", "-p", "sansocket-demo"]);
    for (feature, is_on) in FEATURES {
        if is_on {
            cargo.args(["--features", &format!("sansocket-io/{feature}")]);
        }
    }
    if cfg!(feature = "deflate") {
        cargo.args(["--features", "sansocket-demo/deflate"]);
    }
    cargo.arg("--target-dir").arg(target_dir);
    cargo.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let mut build = Process::start(&mut cargo, Instant::now() + Duration::from_secs(900)).unwrap();
    assert!(build.exit().success(), "the examples do not build");
    profile_dir.join("examples")
}
