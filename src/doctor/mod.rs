//! `directorctl doctor`: can this machine run the director with this configuration? Each check is a file: it compares the
//! configuration with what the kernel shows under `/sys` and `/proc`, and names the command that mends a finding.

mod clock;
mod cores;
mod devices;
mod hugepages;
mod interfaces;
mod machine;
mod running;
mod tun;

use crate::config::Config;
use serde::Serialize;

pub use machine::Machine;
pub use running::{Answers, running};

/// How bad a finding is. The worst comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It serves, but slower or less surely than it could.
    Warning,
    /// It does not start, or does not serve.
    Error,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// What was looked at.
    pub check: &'static str,
    pub problem: String,
    /// The command or the change that mends it.
    pub mend: String,
}

/// A check: its name, and what finds something on the machine.
type Check = (&'static str, fn(&Config, &Machine, &mut Findings));

/// Every check of the machine, in the order of the report.
const CHECKS: &[Check] = &[
    ("hugepages", hugepages::look),
    ("cores", cores::look),
    ("clock", clock::look),
    ("devices", devices::look),
    ("interfaces", interfaces::look),
    ("tun", tun::look),
];

/// The findings of one check.
pub(crate) struct Findings {
    check: &'static str,
    all: Vec<Finding>,
}

impl Findings {
    fn error(&mut self, problem: impl Into<String>, mend: impl Into<String>) {
        self.add(Severity::Error, problem.into(), mend.into());
    }

    fn warn(&mut self, problem: impl Into<String>, mend: impl Into<String>) {
        self.add(Severity::Warning, problem.into(), mend.into());
    }

    fn add(&mut self, severity: Severity, problem: String, mend: String) {
        self.all.push(Finding { severity, check: self.check, problem, mend });
    }
}

/// Compares the configuration with the machine.
pub fn examine(config: &Config, machine: &Machine) -> Vec<Finding> {
    let mut all = Vec::new();
    for (check, look) in CHECKS {
        let mut findings = Findings { check, all: Vec::new() };
        look(config, machine, &mut findings);
        all.append(&mut findings.all);
    }
    all
}

/// True if the director can start and serve.
pub fn can_serve(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity < Severity::Error)
}

/// The report as JSON: a list of findings.
pub fn json(findings: &[Finding]) -> String {
    // Texts and names always have a JSON form.
    let mut text = serde_json::to_string_pretty(findings).unwrap_or_default();
    text.push('\n');
    text
}

