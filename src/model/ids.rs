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
    /// A port, in the order of the configuration.
    PortId(u16)
}
