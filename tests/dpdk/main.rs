//! The DPDK wrapper over devices that every machine has: rings, capture files, null. Needs neither hugepages nor root.
//! All tests share one EAL, one test at a time.

mod devices;
mod environment;
mod files;
mod frames;

use director::dpdk::{Device, Eal, EalOptions, Mbuf, Mempool, Port, PortQueue, PortSettings};
use director::io::{Burst, Frame};
use parking_lot::{Mutex, MutexGuard};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Mbufs of a test's pool: more than a full ring device holds.
const MBUFS: u32 = 2047;

fn options(file_prefix: String) -> EalOptions {
    let core = core_affinity::get_core_ids().unwrap()[0].id;
    EalOptions {
        worker_cores: vec![core],
        memory_mb: Some(64),
        no_huge: true,
        file_prefix,
        ..EalOptions::default()
    }
}

fn prefix() -> String {
    format!("director-test-{}", process::id())
}

fn eal() -> MutexGuard<'static, Eal> {
    static EAL: OnceLock<Mutex<Eal>> = OnceLock::new();
    EAL.get_or_init(|| Mutex::new(Eal::start(&options(prefix())).unwrap())).lock()
}

fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn pool(eal: &Eal) -> Arc<Mempool> {
    Mempool::new(eal, &unique("test"), MBUFS, None).unwrap()
}

/// A new device, started, with this many queues.
fn port(eal: &Eal, device: &str, queues: u16, pool: &Arc<Mempool>) -> Vec<PortQueue> {
    eal.attach(device).unwrap();
    let device = Device::find(eal, device).unwrap();
    let settings = PortSettings { queues, ..PortSettings::default() };
    Port::start(device, &settings, &[Arc::clone(pool)]).unwrap().1
}

fn frame(pool: &Mempool, bytes: &[u8]) -> Mbuf {
    let mut frame = pool.allocate().unwrap();
    assert!(frame.append(bytes.len()));
    frame.bytes_mut().copy_from_slice(bytes);
    frame
}

fn numbered(pool: &Mempool, number: u32) -> Mbuf {
    frame(pool, &number.to_be_bytes().repeat(15))
}

fn numbers(burst: &Burst<Mbuf>) -> Vec<u32> {
    burst.iter().map(|frame| u32::from_be_bytes(frame.bytes()[..4].try_into().unwrap())).collect()
}
