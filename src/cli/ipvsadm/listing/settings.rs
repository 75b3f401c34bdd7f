//! The listings of timeouts and of synchronisation daemons.

use crate::api::{SyncDaemon, SyncRole};
use crate::model::Timeouts;

pub(crate) fn timeouts(timeouts: &Timeouts) -> String {
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    format!("Timeout (tcp tcpfin udp): {tcp} {tcp_fin} {udp}\n")
}

/// One line per running daemon, the master first.
pub(crate) fn sync_daemons(daemons: &[SyncDaemon]) -> String {
    [(SyncRole::Master, "master"), (SyncRole::Backup, "backup")]
        .into_iter()
        .flat_map(|(role, name)| {
            daemons
                .iter()
                .filter(move |daemon| daemon.role == role)
                .map(move |daemon| (name, daemon))
        })
        .map(|(name, daemon)| {
            let SyncDaemon { interface, sync_id, max_length, group, port, ttl, .. } = daemon;
            let mut line = format!("{name} sync daemon (mcast={interface}, syncid={sync_id}");
            max_length.iter().for_each(|length| line.push_str(&format!(", maxlen={length}")));
            group.iter().for_each(|group| line.push_str(&format!(", group={group}")));
            port.iter().for_each(|port| line.push_str(&format!(", port={port}")));
            ttl.iter().for_each(|ttl| line.push_str(&format!(", ttl={ttl}")));
            line.push_str(")\n");
            line
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_attributes_are_left_out() {
        let backup = SyncDaemon {
            role: SyncRole::Backup,
            interface: "eth0".to_owned(),
            sync_id: 5,
            max_length: None,
            group: None,
            port: None,
            ttl: None,
        };
        let master = SyncDaemon {
            role: SyncRole::Master,
            sync_id: 0,
            max_length: Some(1472),
            group: Some([224, 0, 0, 81].into()),
            port: Some(8848),
            ttl: Some(1),
            ..backup.clone()
        };
        assert_eq!(
            sync_daemons(&[backup, master]),
            "master sync daemon (mcast=eth0, syncid=0, maxlen=1472, group=224.0.0.81, port=8848, \
             ttl=1)\nbackup sync daemon (mcast=eth0, syncid=5)\n"
        );
        assert_eq!(sync_daemons(&[]), "");
        assert_eq!(timeouts(&Timeouts::default()), "Timeout (tcp tcpfin udp): 900 120 300\n");
    }
}
