//! The table as a chart: bytes and delays on logarithmic scales, in light or dark colours.

use super::{Outcome, WAYS, Way, text};
use std::time::Duration;

const WIDTH: f64 = 860.0;
const ROW: f64 = 23.0;
/// The distance from a rate's title to its rows.
const TITLE: f64 = 34.0;
const TOP: f64 = 62.0;
const BYTES: Scale = Scale { left: 186.0, right: 446.0, least: 1.0, most: 4.0 };
/// In milliseconds.
const DELAY: Scale = Scale { left: 540.0, right: 790.0, least: -2.0, most: 4.0 };

const STYLE: &str = "<style>
text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #5c6370; }
.ink { fill: #17191e; } .title { font-weight: 600; fill: #17191e; } .small { font-size: 11.5px; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: #e2e3df; } .row { stroke: #e2e3df; stroke-dasharray: 1 3; }
.poll { --c: #b45309; } .long { --c: #0f7f78; } .push { --c: #2460d8; }
circle { fill: var(--c); } .reach { stroke: var(--c); stroke-width: 2; opacity: .5; }
.push text { font-weight: 600; fill: var(--c); }
@media (prefers-color-scheme: dark) {
text { fill: #9aa2af; } .ink, .title { fill: #e9ebef; } .grid, .row { stroke: #30363d; }
.poll { --c: #f0a64b; } .long { --c: #4fc9be; } .push { --c: #7fadff; }
}
</style>";

struct Scale {
    left: f64,
    right: f64,
    /// Powers of ten.
    least: f64,
    most: f64,
}

impl Scale {
    fn x(&self, value: f64) -> f64 {
        let part = (value.log10() - self.least) / (self.most - self.least);
        self.left + (self.right - self.left) * part.clamp(0.0, 1.0)
    }
}

pub fn draw(outcomes: &[Outcome]) -> String {
    let rates = outcomes.chunks(WAYS.len());
    let group = TITLE + ROW * WAYS.len() as f64 + 8.0;
    let bottom = TOP + group * rates.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
         aria-label=\"Bytes on the wire and delay of an update, by polling, long polling and over a WebSocket\">\n{STYLE}\n",
        bottom + 14.0
    );
    let mut put = |line: String| svg.extend([&*line, "\n"]);
    put(format!(
        "<text class=\"title\" x=\"{}\" y=\"18\">Bytes on the wire for an update</text>",
        BYTES.left
    ));
    put(format!("<text class=\"title\" x=\"{}\" y=\"18\">Delay: median, and 99 % within</text>", DELAY.left));
    for (scale, labels) in [
        (&BYTES, vec![(10.0, "10"), (100.0, "100"), (1e3, "1,000"), (1e4, "10,000")]),
        (
            &DELAY,
            vec![
                (0.01, "10 µs"),
                (0.1, ""),
                (1.0, "1 ms"),
                (10.0, ""),
                (100.0, "100 ms"),
                (1e3, ""),
                (1e4, "10 s"),
            ],
        ),
    ] {
        for (value, label) in labels {
            let x = scale.x(value);
            put(format!("<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"48\" y2=\"{bottom}\"/>"));
            put(format!("<text class=\"small middle\" x=\"{x:.1}\" y=\"40\">{label}</text>"));
        }
    }
    for (number, outcomes) in rates.enumerate() {
        let top = TOP + group * number as f64;
        let rate = outcomes[0].rate;
        let plural = if rate == 1 { "" } else { "s" };
        put(format!(
            "<text class=\"title\" x=\"16\" y=\"{:.1}\">{rate} update{plural} a second</text>",
            top + 16.0
        ));
        for (number, outcome) in outcomes.iter().enumerate() {
            put(row(outcome, top + TITLE + ROW * number as f64));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn row(outcome: &Outcome, y: f64) -> String {
    let class = match outcome.way {
        Way::Poll(_) => "poll",
        Way::LongPoll => "long",
        Way::Push => "push",
    };
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let bytes = outcome.bytes_per_update();
    let (median, tail) = (outcome.delay(0.5), outcome.delay(0.99));
    let [at, from, to] = [BYTES.x(bytes), DELAY.x(millis(median)), DELAY.x(millis(tail))];
    let line = y + 4.5;
    format!(
        "<g class=\"{class}\"><text class=\"ink\" x=\"16\" y=\"{line}\">{}</text>\
         <line class=\"row\" x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/><circle cx=\"{at:.1}\" cy=\"{y}\" r=\"5\"/>\
         <text class=\"end\" x=\"{}\" y=\"{line}\">{}</text>\
         <line class=\"row\" x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>\
         <line class=\"reach\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y}\" y2=\"{y}\"/>\
         <circle cx=\"{from:.1}\" cy=\"{y}\" r=\"5\"/><circle cx=\"{to:.1}\" cy=\"{y}\" r=\"2.5\"/>\
         <text class=\"end\" x=\"{}\" y=\"{line}\">{}</text></g>",
        outcome.way.name(),
        BYTES.left,
        BYTES.right,
        BYTES.right + 52.0,
        thousands(bytes),
        DELAY.left,
        DELAY.right,
        WIDTH - 8.0,
        text(median),
    )
}

fn thousands(value: f64) -> String {
    let value = value.round() as u64;
    if value < 1000 { value.to_string() } else { format!("{},{:03}", value / 1000, value % 1000) }
}
