//! The model test: random commands and packets go through the real director and through a slow, simple reference of
//! IPVS, step by step. Everything visible of the two must be equal.
//!
//! `MODEL_STEPS` sets the number of steps of a run, `MODEL_SEED` runs one seed instead of the default ones.

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
use generator::Scope;

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

/// Outcomes that every run must contain.
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
fn schedulers_match_the_reference() {
    let scope = Scope { schedulers: ALL, persistent: 0, sysctls: false };
    run::compare("schedulers", 1..=6, scope, USUAL);
}

#[test]
fn persistence_matches_the_reference() {
    const FEW: &[SchedulerKind] = &[SchedulerKind::Rr, SchedulerKind::Wlc];
    let scope = Scope { schedulers: FEW, persistent: 8, sysctls: false };
    run::compare("persistence", 101..=106, scope, USUAL);
}

#[test]
fn settings_match_the_reference() {
    let scope = Scope { schedulers: ALL, persistent: 4, sysctls: true };
    run::compare("settings", 201..=206, scope, &[USUAL, &["DropPacket", "NatIcmpSend"]].concat());
}
