//! What ipvsadm 1.31 said about wrong command lines, recorded line by line.

use director::cli::ipvsadm::{Names, parse};
use director::model::Protocol;
use std::net::{IpAddr, Ipv4Addr};

/// Status, standard error and words of each.
const RECORDED: &str = include_str!("usage_errors.jsonl");

/// Nobody has a name.
struct Nameless;

impl Names for Nameless {
    fn address_of(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }

    fn host_of(&self, _: IpAddr) -> Option<String> {
        None
    }

    fn port_of(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }

    fn service_of(&self, _: u16, _: Protocol) -> Option<String> {
        None
    }
}

#[test]
fn every_wrong_line_is_told_in_ipvsadms_words() {
    let mut lines = 0;
    for record in RECORDED.lines() {
        let (status, said, words): (u8, String, Vec<String>) =
            serde_json::from_str(record).expect(record);
        let error = parse(&words, &Nameless).expect_err(record);
        assert_eq!((error.status, error.message + "\n"), (status, said), "{words:?}");
        lines += 1;
    }
    assert!(lines > 500, "{lines} lines");
}
