//! The two connection tables of a worker, so that everything else is written once for both families.

use crate::conn::Table;
use crate::packet::Parse;
use crate::rewrite::Layer3;
use crate::worker::batch::{Batch, Batches};
use crate::worker::engine::Engine;
use crate::worker::full_path::fragments::FragmentTable;

/// IPv4 and IPv6 apart: their entries differ in size.
pub(super) struct Tables {
    pub(super) ipv4: Table<u32>,
    pub(super) ipv6: Table<u128>,
}

/// An address family as the pipeline needs it.
pub(super) trait WorkerFamily: Layer3 + Parse {
    fn table(tables: &Tables) -> &Table<Self>;
    fn table_mut(tables: &mut Tables) -> &mut Table<Self>;
    fn batch<F>(batches: &mut Batches<F>) -> &mut Batch<F, Self>;
    fn fragments<F>(engine: &Engine<F>) -> &FragmentTable<Self, F>;
    fn fragments_mut<F>(engine: &mut Engine<F>) -> &mut FragmentTable<Self, F>;
}

impl WorkerFamily for u32 {
    #[inline]
    fn table(tables: &Tables) -> &Table<u32> {
        &tables.ipv4
    }

    #[inline]
    fn table_mut(tables: &mut Tables) -> &mut Table<u32> {
        &mut tables.ipv4
    }

    #[inline]
    fn batch<F>(batches: &mut Batches<F>) -> &mut Batch<F, u32> {
        &mut batches.ipv4
    }

    #[inline]
    fn fragments<F>(engine: &Engine<F>) -> &FragmentTable<u32, F> {
        &engine.fragments_ipv4
    }

    #[inline]
    fn fragments_mut<F>(engine: &mut Engine<F>) -> &mut FragmentTable<u32, F> {
        &mut engine.fragments_ipv4
    }
}

impl WorkerFamily for u128 {
    #[inline]
    fn table(tables: &Tables) -> &Table<u128> {
        &tables.ipv6
    }

    #[inline]
    fn table_mut(tables: &mut Tables) -> &mut Table<u128> {
        &mut tables.ipv6
    }

    #[inline]
    fn batch<F>(batches: &mut Batches<F>) -> &mut Batch<F, u128> {
        &mut batches.ipv6
    }

    #[inline]
    fn fragments<F>(engine: &Engine<F>) -> &FragmentTable<u128, F> {
        &engine.fragments_ipv6
    }

    #[inline]
    fn fragments_mut<F>(engine: &mut Engine<F>) -> &mut FragmentTable<u128, F> {
        &mut engine.fragments_ipv6
    }
}
