//! A running port: a device configured with one queue pair per worker and started.

use super::by_client::{self, ByClient, Choice};
use super::rss::{self, Rss, RssFunctions};
use super::statistics::PortStatistics;
use super::{Device, Mempool, PortSettings, Result, setup, statistics};
use dpdk_sys::{
    DIRECTOR_MULTI_QUEUE_NONE, DIRECTOR_MULTI_QUEUE_RSS, DIRECTOR_RX_OFFLOAD_RSS_HASH,
    DIRECTOR_TX_OFFLOAD_MBUF_FAST_FREE, rte_eth_conf, rte_eth_dev_info,
};
use std::sync::Arc;

/// State of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub up: bool,
    /// `None` if the device does not know.
    pub speed_mbps: Option<u32>,
    pub full_duplex: bool,
}

/// A started port. Stops and closes when it and all its queues are dropped.
#[derive(Debug)]
pub struct Port {
    device: Device,
    driver: String,
    hardware_address: [u8; 6],
    rss: Rss,
    by_client: ByClient,
    /// Drivers read the key when the port starts, through the pointer they were configured with.
    rss_key: Vec<u8>,
    fast_free: bool,
    descriptors: (u16, u16),
    /// The device fills its descriptors from these until it is closed.
    _mempools: Vec<Arc<Mempool>>,
}

impl Port {
    /// Configures and starts `device`. `pools`: the mempool of each queue.
    ///
    /// # Errors
    /// As [`Port::start`].
    pub(super) fn open(
        device: Device,
        settings: &PortSettings,
        pools: &[Arc<Mempool>],
    ) -> Result<Port> {
        let info = device.info()?;
        setup::check(&device, settings, &info, pools)?;
        let old_mtu = setup::mtu(&device)?;
        let fast_free =
            settings.one_mempool && info.tx_offload_capa & DIRECTOR_TX_OFFLOAD_MBUF_FAST_FREE != 0;
        let mut port = Port {
            driver: device.driver()?,
            hardware_address: device.hardware_address()?,
            rss_key: Vec::new(),
            device,
            rss: Rss::None { why: String::new() },
            by_client: ByClient::Unasked { able: false },
            fast_free,
            descriptors: (0, 0),
            _mempools: pools.to_vec(),
        };
        let configured = port.configure_with_rss_if_possible(settings, &info, old_mtu)?;
        port.descriptors = setup::queues(&port.device, settings, pools)?;
        setup::set_mtu(&port.device, settings.mtu, old_mtu)?;
        // SAFETY: the port is configured and all its queues are set up.
        port.device.check(unsafe { dpdk_sys::rte_eth_dev_start(port.id()) }, "start")?;
        port.settle_rss(settings, configured);
        port.open_filters(settings)?;
        Ok(port)
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        self.device.name()
    }

    /// DPDK's port number.
    pub fn id(&self) -> u16 {
        self.device.id()
    }

    /// NUMA node, if known.
    pub fn socket(&self) -> Option<u32> {
        self.device.socket()
    }

    /// Name of the driver.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// MAC address.
    pub fn hardware_address(&self) -> [u8; 6] {
        self.hardware_address
    }

    /// How it spreads frames over its queues.
    pub fn rss(&self) -> &Rss {
        &self.rss
    }

    /// Whether it hashes by the client alone, and why.
    pub fn by_client(&self) -> &ByClient {
        &self.by_client
    }

    /// Sent mbufs go back to their one mempool without a look at each.
    pub fn fast_free(&self) -> bool {
        self.fast_free
    }

    /// Receive and transmit descriptors per queue.
    pub fn descriptors(&self) -> (u16, u16) {
        self.descriptors
    }

    /// Largest packet without its Ethernet header, in bytes.
    ///
    /// # Errors
    /// The device is gone.
    pub fn mtu(&self) -> Result<u16> {
        setup::mtu(&self.device)
    }

    /// State of the cable now. Does not wait for it to settle.
    ///
    /// # Errors
    /// The device is gone.
    pub fn link(&self) -> Result<Link> {
        let mut link = dpdk_sys::director_link::default();
        // SAFETY: the port exists, and the room is of the right type.
        let outcome = unsafe { dpdk_sys::director_link_get(self.id(), &mut link) };
        self.device.check(outcome, "link")?;
        Ok(Link {
            up: link.up != 0,
            speed_mbps: (link.speed_mbps != 0).then_some(link.speed_mbps),
            full_duplex: link.full_duplex != 0,
        })
    }

    /// What every device counts.
    ///
    /// # Errors
    /// The driver does not count.
    pub fn statistics(&self) -> Result<PortStatistics> {
        statistics::basic(&self.device)
    }

