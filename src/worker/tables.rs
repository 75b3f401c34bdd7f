//! Per-family state of a worker, so that other code is generic over the family.

use crate::conn::Table;
use crate::packet::Parse;
use crate::rewrite::Layer3;
use crate::worker::batch::{Batch, Batches};
use crate::worker::fragment_table::{FragmentTable, FragmentTables};

/// The connections of both families. Two tables, because their entries differ in size.
pub(super) struct Tables {
    pub(super) ipv4: Table<u32>,
    pub(super) ipv6: Table<u128>,
}

/// An address family, for the pipeline.
pub(super) trait WorkerFamily: Layer3 + Parse {
    fn table(tables: &Tables) -> &Table<Self>;
    fn table_mut(tables: &mut Tables) -> &mut Table<Self>;
    fn batch<F>(batches: &mut Batches<F>) -> &mut Batch<F, Self>;
    fn fragments_mut<F>(tables: &mut FragmentTables<F>) -> &mut FragmentTable<Self, F>;
}

macro_rules! worker_family {
    ($address:ty, $field:ident) => {
        impl WorkerFamily for $address {
            #[inline]
            fn table(tables: &Tables) -> &Table<Self> {
                &tables.$field
            }

            #[inline]
            fn table_mut(tables: &mut Tables) -> &mut Table<Self> {
                &mut tables.$field
            }

            #[inline]
            fn batch<F>(batches: &mut Batches<F>) -> &mut Batch<F, Self> {
                &mut batches.$field
            }

            #[inline]
            fn fragments_mut<F>(tables: &mut FragmentTables<F>) -> &mut FragmentTable<Self, F> {
                &mut tables.$field
            }
        }
    };
}

worker_family!(u32, ipv4);
worker_family!(u128, ipv6);
