//! Every duty of the control thread, one file each. This list is the only place that names them all.

mod announcements;
mod busy;
pub(super) mod defence;
mod full_tables;
mod groups;
mod host;
mod kernel_interfaces;
mod locality;
mod neighbours;
mod path_mtu;
mod removed;
mod rss_check;
mod statistics;
mod table_jobs;
mod templates;
mod trash;
mod watchdog;

use super::task::Task;
use crate::io::Frame;
use crate::time::Duration;

/// What is not urgent is done once a second.
const SECOND: Duration = Duration::from_secs(1);
/// What the director says and expects as a host is looked at this often.
const TICK: Duration = Duration::from_millis(100);

/// The tasks in the order in which they hear of events: addresses come before the next hops that may be among them.
pub(super) fn all<F: Frame>() -> Vec<Box<dyn Task<F>>> {
    vec![
        Box::new(announcements::Announcements),
        Box::new(groups::Groups),
        Box::new(neighbours::Neighbours),
        Box::new(host::Host),
        Box::new(kernel_interfaces::KernelInterfaces),
        Box::new(path_mtu::PathMtus),
        Box::new(statistics::Statistics),
        Box::new(trash::Trash),
        Box::new(busy::Busy),
        Box::new(defence::DefenceTask),
        Box::new(full_tables::FullTables::default()),
        Box::new(templates::TemplateSweep::default()),
        Box::new(removed::RemovedSweep::default()),
        Box::new(rss_check::RssCheck),
        Box::new(locality::Locality::default()),
        Box::new(table_jobs::TableJobs),
        Box::new(watchdog::Watchdog::default()),
    ]
}
