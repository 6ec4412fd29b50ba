//! Both ends of REST, over kept-alive connections; httparse parses the heads.

use super::{Counted, Feed, Log, Result};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                              Chrome/156.0.0.0 Safari/537.36";

/// The request that Chromium 156 sends for a `fetch` of the same origin.
fn request(path: &str, after: u32, address: &str) -> String {
    format!(
        "GET {path}?after={after} HTTP/1.1\r\n\
         Host: {address}\r\n\
         Connection: keep-alive\r\n\
         sec-ch-ua-platform: \"Linux\"\r\n\
         User-Agent: {USER_AGENT}\r\n\
         sec-ch-ua: \"Not:A-Brand\";v=\"8\", \"Chromium\";v=\"156\"\r\n\
         sec-ch-ua-mobile: ?0\r\n\
         Accept: */*\r\n\
         Sec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\n\
         Referer: http://{address}/\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Accept-Language: en-US,en;q=0.9\r\n\r\n"
    )
}

/// Answers requests until the client ends the stream.
pub fn serve(mut stream: Counted, feed: &Feed) -> Result<()> {
    let mut input = Input::default();
    loop {
        let Some((path, after)) = input.read(&mut stream, parse_request)? else { return Ok(()) };
        stream.counter.requests.fetch_add(1, Relaxed);
        let updates = if path == "/updates/next" { feed.wait_since(after) } else { feed.since(after) };
        let updates: Vec<_> = updates.into_iter().map(|(_, update)| update).collect();
        let response = if updates.is_empty() {
            "HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n\r\n".to_owned()
        } else {
            let body = format!("[{}]", updates.join(","));
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        stream.write_all(response.as_bytes())?;
    }
}

/// Polls at an interval, or long-polls without one, until all updates are received.
pub fn poll(mut stream: TcpStream, log: &mut Log<'_>, interval: Option<Duration>) -> Result<()> {
    let address = stream.peer_addr()?.to_string();
    let path = if interval.is_some() { "/updates" } else { "/updates/next" };
    let mut input = Input::default();
    let mut next = Instant::now();
    while !log.is_complete() {
        if let Some(interval) = interval {
            next += interval;
            sleep(next.saturating_duration_since(Instant::now()));
        }
        stream.write_all(request(path, log.last(), &address).as_bytes())?;
        let body = input.read(&mut stream, parse_response)?.ok_or("the server ended the stream")?;
        log.take(&body)?;
    }
    Ok(())
}

/// The path, the number of the client's last update, and the length of the request.
fn parse_request(bytes: &[u8]) -> Result<Option<((String, u32), usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = request.parse(bytes)? else { return Ok(None) };
    let (path, query) = request.path.and_then(|target| target.split_once("?after=")).ok_or("no query")?;
    Ok(Some(((path.to_owned(), query.parse()?), len)))
}

/// The body, and the length of the response.
fn parse_response(bytes: &[u8]) -> Result<Option<(String, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(len) = response.parse(bytes)? else { return Ok(None) };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("Content-Length"));
    let length = match length {
        Some(header) => std::str::from_utf8(header.value)?.parse()?,
        None => 0,
    };
    let Some(body) = bytes.get(len..len + length) else { return Ok(None) };
    Ok(Some((String::from_utf8(body.to_vec())?, len + length)))
}

#[derive(Default)]
struct Input(Vec<u8>);

impl Input {
    /// Reads until `parse` returns a value; `None` at the end of the stream.
    fn read<T>(
        &mut self,
        stream: &mut impl Read,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>>,
    ) -> Result<Option<T>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some((parsed, len)) = parse(&self.0)? {
                self.0.drain(..len);
                return Ok(Some(parsed));
            }
            match stream.read(&mut buffer)? {
                0 => return Ok(None),
                read => self.0.extend_from_slice(&buffer[..read]),
            }
        }
    }
}
