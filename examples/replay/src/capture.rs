//! Captures (pcap, pcapng): the packets' TCP payload, put in order.

use crate::record::{Content, Record, Side, Stream};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The TCP connections of a capture, in the order of their first packets; `None` if the file is not
/// a capture.
pub fn read(file: &[u8]) -> Result<Option<Vec<Stream>>, PcapError> {
    let mut connections = Connections::default();
    match file {
        [0xa1, 0xb2, 0xc3, 0xd4 | 0xcd, ..]
        | [0xa1, 0xb2, 0x3c, 0x4d, ..]
        | [0xd4 | 0x4d, 0xc3 | 0x3c, 0xb2, 0xa1, ..] => {
            let mut reader = PcapReader::new(file)?;
            let link = reader.header().datalink;
            while let Some(packet) = complete(reader.next_packet()) {
                let packet = packet?;
                connections.add(packet.timestamp, link, &packet.data);
            }
        }
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => {
            let mut reader = PcapNgReader::new(file)?;
            let mut interfaces = Vec::new();
            while let Some(block) = complete(reader.next_block()) {
                match block? {
                    Block::SectionHeader(_) => interfaces.clear(),
                    Block::InterfaceDescription(interface) => {
                        interfaces.push((interface.linktype, unit(&interface)));
                    }
                    Block::EnhancedPacket(packet) => {
                        let interface = interfaces.get(packet.interface_id as usize);
                        let (link, unit) =
                            interface.ok_or(PcapError::InvalidInterfaceId(packet.interface_id))?;
                        // The reader takes the units of the interface for nanoseconds.
                        connections.add(*unit * packet.timestamp.as_nanos(), *link, &packet.data);
                    }
                    _ => {}
                }
            }
        }
        _ => return Ok(None),
    }
    Ok(Some(connections.finish()))
}

/// What was read, unless the file ends inside of it: so does that of a capture that was stopped.
fn complete<T>(read: Option<Result<T, PcapError>>) -> Option<Result<T, PcapError>> {
    read.filter(|read| !matches!(read, Err(PcapError::IncompleteBuffer | PcapError::IoError(_))))
}

/// A unit of time, as units in a second.
#[derive(Clone, Copy)]
struct Unit(u128);

impl std::ops::Mul<u128> for Unit {
    type Output = Duration;

    fn mul(self, count: u128) -> Duration {
        const SECOND: u128 = 1_000_000_000;
        let fraction = count % self.0 * SECOND / self.0;
        Duration::new((count / self.0) as u64, fraction as u32)
    }
}

/// The unit of an interface's times: a power of 10, or of 2 if the highest bit is set.
fn unit(interface: &InterfaceDescriptionBlock<'_>) -> Unit {
    let resolution = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    let resolution = resolution.unwrap_or(6);
    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
    // At most 64 bits of time: a finer unit could not count a second.
    Unit(base.checked_pow((resolution & 0x7f).into()).filter(|unit| *unit < 1 << 64).unwrap_or(1))
}

/// The connections that have been found, by their addresses.
#[derive(Default)]
struct Connections {
    /// The time of the first packet.
    start: Option<Duration>,
    found: Vec<Tcp>,
    /// The latest connection between two addresses, the smaller one first.
    latest: HashMap<[SocketAddr; 2], usize>,
}

/// A connection while it is put together.
struct Tcp {
    client: SocketAddr,
    server: SocketAddr,
    /// What the client sends, and what the server sends.
    halves: [Half; 2],
    records: Vec<Record>,
}

/// One direction of a connection.
#[derive(Default)]
struct Half {
    /// The sequence number of the next byte.
    next: Option<u32>,
    /// Payload that has arrived ahead of its turn, by sequence number.
    early: BTreeMap<u32, Vec<u8>>,
    /// The sequence number of the end.
    fin: Option<u32>,
    ended: bool,
}

