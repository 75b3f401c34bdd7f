//! RSS in software: the hash that a NIC computes for a frame, and the resulting queue.
//!
//! NICs differ in the input of the Toeplitz hash: some do not know SCTP, some hash UDP by addresses only. [`Fields`]
//! describes this for one device; [`Rule`] computes hash and queue.

use super::ethernet::{self, ETHERNET, Payload};
use super::{Address, Toeplitz, Tuple, ipv4, ipv6, wire};
use crate::model::Family;

/// Fields of a packet that are hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// None: the hash is 0, which selects the first entry of the table.
    #[default]
    Nothing,
    /// One address only; it is the first input of the hash.
    Source,
    Destination,
    Addresses,
    AddressesAndPorts,
}

/// Hashed fields by kind of packet, within one address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub tcp: Input,
    pub udp: Input,
    pub sctp: Input,
    /// Any other protocol.
    pub other: Input,
    /// Fragments, also first ones, because NICs see no ports in fragments.
    pub fragment: Input,
}

impl Fields {
    fn of(&self, protocol: u8) -> Input {
        match protocol {
            ipv4::TCP => self.tcp,
            ipv4::UDP => self.udp,
            ipv4::SCTP => self.sctp,
            _ => self.other,
        }
    }
}

/// UDP ports of encapsulations: L2TP, GTP-U, Teredo, IPsec, FOU, GUE, Geneve, VXLAN and similar, RoCE.
const UDP_TUNNELS: [u16; 11] = [1701, 2152, 3544, 4500, 4754, 4789, 4790, 4791, 5555, 6080, 6081];

/// Queue selection of one device: `reta[hash % reta.len()]`.
#[derive(Clone, Debug)]
pub struct Rule {
    key: Vec<u8>,
    toeplitz: Box<Toeplitz>,
    reta: Vec<u16>,
    ipv4: Fields,
    ipv6: Fields,
}

/// Rules are equal if they select the same queue for every frame.
impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        (&self.key, &self.reta, self.ipv4, self.ipv6)
            == (&other.key, &other.reta, other.ipv4, other.ipv6)
    }
}

impl Eq for Rule {}

impl Rule {
    /// # Panics
    /// If the key is shorter than [`KEY_MIN`](super::toeplitz::KEY_MIN) or the table is empty.
    pub fn new(key: Vec<u8>, reta: Vec<u16>, ipv4: Fields, ipv6: Fields) -> Rule {
        assert!(!reta.is_empty(), "a redirection table has entries");
        let toeplitz = Box::new(Toeplitz::new(&key));
        Rule { key, toeplitz, reta, ipv4, ipv6 }
    }

    /// The queue of a frame with this hash.
    #[inline]
    pub fn queue(&self, hash: u32) -> u16 {
        self.reta[hash as usize % self.reta.len()]
    }

    /// The hash of an unfragmented packet with this tuple.
    #[inline]
    pub fn hash<A: Address>(&self, tuple: &Tuple<A>) -> u32 {
        self.hash_input(self.fields::<A>().of(tuple.protocol), tuple)
    }

    /// The hash of any fragment with this tuple.
    #[inline]
    pub fn hash_fragment<A: Address>(&self, source: A, destination: A) -> u32 {
        let tuple = Tuple { source, destination, ..Tuple::default() };
        self.hash_input(self.fields::<A>().fragment, &tuple)
    }

    /// The hash of a received frame. `None` if it is not IP, is cut off, or if NICs hash it differently: IPv6 extension
    /// headers, and tunnels, which some NICs look into.
    pub fn hash_frame(&self, frame: &[u8]) -> Option<u32> {
        let packet = frame.get(ETHERNET..)?;
        match ethernet::ethernet(frame) {
            Ok(Payload::Ipv4) => self.hash_ipv4(packet),
            Ok(Payload::Ipv6) => self.hash_ipv6(packet),
            _ => None,
        }
    }

    /// As [`Self::hash_frame`], but only for frames that every device with this rule hashes in the same way. Devices
    /// differ in three cases, which are `None`: fragments, because some hash the ports of a first fragment; protocols
    /// that some hash by more than the rule; tunnels over UDP, because some hash the inner packet.
    pub fn certain_hash(&self, frame: &[u8]) -> Option<u32> {
        let packet = frame.get(ETHERNET..)?;
        let (protocol, behind) = match ethernet::ethernet(frame) {
            Ok(Payload::Ipv4) => {
                let header = packet.get(..ipv4::HEADER)?;
                if ipv4::is_fragment(header) {
                    return None;
                }
                (ipv4::protocol(header), packet.get(ipv4::header_length(header)..)?)
            }
            Ok(Payload::Ipv6) => {
                let header = packet.get(..ipv6::HEADER)?;
                (ipv6::next_header(header), &packet[ipv6::HEADER..])
            }
            _ => return None,
        };
        let is_certain = match protocol {
            ipv4::TCP | ipv4::SCTP => true,
            ipv4::UDP => {
                let ports = behind.get(..4)?;
                ![0, 2].iter().any(|&at| UDP_TUNNELS.contains(&wire::get16(ports, at)))
            }
            _ => false,
        };
        if is_certain { self.hash_frame(frame) } else { None }
    }