/// The report for people.
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let severity = match finding.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        text.push_str(&format!(
            "{severity:<8} {}: {}\n         mend: {}\n",
            finding.check, finding.problem, finding.mend
        ));
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    text.push_str(&match errors {
        0 => format!("This machine can serve; {warnings} warnings.\n"),
        _ => format!("This machine cannot serve: {errors} errors, {warnings} warnings.\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::Tree;

    const CARD: &str = "sys/bus/pci/devices/0000:3b:00.0";

    fn config(more: &str) -> Config {
        let text = format!(
            "[dpdk]\ncores = [2, 3]\ncontrol_core = 0\n{more}\n[[port]]\nname = \"wan0\"\ndevice = \"0000:3b:00.0\"\naddresses = [\"10.0.0.1/24\", \"fd00:a::1/64\"]\n"
        );
        Config::parse(&text, "f").unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// A machine without findings.
    fn good() -> Tree {
        let tree = Tree::new();
        for core in 0..4 {
            tree.put(
                &format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"),
                &core.to_string(),
            );
        }
        tree.put("sys/devices/system/cpu/isolated", "2-3");
        tree.put("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc");
        tree.put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "1024");
        tree.put(&format!("{CARD}/numa_node"), "0");
        tree.put(&format!("{CARD}/class"), "0x020000");
        tree.link(&format!("{CARD}/driver"), "../../drivers/vfio-pci");
        tree.link(&format!("{CARD}/iommu_group"), "../../../kernel/iommu_groups/7");
        tree.put("proc/net/fib_trie", "");
        tree.put("proc/net/if_inet6", "");
        tree
    }

    fn found(config: &Config, tree: &Tree) -> Vec<(&'static str, String)> {
        let findings = examine(config, &tree.machine());
        findings.into_iter().map(|finding| (finding.check, finding.problem)).collect()
    }

    #[track_caller]
    fn check(config: &Config, change: impl FnOnce(&Tree), expected: (&str, &str)) {
        let tree = good();
        change(&tree);
        assert_eq!(found(config, &tree), [(expected.0, expected.1.to_owned())]);
    }

    #[test]
    fn a_good_machine_has_no_findings() {
        let findings = examine(&config(""), &good().machine());
        assert_eq!(findings, []);
        assert!(can_serve(&findings));
        assert_eq!(text(&findings), "This machine can serve; 0 warnings.\n");
    }

    #[test]
    fn each_check_finds_its_fault() {
        let plain = config("");
        check(
            &plain,
            |tree| tree.put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0"),
            ("hugepages", "no free hugepages"),
        );
        check(
            &plain,
            |tree| tree.remove("sys/devices/system/cpu/cpu3"),
            ("cores", "there is no core 3"),
        );
        check(
            &plain,
            |tree| tree.put("sys/devices/system/cpu/isolated", "2"),
            ("cores", "the kernel schedules other programs on core 3"),
        );
        check(
            &plain,
            |tree| {
                tree.put("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3");
                tree.put("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3");
            },
            ("cores", "cores 2 and 3 are threads of one core: each worker gets half of it"),
        );
        check(
            &plain,
            |tree| {
                tree.put("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet");
            },
            ("clock", "the kernel's clock source is hpet, because it does not trust the TSC"),
        );
        check(
            &plain,
            |tree| tree.remove(CARD),
            ("devices", "port wan0: there is no PCI device 0000:3b:00.0"),
        );
        check(
            &plain,
            |tree| tree.link(&format!("{CARD}/driver"), "../../drivers/ice"),
            ("devices", "port wan0: 0000:3b:00.0 belongs to the kernel's driver ice"),
        );
        check(
            &plain,
            |tree| tree.remove(&format!("{CARD}/iommu_group")),
            ("devices", "port wan0: 0000:3b:00.0 is in no IOMMU group, so vfio-pci cannot take it"),
        );
        check(
            &plain,
            |tree| {
                tree.put("proc/net/fib_trie", "  |-- 10.0.0.1\n     /32 host LOCAL\n");
            },
            ("interfaces", "port wan0: the kernel has 10.0.0.1 too, so both answer"),
        );
        check(
            &plain,
            |tree| {
                let line = "fd00000a000000000000000000000001 03 40 00 80     eth9\n";
                tree.put("proc/net/if_inet6", line);
            },
            ("interfaces", "port wan0: the kernel has fd00:a::1 too, so both answer"),
        );
    }

    #[test]
    fn virtual_devices_and_kernel_interfaces() {
        let file = "[dpdk]\nno_huge = true\ncores = [2]\nvdevs = [\"net_af_packet0,iface=veth0\"]\n[[port]]\nname = \"wan0\"\ndevice = \"net_af_packet0\"\nkernel = true\nmtu = 1500\n";
        let config = Config::parse(file, "f").unwrap_or_else(|faults| panic!("{faults}"));
        let tree = good();
        tree.remove("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
        let missing = [
            ("interfaces", "port wan0: there is no interface veth0".to_owned()),
            ("tun", "kernel interface wan0 needs /dev/net/tun, which does not exist".to_owned()),
        ];
        assert_eq!(found(&config, &tree), missing);
        tree.put("dev/net/tun", "");
        tree.put("sys/class/net/veth0/operstate", "down");
        tree.put("sys/class/net/veth0/mtu", "1400");
        assert_eq!(
            found(&config, &tree),
            [
                ("interfaces", "port wan0: interface veth0 is down".to_owned()),
                ("interfaces", "port wan0: the MTU of veth0 is 1400, port.mtu is 1500".to_owned()),
            ]
        );
        let findings = examine(&config, &tree.machine());
        assert!(!can_serve(&findings));
        assert!(text(&[findings[0].clone()]).contains("mend: ip link set veth0 up\n"));
    }
}
