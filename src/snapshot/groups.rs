//! The multicast groups of each interface.

use crate::model::{Family, InterfaceId};
use crate::packet::{Address, ndp};
use hashbrown::HashSet;
use std::net::{IpAddr, Ipv4Addr};

/// Membership by interface and group. Every interface is a member of the all-hosts groups (RFC 1112, RFC 4291).
#[derive(Clone, Debug, Default)]
pub struct Groups {
    ipv4: HashSet<(u16, u32)>,
    ipv6: HashSet<(u16, u128)>,
}

/// `224.0.0.1`.
const ALL_HOSTS: u32 = Ipv4Addr::new(224, 0, 0, 1).to_bits();

impl Groups {
    /// Adds an interface to a group, or (false) removes it.
    pub fn set(&mut self, interface: InterfaceId, group: IpAddr, is_member: bool) {
        match (group, is_member) {
            (IpAddr::V4(group), true) => self.ipv4.insert((interface.0, group.to_bits())),
            (IpAddr::V4(group), false) => self.ipv4.remove(&(interface.0, group.to_bits())),
            (IpAddr::V6(group), true) => self.ipv6.insert((interface.0, group.to_bits())),
            (IpAddr::V6(group), false) => self.ipv6.remove(&(interface.0, group.to_bits())),
        };
    }

    /// True if the interface accepts packets to the group.
    #[inline]
    pub fn contains<A: Address>(&self, interface: InterfaceId, group: A) -> bool {
        match A::FAMILY {
            Family::Ipv4 => {
                let group = group.bits() as u32;
                group == ALL_HOSTS || self.ipv4.contains(&(interface.0, group))
            }
            Family::Ipv6 => {
                let group = group.bits();
                group == ndp::ALL_NODES || self.ipv6.contains(&(interface.0, group))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_is_per_interface() {
        let (one, two) = (InterfaceId(1), InterfaceId(2));
        let mut groups = Groups::default();
        let vrrp = Ipv4Addr::new(224, 0, 0, 18);
        let node = ndp::solicited_node(7);
        groups.set(one, vrrp.into(), true);
        groups.set(two, node.to_ip(), true);
        for (interface, ipv4, ipv6) in [(one, true, false), (two, false, true)] {
            assert_eq!(groups.contains(interface, vrrp.to_bits()), ipv4);
            assert_eq!(groups.contains(interface, node), ipv6);
            assert!(groups.contains(interface, ALL_HOSTS));
            assert!(groups.contains(interface, ndp::ALL_NODES));
        }
        groups.set(one, vrrp.into(), false);
        assert!(!groups.contains(one, vrrp.to_bits()));
    }
}
