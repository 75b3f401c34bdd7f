//! Syntax errors and bad tables about the process, with the exact error messages. Line numbers start at the first line
//! of the text.

use director::config::Config;

/// A valid port, appended to each text.
const PORT: &str = r#"
[[port]]
name = "wan0"
device = "0000:01:00.0"
addresses = ["10.0.0.1/24", "fd00:a::1/64"]
gateway = "10.0.0.254"
"#;

/// Compares each text's errors, without the file name, with the expected ones.
pub fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let faults = Config::parse(&format!("{text}{PORT}"), "f").expect_err(text);
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let faults: Vec<_> =
            faults.iter().map(|fault| fault.strip_prefix("f:").unwrap().trim_start()).collect();
        assert_eq!(faults, *expected, "{text}");
    }
}

#[test]
fn an_unknown_table_lists_those_that_exist() {
    let fault = format!("1: directr: unknown table; allowed: {}", Config::TABLES.join(", "));
    check(&[("[directr]\nlog = \"info\"", &[&fault])]);
    assert!(fault.contains(" director, "), "{fault}");
}

#[test]
fn syntax_errors() {
    check(&[
        (r#"socket = "#, &["1: string values must be quoted, expected literal string"]),
        (
            r#"[director
log = "info""#,
            &["1: unclosed table, expected `]`"],
        ),
        (
            r#"[director]
log = "info"
log = "warn""#,
            &["3: duplicate key: `log`"],
        ),
        (r#"director = 5"#, &["1: director: not a table; allowed: [director]"]),
        (
            r#"[port]
name = "x""#,
            &[
                "3: a second table `port`; allowed: one [port], or [[port]] each time where several are allowed",
            ],
        ),
        (r#"port = [1]"#, &["2: duplicate key: `port`"]),
        (
            r#"[director]
logg = "info"
log = 7"#,
            &[
                "2: director.logg: unknown key; allowed: socket, vips, unserved, forward_vip_answers, log",
                "3: director.log: invalid type: integer `7`; allowed: a string",
            ],
        ),
        (
            r#"[dpdk]
worker = 2
no_huge = "yes"
vdevs = "net_null0"
cores = [1, "2"]"#,
            &[
                "2: dpdk.worker: unknown key; allowed: workers, cores, control_core, no_huge, memory_mb, vdevs, arguments, file_prefix, mbufs",
                r#"3: dpdk.no_huge: invalid type: string "yes"; allowed: true or false"#,
                r#"4: dpdk.vdevs: invalid type: string "net_null0"; allowed: a list"#,
                r#"5: dpdk.cores: invalid type: string "2"; allowed: an integer"#,
            ],
        ),
        (
            r#"[timeouts]
tcp = 1.5"#,
            &["2: timeouts.tcp: invalid type: floating point `1.5`; allowed: an integer"],
        ),
        (
            r#"[[neighbour]]
port = "wan0"
address = "10.0.0.254""#,
            &["1: neighbour: `mac` is missing"],
        ),
    ]);
}

/// Texts without the port that [`check`] appends.
#[test]
fn files_without_ports() {
    for (text, expected) in [
        ("", "f: port: no [[port]] is given; a director needs 1 to 32"),
        ("[port]", "f:1: port: not a list of tables; allowed: [[port]]"),
        ("port = [1]", "f:1: port: not a table; allowed: [[port]]"),
        ("[[port]]\nname = \"a\"", "f:1: port: `device` is missing"),
    ] {
        assert_eq!(Config::parse(text, "f").expect_err(text).to_string(), expected);
    }
}

#[test]
fn process_tables() {
    check(&[
        (
            r#"[director]
socket = "control.sock""#,
            &[
                "2: director.socket: `control.sock` cannot be a socket; allowed: an absolute path of at most 107 bytes",
            ],
        ),
        (
            r#"[director]
vips = ["10.0.0.1/33", "10.0.0.9/24", "224.0.0.1", "10.0.0.7", "10.0.0.7/32"]"#,
            &[
                "2: director.vips: prefix length `33` is not in 0 to 32; allowed: a network as 10.0.0.0/24 or an address as 10.0.0.1",
                "2: director.vips: `10.0.0.9/24` has host bits; the network is 10.0.0.0/24; allowed: a network as 10.0.0.0/24 or an address as 10.0.0.1",
                "2: director.vips: 224.0.0.1/32 is not unicast; allowed: a network as 10.0.0.0/24 or an address as 10.0.0.1",
                "2: director.vips: 10.0.0.7/32 is listed twice",
            ],
        ),
        (
            r#"[director]
unserved = "ignore"
log = "loud""#,
            &[
                "2: director.unserved: unknown value `ignore`; allowed: reject, drop, kernel",
                "3: director.log: unknown value `loud`; allowed: error, warn, info, debug",
            ],
        ),
        (
            r#"[dpdk]
workers = 0"#,
            &["2: dpdk.workers: 0 is out of range; allowed: 1 to 64"],
        ),
        (
            r#"[dpdk]
workers = 65"#,
            &["2: dpdk.workers: 65 is out of range; allowed: 1 to 64"],
        ),
        (
            r#"[dpdk]
workers = 2
cores = [2, 3]"#,
            &[
                "2: dpdk.workers: workers and cores exclude each other: each listed core runs one worker",
            ],
        ),
        (
            r#"[dpdk]
cores = []"#,
            &["2: dpdk.cores: 0 cores are listed; allowed: 1 to 64 cores"],
        ),
        (
            r#"[dpdk]
control_core = 1
cores = [1, 2, 2, 1024]"#,
            &[
                "3: dpdk.cores: core 1 is dpdk.control_core; workers poll and never yield",
                "3: dpdk.cores: core 2 is listed twice",
                "3: dpdk.cores: 1024 is out of range; allowed: 0 to 1023",
            ],
        ),
        (
            r#"[dpdk]
memory_mb = 8
mbufs = 12
file_prefix = "a/b"
vdevs = [""]"#,
            &[
                "2: dpdk.memory_mb: 8 is out of range; allowed: 32 to 1048576",
                "3: dpdk.mbufs: 12 is out of range; allowed: 1024 to 16777215",
                "4: dpdk.file_prefix: `a/b` cannot name files; allowed: 1 to 32 of A-Z a-z 0-9 _ -",
                "5: dpdk.vdevs: `` cannot be an argument",
            ],
        ),
        (
            r#"[tables]
connections = 0
services = 2000000
templates = 268435457"#,
            &[
                "2: tables.connections: 0 is out of range; allowed: 16 to 1073741824",
                "3: tables.services: 2000000 is out of range; allowed: 1 to 1048576",
                "4: tables.templates: 268435457 is out of range; allowed: 16 to 268435456",
            ],
        ),
        (
            r#"[timeouts]
tcp = 0
udp = 2678401"#,
            &[
                "2: timeouts.tcp: 0 is out of range; allowed: 1 to 2678400",
                "3: timeouts.udp: 2678401 is out of range; allowed: 1 to 2678400",
            ],
        ),
        (
            r#"[sysctl]
drop_entry = 4"#,
            &["2: sysctl.drop_entry: `4` is not a valid value; allowed: 0 to 3"],
        ),
        (
            r#"[sysctl]
sync_threshold = "4 3"
sync_ports = 3"#,
            &[
                r#"2: sysctl.sync_threshold: `4 3` is not a valid value; allowed: "T P" with 0 <= T < P, or P = 0"#,
                "3: sysctl.sync_ports: `3` is not a valid value; allowed: a power of two, 1 or more",
            ],
        ),
        (
            r#"[sysctl]
conntrack = 1"#,
            &[
                "2: sysctl.conntrack: it does not exist here: the director does not go through netfilter, so there is no conntrack to join",
            ],
        ),
        (
            r#"[sysctl]
sloppy = 1"#,
            &[
                "2: sysctl.sloppy: unknown setting; allowed: am_droprate, amemthresh, backup_only, cache_bypass, conn_reuse_mode, drop_entry, drop_packet, expire_nodest_conn, expire_quiescent_template, lblc_expiration, lblcr_expiration, nat_icmp_send, pmtu_disc, run_estimation, schedule_icmp, secure_tcp, sloppy_sctp, sloppy_tcp, sync_persist_mode, sync_ports, sync_qlen_max, sync_refresh_period, sync_retries, sync_sock_size, sync_threshold, sync_version",
            ],
        ),
        (
            r#"[sysctl]
"net.ipv4.vs.drop_entry" = 1
drop_entry = 2"#,
            &["2: sysctl.net.ipv4.vs.drop_entry: it is set twice, with and without its prefix"],
        ),
        (
            r#"[sysctl]
backup_only = true"#,
            &[
                "2: sysctl.backup_only: invalid type: boolean `true`; allowed: an integer or a string",
            ],
        ),
    ]);
}

/// A value of any wrong type gives one message with everything that is allowed.
#[test]
fn the_mss_clamp() {
    for (value, shown) in [
        ("true", "true"),
        ("false", "false"),
        ("535", "535"),
        ("65496", "65496"),
        ("-1460", "-1460"),
        ("1460.0", "1460.0"),
        (r#""1460""#, r#""1460""#),
        (r#""PMTU""#, r#""PMTU""#),
        ("[1460]", "[1460]"),
        ("{ pmtu = true }", "{ pmtu = true }"),
    ] {
        let fault = format!(
            r#"2: tcp.mss_clamp: {shown} is not a valid value; allowed: "off", "pmtu", 536 to 65495"#
        );
        check(&[(&format!("[tcp]\nmss_clamp = {value}"), &[&fault])]);
    }
    check(&[("[tcp]\nmss = 1460", &["2: tcp.mss: unknown key; allowed: mss_clamp"])]);
}
