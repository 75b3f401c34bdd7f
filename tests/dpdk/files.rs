//! Capture files as devices (net_pcap).

use super::{MBUFS, eal, pool, port, unique};
use director::io::{Burst, Frame, Queue};
use std::fs;

/// A capture file in the classic format, microseconds, Ethernet.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1_u32] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = frame.len() as u32;
        for word in [0, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

#[test]
fn files_are_read_and_written_and_large_frames_come_in_segments() {
    let eal = eal();
    let pool = pool(&eal);
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    let frames = [vec![1; 60], vec![2; 5000], vec![3; 1514], vec![4; 5000]];
    fs::write(&input, capture(&frames)).unwrap();
    let device = unique("net_pcap");
    let arguments = format!("{device},rx_pcap={},tx_pcap={}", input.display(), output.display());
    let mut queue = port(&eal, &arguments, 1, &pool).remove(0);
    let mut burst = Burst::new();
    queue.receive(&mut burst);
    let contiguous: Vec<bool> = burst.iter().map(Frame::is_contiguous).collect();
    assert_eq!(contiguous, [true, false, true, false]);
    assert!(!burst[1].append(1), "a chained mbuf cannot grow");
    burst[1].truncate(3000);
    assert!(!burst[1].is_contiguous());
    burst[3].truncate(1000);
    assert!(burst[3].is_contiguous());
    queue.transmit(&mut burst);
    assert!(burst.is_empty());
    drop(queue);
    assert_eq!(pool.available(), MBUFS);

    let written = fs::read(&output).unwrap();
    let mut lengths = Vec::new();
    let mut records = &written[24..];
    while let [header, rest @ ..] = records.as_chunks::<16>().0 {
        let _ = rest;
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        lengths.push(length);
        records = &records[16 + length..];
    }
    assert_eq!(lengths, [60, 3000, 1514, 1000]);
}

#[test]
fn a_file_is_replayed_endlessly() {
    let eal = eal();
    let pool = pool(&eal);
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("endless.pcap");
    let frames: Vec<Vec<u8>> = (1..=4).map(|number| vec![number; 60]).collect();
    fs::write(&input, capture(&frames)).unwrap();
    let arguments = format!("{},rx_pcap={},infinite_rx=1", unique("net_pcap"), input.display());
    let mut queue = port(&eal, &arguments, 1, &pool).remove(0);
    let mut first_bytes = Vec::new();
    while first_bytes.len() < 1024 {
        let mut burst = Burst::new();
        queue.receive(&mut burst);
        first_bytes.extend(burst.iter().map(|frame| frame.bytes()[0]));
        // Without an output file the device discards what is sent.
        queue.transmit(&mut burst);
        assert!(burst.is_empty());
    }
    let expected: Vec<u8> = (1..=4).cycle().take(first_bytes.len()).collect();
    assert_eq!(first_bytes, expected);
    drop(queue);
    assert_eq!(pool.available(), MBUFS);
}
