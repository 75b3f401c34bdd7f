//! The systemd unit.

use std::process::Command;

/// What systemd thinks of the unit's exposure, in tenths: 0 to 100. Where systemd is not installed there is nothing to ask.
#[test]
fn the_unit_leaves_little_open() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/config/director.service");
    let arguments = ["security", "--offline=true", "--no-pager", "--threshold=40", unit];
    let Ok(asked) = Command::new("systemd-analyze").args(arguments).output() else { return };
    let told = String::from_utf8_lossy(&asked.stdout);
    let errors = String::from_utf8_lossy(&asked.stderr);
    if !told.contains("Overall exposure level") {
        // Releases before 250 cannot judge a file.
        assert!(errors.contains("offline") || errors.contains("option"), "{errors}");
        return;
    }
    assert!(asked.status.success(), "{told}");
}
