//! Counts the instructions of all the work of this package with valgrind's callgrind, and compares
//! them with the counts committed in `instructions.txt`. Times are noisy; instruction counts are
//! not.
//!
//! ```sh
//! cargo bench --manifest-path benches/Cargo.toml --bench instructions   # prints the table
//! … -- --check   # also fails if a count has grown by more than 5 %, with the same compiler
//! … -- --write   # replaces the committed counts
//! … -- echo      # only the work with this in its name
//! ```

use std::process::{Command, ExitCode};
use std::{collections::HashMap, env, fs, hint::black_box};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
/// The largest accepted ratio to the committed count.
const TOLERANCE: f64 = 1.05;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // Runs under valgrind: does one work the given number of times.
        ["--run", name, times] => return run(name, times.parse().unwrap()),
        // `cargo bench -- --test`: does everything once and counts nothing.
        _ if arguments.iter().any(|argument| argument == "--test") => {
            sansocket_benches::all().iter_mut().for_each(|work| _ = (work.run)());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filter = arguments.iter().find(|argument| !argument.starts_with("--")).map_or("", String::as_str);
    let compiler = compiler();
    let committed = fs::read_to_string(TABLE).unwrap_or_default();
    let comparable = committed.lines().next() == Some(&compiler);
    let before: HashMap<&str, f64> = committed
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, count)| Some((name.trim_end(), count.parse().ok()?)))
        .collect();
    let mut table = format!("{compiler}\n");
    let mut grown = false;
    for mut work in sansocket_benches::all() {
        if !work.name.contains(filter) {
            continue;
        }
        let messages = (work.run)();
        let (few, many) = (1.max(64 / messages), 3 * 1.max(64 / messages));
        let count = (collect(&work.name, many) - collect(&work.name, few)) / ((many - few) * messages) as f64;
        let line = format!("{:<50} {count:>10.1}", work.name);
        let before = before.get(work.name.as_str());
        let ratio = before.map_or(1.0, |before| count / before);
        grown |= ratio > TOLERANCE;
        println!("{line}  {}", before.map_or("new".into(), |_| format!("{ratio:.3}")));
        table += &format!("{line}\n");
    }
    if has("--write") {
        assert!(filter.is_empty(), "`--write` needs the counts of all the work");
        fs::write(TABLE, table).unwrap();
    } else if has("--check") && grown && comparable {
        eprintln!("the last column is the ratio to the committed count; the limit is {TOLERANCE}");
        return ExitCode::FAILURE;
    } else if !comparable {
        println!("the committed counts are from another compiler");
    }
    ExitCode::SUCCESS
}

fn find(name: &str) -> sansocket_benches::Work {
    sansocket_benches::all().into_iter().find(|work| work.name == name).expect("a work of this name")
}

fn run(name: &str, times: u64) -> ExitCode {
    let mut work = find(name);
    for _ in 0..times {
        black_box((work.run)());
    }
    ExitCode::SUCCESS
}

/// The number of instructions of a process that does the work `times` times.
fn collect(name: &str, times: u64) -> f64 {
    let output = Command::new("valgrind")
        // Keeps glibc from copying with `rep movsb`, which counts as one instruction per byte.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=0x7fffffff")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--run", name, &times.to_string()])
        .output()
        .expect("valgrind is installed");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let count = log.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind's count").1;
    count.trim().parse().unwrap()
}

fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
