//! The process's memory by page size, from the kernel: shows where a table is.

use serde::Serialize;
use std::fmt;

/// Resident bytes of the process, by page size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Reserved hugepages (`MAP_HUGETLB`, hugetlbfs).
    pub hugepages: i64,
    /// Transparent hugepages.
    pub transparent: i64,
    /// Pages of 4 KiB.
    pub ordinary: i64,
}

impl Memory {
    pub fn now() -> Memory {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
        let bytes = |name: &str| -> i64 {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            kilobytes.unwrap_or(0) * 1024
        };
        let transparent = bytes("AnonHugePages:");
        Memory {
            hugepages: bytes("Private_Hugetlb:") + bytes("Shared_Hugetlb:"),
            transparent,
            ordinary: bytes("Anonymous:") - transparent,
        }
    }

    /// Growth since `earlier`.
    pub fn since(self, earlier: Memory) -> Memory {
        Memory {
            hugepages: self.hugepages - earlier.hugepages,
            transparent: self.transparent - earlier.transparent,
            ordinary: self.ordinary - earlier.ordinary,
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.hugepages, "hugepages"),
            (self.transparent, "transparent hugepages"),
            (self.ordinary, "4 KiB pages"),
        ];
        let mut separator = "";
        // Less than this is memory of the bench.
        for (bytes, kind) in kinds.into_iter().filter(|(bytes, _)| *bytes >= 32 << 10) {
            write!(formatter, "{separator}{:.1} MiB {kind}", bytes as f64 / f64::from(1 << 20))?;
            separator = ", ";
        }
        if separator.is_empty() { write!(formatter, "no memory of its own") } else { Ok(()) }
    }
}
