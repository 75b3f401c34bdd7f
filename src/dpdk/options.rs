//! The arguments of the EAL, built from typed fields.

use crate::model::kernel_interface;
use std::fmt::Write;

/// How to start the EAL; see [`Eal::start`](super::Eal::start).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EalOptions {
    /// CPU of each worker, in the workers' order. One CPU may be named more than once in a trial.
    pub worker_cores: Vec<usize>,
    /// CPUs of the calling thread and of the threads it starts. Empty: every allowed CPU that has
    /// no worker, or all allowed CPUs if each has one.
    pub main_cores: Vec<usize>,
    /// Memory to allocate from hugepages (without hugepages: from the heap) at start, in MiB. `None`: grows on demand;
    /// without hugepages 64.
    pub memory_mb: Option<u32>,
    /// Runs without hugepages. For trials: slower, and hardware needs an IOMMU.
    pub no_huge: bool,
    /// Virtual devices as DPDK writes them: `net_af_packet0,iface=eth0,qpairs=2`.
    pub vdevs: Vec<String>,
    /// PCI addresses the director may take, arguments after a comma allowed. No other is touched.
    pub allowed_devices: Vec<String>,
    /// Name that distinguishes several directors on one machine.
    pub file_prefix: String,
    /// DPDK's own log, as `--log-level` takes it.
    pub log_level: String,
    /// Further arguments, passed on unchanged.
    pub extra_arguments: Vec<String>,
}

impl Default for EalOptions {
    fn default() -> Self {
        EalOptions {
            worker_cores: Vec::new(),
            main_cores: Vec::new(),
            memory_mb: None,
            no_huge: false,
            vdevs: Vec::new(),
            allowed_devices: Vec::new(),
            file_prefix: "director".to_owned(),
            log_level: "*:error".to_owned(),
            extra_arguments: Vec::new(),
        }
    }
}

impl EalOptions {
    /// The argument vector, program name first. `allowed` are the CPUs this process may run on.
    pub(super) fn arguments(&self, allowed: &[usize]) -> Vec<String> {
        let mut arguments = vec!["directord".to_owned()];
        arguments.push(format!("--lcores={}", self.lcores(allowed)));
        arguments.push("--main-lcore=0".to_owned());
        arguments.push("--no-telemetry".to_owned());
        arguments.push(format!("--file-prefix={}", self.file_prefix));
        arguments.push(format!("--log-level={}", self.log_level));
        // Anonymous memory without files: no file stays behind when the process ends.
        if self.no_huge {
            arguments.extend(["--no-huge".to_owned(), "--no-shconf".to_owned()]);
        } else {
            arguments.push("--in-memory".to_owned());
        }
        if let Some(megabytes) = self.memory_mb {
            arguments.extend(["-m".to_owned(), megabytes.to_string()]);
        }
        if self.allowed_devices.is_empty() {
            arguments.push("--no-pci".to_owned());
        }
        for device in &self.allowed_devices {
            arguments.push(format!("--allow={device}"));
        }
        for vdev in &self.vdevs {
            arguments.push(format!("--vdev={vdev}"));
        }
        arguments.extend(self.extra_arguments.iter().cloned());
        arguments
    }

    /// lcore 0 is the main one; worker `n` is lcore `n + 1`, wherever it is pinned.
    fn lcores(&self, allowed: &[usize]) -> String {
        let mut main = self.main_cores.clone();
        if main.is_empty() {
            main.extend(allowed.iter().filter(|core| !self.worker_cores.contains(core)));
        }
        if main.is_empty() {
            main.extend(allowed);
        }
        let main: Vec<String> = main.iter().map(usize::to_string).collect();
        let mut lcores = format!("0@({})", main.join(","));
        for (worker, core) in self.worker_cores.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(lcores, ",{}@{core}", worker + 1);
        }
        lcores
    }

    /// The kernel interfaces that the virtual devices need to find, each with its device's name.
    pub(super) fn kernel_interfaces(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vdevs.iter().filter_map(|vdev| {
            let (name, _) = vdev.split_once(',')?;
            Some((name, kernel_interface(vdev)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lcores(worker_cores: &[usize], main_cores: &[usize], allowed: &[usize]) -> String {
        let options = EalOptions {
            worker_cores: worker_cores.to_vec(),
            main_cores: main_cores.to_vec(),
            ..EalOptions::default()
        };
        options.lcores(allowed)
    }

    #[test]
    fn workers_are_pinned_and_the_main_lcore_takes_the_rest() {
        assert_eq!(lcores(&[1, 2], &[], &[0, 1, 2, 3]), "0@(0,3),1@1,2@2");
        assert_eq!(lcores(&[0, 1], &[], &[0, 1]), "0@(0,1),1@0,2@1");
        assert_eq!(lcores(&[1, 1], &[0], &[0, 1, 2]), "0@(0),1@1,2@1");
        assert_eq!(lcores(&[], &[], &[4, 5]), "0@(4,5)");
    }

    #[test]
    fn devices_not_named_are_not_touched() {
        let none = EalOptions::default().arguments(&[0]);
        assert!(none.contains(&"--no-pci".to_owned()));
        let one = EalOptions {
            allowed_devices: vec!["0000:01:00.0".to_owned()],
            ..EalOptions::default()
        };
        let one = one.arguments(&[0]);
        assert!(one.contains(&"--allow=0000:01:00.0".to_owned()));
        assert!(!one.contains(&"--no-pci".to_owned()));
    }

    #[test]
    fn memory_and_vdevs_are_passed_on() {
        let options = EalOptions {
            memory_mb: Some(64),
            no_huge: true,
            vdevs: vec!["net_ring0".to_owned(), "net_null0,size=60".to_owned()],
            extra_arguments: vec!["--no-hpet".to_owned()],
            ..EalOptions::default()
        };
        let line = options.arguments(&[0]).join(" ");
        assert!(line.contains("--no-huge --no-shconf -m 64 "), "{line}");
        assert!(line.ends_with("--vdev=net_ring0 --vdev=net_null0,size=60 --no-hpet"), "{line}");
        assert!(!line.contains("--in-memory"), "not possible without hugepages: {line}");
    }

    #[test]
    fn interfaces_are_found_in_device_arguments() {
        let options = EalOptions {
            vdevs: ["net_af_packet0,iface=eth1,qpairs=2", "net_ring0", "net_tap0,iface=new0"]
                .map(str::to_owned)
                .to_vec(),
            ..EalOptions::default()
        };
        let found: Vec<_> = options.kernel_interfaces().collect();
        assert_eq!(found, [("net_af_packet0", "eth1")]);
    }
}
