//! The cores, interfaces and devices that a configuration names and this machine does not have.

use director::config::Config;
use director::model::{kernel_interface, pci_address};
use std::path::Path;

/// One sentence for each core, interface and PCI device that does not exist here.
pub(crate) fn faults(config: &Config) -> Vec<String> {
    below(config, Path::new("/sys"))
}

/// `sys` is the root of sysfs.
fn below(config: &Config, sys: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let mut require = |path: &str, key: &str, thing: String| {
        if !sys.join(path).exists() {
            faults.push(format!("{}: {key}: this machine has no {thing}", config.file));
        }
    };
    let listed = config.dpdk.cores.iter().map(|core| ("dpdk.cores", core));
    let control = config.dpdk.control_core.iter().map(|core| ("dpdk.control_core", core));
    for (key, core) in listed.chain(control) {
        require(&format!("devices/system/cpu/cpu{core}"), key, format!("core {core}"));
    }
    for interface in config.dpdk.vdevs.iter().filter_map(|vdev| kernel_interface(vdev)) {
        require(&format!("class/net/{interface}"), "dpdk.vdevs", format!("interface {interface}"));
    }
    for port in &config.ports {
        let Some(device) = pci_address(&port.device) else { continue };
        require(
            &format!("bus/pci/devices/{device}"),
            "port.device",
            format!("PCI device {device}, which port {} names", port.name),
        );
    }
    faults
}

/// More workers than cores: allowed, and slow.
pub(crate) fn warning(config: &Config) -> Option<String> {
    let cores = core_affinity::get_core_ids().unwrap_or_default().len();
    let workers = config.dpdk.workers;
    (workers > cores).then(|| format!("dpdk.workers: {workers} workers share {cores} cores"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_the_machine_does_not_have_is_named() {
        let text = r#"
[dpdk]
cores = [1, 9]
control_core = 8
vdevs = ["net_af_packet0,iface=lan,qpairs=2", "net_af_xdp0,iface=absent0", "net_tap0,iface=made0"]
[[port]]
name = "a"
device = "net_af_packet0"
[[port]]
name = "b"
device = "ff:1f.7"
[[port]]
name = "c"
device = "0000:01:00.0"
"#;
        let config = Config::parse(text, "f").expect("a valid file");
        let sys = tempfile::tempdir().expect("a folder");
        for there in ["devices/system/cpu/cpu1", "class/net/lan", "bus/pci/devices/0000:01:00.0"] {
            fs::create_dir_all(sys.path().join(there)).expect("a folder");
        }
        assert_eq!(
            below(&config, sys.path()),
            [
                "f: dpdk.cores: this machine has no core 9",
                "f: dpdk.control_core: this machine has no core 8",
                "f: dpdk.vdevs: this machine has no interface absent0",
                "f: port.device: this machine has no PCI device 0000:ff:1f.7, which port b names",
            ]
        );
    }
}
