//! Raw bindings to the DPDK libraries of the system; the `dpdk` module of the director is their
//! safe wrapper.
//!
//! Generated at build time from `c/dpdk.h`, which also lists what is bound. `director_*` are the
//! functions of `c/shim.c`, one for each inline function of DPDK that the director calls.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

include!(concat!(env!("OUT_DIR"), "/dpdk.rs"));
