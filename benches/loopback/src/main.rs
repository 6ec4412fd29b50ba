//! CPU time and memory of echo servers over loopback TCP: sansocket-io beside its peers.
//!
//! Each server is a process of its own. The servers and the load are pinned to one core, and take
//! turns: in each round, every server echoes the same number of messages. Counted is the CPU time of
//! the server's process, which the kernel measures in nanoseconds, with the system calls and with
//! all threads. A cell is the median of the rounds, divided by that of the best peer.

mod load;
mod report;
mod servers;

use load::{Batch, CONTENTS, Connections, Content};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use servers::{BUN, FLUSHER, Process, SERVERS, Server};
use std::{
    fmt, fs, io,
    time::{Duration, Instant},
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
Measures echo servers over loopback TCP, and writes results.md (about 20 minutes).

  --test            checks each echo of each server, and measures nothing
  --rows=TEXT       only the rows whose name contains the text, as in `125 B JSON 100x16`
  --servers=A,B     only these servers
  --rounds=N        how often each server has its turn; 9 by default
  --core=N          the processor core of servers and load; 1 by default
  --memory          only the memory
With --rows, --servers or --memory, the results are printed only.";

const SIZES: [usize; 4] = [125, 1 << 10, 64 << 10, 1 << 20];
const CONNECTIONS: [usize; 3] = [1, 100, 1000];
const IN_FLIGHT: [usize; 2] = [1, 16];
/// A row with more bytes in flight is left out.
const MOST_IN_FLIGHT: usize = 128 << 20;
/// With messages of this length, the kernel's buffers grow for a while: so many laps.
const LARGE: usize = 64 << 10;
const WARM_UP: usize = 20;
/// How long the turn of the first server takes, about.
const TURN: Duration = Duration::from_millis(30);
/// How many connections share the memory that is measured.
const IDLE_CONNECTIONS: usize = 1000;
/// When memory after large messages is measured.
const AFTER: Duration = Duration::from_secs(10);

/// A row of the table.
pub struct Row {
    len: usize,
    content: Content,
    connections: usize,
    in_flight: usize,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, content, connections, in_flight } = self;
        match len {
            0x10_0000.. => write!(f, "{} MiB", len >> 20)?,
            1024.. => write!(f, "{} KiB", len >> 10)?,
            _ => write!(f, "{len} B")?,
        }
        write!(f, " {content} {connections}x{in_flight}")
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        for len in SIZES {
            for in_flight in IN_FLIGHT {
                if len * connections * in_flight <= MOST_IN_FLIGHT {
                    rows.extend(CONTENTS.map(|content| Row { len, content, connections, in_flight }));
                }
            }
        }
    }
    rows
}

struct Options {
    test: bool,
    memory_only: bool,
    rows: String,
    servers: Vec<String>,
    rounds: usize,
    core: usize,
}

fn main() -> Result {
    let mut options = Options {
        test: false,
        memory_only: false,
        rows: String::new(),
        servers: Vec::new(),
        rounds: 9,
        core: 1,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        use lexopt::{Arg::Long, ValueExt};
        match argument {
            Long("serve") => return Ok(servers::serve(&parser.value()?.string()?)?),
            Long("test") => options.test = true,
            Long("memory") => options.memory_only = true,
            Long("rows") => options.rows = parser.value()?.string()?,
            Long("servers") => {
                options.servers = parser.value()?.string()?.split(',').map(str::to_owned).collect();
            }
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("core") => options.core = parser.value()?.parse()?,
            Long("help") => return Ok(println!("{HELP}")),
            _ => return Err(argument.unexpected().into()),
        }
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&options))
}

async fn run(options: &Options) -> Result {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let servers = chosen(options);
    if options.test {
        return test(&servers).await;
    }
    let mut core = CpuSet::new();
    core.set(options.core)?;
    // The servers inherit it.
    sched_setaffinity(Pid::from_raw(0), &core)?;
    let mut times = Vec::new();
    if !options.memory_only {
        for connections in CONNECTIONS {
            let rows = rows().into_iter().filter(|row| row.connections == connections);
            let rows: Vec<_> = rows.filter(|row| row.to_string().contains(&options.rows)).collect();
            if !rows.is_empty() {
                measure(&servers, rows, options.rounds, &mut times).await?;
            }
        }
    }
    let memory = if options.rows.is_empty() { memory(&servers).await? } else { Vec::new() };
    let report = report::write(&servers, &times, &memory, options.rounds)?;
    println!("\n{report}");
    if options.rows.is_empty() && options.servers.is_empty() && !options.memory_only {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/results.md"), report)?;
    }
    Ok(())
}

fn chosen(options: &Options) -> Vec<&'static Server> {
    let is_chosen = |server: &&Server| {
        options.servers.is_empty() || options.servers.iter().any(|name| name == server.name)
    };
    let mut servers: Vec<_> = SERVERS.iter().filter(is_chosen).collect();
    if servers::bun_version().is_none() {
        eprintln!("without bun: `npm install --no-package-lock --prefix benches/loopback/bun` installs it");
        servers.retain(|server| server.name != BUN);
    }
    servers
}

