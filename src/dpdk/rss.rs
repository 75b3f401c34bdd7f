//! Receive side scaling (RSS): which queue a device puts a frame on. It is programmed if the device allows it, otherwise
//! read back, otherwise reported as unknown.

use super::keying::Keying;
use super::{Device, Errno, Error, Result};
use crate::packet::rss::{Fields, Input, Rule};
use crate::packet::toeplitz::KEY_MIN;
use bitflags::bitflags;
use dpdk_sys::{RTE_ETH_RETA_GROUP_SIZE, rte_eth_rss_conf, rte_eth_rss_reta_entry64};
use std::fmt;

/// Key length of the Toeplitz hash over IPv6 addresses and ports, in bytes. Used if a device does not report its key length.
const KEY_LENGTH: usize = 40;
/// Longest key of any device, in bytes.
const KEY_LENGTH_MAX: usize = u8::MAX as usize;
const GROUP: usize = RTE_ETH_RETA_GROUP_SIZE as usize;

bitflags! {
    /// The input of a device's hash: addresses, and ports for the named protocols.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct RssFunctions: u64 {
        const IPV4 = dpdk_sys::DIRECTOR_RSS_IPV4;
        const FRAG_IPV4 = dpdk_sys::DIRECTOR_RSS_FRAG_IPV4;
        const IPV4_TCP = dpdk_sys::DIRECTOR_RSS_IPV4_TCP;
        const IPV4_UDP = dpdk_sys::DIRECTOR_RSS_IPV4_UDP;
        const IPV4_SCTP = dpdk_sys::DIRECTOR_RSS_IPV4_SCTP;
        const IPV4_OTHER = dpdk_sys::DIRECTOR_RSS_IPV4_OTHER;
        const IPV6 = dpdk_sys::DIRECTOR_RSS_IPV6;
        const FRAG_IPV6 = dpdk_sys::DIRECTOR_RSS_FRAG_IPV6;
        const IPV6_TCP = dpdk_sys::DIRECTOR_RSS_IPV6_TCP;
        const IPV6_UDP = dpdk_sys::DIRECTOR_RSS_IPV6_UDP;
        const IPV6_SCTP = dpdk_sys::DIRECTOR_RSS_IPV6_SCTP;
        const IPV6_OTHER = dpdk_sys::DIRECTOR_RSS_IPV6_OTHER;
        // Equals the hash without `_EX` except for Mobile IPv6 packets. Some devices offer only this one for IPv6.
        const IPV6_EX = dpdk_sys::DIRECTOR_RSS_IPV6_EX;
        const IPV6_TCP_EX = dpdk_sys::DIRECTOR_RSS_IPV6_TCP_EX;
        const IPV6_UDP_EX = dpdk_sys::DIRECTOR_RSS_IPV6_UDP_EX;
        // Not a kind of packet: limits the input to one address.
        const SOURCE_ONLY = dpdk_sys::DIRECTOR_RSS_L3_SRC_ONLY;
        const DESTINATION_ONLY = dpdk_sys::DIRECTOR_RSS_L3_DST_ONLY;

        const ONE_ADDRESS = Self::SOURCE_ONLY.bits() | Self::DESTINATION_ONLY.bits();
        const ADDRESSES = Self::IPV4.bits() | Self::FRAG_IPV4.bits() | Self::IPV4_OTHER.bits()
            | Self::IPV6.bits() | Self::FRAG_IPV6.bits() | Self::IPV6_OTHER.bits()
            | Self::IPV6_EX.bits();
        const ALL_IPV6 = Self::IPV6.bits() | Self::FRAG_IPV6.bits() | Self::IPV6_TCP.bits()
            | Self::IPV6_UDP.bits() | Self::IPV6_SCTP.bits() | Self::IPV6_OTHER.bits()
            | Self::IPV6_EX.bits() | Self::IPV6_TCP_EX.bits() | Self::IPV6_UDP_EX.bits();
    }
}

/// How a port spreads frames over its queues. Queue: `reta[hash % reta.len()]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rss {
    /// No rule that the director can compute. The software hash decides and frames are handed off.
    None { why: String },
    /// The device uses the director's key and table.
    Programmed { key: Vec<u8>, reta: Vec<u16>, functions: RssFunctions },
    /// The device kept its own key or table and reported it.
    ReadBack { key: Vec<u8>, reta: Vec<u16>, functions: RssFunctions },
}

impl Rss {
    /// The same arithmetic in software, if there is any.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Rss::None { .. } => None,
            Rss::Programmed { key, reta, functions } | Rss::ReadBack { key, reta, functions } => {
                let (ipv4, ipv6) = (functions.ipv4(), functions.ipv6());
                Some(Rule::new(key.clone(), reta.clone(), ipv4, ipv6))
            }
        }
    }
}

