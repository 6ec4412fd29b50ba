//! The reports of the captures in `captures/`, and that packets may come twice, late or in another
//! format.

use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name)
}

/// The report of a file, and the exit code.
fn replay(args: &[&str], file: &Path) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_replay")).args(args).arg(file).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

/// The report without times.
fn events(file: &Path) -> Vec<String> {
    let (report, _) = replay(&[], file);
    report.lines().map(|line| line.get(13..).unwrap_or(line).to_owned()).collect()
}

fn packets() -> Vec<PcapPacket<'static>> {
    let mut reader = PcapReader::new(File::open(capture("session.pcap")).unwrap()).unwrap();
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        packets.push(packet.unwrap().into_owned());
    }
    packets
}

/// Writes a capture of these packets, and returns its path.
fn write(name: &str, packets: &[PcapPacket<'_>]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut writer = PcapWriter::new(File::create(&path).unwrap()).unwrap();
    for packet in packets {
        writer.write_packet(packet).unwrap();
    }
    path
}

#[test]
fn each_capture_has_the_recorded_report() {
    for (name, args, code) in [
        ("session.pcap", &[][..], 0),
        ("faults.txt", &[], 1),
        ("frames.txt", &["--deflate"], 1),
        ("handshake.txt", &[], 1),
        ("server_only.txt", &[], 0),
        ("silence.txt", &[], 1),
    ] {
        let report = replay(args, &capture(name));
        assert_eq!(report, replay(args, &capture(name)), "{name}: the second run differs");
        let recorded = capture(&format!("{name}.out"));
        if std::env::var_os("ACCEPT").is_some() {
            fs::write(&recorded, &report.0).unwrap();
        }
        assert_eq!(report, (fs::read_to_string(recorded).unwrap(), code), "{name}");
    }
}

#[test]
fn packets_that_come_twice_are_read_once() {
    let twice: Vec<_> = packets().into_iter().flat_map(|packet| [packet.clone(), packet]).collect();
    assert_eq!(events(&write("twice.pcap", &twice)), events(&capture("session.pcap")));
}

#[test]
fn packets_are_put_in_order() {
    let mut packets = packets();
    // The client's message in three fragments.
    let payload_of = |packet: &PcapPacket<'_>| packet.data.len() - 66;
    let first = packets.windows(3).position(|three| three.iter().map(payload_of).eq([24, 20, 7])).unwrap();
    packets.swap(first, first + 2);
    assert_eq!(events(&write("late.pcap", &packets)), events(&capture("session.pcap")));

    packets.remove(first + 2);
    let (report, _) = replay(&[], &write("gap.pcap", &packets));
    assert!(report.contains("> the capture lacks 24 bytes here"), "{report}");
}

#[test]
fn a_capture_may_end_inside_a_packet() {
    let mut file = fs::read(capture("session.pcap")).unwrap();
    file.truncate(3000);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cut.pcap");
    fs::write(&path, file).unwrap();
    let cut = events(&path);
    assert!(
        cut.len() > 30 && events(&capture("session.pcap")).starts_with(&cut[..cut.len() - 1]),
        "{cut:#?}"
    );
}

#[test]
fn the_next_format_of_captures_reads_the_same() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("session.pcapng");
    let mut writer = PcapNgWriter::new(File::create(&path).unwrap()).unwrap();
    // An interface with microseconds, which need no option, and one with nanoseconds.
    for options in [vec![], vec![InterfaceDescriptionOption::IfTsResol(9)]] {
        let interface = InterfaceDescriptionBlock { linktype: 1.into(), snaplen: 0, options };
        writer.write_pcapng_block(interface).unwrap();
    }
    for (index, packet) in packets().into_iter().enumerate() {
        // The writer takes the units of the interface for nanoseconds.
        let interface_id = index as u32 % 2;
        let units = packet.timestamp.as_nanos() / if interface_id == 0 { 1000 } else { 1 };
        let timestamp = Duration::from_nanos(units as u64);
        let (original_len, data, options) = (packet.orig_len, packet.data, Vec::new());
        writer
            .write_pcapng_block(EnhancedPacketBlock { interface_id, timestamp, original_len, data, options })
            .unwrap();
    }
    drop(writer);
    assert_eq!(replay(&[], &path), replay(&[], &capture("session.pcap")));
}

#[test]
fn a_line_that_is_no_record_is_named() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.txt");
    for (line, error) in [
        ("0.1 > 8", "not two hexadecimal digits"),
        ("0.1 ? 81", "neither > nor <"),
        ("0.1 > \"x", "not closed"),
        ("x > 81", "not a number of seconds"),
        ("-1 > 81", "not a number of seconds"),
    ] {
        fs::write(&path, format!("# comment\n{line}\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_replay")).arg(&path).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("line 2: ") && message.contains(error), "{line}: {message}");
        assert_eq!(output.status.code(), Some(2));
    }
}