/// Checks the echoes of all messages, pipelined and not.
async fn test(servers: &[&Server]) -> Result {
    for server in servers {
        let process = Process::start(server.name)?;
        let mut connections = Connections::open(process.port, 3).await?;
        for len in SIZES {
            for content in CONTENTS {
                for in_flight in IN_FLIGHT {
                    let batch = Batch::new(content, len, in_flight);
                    let checked = connections.check(&batch).await;
                    checked.map_err(|error| format!("{}, {len} B {content}: {error}", server.name))?;
                    connections.exchange(&batch, 2).await?;
                }
            }
        }
        println!("{}: ok", server.name);
    }
    Ok(())
}

/// The times of each server in a row, in nanoseconds per message. None where it had no turn.
pub struct Times {
    row: Row,
    of_servers: Vec<Option<f64>>,
}

/// Measures rows with the same number of connections.
async fn measure(servers: &[&Server], rows: Vec<Row>, rounds: usize, times: &mut Vec<Times>) -> Result {
    let mut running = Vec::new();
    for server in servers {
        let process = Process::start(server.name)?;
        let connections = Connections::open(process.port, rows[0].connections).await?;
        running.push((process, connections));
    }
    for row in rows {
        let batch = Batch::new(row.content, row.len, row.in_flight);
        if row.len >= LARGE {
            for (server, (_, connections)) in servers.iter().zip(&mut running) {
                let warmed_up = connections.exchange(&batch, WARM_UP).await;
                warmed_up.map_err(|error| format!("{}, {row}: {error}", server.name))?;
            }
        }
        let laps = laps(&mut running[0].1, &batch).await?;
        let mut samples = vec![Vec::new(); servers.len()];
        for round in 0..=rounds {
            for (i, (process, connections)) in running.iter_mut().enumerate() {
                let is_compared = row.len == SIZES[0] && row.in_flight > 1;
                if servers[i].name == FLUSHER && !is_compared {
                    continue;
                }
                let time = turn(process, connections, &batch, laps).await?;
                // The first round warms up.
                if round > 0 {
                    samples[i].push(time);
                }
            }
        }
        let of_servers: Vec<_> = samples.into_iter().map(median).collect();
        eprintln!("{row}: {of_servers:.0?}");
        times.push(Times { row, of_servers });
    }
    Ok(())
}

/// How many laps take about a turn.
async fn laps(connections: &mut Connections, batch: &Batch) -> io::Result<usize> {
    let mut laps = 1;
    loop {
        let start = Instant::now();
        connections.exchange(batch, laps).await?;
        let elapsed = start.elapsed();
        if elapsed >= TURN / 2 {
            return Ok((laps as f64 * TURN.as_secs_f64() / elapsed.as_secs_f64()).ceil() as usize);
        }
        laps *= 2;
    }
}

/// The CPU time of a server per message, in nanoseconds.
async fn turn(process: &Process, connections: &mut Connections, batch: &Batch, laps: usize) -> Result<f64> {
    let before = cpu_time(process)?;
    connections.exchange(batch, laps).await?;
    // The server finishes its work, and waits for input again.
    std::thread::sleep(Duration::from_millis(1));
    let messages = connections.count() * batch.messages * laps;
    Ok((cpu_time(process)? - before).as_nanos() as f64 / messages as f64)
}

fn cpu_time(process: &Process) -> Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(process.id().cast_signed()))?;
    Ok(clock_gettime(clock)?.into())
}

fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

/// The resident memory of a connection, in bytes.
pub struct Memory {
    server: &'static str,
    /// After the handshake, and a small message.
    idle: f64,
    /// After large messages, at once.
    large: f64,
    /// After large messages, and a while.
    after: f64,
}

async fn memory(servers: &[&'static Server]) -> Result<Vec<Memory>> {
    let (small, large) = (Batch::new(Content::Json, 125, 1), Batch::new(Content::Binary, 64 << 10, 1));
    let mut all = Vec::new();
    for server in servers.iter().filter(|server| server.name != FLUSHER) {
        let process = Process::start(server.name)?;
        // What a server allocates with its first connection is not counted.
        let mut first = Connections::open(process.port, 10).await?;
        first.exchange(&small, 1).await?;
        let before = resident(&process)?;
        let mut connections = Connections::open(process.port, IDLE_CONNECTIONS).await?;
        connections.exchange(&small, 1).await?;
        std::thread::sleep(AFTER);
        let each = |bytes: f64| (bytes - before) / connections.count() as f64;
        let idle = each(resident(&process)?);
        connections.exchange(&large, 2).await?;
        let at_once = resident(&process)?;
        std::thread::sleep(AFTER);
        let each = |bytes: f64| (bytes - before) / connections.count() as f64;
        all.push(Memory {
            server: server.name,
            idle,
            large: each(at_once),
            after: each(resident(&process)?),
        });
        let Memory { idle, large, after, .. } = all[all.len() - 1];
        eprintln!("{}: {idle:.0} B idle, {large:.0} B and then {after:.0} B", server.name);
    }
    Ok(all)
}

/// The resident memory of a server, in bytes.
fn resident(process: &Process) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0)
}
