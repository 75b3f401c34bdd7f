//! Overlays of destinations, and the effective weight and availability from specification and overlays. Only this file
//! combines the two.

use super::{Desired, checks, refusal};
use crate::api::{Refusal, RefusalCode};
use crate::model::{
    DestinationId, Effective, Origin, Overlay, OverlayKind, OverlayTarget, OwnedOverlay,
};
use crate::scheduler::Change;
use std::collections::BTreeMap;

/// The overlays of one destination, at most one of each kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Overlays(BTreeMap<OverlayKind, OwnedOverlay>);

impl Overlays {
    pub(super) fn iter(&self) -> impl Iterator<Item = OwnedOverlay> {
        self.0.values().copied()
    }

    /// The effective weight and availability for this configured weight.
    pub(super) fn effective(&self, weight: u32) -> Effective {
        let mut effective = Effective { weight, available: true };
        for OwnedOverlay { overlay, .. } in self.0.values() {
            match *overlay {
                Overlay::Down => effective = Effective { weight: 0, available: false },
                Overlay::Factor { percent } => {
                    effective.weight = share(effective.weight, percent.into());
                }
                Overlay::WarmUp { percent } => {
                    effective.weight = share(effective.weight, percent.into());
                }
                Overlay::Drain => effective.weight = 0,
            }
        }
        effective
    }
}

/// This percentage of the weight. A share above 0 of a weight above 0 is at least 1, so that it does not quiesce the
/// server.
fn share(weight: u32, percent: u32) -> u32 {
    if weight == 0 || percent == 0 {
        return 0;
    }
    let share = u64::from(weight) * u64::from(percent) / 100;
    share.clamp(1, checks::WEIGHT_MAX.into()) as u32
}

impl Desired {
    /// How workers use a destination.
    pub fn effective(&self, id: DestinationId) -> Effective {
        let row = self.row(id).filter(|row| row.is_listed);
        let unlisted = Effective { weight: 0, available: false };
        row.map_or(unlisted, |row| row.overlays.effective(row.spec.weight))
    }

    /// Who last wrote a destination's specification.
    pub fn origin(&self, id: DestinationId) -> Origin {
        self.row(id).map_or(Origin::default(), |row| row.origin)
    }

    /// The overlays of a destination.
    pub fn overlays(&self, id: DestinationId) -> impl Iterator<Item = OwnedOverlay> {
        self.row(id).into_iter().flat_map(|row| row.overlays.iter())
    }

    /// Puts an overlay on all listed destinations of the target.
    pub(super) fn set_overlay(
        &mut self,
        target: &OverlayTarget,
        overlay: Overlay,
        origin: Origin,
    ) -> Result<(), Refusal> {
        if let Overlay::WarmUp { percent: percent @ 101.. } = overlay {
            return Err(refusal(
                RefusalCode::EINVAL,
                format!("a warm-up of {percent} % of {target} is not in 0 to 100"),
            ));
        }
        self.change_overlays(target, |overlays| {
            let owned = OwnedOverlay { overlay, origin };
            overlays.0.insert(overlay.kind(), owned) != Some(owned)
        })
    }

    /// Removes it again; destinations without it do not change.
    pub(super) fn clear_overlay(
        &mut self,
        target: &OverlayTarget,
        kind: OverlayKind,
    ) -> Result<(), Refusal> {
        self.change_overlays(target, |overlays| overlays.0.remove(&kind).is_some())
    }

    fn change_overlays(
        &mut self,
        target: &OverlayTarget,
        change: impl Fn(&mut Overlays) -> bool,
    ) -> Result<(), Refusal> {
        let service = target.service.as_ref().map(|key| self.find(key)).transpose()?;
        let is_meant = |id: &DestinationId| {
            self.row(*id).is_some_and(|row| {
                row.is_listed
                    && target.port.is_none_or(|port| port == row.spec.at.port)
                    && service.is_none_or(|service| service == row.service)
            })
        };
        let meant: Vec<_> = self.destinations_at(target.address).filter(is_meant).collect();
        if meant.is_empty() {
            return Err(refusal(
                RefusalCode::ENOENT,
                format!("no service has the destination {target}"),
            ));
        }
        for id in meant {
            let before = self.effective(id);
            let Some(row) = &mut self.destinations[id.index()] else { continue };
            if !change(&mut row.overlays) {
                continue;
            }
            self.effective_changed(id, before);
        }
        Ok(())
    }

    /// Updates workers and scheduler after a change of overlays.
    fn effective_changed(&mut self, id: DestinationId, before: Effective) {
        let after = self.effective(id);
        let Some(service) = self.row(id).map(|row| row.service) else { return };
        if after == before {
            return;
        }
        let change = match (before.available, after.available) {
            (true, false) => Change::Removed(id),
            (false, true) => Change::Added(id),
            _ => Change::Edited(id),
        };
        self.place_destination(id);
        if !after.available {
            self.removals += 1;
        }
        self.relist(service, change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlays(list: &[Overlay]) -> Overlays {
        let owned = |&overlay: &Overlay| OwnedOverlay { overlay, origin: Origin::Health };
        Overlays(list.iter().map(|overlay| (overlay.kind(), owned(overlay))).collect())
    }

    #[test]
    fn effective_weights() {
        use Overlay::{Down, Drain, Factor, WarmUp};
        let max = i32::MAX as u32;
        let factor = |percent| Factor { percent };
        let warm_up = |percent| WarmUp { percent };
        for (weight, list, expected, available) in [
            (7, vec![], 7, true),
            (0, vec![], 0, true),
            (7, vec![Drain], 0, true),
            (7, vec![Down], 0, false),
            (7, vec![Down, Drain, factor(100)], 0, false),
            (200, vec![factor(50)], 100, true),
            (200, vec![factor(150)], 300, true),
            (200, vec![factor(50), warm_up(10)], 10, true),
            (1, vec![factor(1)], 1, true),
            (1, vec![factor(0)], 0, true),
            (0, vec![factor(500)], 0, true),
            (max, vec![factor(u16::MAX)], max, true),
            (9, vec![warm_up(100)], 9, true),
        ] {
            let found = overlays(&list).effective(weight);
            assert_eq!(found, Effective { weight: expected, available }, "{weight} {list:?}");
        }
    }
}
