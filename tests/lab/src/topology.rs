//! The network of the transcripts: two ports, their neighbours, the routes.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Deserialize)]
pub struct Topology {
    pub ports: BTreeMap<String, Port>,
    /// Addresses of virtual services with prefix lengths.
    pub vips: Vec<String>,
    /// `default via A` or `P/L via A`.
    pub routes: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Port {
    pub mac: String,
    /// MAC address of the gateway: the far end of the recorded machine's interface.
    pub peer_mac: String,
    /// Addresses with prefix lengths.
    pub addrs: Vec<String>,
    /// Address to MAC.
    pub neigh: BTreeMap<IpAddr, String>,
}

/// One line of [`Topology::routes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `None` is the default route.
    pub destination: Option<String>,
    pub via: IpAddr,
}

impl Topology {
    /// # Errors
    /// One sentence that names the file.
    pub fn read(path: &Path) -> Result<Topology, String> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| told(&error))?;
        serde_json::from_str(&text).map_err(|error| told(&error))
    }

    /// The topology file of a folder of transcripts: in the folder, or in its parent.
    pub fn path_beside(folder: &Path) -> PathBuf {
        let above = folder.join("../topology.json");
        let here = folder.join("topology.json");
        if here.exists() || !above.exists() { here } else { above }
    }

    /// # Errors
    /// One sentence that quotes the invalid route.
    pub fn parsed_routes(&self) -> Result<Vec<Route>, String> {
        let parse = |line: &String| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [destination, "via", via] = words[..] else { return None };
            let destination = (destination != "default").then(|| destination.to_owned());
            Some(Route { destination, via: via.parse().ok()? })
        };
        let told = |line: &String| format!("topology: route \"{line}\" is not understood");
        self.routes.iter().map(|line| parse(line).ok_or_else(|| told(line))).collect()
    }

    /// The director's own addresses on its ports, without VIPs.
    pub fn own_addresses(&self) -> Vec<IpAddr> {
        let all = self.ports.values().flat_map(|port| &port.addrs);
        all.filter_map(|text| text.split('/').next()?.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_addresses() {
        let topology: Topology = serde_json::from_str(
            r#"{"ports": {"wan0": {"mac": "02:00:00:00:00:01", "peer_mac": "02:00:00:00:fe:fe", "addrs": ["10.0.0.1/24", "fd00::1/64"],
                "neigh": {"10.0.0.254": "02:00:00:00:fe:fe"}}},
                "vips": [], "routes": ["default via fd00::fe", "172.16.0.0/16 via 10.0.0.254"]}"#,
        )
        .unwrap();
        let routes = topology.parsed_routes().unwrap();
        assert_eq!(routes[0], Route { destination: None, via: "fd00::fe".parse().unwrap() });
        assert_eq!(routes[1].destination.as_deref(), Some("172.16.0.0/16"));
        let own: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(topology.own_addresses(), own);
        let odd = Topology { routes: vec!["10.0.0.0/8 dev lan0".into()], ..topology };
        assert!(odd.parsed_routes().unwrap_err().contains("dev lan0"));
    }
}