    /// Everything the driver counts, by the driver's names.
    ///
    /// # Errors
    /// The driver does not count.
    pub fn extended_statistics(&self) -> Result<Vec<(String, u64)>> {
        statistics::extended(&self.device)
    }

    /// By client alone where that is asked for and taken, else by flow, else without RSS.
    fn configure_with_rss_if_possible(
        &mut self,
        settings: &PortSettings,
        info: &rte_eth_dev_info,
        mtu: u16,
    ) -> Result<Configured> {
        let mut conf = rte_eth_conf::default();
        conf.rxmode.mtu = u32::from(settings.mtu.unwrap_or(mtu));
        conf.rxmode.mq_mode = DIRECTOR_MULTI_QUEUE_NONE;
        if self.fast_free {
            conf.txmode.offloads |= DIRECTOR_TX_OFFLOAD_MBUF_FAST_FREE;
        }
        let offered = RssFunctions::from_bits_truncate(info.flow_type_rss_offloads);
        let mut why = "the device has no RSS".to_owned();
        let mut with_rss = conf;
        with_rss.rxmode.mq_mode = DIRECTOR_MULTI_QUEUE_RSS;
        with_rss.rxmode.offloads |= info.rx_offload_capa & DIRECTOR_RX_OFFLOAD_RSS_HASH;
        let length = rss::key_length(info.hash_key_size);
        for choice in by_client::choices(offered, settings.side, info.reta_size) {
            self.rss_key = choice.keying.key(length);
            with_rss.rx_adv_conf.rss_conf =
                rss::configuration(&mut self.rss_key, length, choice.functions);
            match self.configure(settings.queues, &with_rss) {
                Ok(()) => return Ok(Configured::WithRss(choice)),
                Err(error) => why = error.to_string(),
            }
        }
        self.configure(settings.queues, &conf)?;
        Ok(Configured::WithoutRss { why })
    }

    /// Programs the started device, and says what became of it.
    fn settle_rss(&mut self, settings: &PortSettings, configured: Configured) {
        let choice = match configured {
            Configured::WithRss(choice) => choice,
            Configured::WithoutRss { why } => {
                self.rss = Rss::None { why };
                self.by_client = by_client::without_rss(settings.side);
                return;
            }
        };
        let Choice { functions, keying, by_client } = choice;
        self.rss = rss::program(&self.device, settings.queues, functions, keying);
        self.by_client = match &self.rss {
            Rss::Programmed { key, reta, functions } | Rss::ReadBack { key, reta, functions } => {
                by_client::settle(by_client, *functions, keying.is_kept(key, reta.len()))
            }
            Rss::None { .. } => by_client::without_rss(settings.side),
        };
    }

    fn configure(&self, queues: u16, conf: &rte_eth_conf) -> Result<()> {
        // SAFETY: the port exists and is stopped. DPDK copies the configuration; the key, to which
        // its copy points until the port is closed, is `self.rss_key`.
        let outcome = unsafe { dpdk_sys::rte_eth_dev_configure(self.id(), queues, queues, conf) };
        self.device.check(outcome, "configuration").map(|_| ())
    }

    fn open_filters(&self, settings: &PortSettings) -> Result<()> {
        let id = self.id();
        if settings.promiscuous {
            // SAFETY: the port exists.
            let outcome = unsafe { dpdk_sys::rte_eth_promiscuous_enable(id) };
            self.accept_unfiltered(outcome, "promiscuous mode")?;
        }
        if settings.all_multicast {
            // SAFETY: the port exists.
            let outcome = unsafe { dpdk_sys::rte_eth_allmulticast_enable(id) };
            self.accept_unfiltered(outcome, "all-multicast mode")?;
        }
        Ok(())
    }

    /// A driver without the call has no filter to open either: rings, files, taps.
    fn accept_unfiltered(&self, outcome: i32, what: &str) -> Result<()> {
        if outcome == -libc::ENOTSUP {
            return Ok(());
        }
        self.device.check(outcome, what).map(|_| ())
    }
}

/// What a device took of its configuration.
enum Configured {
    WithRss(Choice),
    WithoutRss { why: String },
}

impl Drop for Port {
    fn drop(&mut self) {
        // SAFETY: all queues held an `Arc` of the port, so no thread polls it. Closing returns the descriptors' mbufs
        // while the mempools still live. `device` keeps the EAL alive.
        unsafe {
            dpdk_sys::rte_eth_dev_stop(self.id());
            dpdk_sys::rte_eth_dev_close(self.id());
        }
    }
}
