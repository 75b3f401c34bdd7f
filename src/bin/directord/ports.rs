//! The ports of the configuration as DPDK devices, and what the control thread asks of them.

use crate::AnyError;
use crate::cores::Cores;
use director::config::{Config, PortConfig};
use director::control::Ports;
use director::dpdk::{
    Device, Eal, Error, Link, Mbuf, Mempool, Port, PortQueue, PortSettings, is_running,
};
use director::kernel_port::Machine;
use director::limits::{BURST, HANDOFF_RING, HOST_RING, INJECT_RING, PUNT_RINGS};
use director::model::{MacAddress, PortId, kernel_interface};
use director::query::{PortRow, PortRows};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Descriptors of a queue unless configured: short rings stay in the cache.
const DESCRIPTORS: u16 = 512;

/// Memory of a packet buffer with its header, about.
const MBUF_BYTES: u64 = 2432;

/// Started ports.
pub(crate) struct PortSet {
    pub(crate) ports: Vec<Arc<Port>>,
    /// Each port's own, by [`PortId`].
    mempools: Vec<Arc<Mempool>>,
    configured: Vec<PortConfig>,
    /// The kernel interface of each port that has one.
    interfaces: Vec<Option<String>>,
    /// Queue pairs of each port.
    queues: u16,
}

impl PortSet {
    /// Starts every port. The queues come by worker, then by port. Warnings about NUMA nodes are added to `cores`.
    pub(crate) fn start(
        eal: &Eal,
        config: &Config,
        cores: &mut Cores,
    ) -> Result<(PortSet, Vec<Vec<PortQueue>>), AnyError> {
        let workers = config.dpdk.workers;
        let devices = config
            .ports
            .iter()
            .map(|port| Device::find(eal, &port.device))
            .collect::<Result<Vec<_>, Error>>()?;
        let sockets: Vec<Option<u32>> = devices.iter().map(Device::socket).collect();
        let by_socket = mempools(eal, config, &sockets)?;
        let mut set = PortSet {
            ports: Vec::new(),
            mempools: Vec::new(),
            configured: config.ports.clone(),
            interfaces: config.ports.iter().map(|port| interface_of(config, port)).collect(),
            queues: workers as u16,
        };
        let mut queues: Vec<Vec<PortQueue>> = (0..workers).map(|_| Vec::new()).collect();
        for ((device, port), socket) in devices.into_iter().zip(&config.ports).zip(&sockets) {
            let settings = PortSettings {
                queues: workers as u16,
                rx_descriptors: port.rx_descriptors.unwrap_or(DESCRIPTORS),
                tx_descriptors: port.tx_descriptors.unwrap_or(DESCRIPTORS),
                mtu: Some(port.mtu),
                promiscuous: port.promiscuous,
                all_multicast: true,
                one_mempool: by_socket.len() == 1,
                side: port.side,
            };
            let mempool = &by_socket[socket];
            let (started, port_queues) = Port::start(device, &settings, &[Arc::clone(mempool)])?;
            for (worker, queue) in port_queues.into_iter().enumerate() {
                queues[worker].push(queue);
            }
            set.ports.push(started);
            set.mempools.push(Arc::clone(mempool));
        }
        warn_of_distance(eal, &set, cores);
        Ok((set, queues))
    }
}

impl PortSet {
    /// What the kernel-port thread needs of the ports.
    pub(crate) fn machine(&self) -> Machine<Mbuf> {
        let mempools = self.mempools.clone();
        let (ports, interfaces) = (self.ports.clone(), self.interfaces.clone());
        Machine {
            allocate: Box::new(move |port| mempools.get(port.index())?.allocate()),
            is_link_up: Box::new(move |port| {
                let link = ports.get(port.index()).and_then(|device| device.link().ok());
                let interface = interfaces.get(port.index()).and_then(Option::as_deref);
                is_link_up(link, interface)
            }),
        }
    }
}

/// `link`: as the device reports it. `interface`: the port's own kernel interface, whose driver always reports it as up.
fn is_link_up(link: Option<Link>, interface: Option<&str>) -> bool {
    link.is_some_and(|link| link.up) && interface.is_none_or(is_running)
}

/// One pool per NUMA node that has ports.
fn mempools(
    eal: &Eal,
    config: &Config,
    sockets: &[Option<u32>],
) -> Result<BTreeMap<Option<u32>, Arc<Mempool>>, AnyError> {
    let packed = is_packed(config);
    let mut pools = BTreeMap::new();
    for socket in sockets {
        if pools.contains_key(socket) {
            continue;
        }
        let here: Vec<&PortConfig> = sockets
            .iter()
            .zip(&config.ports)
            .filter(|(other, _)| *other == socket)
            .map(|(_, port)| port)
            .collect();
        let count = match config.dpdk.mbufs {
            Some(mbufs) => mbufs * here.len() as u32,
            None => buffers(config.dpdk.workers, &here),
        };
        let name = socket.map_or("frames".to_owned(), |socket| format!("frames{socket}"));
        let pool = match packed {
            true => Mempool::packed(eal, &name, count, *socket),
            false => Mempool::new(eal, &name, count, *socket),
        };
        let advice = |error| no_buffers(&error, count, config.dpdk.workers, here.len());
        pools.insert(*socket, pool.map_err(advice)?);
    }
    Ok(pools)
}

