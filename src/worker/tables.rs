//! The two connection tables of a worker, so that everything else is written once for both families.

use super::batch::{Batch, Batches};
use super::engine::Engine;
use super::fragments::Fragments;
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
    fn batch<F>(batches: &mut Batches<F>) -> &mut Batch<F, Self>;
    fn fragments<F>(engine: &Engine<F>) -> &Fragments<Self, F>;
    fn fragments_mut<F>(engine: &mut Engine<F>) -> &mut Fragments<Self, F>;
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

    #[inline]
    fn batch<F>(batches: &mut Batches<F>) -> &mut Batch<F, u32> {
        &mut batches.ipv4
    }

    #[inline]
    fn fragments<F>(engine: &Engine<F>) -> &Fragments<u32, F> {
        &engine.fragments_ipv4
    }

    #[inline]
    fn fragments_mut<F>(engine: &mut Engine<F>) -> &mut Fragments<u32, F> {
        &mut engine.fragments_ipv4
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

    #[inline]
    fn batch<F>(batches: &mut Batches<F>) -> &mut Batch<F, u128> {
        &mut batches.ipv6
    }

    #[inline]
    fn fragments<F>(engine: &Engine<F>) -> &Fragments<u128, F> {
        &engine.fragments_ipv6
    }

    #[inline]
    fn fragments_mut<F>(engine: &mut Engine<F>) -> &mut Fragments<u128, F> {
        &mut engine.fragments_ipv6
    }
}
