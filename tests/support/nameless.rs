//! Name resolution for command lines that finds no names.

use director::cli::ipvsadm::Names;
use director::model::Protocol;
use std::net::{IpAddr, Ipv4Addr};

/// Resolves nothing.
pub struct Nameless;

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