impl Connections {
    fn add(&mut self, time: Duration, link: DataLink, packet: &[u8]) {
        let start = *self.start.get_or_insert(time);
        let Some(packet) = slice(link, packet) else { return };
        let Some(TransportSlice::Tcp(tcp)) = &packet.transport else { return };
        let Some((source, destination)) = addresses(&packet) else { return };
        let source = SocketAddr::new(source, tcp.source_port());
        let destination = SocketAddr::new(destination, tcp.destination_port());

        let mut key = [source, destination];
        key.sort();
        let opens = tcp.syn() && !tcp.ack();
        let known = self.latest.get(&key).filter(|index| !opens || self.found[**index].records.is_empty());
        let index = known.copied().unwrap_or_else(|| {
            let from_client = opens || !tcp.syn() && is_from_client(tcp);
            let (client, server) = if from_client { (source, destination) } else { (destination, source) };
            let halves = Default::default();
            self.found.push(Tcp { client, server, halves, records: Vec::new() });
            self.latest.insert(key, self.found.len() - 1);
            self.found.len() - 1
        });
        let connection = &mut self.found[index];
        let sender = if connection.client == source { Side::Client } else { Side::Server };
        connection.add(time.saturating_sub(start), sender, tcp);
    }

    fn finish(self) -> Vec<Stream> {
        let with_data = self.found.into_iter().filter(|tcp| !tcp.records.is_empty());
        with_data.map(Tcp::finish).collect()
    }
}

impl Tcp {
    fn add(&mut self, time: Duration, sender: Side, tcp: &TcpSlice<'_>) {
        let half = &mut self.halves[sender as usize];
        let records = &mut self.records;
        let mut record = |content| records.push(Record { time, sender, content });
        if half.ended {
            return;
        }
        // A SYN takes a number of its own.
        let sequence = tcp.sequence_number().wrapping_add(tcp.syn().into());
        let next = half.next.get_or_insert(sequence);
        if tcp.fin() {
            half.fin = Some(sequence.wrapping_add(tcp.payload().len() as u32));
        }
        if !tcp.payload().is_empty() {
            let early = half.early.entry(sequence).or_default();
            if early.len() < tcp.payload().len() {
                *early = tcp.payload().to_vec();
            }
        }
        // The first of those that do not begin after `next`.
        while let Some(sequence) = half.early.keys().copied().find(|start| !is_after(*start, *next)) {
            let payload = half.early.remove(&sequence).unwrap_or_default();
            let fresh = payload.get(next.wrapping_sub(sequence) as usize..).unwrap_or_default();
            if !fresh.is_empty() {
                *next = next.wrapping_add(fresh.len() as u32);
                record(Content::Bytes(fresh.to_vec()));
            }
        }
        if tcp.rst() || half.fin == Some(*next) {
            half.ended = true;
            record(Content::End);
        }
    }

    fn finish(mut self) -> Stream {
        let time = self.records.last().map_or(Duration::ZERO, |record| record.time);
        for (half, sender) in self.halves.iter().zip([Side::Client, Side::Server]) {
            let Some(next) = half.next else { continue };
            let lacking = half.early.keys().map(|start| start.wrapping_sub(next)).min();
            if let Some(lacking) = lacking.filter(|_| !half.ended) {
                self.records.push(Record { time, sender, content: Content::Gap(lacking) });
            }
        }
        Stream { name: format!("{} > {}", self.client, self.server), records: self.records }
    }
}

/// Whether a sequence number is ahead of another. They wrap.
fn is_after(number: u32, other: u32) -> bool {
    number.wrapping_sub(other).wrapping_sub(1) < u32::MAX / 2
}

/// Which end has sent the first packet of a connection whose beginning was not captured: by the
/// head in it, else by the ports.
fn is_from_client(tcp: &TcpSlice<'_>) -> bool {
    match tcp.payload() {
        [b'H', b'T', b'T', b'P', b'/', ..] => false,
        [b'A'..=b'Z', ..] => true,
        _ => tcp.source_port() > tcp.destination_port(),
    }
}

/// The headers of a packet; `None` of a kind that is not read.
fn slice(link: DataLink, packet: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    match link {
        DataLink::ETHERNET => LaxSlicedPacket::from_ethernet(packet).ok(),
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => LaxSlicedPacket::from_ip(packet).ok(),
        // The family of addresses, in four bytes.
        DataLink::NULL | DataLink::LOOP => LaxSlicedPacket::from_ip(packet.get(4..)?).ok(),
        // tcpdump -i any: 16 or 20 bytes.
        DataLink::LINUX_SLL => LaxSlicedPacket::from_ip(packet.get(16..)?).ok(),
        DataLink::LINUX_SLL2 => LaxSlicedPacket::from_ip(packet.get(20..)?).ok(),
        _ => None,
    }
}

fn addresses(packet: &LaxSlicedPacket<'_>) -> Option<(IpAddr, IpAddr)> {
    match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Arp(_) => None,
    }
}
