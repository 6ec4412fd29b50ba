//! Generated messages for the measurements of compression. They are the same in every run.

/// A xorshift generator.
pub struct Random(u64);

impl Random {
    pub const fn seeded() -> Self {
        Self(42)
    }

    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.number() % n
    }
}

/// Telemetry: each message is an object with a few readings of sensors, at most `size` bytes.
pub fn telemetry(count: u64, size: usize) -> Vec<String> {
    const NAMES: [&str; 8] =
        ["temperature", "humidity", "pressure", "voltage", "current", "rssi", "co2", "lux"];
    let mut random = Random::seeded();
    let message = |sequence| {
        let device = random.below(4) + 1040;
        let time = 1_790_000_000_000 + sequence * 250 + random.below(40);
        let mut text =
            format!("{{\"device\":\"sensor-{device:04}\",\"seq\":{sequence},\"ts\":{time},\"readings\":[");
        let mut i = 0;
        while text.len() + 40 < size {
            if i > 0 {
                text.push(',');
            }
            let (whole, hundredths) = (20 + random.below(30), random.below(100));
            let ok = random.below(10) > 0;
            let name = NAMES[i % NAMES.len()];
            text += &format!("{{\"n\":\"{name}\",\"v\":{whole}.{hundredths:02},\"ok\":{ok}}}");
            i += 1;
        }
        text + "]}"
    };
    (0..count).map(message).collect()
}

/// Feeds: each message is an array of records, as an exchange or a social network sends them, at
/// most `size` bytes.
pub fn feed(count: usize, size: usize) -> Vec<String> {
    const WORDS: &str = "the quick market order opened with volume price is moving and a new high was \
        seen today by traders in London before closing lower amid reports of rising rates";
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut random = Random::seeded();
    let message = |_| {
        let mut text = String::from("{\"type\":\"feed\",\"items\":[");
        let mut first = true;
        while text.len() + 300 < size {
            if !first {
                text.push(',');
            }
            first = false;
            let (id, user, price) = (random.number(), random.below(100_000), 100 + random.below(900));
            text += &format!("{{\"id\":\"{id:016x}\",\"user\":\"u{user}\",\"price\":{price}.");
            let (fraction, amount) = (random.below(10_000), random.below(5000));
            let side = if random.below(2) == 0 { "buy" } else { "sell" };
            text += &format!("{fraction:04},\"size\":{amount},\"side\":\"{side}\",\"time\":\"2026-11-27T");
            let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
            let milliseconds = random.below(1000);
            text += &format!("{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z\",\"text\":\"");
            for i in 0..5 + random.below(8) {
                if i > 0 {
                    text.push(' ');
                }
                text += words[random.below(words.len() as u64) as usize];
            }
            text += "\"}";
        }
        text + "]}"
    };
    (0..count).map(message).collect()
}