    fn hash_ipv4(&self, packet: &[u8]) -> Option<u32> {
        let header = packet.get(..ipv4::HEADER)?;
        let (source, destination) = (ipv4::source(header), ipv4::destination(header));
        if ipv4::is_fragment(header) {
            return Some(self.hash_fragment(source, destination));
        }
        let behind = packet.get(ipv4::header_length(header)..)?;
        self.hash_whole(source, destination, ipv4::protocol(header), behind)
    }

    fn hash_ipv6(&self, packet: &[u8]) -> Option<u32> {
        let header = packet.get(..ipv6::HEADER)?;
        let (source, destination) = (ipv6::source(header), ipv6::destination(header));
        match ipv6::next_header(header) {
            ipv6::HOP_BY_HOP
            | ipv6::ROUTING
            | ipv6::FRAGMENT
            | ipv6::ESP
            | ipv6::AUTHENTICATION
            | ipv6::DESTINATION_OPTIONS => None,
            protocol => self.hash_whole(source, destination, protocol, &packet[ipv6::HEADER..]),
        }
    }

    fn hash_whole<A: Address>(
        &self,
        source: A,
        destination: A,
        protocol: u8,
        behind: &[u8],
    ) -> Option<u32> {
        if matches!(protocol, ipv4::IPIP | ipv4::IPV6 | ipv4::GRE) {
            return None;
        }
        let mut tuple = Tuple { source, destination, protocol, ..Tuple::default() };
        if self.fields::<A>().of(protocol) == Input::AddressesAndPorts {
            let ports = behind.get(..4)?;
            tuple.source_port = wire::get16(ports, 0);
            tuple.destination_port = wire::get16(ports, 2);
        }
        Some(self.hash(&tuple))
    }