impl RssFunctions {
    /// What goes into the hash of IPv4.
    pub fn ipv4(self) -> Fields {
        let by_addresses = self.addresses();
        let addresses = self.input(Self::IPV4, by_addresses, Input::Nothing);
        let ports = |function| self.input(function, Input::AddressesAndPorts, addresses);
        Fields {
            tcp: ports(Self::IPV4_TCP),
            udp: ports(Self::IPV4_UDP),
            sctp: ports(Self::IPV4_SCTP),
            other: self.input(Self::IPV4_OTHER, by_addresses, addresses),
            fragment: self.input(Self::FRAG_IPV4, by_addresses, addresses),
        }
    }

    /// What goes into the hash of IPv6.
    pub fn ipv6(self) -> Fields {
        let any = Self::IPV6 | Self::IPV6_EX;
        let by_addresses = self.addresses();
        let addresses = self.input(any, by_addresses, Input::Nothing);
        let ports = |function| self.input(function, Input::AddressesAndPorts, addresses);
        Fields {
            tcp: ports(Self::IPV6_TCP | Self::IPV6_TCP_EX),
            udp: ports(Self::IPV6_UDP | Self::IPV6_UDP_EX),
            sctp: ports(Self::IPV6_SCTP),
            other: self.input(Self::IPV6_OTHER, by_addresses, addresses),
            fragment: self.input(Self::FRAG_IPV6, by_addresses, addresses),
        }
    }

    /// Both `_ONLY` flags together mean both addresses, as in DPDK.
    fn addresses(self) -> Input {
        match (self.contains(Self::SOURCE_ONLY), self.contains(Self::DESTINATION_ONLY)) {
            (true, false) => Input::Source,
            (false, true) => Input::Destination,
            _ => Input::Addresses,
        }
    }

    /// The device hashes ports together with only one address: a rule that was not requested and that the software hash does
    /// not have.
    fn is_strange(self) -> bool {
        let by_ports = self.difference(Self::ADDRESSES | Self::ONE_ADDRESS);
        self.addresses() != Input::Addresses && !by_ports.is_empty()
    }

    fn input(self, functions: RssFunctions, with: Input, without: Input) -> Input {
        if self.intersects(functions) { with } else { without }
    }
}

impl fmt::Display for Rss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rss::None { why } => write!(formatter, "none ({why})"),
            Rss::Programmed { reta, functions, .. } => {
                write!(formatter, "programmed, {} entries; {functions}", reta.len())
            }
            Rss::ReadBack { reta, functions, .. } => {
                write!(formatter, "read back, {} entries; {functions}", reta.len())
            }
        }
    }
}

/// `ports hashed for TCP, UDP over IPv4 and TCP over IPv6`.
impl fmt::Display for RssFunctions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_ports = |fields: Fields| {
            let all = [("TCP", fields.tcp), ("UDP", fields.udp), ("SCTP", fields.sctp)];
            let by_ports = all.into_iter().filter(|(_, input)| *input == Input::AddressesAndPorts);
            by_ports.map(|(name, _)| name).collect::<Vec<_>>().join(", ")
        };
        match (by_ports(self.ipv4()), by_ports(self.ipv6())) {
            (ipv4, ipv6) if ipv4.is_empty() && ipv6.is_empty() => {
                formatter.write_str(match self.addresses() {
                    Input::Source => "source addresses hashed alone",
                    Input::Destination => "destination addresses hashed alone",
                    _ => "addresses hashed alone",
                })
            }
            (ipv4, ipv6) if ipv4 == ipv6 => write!(formatter, "ports hashed for {ipv4}"),
            (ipv4, ipv6) if ipv6.is_empty() => {
                write!(formatter, "ports hashed for {ipv4} over IPv4")
            }
            (ipv4, ipv6) if ipv4.is_empty() => {
                write!(formatter, "ports hashed for {ipv6} over IPv6")
            }
            (ipv4, ipv6) => {
                write!(formatter, "ports hashed for {ipv4} over IPv4 and {ipv6} over IPv6")
            }
        }
    }
}

/// The key length of a device, in bytes.
pub(super) fn key_length(hash_key_size: u8) -> usize {
    if hash_key_size == 0 { KEY_LENGTH } else { usize::from(hash_key_size) }
}

/// DPDK's structure for a key and hash functions. It points to `key`, which must outlive it.
// Later releases of DPDK have more members: a struct expression would not compile with them.
#[allow(clippy::field_reassign_with_default)]
pub(super) fn configuration(
    key: &mut [u8],
    length: usize,
    functions: RssFunctions,
) -> rte_eth_rss_conf {
    let mut conf = rte_eth_rss_conf::default();
    conf.rss_key = key.as_mut_ptr();
    conf.rss_key_len = length as u8;
    conf.rss_hf = functions.bits();
    conf
}

