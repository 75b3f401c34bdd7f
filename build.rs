//! Stamps the version and, where DPDK is linked statically, hands its archives to the daemon alone.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    stamp_version();
    link_dpdk_statically();
}

/// `DIRECTOR_VERSION`: the package's version and, in release builds, the short commit hash if git knows it. Debug builds
/// leave it out: a new commit would rebuild the library and all tests.
fn stamp_version() {
    let package = env::var("CARGO_PKG_VERSION").expect("cargo sets CARGO_PKG_VERSION");
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        println!("cargo:rustc-env=DIRECTOR_VERSION={package}");
        return;
    }
    let version = match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit) => format!("{package} ({commit})"),
        None => package,
    };
    println!("cargo:rustc-env=DIRECTOR_VERSION={version}");
    // A new commit moves HEAD's log; a source tree without git has neither file.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists());
        if let Some(path) = path {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

/// First line of what git says, if it is there, knows the tree and says anything.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// Archives with drivers are linked whole, and only where DPDK runs: the tools stay without.
fn link_dpdk_statically() {
    let Ok(arguments) = env::var("DEP_DPDK_STATIC_LINK") else { return };
    for argument in arguments.split('\u{1f}') {
        println!("cargo:rustc-link-arg-bin=directord={argument}");
        println!("cargo:rustc-link-arg-tests={argument}");
    }
}
