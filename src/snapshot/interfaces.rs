//! The interfaces for workers: the frames that each accepts, and its MTU.

use crate::model::{Interface, InterfaceId, PortId};

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceEntry {
    pub mac: [u8; 6],
    /// Unicast MAC addresses that it accepts besides its own.
    pub virtual_macs: Box<[[u8; 6]]>,
    /// Maximum IP packet in bytes.
    pub mtu: u16,
    /// What no service takes goes to the host's own stack.
    pub has_kernel: bool,
    /// The port that sends its frames.
    pub port: PortId,
}

/// All interfaces, and the interface of each port's frames.
#[derive(Clone, Debug, Default)]
pub struct Interfaces {
    /// Indexed by [`InterfaceId`].
    entries: Vec<InterfaceEntry>,
    /// Indexed by [`PortId`]: the interface of frames without a VLAN tag.
    untagged: Vec<Option<InterfaceId>>,
}

impl Interfaces {
    /// Builds the table from interfaces in the order of their IDs.
    pub fn build<'a>(interfaces: impl IntoIterator<Item = &'a Interface>) -> Self {
        let mut all = Interfaces::default();
        for interface in interfaces {
            let port = interface.port.index();
            if all.untagged.len() <= port {
                all.untagged.resize(port + 1, None);
            }
            all.untagged[port] = Some(interface.id);
            all.entries.push(InterfaceEntry {
                mac: interface.mac,
                virtual_macs: interface.virtual_macs.clone().into(),
                mtu: interface.mtu,
                has_kernel: interface.has_kernel,
                port: interface.port,
            });
        }
        all
    }

    /// True before the first configuration.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    pub fn get(&self, interface: InterfaceId) -> Option<&InterfaceEntry> {
        self.entries.get(interface.index())
    }

    /// True if what no service takes goes to the host's own stack.
    #[inline]
    pub fn has_kernel(&self, interface: InterfaceId) -> bool {
        self.get(interface).is_some_and(|entry| entry.has_kernel)
    }

    /// The interface of a port's untagged frames; `None` before the first configuration.
    #[inline]
    pub fn of_port(&self, port: PortId) -> Option<(InterfaceId, &InterfaceEntry)> {
        let interface = (*self.untagged.get(port.index())?)?;
        Some((interface, self.get(interface)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_its_interface() {
        let interface = |id, port| Interface {
            id: InterfaceId(id),
            name: format!("if{id}"),
            port: PortId(port),
            mac: [2, 0, 0, 0, 0, id as u8],
            virtual_macs: vec![[0, 0, 0x5e, 0, 1, id as u8]],
            has_kernel: false,
            mtu: 1500 + id,
            addresses: Vec::new(),
        };
        let all = Interfaces::build(&[interface(0, 2), interface(1, 0)]);
        let of =
            |port| all.of_port(PortId(port)).map(|(id, entry)| (id.0, entry.mtu, entry.port.0));
        assert_eq!(of(2), Some((0, 1500, 2)));
        assert_eq!(of(0), Some((1, 1501, 0)));
        assert_eq!((of(1), of(3)), (None, None));
        assert!(Interfaces::default().is_empty() && !all.is_empty());
        assert_eq!(all.get(InterfaceId(1)).unwrap().virtual_macs[..], [[0, 0, 0x5e, 0, 1, 1]]);
        assert_eq!(all.get(InterfaceId(2)), None);
    }
}