/// Programs the redirection table of a started port, and the key if the driver did not take it from the port's
/// configuration. Then reads back what the device uses. `functions`: the hash functions of the port's configuration.
pub(super) fn program(
    device: &Device,
    queues: u16,
    functions: RssFunctions,
    keying: Keying,
) -> Rss {
    settle(device, queues, functions, keying)
        .unwrap_or_else(|error| Rss::None { why: error.to_string() })
}

fn settle(device: &Device, queues: u16, configured: RssFunctions, keying: Keying) -> Result<Rss> {
    let info = device.info()?;
    if info.reta_size == 0 {
        return Ok(Rss::None { why: "the device has no redirection table".to_owned() });
    }
    let (key, functions) = settle_key(device, key_length(info.hash_key_size), configured, keying)?;
    if functions.is_empty() {
        return Ok(Rss::None { why: "the device hashes nothing".to_owned() });
    }
    if functions.is_strange() {
        return Ok(Rss::None { why: "the device hashes one address with ports".to_owned() });
    }
    if key.len() < KEY_MIN {
        let why = format!("the device's key has {} bytes, {KEY_MIN} are the fewest", key.len());
        return Ok(Rss::None { why });
    }
    let wanted = keying.reta(info.reta_size, queues);
    let written = write_reta(device, &wanted);
    let reta = match read_reta(device, info.reta_size) {
        Ok(reta) => reta,
        // Accepted but not readable: assume what was written.
        Err(error) => written.clone().map(|()| wanted.clone()).map_err(|_| error)?,
    };
    if let Some(entry) = reta.iter().find(|queue| **queue >= queues) {
        let why = format!("the device's table names queue {entry}, which is not polled");
        return Ok(Rss::None { why });
    }
    let ours = written.is_ok() && reta == wanted && key == keying.key(key.len());
    Ok(if ours {
        Rss::Programmed { key, reta, functions }
    } else {
        Rss::ReadBack { key, reta, functions }
    })
}

/// The key in the device (ours if it accepts it) and its hash functions.
fn settle_key(
    device: &Device,
    length: usize,
    configured: RssFunctions,
    keying: Keying,
) -> Result<(Vec<u8>, RssFunctions)> {
    let (key, functions) = match read_key(device, length) {
        Ok(told) => told,
        // Such a driver accepted key and functions with the port's configuration, else the port would not have started.
        Err(Error::Call { errno: Errno(libc::ENOTSUP), .. }) => {
            return Ok((keying.key(length), configured));
        }
        Err(error) => return Err(error),
    };
    let wanted = keying.key(key.len());
    if key != wanted && write_key(device, wanted, functions).is_ok() {
        return read_key(device, length);
    }
    Ok((key, functions))
}

fn read_key(device: &Device, length: usize) -> Result<(Vec<u8>, RssFunctions)> {
    let mut key = vec![0; KEY_LENGTH_MAX];
    let mut conf = configuration(&mut key, length, RssFunctions::empty());
    // SAFETY: the port exists, and `key` has room for the longest key a length byte can say.
    let outcome = unsafe { dpdk_sys::rte_eth_dev_rss_hash_conf_get(device.id(), &mut conf) };
    device.check(outcome, "RSS key")?;
    let told = usize::from(conf.rss_key_len);
    key.truncate(if told == 0 { length } else { told });
    Ok((key, RssFunctions::from_bits_truncate(conf.rss_hf)))
}

fn write_key(device: &Device, mut key: Vec<u8>, functions: RssFunctions) -> Result<()> {
    let length = key.len();
    let mut conf = configuration(&mut key, length, functions);
    // SAFETY: the port exists; the driver copies the key during the call.
    let outcome = unsafe { dpdk_sys::rte_eth_dev_rss_hash_update(device.id(), &mut conf) };
    device.check(outcome, "RSS key").map(|_| ())
}

fn write_reta(device: &Device, reta: &[u16]) -> Result<()> {
    let mut groups = to_groups(reta);
    // SAFETY: as many groups as `reta.len()` entries take.
    let outcome = unsafe {
        dpdk_sys::rte_eth_dev_rss_reta_update(device.id(), groups.as_mut_ptr(), reta.len() as u16)
    };
    device.check(outcome, "RSS redirection table").map(|_| ())
}