    fn fields<A: Address>(&self) -> &Fields {
        match A::FAMILY {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    #[inline]
    fn hash_input<A: Address>(&self, input: Input, tuple: &Tuple<A>) -> u32 {
        match input {
            Input::Nothing => 0,
            Input::Source => self.toeplitz.hash_address(tuple.source),
            Input::Destination => self.toeplitz.hash_address(tuple.destination),
            Input::Addresses => self.toeplitz.hash_addresses(tuple.source, tuple.destination),
            Input::AddressesAndPorts => self.toeplitz.hash_ports(tuple),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::toeplitz::SYMMETRIC_KEY;
    use crate::testing::{PacketBuilder, frame};

    /// Ports for all protocols except SCTP, as most NICs have it.
    const USUAL: Fields = Fields {
        tcp: Input::AddressesAndPorts,
        udp: Input::AddressesAndPorts,
        sctp: Input::Addresses,
        other: Input::Addresses,
        fragment: Input::Addresses,
    };

    fn rule(ipv4: Fields, ipv6: Fields) -> Rule {
        Rule::new(SYMMETRIC_KEY.to_vec(), vec![0, 1, 0, 1], ipv4, ipv6)
    }

    fn v4() -> PacketBuilder<u32> {
        frame().ipv4("10.1.2.3", "192.0.2.80")
    }

    fn v6() -> PacketBuilder<u128> {
        frame().ipv6("2001:db8::7", "2001:db8:1::80")
    }

    #[test]
    fn a_frame_has_the_hash_of_its_tuple() {
        let toeplitz = Toeplitz::new(&SYMMETRIC_KEY);
        let rule = rule(USUAL, USUAL);
        let (client, virtual_address) = (0x0a01_0203_u32, 0xc000_0250_u32);
        let tuple = |protocol| Tuple {
            source: client,
            destination: virtual_address,
            source_port: 4001,
            destination_port: 80,
            protocol,
        };
        let addresses = toeplitz.hash_addresses(client, virtual_address);
        let ports = toeplitz.hash_ports(&tuple(ipv4::TCP));
        assert_ne!(addresses, ports);
        let cases = [
            ("tcp", v4().tcp(4001, 80).build(), ports),
            ("tcp behind options", v4().options(&[1, 1, 1, 0]).tcp(4001, 80).build(), ports),
            ("udp, padded", v4().udp(4001, 80).padded().build(), ports),
            ("sctp", v4().sctp(4001, 80, 1).build(), addresses),
            ("icmp", v4().icmp(8, 0, 7).build(), addresses),
            ("first fragment", v4().tcp(4001, 80).fragment(0, true).build(), addresses),
            ("later fragment", v4().tcp(4001, 80).fragment(8, false).build(), addresses),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(rule.hash_frame(&bytes), Some(expected), "{name}");
        }
        assert_eq!(rule.hash(&tuple(ipv4::UDP)), ports);
        assert_eq!(rule.hash(&tuple(ipv4::SCTP)), addresses);
        assert_eq!(rule.hash_fragment(client, virtual_address), addresses);
    }

    #[test]
    fn families_have_their_own_fields() {
        let udp_by_addresses = Fields { udp: Input::Addresses, ..USUAL };
        let rule = rule(udp_by_addresses, USUAL);
        let hash = |bytes: Vec<u8>| rule.hash_frame(&bytes).unwrap();
        assert_eq!(hash(v4().udp(1, 2).build()), hash(v4().udp(3, 4).build()));
        assert_ne!(hash(v6().udp(1, 2).build()), hash(v6().udp(3, 5).build()));
        assert_ne!(hash(v4().tcp(1, 2).build()), hash(v4().tcp(3, 5).build()));
    }

    /// With devices that hash only the client's address, a request, its NAT reply and fragments of both select the same
    /// queue.
    #[test]
    fn client_hashing_is_equal_in_both_directions() {
        let by =
            |input| Fields { tcp: input, udp: input, sctp: input, other: input, fragment: input };
        let (from_clients, from_servers) = (by(Input::Source), by(Input::Destination));
        let wan = rule(from_clients, from_clients);
        let lan = rule(from_servers, from_servers);
        let reply = || frame().ipv4("10.1.0.11", "10.1.2.3");
        let hash = wan.hash_frame(&v4().tcp(4001, 80).build());
        assert!(hash.is_some());
        for (what, same) in [
            ("another port", wan.hash_frame(&v4().udp(5, 6).build())),
            ("a later fragment", wan.hash_frame(&v4().tcp(4001, 80).fragment(8, false).build())),
            ("an echo", wan.hash_frame(&v4().icmp(8, 0, 7).build())),
            ("the reply", lan.hash_frame(&reply().tcp(8080, 4001).build())),
            ("a piece of it", lan.hash_frame(&reply().tcp(8080, 4001).fragment(8, false).build())),
        ] {
            assert_eq!(same, hash, "{what}");
        }
        assert_ne!(lan.hash_frame(&v4().tcp(4001, 80).build()), hash, "to another destination");
        let six = wan.hash_frame(&v6().tcp(4001, 80).build());
        let back = frame().ipv6("2001:db8:9::11", "2001:db8::7").tcp(8080, 4001).build();
        assert_eq!(lan.hash_frame(&back), six);
    }

    #[test]
    fn packets_without_hashed_fields_use_the_first_queue() {
        let rule = rule(Fields::default(), Fields { other: Input::Nothing, ..USUAL });
        assert_eq!(rule.hash_frame(&v4().tcp(1, 2).build()), Some(0));
        assert_eq!(rule.hash_frame(&v6().icmp(128, 0, 7).build()), Some(0));
        assert_eq!(rule.queue(0), 0);
        assert_eq!((rule.queue(5), rule.queue(6)), (1, 0));
    }

    #[test]
    fn frames_that_nics_hash_differently_have_no_hash() {
        let rule = rule(USUAL, USUAL);
        let mut arp = frame().ipv4("10.0.0.1", "10.0.0.2").build();
        arp[13] = 6;
        let cases = [
            ("arp", arp),
            ("empty", Vec::new()),
            ("half an IPv4 header", v4().tcp(1, 2).build()[..24].to_vec()),
            ("half the ports", v4().tcp(1, 2).build()[..36].to_vec()),
            ("half an IPv6 header", v6().tcp(1, 2).build()[..40].to_vec()),
            ("IP in IP", v4().protocol(ipv4::IPIP).payload([0; 20]).build()),
            ("GRE over IPv6", v6().protocol(ipv4::GRE).payload([0; 20]).build()),
            ("hop-by-hop options", v6().hop_by_hop().tcp(1, 2).build()),
            ("IPv6 fragment", v6().tcp(1, 2).fragment(0, true).build()),
        ];
        for (name, bytes) in cases {
            assert_eq!(rule.hash_frame(&bytes), None, "{name}");
        }
    }

    #[test]
    fn rules_are_equal_if_they_select_equal_queues() {
        assert_eq!(rule(USUAL, USUAL), rule(USUAL, USUAL));
        assert_ne!(rule(USUAL, USUAL), rule(USUAL, Fields::default()));
        let other = Rule::new(SYMMETRIC_KEY.to_vec(), vec![0, 1], USUAL, USUAL);
        assert_ne!(rule(USUAL, USUAL), other);
    }
}
