//! The printed report, and the contents of `results.md` and `examples/figures/peers.svg`.

use crate::{
    measure::{Effort, Measured},
    peers::Peer,
    work::Row,
};
use std::fmt::Write;

type Results = Vec<Option<Measured>>;

/// All results.
pub struct Report<'r> {
    pub peers: &'r [&'r Peer],
    /// Which of them enforce the main rules that this crate enforces.
    pub checking: &'r [bool],
    pub lines: &'r [(&'r Row, Results)],
}

/// This crate, and the peer that uWebSockets was compared with.
const OWN: &str = "sansocket";
const BESIDE: &str = "sockudo-ws Protocol";

/// A time in nanoseconds, as short text.
pub fn short(ns: f64) -> String {
    match ns {
        ..100.0 => format!("{ns:.1}"),
        ..10_000.0 => format!("{ns:.0}"),
        _ => format!("{:.1} µs", ns / 1000.0),
    }
}

/// The printed text of one row.
pub fn plain(row: &Row, peers: &[&Peer], results: &Results) -> String {
    let mut text = format!("{}\n", row.name);
    let own = own(peers, results);
    for (peer, result) in peers.iter().zip(results) {
        let Some(result) = result else { continue };
        let [low, median, high] = result.times.map(short);
        let ratio = own.map_or(String::new(), |own| format!("ratio {:.2}", own.ratio(result)));
        let allocations = result.allocations;
        _ = writeln!(
            text,
            "    {:26} {median:>9} [{low}, {high}]  {ratio}  allocations {allocations:.2}",
            peer.name
        );
    }
    if let (Some(uws), Some(own)) = (uws(row, peers, results), own) {
        let ratio = own.times[1] / uws;
        _ = writeln!(text, "    {:26} {:>9}  ratio {ratio:.2}", "uWebSockets, derived", short(uws));
    }
    text
}

fn own<'m>(peers: &[&Peer], results: &'m Results) -> Option<&'m Measured> {
    results[peers.iter().position(|peer| peer.name == OWN)?].as_ref()
}

/// The derived time of uWebSockets.
fn uws(row: &Row, peers: &[&Peer], results: &Results) -> Option<f64> {
    let beside = results[peers.iter().position(|peer| peer.name == BESIDE)?].as_ref()?;
    Some(row.uws? * beside.times[1])
}

/// Whether it is another implementation.
fn is_peer(peer: &Peer) -> bool {
    !peer.name.starts_with(OWN)
}