/// The error of a mempool, with what else needs less memory.
fn no_buffers(error: &Error, count: u32, workers: usize, ports: usize) -> String {
    let megabytes = (u64::from(count) * MBUF_BYTES) >> 20;
    format!(
        "{error}; or lower dpdk.workers: {workers} workers and {ports} ports need {count} packet buffers, about {megabytes} MB"
    )
}

fn interface_of(config: &Config, port: &PortConfig) -> Option<String> {
    kernel_interface(config.dpdk.vdev(&port.device)?).map(str::to_owned)
}

/// AF_XDP wants its buffers without gaps, which devices with DMA cannot take; frames go from any port to any other.
fn is_packed(config: &Config) -> bool {
    let is_virtual = |port: &PortConfig| port.device.starts_with("net_");
    config.ports.iter().any(|port| port.device.starts_with("net_af_xdp"))
        && config.ports.iter().all(is_virtual)
}

/// As many buffers as can be on their way at once: in every queue, ring and burst. One less than a power of two.
fn buffers(workers: usize, ports: &[&PortConfig]) -> u32 {
    let host_rings = match ports.iter().any(|port| port.kernel.is_some()) {
        true => 2 * HOST_RING,
        false => 0,
    };
    let per_worker: usize = ports
        .iter()
        .map(|port| {
            usize::from(port.rx_descriptors.unwrap_or(DESCRIPTORS))
                + usize::from(port.tx_descriptors.unwrap_or(DESCRIPTORS))
                + 2 * BURST
        })
        .sum::<usize>()
        + PUNT_RINGS
        + host_rings
        + INJECT_RING
        + HANDOFF_RING * workers.saturating_sub(1)
        // DPDK's cache on the lcore.
        + 512;
    (workers * per_worker + 4096).next_power_of_two() as u32 - 1
}

fn warn_of_distance(eal: &Eal, set: &PortSet, cores: &mut Cores) {
    let workers: Vec<(usize, u32)> =
        eal.workers().iter().map(|lcore| (lcore.core(), lcore.socket())).collect();
    let ports: Vec<(&str, Option<u32>)> =
        set.ports.iter().map(|port| (port.name(), port.socket())).collect();
    cores.warn_of_distance(&workers, &ports);
}

impl Ports<Mbuf> for PortSet {
    fn allocate(&mut self, port: PortId) -> Option<Mbuf> {
        self.mempools.get(port.index())?.allocate()
    }

    fn rows(&self) -> PortRows {
        let (ports, configured) = (self.ports.clone(), self.configured.clone());
        let (interfaces, queues) = (self.interfaces.clone(), self.queues);
        Box::new(move || {
            let ports = ports.iter().zip(&configured).zip(&interfaces);
            ports
                .map(|((port, configured), on)| row(port, configured, on.as_deref(), queues))
                .collect()
        })
    }

    fn set_addresses(&mut self, ports: &[PortConfig]) {
        self.configured = ports.to_vec();
    }
}

/// Asks a device for its link, its MTU and its own statistics. `interface`: its kernel interface.
fn row(port: &Port, configured: &PortConfig, interface: Option<&str>, queues: u16) -> PortRow {
    let link = port.link().ok();
    let statistics = port.extended_statistics().unwrap_or_default();
    PortRow {
        name: configured.name.clone(),
        device: configured.device.clone(),
        driver: port.driver().to_owned(),
        mac: MacAddress(port.hardware_address()).to_string(),
        mtu: port.mtu().unwrap_or(configured.mtu),
        link_up: is_link_up(link, interface),
        link_speed: link.and_then(|link| link.speed_mbps).unwrap_or(0),
        queues,
        addresses: configured
            .addresses
            .iter()
            .map(|own| format!("{}/{}", own.address(), own.length()))
            .collect(),
        xstats: statistics.into_iter().filter(|(_, value)| *value > 0).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use director::dpdk::Errno;

    #[test]
    fn a_pool_without_memory_names_what_needs_it() {
        let error = Error::Call { what: "mempool frames0".to_owned(), errno: Errno(12) };
        let text = no_buffers(&error, 65_535, 16, 2);
        let end = "; or lower dpdk.workers: 16 workers and 2 ports need 65535 packet buffers, about 151 MB";
        assert!(text.starts_with("mempool frames0: ") && text.ends_with(end), "{text}");
    }
}
