//! Finds DPDK through pkg-config, reads its headers into bindings and compiles the shim.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, panic};

/// Oldest release whose names (RTE_ETH_*, RTE_MBUF_F_*) and calls the director is written for.
const OLDEST_DPDK: &str = "22.11";

/// Libraries whose symbols the bindings or the shim name. Drivers come as plugins of the shared EAL.
const LIBRARIES: [&str; 6] =
    ["rte_ethdev", "rte_hash", "rte_mbuf", "rte_mempool", "rte_ring", "rte_eal"];

const FUNCTIONS: &str = "director_.*\
    |rte_(eal_init|eal_cleanup|eal_alarm_set|eal_get_runtime_dir|strerror|version|dev_probe|socket_count)\
    |rte_(get_tsc_hz|lcore_to_socket_id|eal_remote_launch|eal_wait_lcore|eal_get_lcore_state)\
    |rte_pktmbuf_(pool_create|free_bulk)|rte_mempool_(free|avail_count)|rte_ring_free\
    |rte_hash_(free|add_key_data|del_key|lookup_bulk_data|count)\
    |rte_eth_(dev_(get_port_by_name|get_name_by_port|info_get|socket_id|configure|start|stop|close)\
    |dev_(adjust_nb_rx_tx_desc|get_mtu|set_mtu|rss_hash_(conf_get|update)|rss_reta_query|rss_reta_update)\
    |rx_queue_setup|tx_queue_setup|promiscuous_enable|allmulticast_enable|macaddr_get\
    |stats_get|xstats_get|xstats_get_names|find_next)";

fn main() {
    println!("cargo:rerun-if-changed=c/dpdk.h");
    println!("cargo:rerun-if-changed=c/shim.c");
    println!("cargo:rerun-if-env-changed=DPDK_STATIC");
    let statically = env::var_os("DPDK_STATIC").is_some_and(|value| value != "0");
    let dpdk = pkg_config::Config::new()
        .atleast_version(OLDEST_DPDK)
        .cargo_metadata(false)
        .env_metadata(true)
        .probe("libdpdk")
        .unwrap_or_else(|error| give_up(&first_line(&error.to_string())));
    let flags = compiler_flags();
    bind(&flags);
    compile_shim(&flags);
    for path in &dpdk.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    if statically {
        // The archives go to the final link of the daemon alone: the root package passes them on.
        println!("cargo:static_link={}", static_link_arguments().join("\u{1f}"));
    } else {
        for library in LIBRARIES {
            println!("cargo:rustc-link-lib=dylib={library}");
        }
    }
}

/// The preprocessor and machine flags exactly as DPDK was built: struct layouts depend on them.
fn compiler_flags() -> Vec<String> {
    pkg_config_words(&["--cflags", "libdpdk"])
}

/// What `pkg-config --static` says, less the libraries that are not there: Debian's list names what
/// static versions of DPDK's own dependencies would need, and those are linked as shared libraries.
fn static_link_arguments() -> Vec<String> {
    let mut arguments = pkg_config_words(&["--static", "--libs", "libdpdk"]);
    arguments.retain(|argument| {
        let Some(library) = argument.strip_prefix("-l").filter(|name| !name.starts_with(':'))
        else {
            return true;
        };
        ["so", "a"].iter().any(|kind| compiler_finds(&format!("lib{library}.{kind}")))
    });
    arguments
}

/// The C compiler answers with a path for a file it finds and with the bare name otherwise.
fn compiler_finds(file: &str) -> bool {
    let output = cc::Build::new()
        .get_compiler()
        .to_command()
        .arg(format!("-print-file-name={file}"))
        .output();
    output.is_ok_and(|output| output.stdout.contains(&b'/'))
}

fn pkg_config_words(arguments: &[&str]) -> Vec<String> {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => give_up(&first_line(&String::from_utf8_lossy(&output.stderr))),
        Err(error) => give_up(&format!("pkg-config does not run: {error}")),
    };
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

fn bind(flags: &[String]) {
    let builder = bindgen::Builder::default()
        .header("c/dpdk.h")
        .clang_args(flags)
        .clang_arg("-Wno-everything")
        .allowlist_function(FUNCTIONS)
        .allowlist_var("DIRECTOR_.*|RTE_MAX_LCORE|RTE_MAX_ETHPORTS|RTE_ETH_RETA_GROUP_SIZE")
        .allowlist_var("RTE_PKTMBUF_HEADROOM|RTE_HASH_LOOKUP_BULK_MAX")
        .allowlist_type("director_.*|rte_eth_rss_reta_entry64")
        // Never looked into from Rust; several are packed and aligned at once, which Rust refuses.
        .opaque_type("rte_mbuf|rte_mempool.*|rte_ring.*|rte_hash|rte_device|rte_.*_hdr|rte_flow.*")
        .opaque_type("rte_eth_dev_rx_intr.*|rte_eth_fdir.*|rte_ether_hdr")
        .prepend_enum_name(false)
        .derive_default(true)
        .layout_tests(false)
        .generate_comments(false)
        .formatter(bindgen::Formatter::Prettyplease)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()));
    // Without libclang bindgen panics; the advice below says more than its backtrace.
    panic::set_hook(Box::new(|_| {}));
    let generated = panic::catch_unwind(panic::AssertUnwindSafe(|| builder.generate()));
    let _ = panic::take_hook();
    let bindings = match generated {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => give_up(&format!("the DPDK headers cannot be read: {error}")),
        Err(_) => give_up("libclang, which reads the DPDK headers, is not there"),
    };
    let file = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("dpdk.rs");
    bindings.write_to_file(&file).unwrap_or_else(|error| {
        give_up(&format!("{} cannot be written: {error}", file.display()));
    });
}

fn compile_shim(flags: &[String]) {
    let mut shim = cc::Build::new();
    for flag in flags {
        shim.flag(flag);
    }
    // One call a burst is the budget, so the bodies are optimised in every profile.
    shim.file(Path::new("c/shim.c")).include("c").opt_level(3).warnings(false);
    shim.compile("director_dpdk_shim");
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// Ends the build with what is missing and how to get it.
fn give_up(reason: &str) -> ! {
    eprintln!(
        "\nDPDK {OLDEST_DPDK} or newer with its headers is needed ({reason}).\n\
         On Debian or Ubuntu:  sudo apt install libdpdk-dev libclang-dev pkg-config\n\
         Without DPDK (tools and core only):  cargo build --no-default-features\n"
    );
    exit(1);
}
