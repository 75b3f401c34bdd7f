//! Dense numbers that workers use as indices.

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id! {
    /// Slot of a virtual service in the snapshot and in the counters.
    ServiceId(u32)
}
id! {
    /// Slot of a destination (one per service and server). It stays the same while a removed
    /// destination still has connections, and is reused only after the last of them has gone.
    DestinationId(u32)
}
id! {
    /// A worker: one lcore, one RSS queue of every port.
    WorkerId(u16)
}
id! {
    /// A port: a device with its queues and counters, in the order of the configuration.
    PortId(u16)
}
id! {
    /// A network interface: addresses and a place on a link, in the order of the configuration.
    InterfaceId(u16)
}

/// Where a frame came in: the port, and the interface on it. One number, because every packet carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngressId(u32);

impl IngressId {
    #[inline]
    pub const fn new(port: PortId, interface: InterfaceId) -> Self {
        IngressId((interface.0 as u32) << 16 | port.0 as u32)
    }

    /// The device that received it.
    #[inline]
    pub const fn port(self) -> PortId {
        PortId(self.0 as u16)
    }

    /// The interface that it was addressed to.
    #[inline]
    pub const fn interface(self) -> InterfaceId {
        InterfaceId((self.0 >> 16) as u16)
    }
}
