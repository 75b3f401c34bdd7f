//! The model test: random commands and packets through the real director and through a slow, obvious reference of
//! IPVS, step by step; whatever can be seen of the two must be the same.
//!
//! `MODEL_STEPS` sets the steps of each run, `MODEL_SEED` one seed instead of the usual ones.

mod generator;
mod observation;
mod reference;
mod run;
mod site;
mod step;
mod subject;
mod wire;
mod workers;

use director::model::SchedulerKind;
use generator::Taste;

const ALL: &[SchedulerKind] = &[
    SchedulerKind::Rr,
    SchedulerKind::Wrr,
    SchedulerKind::Lc,
    SchedulerKind::Wlc,
    SchedulerKind::Sed,
    SchedulerKind::Nq,
    SchedulerKind::Fo,
    SchedulerKind::Ovf,
    SchedulerKind::Sh,
    SchedulerKind::Dh,
    SchedulerKind::Lblc,
    SchedulerKind::Lblcr,
    SchedulerKind::None,
];

/// Outcomes that no run is without.
const USUAL: &[&str] = &[
    "Sent",
    "Tunnelled",
    "SentError",
    "UnservedPort",
    "NoDestination",
    "TtlExpired",
    "FragmentationNeeded",
    "LocalOther",
    "DestinationUnavailable",
];

#[test]
fn every_scheduler_picks_as_the_reference() {
    let taste = Taste { schedulers: ALL, persistent: 0, sysctls: false };
    run::compare("schedulers", 1..=6, taste, USUAL);
}

#[test]
fn persistent_services_are_as_in_the_reference() {
    const FEW: &[SchedulerKind] = &[SchedulerKind::Rr, SchedulerKind::Wlc];
    let taste = Taste { schedulers: FEW, persistent: 8, sysctls: false };
    run::compare("persistence", 101..=106, taste, USUAL);
}

#[test]
fn settings_act_as_in_the_reference() {
    let taste = Taste { schedulers: ALL, persistent: 4, sysctls: true };
    run::compare("settings", 201..=206, taste, &[USUAL, &["DropPacket", "NatIcmpSend"]].concat());
}