fn read_reta(device: &Device, size: u16) -> Result<Vec<u16>> {
    let mut groups = to_groups(&vec![0; usize::from(size)]);
    // SAFETY: as many groups as `size` entries take, every entry asked for.
    let outcome =
        unsafe { dpdk_sys::rte_eth_dev_rss_reta_query(device.id(), groups.as_mut_ptr(), size) };
    device.check(outcome, "RSS redirection table")?;
    Ok(from_groups(&groups, usize::from(size)))
}

fn to_groups(reta: &[u16]) -> Vec<rte_eth_rss_reta_entry64> {
    let group = |entries: &[u16]| {
        let mut reta = [0; GROUP];
        reta[..entries.len()].copy_from_slice(entries);
        rte_eth_rss_reta_entry64 { mask: u64::MAX >> (GROUP - entries.len()), reta }
    };
    reta.chunks(GROUP).map(group).collect()
}

fn from_groups(groups: &[rte_eth_rss_reta_entry64], size: usize) -> Vec<u16> {
    groups.iter().flat_map(|group| group.reta).take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_a_word_on_it_takes_forty_bytes() {
        assert_eq!((key_length(0), key_length(52)), (40, 52));
    }

    #[test]
    fn functions_tell_what_is_hashed() {
        let by_ports = Input::AddressesAndPorts;
        let functions = RssFunctions::IPV4 | RssFunctions::IPV4_TCP | RssFunctions::IPV6_OTHER;
        let ipv4 = Fields {
            tcp: by_ports,
            udp: Input::Addresses,
            sctp: Input::Addresses,
            other: Input::Addresses,
            fragment: Input::Addresses,
        };
        assert_eq!(functions.ipv4(), ipv4);
        assert_eq!(functions.ipv6(), Fields { other: Input::Addresses, ..Fields::default() });
        let all = RssFunctions::all().difference(RssFunctions::ONE_ADDRESS);
        assert_eq!(all.ipv4(), Fields { udp: by_ports, sctp: by_ports, ..ipv4 });
        assert_eq!(all.ipv4(), all.ipv6());
        assert_eq!(RssFunctions::all().ipv4(), all.ipv4(), "both of `only` are none of them");
    }

    #[test]
    fn one_address_may_be_hashed_alone() {
        let addresses = RssFunctions::IPV4 | RssFunctions::IPV6 | RssFunctions::FRAG_IPV4;
        for (only, input) in [
            (RssFunctions::SOURCE_ONLY, Input::Source),
            (RssFunctions::DESTINATION_ONLY, Input::Destination),
        ] {
            let functions = addresses | only;
            let all = Fields { tcp: input, udp: input, sctp: input, other: input, fragment: input };
            assert_eq!((functions.ipv4(), functions.ipv6()), (all, all));
            assert!(!functions.is_strange());
            assert!((functions | RssFunctions::IPV4_TCP).is_strange());
        }
        assert!(!RssFunctions::all().is_strange());
    }

    #[test]
    fn functions_are_told_in_words() {
        let tcp = RssFunctions::IPV4_TCP;
        let cases = [
            (RssFunctions::IPV4, "addresses hashed alone"),
            (tcp, "ports hashed for TCP over IPv4"),
            (RssFunctions::IPV6_UDP_EX, "ports hashed for UDP over IPv6"),
            (tcp | RssFunctions::IPV6_TCP, "ports hashed for TCP"),
            (tcp | RssFunctions::IPV6_UDP, "ports hashed for TCP over IPv4 and UDP over IPv6"),
            (RssFunctions::all(), "ports hashed for TCP, UDP, SCTP"),
            (RssFunctions::IPV4 | RssFunctions::SOURCE_ONLY, "source addresses hashed alone"),
            (
                RssFunctions::IPV6 | RssFunctions::DESTINATION_ONLY,
                "destination addresses hashed alone",
            ),
        ];
        for (functions, text) in cases {
            assert_eq!(functions.to_string(), text);
        }
    }

    #[test]
    fn only_a_device_with_rss_has_a_rule() {
        assert_eq!(Rss::None { why: String::new() }.rule(), None);
        let (key, reta) = (Keying::Flow.key(40), Keying::Flow.reta(4, 2));
        let programmed = Rss::Programmed { key, reta, functions: RssFunctions::IPV4_TCP };
        assert_eq!(programmed.rule().unwrap().queue(7), 1);
    }

    #[test]
    fn groups_carry_tables_of_any_size() {
        for size in [1, 63, 64, 65, 128, 512] {
            let reta = Keying::Flow.reta(size, 7);
            let groups = to_groups(&reta);
            let asked: u32 = groups.iter().map(|group| group.mask.count_ones()).sum();
            assert_eq!(asked, u32::from(size));
            assert_eq!(groups.len(), usize::from(size).div_ceil(64));
            assert_eq!(from_groups(&groups, usize::from(size)), reta);
        }
    }
}
