//! The systemd unit.

use std::process::Command;

/// The exposure that systemd computes for the unit must be at most 40 of 100. Passes where systemd is not installed.
#[test]
fn the_unit_has_a_low_exposure() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/config/director.service");
    let arguments = ["security", "--offline=true", "--no-pager", "--threshold=40", unit];
    let Ok(asked) = Command::new("systemd-analyze").args(arguments).output() else { return };
    let told = String::from_utf8_lossy(&asked.stdout);
    let errors = String::from_utf8_lossy(&asked.stderr);
    if !told.contains("Overall exposure level") {
        // Releases before 250 cannot check a file.
        assert!(errors.contains("offline") || errors.contains("option"), "{errors}");
        return;
    }
    assert!(asked.status.success(), "{told}");
}
