//! The results as Markdown.

use crate::{
    Memory, Result, Times,
    servers::{FLUSHER, Server, bun_version},
};
use std::{fmt::Write, fs, process::Command};

pub fn write(servers: &[&Server], times: &[Times], memory: &[Memory], rounds: usize) -> Result<String> {
    let mut text = String::from("# Echo servers over loopback TCP\n\n");
    writeln!(
        text,
        "Written by `cargo run --release --manifest-path benches/loopback/Cargo.toml`; its `src/main.rs` \
         describes the method. {rounds} rounds, {}, {}, {}.\n",
        processor()?,
        fs::read_to_string("/proc/version")?.split(" (").next().unwrap_or_default(),
        version("rustc")?,
    )?;
    for server in servers {
        writeln!(text, "- {} {}: {}.", server.name, version_of(server)?, server.about)?;
    }
    if !times.is_empty() {
        write_times(&mut text, servers, times)?;
    }
    if !memory.is_empty() {
        text.push_str(
            "\nResident memory of a connection, in KiB: idle, after messages of 64 KiB, and 10 s later.\n\n\
             | server | idle | large | 10 s later |\n|---|---|---|---|\n",
        );
        for Memory { server, idle, large, after } in memory {
            let [idle, large, after] = [idle, large, after].map(|bytes| bytes / 1024.0);
            writeln!(text, "| {server} | {idle:.1} | {large:.1} | {after:.1} |")?;
        }
    }
    Ok(text)
}

fn write_times(text: &mut String, servers: &[&Server], times: &[Times]) -> Result {
    text.push_str(
        "\nThe server's CPU time per echo, as a ratio to the best peer, whose time is given. `100x16` is 100 \
         connections with 16 messages in flight each.\n\n| | best peer |",
    );
    for server in servers {
        write!(text, " {} |", server.name)?;
    }
    writeln!(text, "\n|---|---|{}", "---|".repeat(servers.len()))?;
    let is_ours = |i: usize| servers[i].name == "sansocket-io";
    for Times { row, of_servers } in times {
        let peers = of_servers.iter().enumerate().filter(|(i, _)| !is_ours(*i));
        let best = peers.filter_map(|(_, time)| *time).fold(f64::INFINITY, f64::min);
        write!(text, "| {row} | {best:.0} ns |")?;
        for (i, time) in of_servers.iter().enumerate() {
            match time {
                Some(time) if is_ours(i) => write!(text, " **{:.2}** |", time / best)?,
                Some(time) => write!(text, " {:.2} |", time / best)?,
                None => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    let flusher = servers.iter().position(|server| server.name == FLUSHER);
    let ours = (0..servers.len()).find(|&i| is_ours(i));
    if let (Some(flusher), Some(ours)) = (flusher, ours) {
        writeln!(
            text,
            "\nsansocket-io beside a server that flushes each message ({FLUSHER}):\n\n| | ratio |\n|---|---|"
        )?;
        for Times { row, of_servers } in times {
            if let (Some(ours), Some(flusher)) = (of_servers[ours], of_servers[flusher]) {
                writeln!(text, "| {row} | {:.2} |", ours / flusher)?;
            }
        }
    }
    Ok(())
}

fn processor() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let line = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    Ok(line.trim_start_matches(['\t', ':', ' ']).to_owned())
}

fn version(program: &str) -> Result<String> {
    let output = Command::new(program).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The version that the lock file has.
fn version_of(server: &Server) -> Result<String> {
    let package = server.name.split(',').next().unwrap_or_default();
    let lock = include_str!("../Cargo.lock");
    let after = lock.split(&format!("name = \"{package}\"\nversion = \"")).nth(1);
    let version = after.and_then(|text| text.split('"').next());
    Ok(version.map(str::to_owned).or_else(bun_version).unwrap_or_default())
}
