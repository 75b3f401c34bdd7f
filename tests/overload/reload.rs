//! ARP is answered while the configuration file is read again: in the turn in which the request is taken, however large the file
//! is, and also while the file cannot be read.

use crate::testbed::{Testbed, VIP};
use director::api::Reply;
use director::query::{NoArgs, Status, StatusReport, request};
use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;

/// Polls after which an answer must be on the wire: the request is punted in the first, and answered in the control thread's
/// turn; the worker sends the answer in the next.
const PATIENCE: u32 = 2;

/// An ARP request for the VIP by a host on the link.
fn question() -> Vec<u8> {
    let mac = [2, 1, 0, 0, 0, 7];
    let vip: Ipv4Addr = VIP.parse().unwrap();
    [
        &[0xff; 6][..],
        &mac,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &mac,
        &[10, 0, 0, 7],
        &[0; 6],
        &vip.octets(),
    ]
    .concat()
}

/// Asks for the VIP's address; the number of polls until the answer.
fn polls_to_answer(testbed: &mut Testbed) -> u32 {
    testbed.wires[0].borrow_mut().sent.clear();
    testbed.arrive(&question());
    for polls in 1..100 {
        testbed.poll();
        let wire = testbed.wires[0].borrow();
        let is_answer = |frame: &Vec<u8>| frame[12..14] == [8, 6] && frame[21] == 2;
        if wire.sent.iter().any(is_answer) {
            return polls;
        }
    }
    panic!("ARP is not answered");
}

fn status(testbed: &mut Testbed) -> StatusReport {
    let pieces = testbed.ask_during(request::<Status>(&NoArgs {}), &mut Testbed::poll).0;
    match &pieces[0] {
        Reply::Rows(rows) => rows.read::<StatusReport>().unwrap().remove(0),
        other => panic!("{other:?}"),
    }
}

/// So many services, each with this many destinations.
fn services(count: usize, destinations: usize) -> String {
    let mut text = String::new();
    for service in 0..count {
        let port = 1000 + service;
        text += &format!("[[service]]\nprotocol = \"udp\"\naddress = \"{VIP}:{port}\"\n");
        for number in 0..destinations {
            let server = 12 + number;
            text += &format!("[[service.destination]]\naddress = \"10.0.0.{server}\"\n");
        }
    }
    text
}

#[test]
fn arp_is_answered_during_a_large_reload() {
    let mut testbed = Testbed::with_tables(4096, 32_768);
    fs::write(&testbed.file, testbed.text.clone() + &services(2000, 8)).unwrap();
    let reading = testbed.begin_reload();
    let (mut turns, mut slowest) = (0, 0);
    while !reading.is_finished() || status(&mut testbed).services < 2001 {
        slowest = slowest.max(polls_to_answer(&mut testbed));
        turns += 1;
    }
    reading.join().unwrap();
    assert!(turns > 20, "the reload was over in {turns} turns");
    assert!(slowest <= PATIENCE, "an answer took {slowest} polls");
}

/// A file on a disk that hangs: here a pipe that nobody writes into.
#[test]
fn arp_and_requests_are_answered_while_the_file_hangs() {
    let mut testbed = Testbed::with_tables(64, 64);
    assert!(Command::new("mkfifo").arg(&testbed.file).status().unwrap().success());
    let reading = testbed.begin_reload();
    for _ in 0..50 {
        assert!(polls_to_answer(&mut testbed) <= PATIENCE);
        assert_eq!(status(&mut testbed).services, 1);
        thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(!reading.is_finished(), "the file hangs");
    let text = testbed.text.clone() + &services(3, 1);
    fs::write(&testbed.file, text).unwrap();
    reading.join().unwrap();
    testbed.run(16);
    assert_eq!(status(&mut testbed).services, 4);
}
