//! The two connection tables of a worker, so that everything else is written once for both families.

use crate::conn::Table;
use crate::forward::Layer3;
use crate::packet::Parse;

/// IPv4 and IPv6 apart: their entries differ in size.
pub(super) struct Tables {
    pub(super) ipv4: Table<u32>,
    pub(super) ipv6: Table<u128>,
}

/// An address family as the pipeline needs it.
pub(super) trait Flows: Layer3 + Parse {
    fn table(tables: &Tables) -> &Table<Self>;
    fn table_mut(tables: &mut Tables) -> &mut Table<Self>;
}

impl Flows for u32 {
    #[inline]
    fn table(tables: &Tables) -> &Table<u32> {
        &tables.ipv4
    }

    #[inline]
    fn table_mut(tables: &mut Tables) -> &mut Table<u32> {
        &mut tables.ipv4
    }
}

impl Flows for u128 {
    #[inline]
    fn table(tables: &Tables) -> &Table<u128> {
        &tables.ipv6
    }

    #[inline]
    fn table_mut(tables: &mut Tables) -> &mut Table<u128> {
        &mut tables.ipv6
    }
}
