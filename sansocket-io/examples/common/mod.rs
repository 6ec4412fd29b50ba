//! Helpers of all examples: arguments, timeouts, the log, text of a peer, and whom a server trusts.
#![allow(dead_code, reason = "each example uses a part")]

use sansocket::{Config, Event, Request};
use sansocket_io::Settings;
use std::borrow::Cow;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
/// What a parser of arguments returns: `None` for `--help`.
pub type Parsed<O> = std::result::Result<Option<O>, lexopt::Error>;

/// The error of a build without the feature `deflate`.
pub const NO_DEFLATE: &str =
    "compression needs the feature deflate: cargo run -p sansocket-io --all-features --example …";

/// Parses the arguments and runs an example. `--help` prints `usage`. The exit code is 2 after a
/// bad argument (a [`lexopt::Error`], of `run` too), and 1 after any other error.
pub fn start<O>(
    usage: &str,
    parse: impl FnOnce(&mut lexopt::Parser) -> Parsed<O>,
    run: impl FnOnce(O) -> Result<ExitCode>,
) -> ExitCode {
    let result = match parse(&mut lexopt::Parser::from_env()) {
        Ok(Some(options)) => run(options),
        Ok(None) => io::stdout().write_all(usage.as_bytes()).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    result.unwrap_or_else(|error| {
        if error.is::<lexopt::Error>() {
            eprintln!("{error} (see --help)");
            return ExitCode::from(2);
        }
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

/// The arguments of the servers of pages.
pub struct PageServer {
    pub address: Option<String>,
    /// Names that the server has beside its address and localhost.
    pub hosts: Vec<String>,
    /// The largest number of connections at once.
    pub connections: usize,
}

impl PageServer {
    pub fn parse(args: &mut lexopt::Parser, connections: usize) -> Parsed<Self> {
        use lexopt::prelude::*;
        let mut options = Self { address: None, hosts: vec![], connections };
        while let Some(arg) = args.next()? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("host") => options.hosts.push(args.value()?.string()?),
                Long("connections") => options.connections = args.value()?.parse()?,
                Value(value) if options.address.is_none() => options.address = Some(value.string()?),
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(Some(options))
    }
}

/// The settings of a connection. `patience` replaces all its timeouts.
pub fn settings(config: Config, patience: Option<Duration>) -> Settings {
    if patience.is_none() {
        return Settings::new().config(config);
    }
    let config = config
        .handshake_timeout(patience)
        .idle_ping(patience)
        .pong_timeout(patience)
        .closing_timeout(patience);
    Settings::new().config(config).write_timeout(patience)
}

/// Logs how a connection fails and ends.
pub fn log(peer: SocketAddr, event: &Event<'_>) {
    match event {
        Event::Error(error) => eprintln!("{peer}: {error}"),
        Event::Close(close) => eprintln!("{peer}: closed: {}", printable(&close.to_string())),
        Event::BadRequest(request) => eprintln!("{peer}: refused: {request}"),
        _ => {}
    }
}

/// A peer's text for a terminal or a log: with escapes for control characters, which drive
/// terminals and forge lines, and for the characters that reverse the direction of text.
pub fn printable(text: &str) -> Cow<'_, str> {
    let unsafe_char = |char: char| {
        char.is_control()
            || matches!(char, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(unsafe_char) {
        return text.into();
    }
    let mut escaped = String::new();
    for char in text.chars() {
        if unsafe_char(char) { escaped.extend(char.escape_default()) } else { escaped.push(char) }
    }
    escaped.into()
}

/// Whether a server that is reached at the address `local` answers this request (RFC 6455 section
/// 10.2). Only browsers must send `Origin`. It must be one of `origins`; if there are none, it must
/// be the server's own, and requests without it are trusted.
///
/// A page of an attacker can have a name that resolves to `local` (DNS rebinding), and then its
/// requests look like those of the server's own page. So `Host` must be `local`, `localhost` or one
/// of `names`. Its port is not compared: it differs if a port is forwarded.
pub fn is_trusted(request: &Request<'_>, local: IpAddr, names: &[String], origins: &[String]) -> bool {
    let host = request.host();
    let known = match request.origin() {
        None => return origins.is_empty(),
        Some(origin) if origins.is_empty() => origin.strip_prefix("http://") == Some(host),
        Some(origin) => origins.iter().any(|known| known == origin),
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is_local = match name.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => address.to_canonical() == local.to_canonical(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    };
    known && (is_local || names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}
