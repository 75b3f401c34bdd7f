//! The key of a persistence template.

use crate::model::{PersistenceMask, Protocol, ServiceKey};
use crate::packet::Address;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port of FTP's control connection: its template covers every port of the address, so that data connections go to
/// the same server.
const FTP: u16 = 21;

/// The client's network and the virtual address and port. The client's port is always zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateKey {
    /// IANA protocol number; 0 for a service by firewall mark, whose templates cover all protocols.
    pub protocol: u8,
    /// Masked by the service's persistence mask.
    pub client: IpAddr,
    /// The virtual address, or the firewall mark as an address number.
    pub virtual_address: IpAddr,
    /// Zero when the template covers all ports.
    pub virtual_port: u16,
    /// Hash of the SIP Call-ID ([`Templates::call`]) with the sip engine, otherwise 0.
    ///
    /// [`Templates::call`]: super::Templates::call
    pub call: u64,
}

impl TemplateKey {
    /// The key for a packet from `client` to `address` and `port` of `service`.
    pub fn new(
        service: &ServiceKey,
        mask: PersistenceMask,
        client: IpAddr,
        address: IpAddr,
        port: u16,
    ) -> TemplateKey {
        let client = masked(client, mask);
        match *service {
            ServiceKey::Fwmark { mark, .. } => TemplateKey {
                protocol: 0,
                client,
                virtual_address: numbered(mark, client),
                virtual_port: 0,
                call: 0,
            },
            ServiceKey::Address { protocol, port: own, .. } => TemplateKey {
                protocol: protocol.number(),
                client,
                virtual_address: address,
                virtual_port: if port == own && port != FTP { port } else { 0 },
                call: 0,
            },
        }
    }

    /// The port stored in a template, from the destination's configured port.
    #[inline]
    pub fn destination_port(&self, configured: u16) -> u16 {
        if self.virtual_port == 0 { 0 } else { configured }
    }

    /// Protocol name in listings.
    pub fn protocol_name(&self) -> &'static str {
        Protocol::from_number(self.protocol).map_or("IP", Protocol::name)
    }
}

/// The mark as an address of the client's family: in its first 32 bits, as in IPVS.
fn numbered(mark: u32, client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => Ipv4Addr::from_bits(mark).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(u128::from(mark) << 96).into(),
    }
}

/// The client's network; with a mask of the other family, the whole address.
fn masked(client: IpAddr, mask: PersistenceMask) -> IpAddr {
    match (client, mask) {
        (IpAddr::V4(client), PersistenceMask::Ipv4(mask)) => (client & mask).into(),
        (IpAddr::V6(client), PersistenceMask::Ipv6(length)) => {
            Ipv6Addr::from_bits(client.to_bits().masked(length)).into()
        }
        (client, _) => client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;

    fn address(protocol: Protocol, port: u16) -> ServiceKey {
        ServiceKey::Address { protocol, address: [192, 0, 2, 1].into(), port }
    }

    #[test]
    fn keys_by_kind_of_service() {
        let client: IpAddr = [10, 0, 0, 5].into();
        let vip: IpAddr = [192, 0, 2, 1].into();
        let full = PersistenceMask::full(Family::Ipv4);
        for (service, port, protocol, virtual_address, virtual_port) in [
            (address(Protocol::Tcp, 80), 80, 6, vip, 80),
            (address(Protocol::Tcp, 21), 21, 6, vip, 0),
            (address(Protocol::Tcp, 21), 40_000, 6, vip, 0),
            (address(Protocol::Udp, 0), 53, 17, vip, 0),
            (address(Protocol::Sctp, 5), 5, 132, vip, 5),
            (ServiceKey::Fwmark { mark: 1, family: Family::Ipv4 }, 80, 0, [0, 0, 0, 1].into(), 0),
        ] {
            let key = TemplateKey::new(&service, full, client, vip, port);
            assert_eq!(
                key,
                TemplateKey { protocol, client, virtual_address, virtual_port, call: 0 }
            );
            assert_eq!(key.destination_port(8080), if virtual_port == 0 { 0 } else { 8080 });
        }
    }

    #[test]
    fn marks_of_ipv6_services() {
        let service = ServiceKey::Fwmark { mark: 0x10002, family: Family::Ipv6 };
        let client: IpAddr = "2001:db8::5".parse().unwrap();
        let full = PersistenceMask::full(Family::Ipv6);
        let key = TemplateKey::new(&service, full, client, client, 80);
        assert_eq!(key.virtual_address, "1:2::".parse::<IpAddr>().unwrap());
        assert_eq!(key.protocol_name(), "IP");
    }

    #[test]
    fn masks() {
        for (client, mask, network) in [
            ("10.0.0.5", PersistenceMask::Ipv4([255, 255, 255, 0].into()), "10.0.0.0"),
            ("10.0.0.5", PersistenceMask::Ipv4([0, 0, 0, 0].into()), "0.0.0.0"),
            ("10.0.0.5", PersistenceMask::Ipv4([0, 0, 0, 255].into()), "0.0.0.5"),
            ("10.0.0.5", PersistenceMask::Ipv6(1), "10.0.0.5"),
            ("2001:db8:1:2::5", PersistenceMask::Ipv6(64), "2001:db8:1:2::"),
            ("2001:db8:1:2::5", PersistenceMask::Ipv6(128), "2001:db8:1:2::5"),
            ("a001:db8:1:2::5", PersistenceMask::Ipv6(1), "8000::"),
        ] {
            assert_eq!(masked(client.parse().unwrap(), mask), network.parse::<IpAddr>().unwrap());
        }
    }
}