impl Report<'_> {
    /// The fastest peer in a row, of all peers or of those in `checking`.
    fn fastest<'m>(&self, results: &'m Results, all: bool) -> Option<(&str, &'m Measured)> {
        let peers = self.peers.iter().zip(self.checking).zip(results);
        peers
            .filter(|((peer, checks), _)| is_peer(peer) && (all || **checks))
            .filter_map(|((peer, _), result)| Some((peer.name, result.as_ref()?)))
            .min_by(|one, other| one.1.times[1].total_cmp(&other.1.times[1]))
    }

    /// The main rows, for README.md.
    pub fn short(&self) -> String {
        let mut text = "| ns per message | sansocket | fastest peer that checks the same¹ | ratio | \
            fastest of all | ratio | uWebSockets² | ratio |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        for (row, results) in self.lines.iter().filter(|(row, _)| row.main) {
            let Some(own) = own(self.peers, results) else { continue };
            let cell = |peer: Option<(&str, &Measured)>| {
                peer.map_or(" | ".into(), |(name, result)| {
                    format!("{name} {} | {:.2}", short(result.times[1]), own.ratio(result))
                })
            };
            let uws = uws(row, self.peers, results);
            let uws = uws.map_or(" | ".into(), |uws| format!("{} | {:.2}", short(uws), own.times[1] / uws));
            let (checking, all) = (self.fastest(results, false), self.fastest(results, true));
            let (checking, all) = (cell(checking), cell(all));
            let own = short(own.times[1]);
            _ = writeln!(text, "| {} | {own} | {checking} | {all} | {uws} |", row.name);
        }
        text + "\n¹ The mask bit, reserved bits and opcodes, and text as UTF-8; tested by breaking the rules.  \n\
            ² Not run: its ratio to sockudo-ws's `Protocol`, measured once, times the time of `Protocol` here.\n"
    }

    /// Everything: `results.md`.
    pub fn whole(&self, effort: &Effort, idle: &str) -> String {
        let mut text = format!(
            "# This crate beside its peers\n\nWritten by `cargo run --release --manifest-path \
            benches/peers/Cargo.toml`; its `src/main.rs` describes the method. {} rounds, turns of {} ms, \
            {}, {}. The cells are nanoseconds per message: the median, the quartiles in brackets, and the \
            heap allocations per message, if there are any. The `cut` rows also have the \
            ratio to the first row of the same message size.\n\n",
            effort.rounds,
            effort.turn.as_millis(),
            processor(),
            compiler(),
        );
        let names: Vec<_> = self.peers.iter().map(|peer| peer.name).collect();
        let mut group = "";
        for (row, results) in self.lines {
            if row.group != group {
                group = row.group;
                _ = writeln!(text, "\n| {group} | {} | uWebSockets, derived |", names.join(" | "));
                _ = writeln!(text, "|---|{}---|", "---|".repeat(names.len()));
            }
            // Compared rows have the ratio to the first of them.
            let first =
                self.lines.iter().find(|(first, _)| row.beside.is_some() && first.beside == row.beside);
            let cells = results.iter().enumerate().map(|(at, result)| match result {
                Some(result) => {
                    let [low, median, high] = result.times.map(short);
                    let mut cell = format!("{median} [{low}, {high}]");
                    if result.allocations >= 0.005 {
                        _ = write!(cell, " {:.2} alloc.", result.allocations);
                    }
                    if let Some(first) = first.and_then(|(_, first)| first[at].as_ref()) {
                        _ = write!(cell, " {:.2}×", result.ratio(first));
                    }
                    cell
                }
                None => String::new(),
            });
            let uws = uws(row, self.peers, results).map(short).unwrap_or_default();
            _ = writeln!(text, "| {} | {} | {uws} |", row.name, cells.collect::<Vec<_>>().join(" | "));
        }
        text += "\n";
        text += idle;
        text += "\n| | text checked as UTF-8 | how it is used |\n|---|---|---|\n";
        for peer in self.peers {
            _ = writeln!(text, "| {} | {} | {} |", peer.name, peer.utf8, peer.notes);
        }
        text
    }

    /// A chart with a line for each row: each peer's time as a multiple of this crate's.
    pub fn chart(&self) -> String {
        const LEFT: f64 = 240.0;
        const WIDTH: f64 = 510.0;
        const TOP: f64 = 64.0;
        const LINE: f64 = 19.0;
        let (from, to) = (0.25f64, 64.0f64);
        let x = |ratio: f64| LEFT + WIDTH * (ratio.clamp(from, to) / from).ln() / (to / from).ln();
        let lines: Vec<_> = self.lines.iter().filter(|(row, _)| row.group != "cut").collect();
        let bottom = TOP + LINE * lines.len() as f64;
        let mut svg = HEAD.replace("HEIGHT", &(bottom + 30.0).to_string());
        for tick in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0] {
            let (x, below) = (x(tick), bottom + 15.0);
            let class = if tick == 1.0 { "own" } else { "line" };
            _ = writeln!(svg, r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}"/>"#);
            _ = writeln!(svg, r#"<text class="soft middle" x="{x:.1}" y="{below}">{tick}×</text>"#);
        }
        for (line, (row, results)) in lines.into_iter().enumerate() {
            let Some(own) = own(self.peers, results) else { continue };
            let (y, left) = (TOP + LINE * (line as f64 + 0.5), LEFT - 12.0);
            let (base, above, name) = (y + 4.0, y - 5.0, &row.name);
            _ = writeln!(svg, r#"<text class="end" x="{left}" y="{base}">{name}</text>"#);
            let fastest = self.fastest(results, false);
            for ((peer, checks), result) in self.peers.iter().zip(self.checking).zip(results) {
                let (true, Some(result)) = (is_peer(peer), result) else { continue };
                let x = x(1.0 / own.ratio(result));
                let (class, name, time) =
                    (if *checks { "peer" } else { "less" }, peer.name, short(result.times[1]));
                let title = format!("<title>{name}: {time}</title>");
                _ = writeln!(svg, r#"<circle class="{class}" cx="{x:.1}" cy="{y}" r="3.5">{title}</circle>"#);
                if fastest.is_some_and(|(fastest, _)| fastest == name) {
                    let name = name.trim_end_matches(" Protocol");
                    _ = writeln!(svg, r#"<text class="soft small" x="{x:.1}" y="{above}">{name}</text>"#);
                }
            }
            if let Some(uws) = uws(row, self.peers, results) {
                let x = x(uws / own.times[1]);
                _ = writeln!(svg, r#"<path class="uws" d="M{x:.1} {above}l5 5-5 5-5-5z"/>"#);
            }
            let time = short(own.times[1]);
            let unit = if time.contains('s') { "" } else { " ns" };
            _ = writeln!(svg, r#"<text class="end" x="830" y="{base}">{time}{unit}</text>"#);
        }
        svg + "</svg>\n"
    }
}

/// The chart's colours, for light and dark, and its legend.
const HEAD: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 HEIGHT" width="840" height="HEIGHT" role="img"
 font-family="system-ui, sans-serif" font-size="11" aria-label="Time per message of each peer, as a multiple of this crate's">
<style>
  svg { --text: #1f2328; --soft: #59636e; --line: #d1d9e0; --own: #0969da; --peer: #57606a; --uws: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    svg { --text: #f0f6fc; --soft: #9198a1; --line: #3d444d; --own: #4493f8; --peer: #9198a1; --uws: #db6d28 }
  }
  text { fill: var(--text) } .soft { fill: var(--soft) } .line { stroke: var(--line) } .uws { fill: var(--uws) }
  .own { fill: var(--own); stroke: var(--own) } .peer { fill: var(--peer) } .less { fill: none; stroke: var(--peer) }
  .end { text-anchor: end } .middle, .small { text-anchor: middle } .small { font-size: 8px }
</style>
<text x="10" y="18" font-size="13" font-weight="600">Time per message, as a multiple of sansocket's</text>
<g transform="translate(10 40)">
  <rect class="own" y="-9" width="2" height="10"/><text x="9">sansocket; its time at the right</text>
  <circle class="peer" cx="205" cy="-4" r="3.5"/><text x="214">a peer that checks the same, the fastest named</text>
  <circle class="less" cx="496" cy="-4" r="3.5"/><text x="505">one that checks less</text>
  <path class="uws" d="M636-9l5 5-5 5-5-5z"/><text x="646">uWebSockets: derived, not run</text>
</g>
"##;

pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or(std::env::consts::ARCH.into(), |(_, name)| name.into())
}

pub fn compiler() -> String {
    let version = std::process::Command::new("rustc").arg("--version").output();
    version.map_or("rustc".into(), |version| String::from_utf8_lossy(&version.stdout).trim().into())
}
