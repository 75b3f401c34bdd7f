//! ipvsadm: transcripts, restore, the wrapper scripts, and a director that does not answer.

use super::control_socket::{ControlSocket, serve};
use super::golden::{self, Event, Step};
use super::model::Table;
use director::api::{ClientError, Reply, Request, Rows, SOCKET_VARIABLE, TIMEOUT_VARIABLE};
use director::cli::ipvsadm::{Backend, Streams, SystemNames, run};
use director::limits::APPLY_COMMANDS;
use director::model::ConnectionRow;
use std::cell::Cell;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn ipvsadm(socket: &Path, line: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipvsadm"))
        .args(line.split_whitespace())
        .env(SOCKET_VARIABLE, socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the ipvsadm binary");
    let mut stdin = child.stdin.take().expect("a pipe");
    // After a usage error ipvsadm stops reading.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("an exit status")
}

/// Exit status and output of one run.
fn outcome(output: &Output) -> (i64, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let status = i64::from(output.status.code().expect("no signal"));
    (status, text(&output.stdout), text(&output.stderr))
}

/// Lines in sorted order without the remaining time, because connections have no fixed order.
fn unordered(listing: &str) -> Vec<String> {
    let mut lines: Vec<String> = listing
        .lines()
        .map(|line| match line.split_once(':') {
            Some((before, after)) if line.starts_with("TCP ") => {
                before[..4].to_owned() + &after[2..]
            }
            _ => line.to_owned(),
        })
        .collect();
    lines.sort();
    lines
}

/// Compares the output with the recorded one.
fn compare(name: &str, step: &Step, (status, output, errors): (i64, String, String)) {
    let at = format!("{name}: ipvsadm {}", step.line);
    assert_eq!((status, errors.as_str()), (step.status, step.errors.as_str()), "{at}");
    match step.line.as_str() {
        // The text is the director's; version and format are ipvsadm's.
        "-h" => {
            let shape = |text: &str| text.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(shape(&output), shape(&step.output), "{at}");
        }
        "-Lnc" => assert_eq!(unordered(&output), unordered(&step.output), "{at}"),
        // Rates are averages over time.
        "-Ln --rate" => assert_eq!(output.lines().count(), step.output.lines().count(), "{at}"),
        // The original leaves out the third flag of sh and mh.
        "-Sn" if name.starts_with("min-flags-") => {
            assert!(output.contains("flag-3"), "{at}");
            let output = output.replace(",flag-3", "").replace("flag-3", "");
            assert_eq!(output, step.output, "{at}");
        }
        _ => assert_eq!(output, step.output, "{at}"),
    }
}

#[test]
fn administrative_transcripts() {
    for name in ["adm-edit", "adm-errors", "adm-list", "adm-restore"] {
        let director = ControlSocket::with_table();
        for event in golden::read(name) {
            match event {
                Event::Packet { sent, forwarded } => {
                    let mut table = director.table.lock().unwrap();
                    assert!(golden::count(&mut table, &sent, &forwarded), "{name}: a SYN");
                }
                Event::Command(step) => {
                    let output = ipvsadm(&director.socket, &step.line, &step.input);
                    compare(name, &step, outcome(&output));
                }
            }
        }
    }
}

/// The commands of all transcripts, except listings that depend on packets.
#[test]
fn commands_of_all_transcripts() {
    let mut commands = 0;
    for name in golden::names() {
        let mut table = Table::default();
        for event in golden::read(&name) {
            let Event::Command(step) = event else { continue };
            let words: Vec<String> = step.line.split_whitespace().map(str::to_owned).collect();
            let (mut output, mut errors) = (Vec::new(), Vec::new());
            let mut streams = Streams {
                input: &mut step.input.as_bytes(),
                output: &mut output,
                errors: &mut errors,
            };
            let status = run(&words, &SystemNames::default(), &mut table, &mut streams);
            let listed = step.line.starts_with("-L") && !step.line.contains("--timeout");
            if !listed && step.line != "-h" {
                let texts = [output, errors].map(|text| String::from_utf8(text).unwrap());
                let [output, errors] = texts;
                compare(&name, &step, (i64::from(status), output, errors));
                commands += 1;
            }
        }
    }
    assert!(commands > 500, "{commands} commands");
}

#[test]
fn what_is_saved_can_be_restored() {
    // The greatest mark comes first, because marks sort as signed numbers.
    let rules = "\
-A -f 4294967295 -s fo
-A -t 10.0.0.1:0 -s sh -p 600 -M 255.255.255.0 -b sh-fallback,sh-port
-A -t 10.0.0.9:80 -s rr
-a -t 10.0.0.9:80 -r 192.168.11.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-a -t 10.0.0.9:80 -r 192.168.11.2:80 -i -w 0 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 10.0.0.9:80 -r 192.168.11.4:80 -i -w 1 --tun-type gre --tun-csum
-A -u 10.0.0.1:5060 -s wlc -p 60 --pe sip -o
-A --sctp-service 10.0.0.1:132 -s wrr -b flag-1,flag-3
-A -t [2001:db8::1]:80 -s lblcr
-a -t [2001:db8::1]:80 -r 192.168.10.4:80 -i -w 1 --tun-type ipip
-a -t [2001:db8::1]:80 -r [2001:db8::9]:8080 -m -w 2147483647
-A -f 3 -6 -s ovf -p 100 -M 64
-a -f 3 -6 -r [2001:db8::9]:80 -m -w 1
";
    let director = ControlSocket::with_table();
    let socket = &director.socket;
    assert_eq!(outcome(&ipvsadm(socket, "-R", rules)), (0, String::new(), String::new()));
    assert_eq!(outcome(&ipvsadm(socket, "-Sn", "")), (0, rules.to_owned(), String::new()));
    let (_, listing, _) = outcome(&ipvsadm(socket, "-Ln --tun-info", ""));
    for line in [
        "TCP  10.0.0.1:0 sh (sh-fallback,sh-port) persistent 600 mask 255.255.255.0",
        "  -> 192.168.11.1:80              Tunnel  gue:6080:-c   1      0          0         ",
        "  -> 192.168.11.2:80              Tunnel  gue:6080:r+c  0      0          0         ",
        "  -> 192.168.11.4:80              Tunnel  gre:+c        1      0          0         ",
        "UDP  10.0.0.1:5060 wlc persistent 60 pe sip ops",
        "SCTP 10.0.0.1:132 wrr (flag-1,flag-3)",
        "  -> [2001:db8::9]:8080           Masq    n/a           2147483647 0          0         ",
        "FWM  3 IPv6 ovf persistent 100 mask 64",
        "FWM  -1 fo",
    ] {
        assert!(listing.lines().any(|listed| listed == line), "{line:?} in\n{listing}");
    }
}

#[test]
fn restore_batches_lines_into_requests() {
    let director = ControlSocket::with_table();
    let lines = APPLY_COMMANDS * 2 + 5;
    let rules: String = (0..lines)
        .map(|line| format!("ipvsadm -A -t 10.0.{}.{}:80 -s rr\r\n", line / 250, line % 250 + 1))
        .collect();
    let output = ipvsadm(&director.socket, "-R", &rules);
    assert_eq!(outcome(&output), (0, String::new(), String::new()));
    let table = director.table.lock().unwrap();
    assert_eq!(table.batches, [APPLY_COMMANDS, APPLY_COMMANDS, 5]);
    assert_eq!(table.services.len(), lines);
}

#[test]
fn restore_continues_after_refusals_and_stops_at_invalid_lines() {
    const TRY_HELP: &str = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n";
    let add = "-A -t 10.0.0.1:80 -s rr\n";
    let exists = "Service already exists\n";
    for (rules, status, output, errors) in [
        (format!("{add}{add}"), 255, "", exists.to_owned()),
        (format!("{add}\n \t\n{add}-D -t 10.0.0.1:80"), 0, "", exists.to_owned()),
        (format!("{add}# a comment\n{add}"), 255, "", TRY_HELP.to_owned()),
        (format!("{add}-R\n{add}"), 255, "", TRY_HELP.to_owned()),
        (
            format!("{add}{add}-A\n"),
            2,
            "",
            format!(
                "{exists}You need to supply the 'service-address' option for the 'add-service' command\n"
            ),
        ),
        (format!("{add}-Sn\n{add}-C\n"), 0, "-A -t 10.0.0.1:80 -s rr\n", exists.to_owned()),
        // A failed listing ends the run, a failed change does not.
        (format!("{add}-L -t 10.0.0.2:80\n-C\n{add}-Sn\n"), 1, "", "No such service\n".to_owned()),
        (format!("-Z -t 10.0.0.2:80\n{add}"), 0, "", "No such service\n".to_owned()),
        (format!("{add}-A -t 10.0.0.1:80 -s nosuch\n"), 255, "", exists.to_owned()),
        (String::new(), 0, "", String::new()),
    ] {
        let director = ControlSocket::with_table();
        let run = outcome(&ipvsadm(&director.socket, "-R", &rules));
        assert_eq!(run, (status, output.to_owned(), errors), "{rules}");
    }
}

#[test]
fn refusals_have_ipvsadms_messages() {
    let director = ControlSocket::with_table();
    let socket = &director.socket;
    for (line, status, errors) in [
        ("-A -t 10.0.0.1:80 -s nosuch", 255, "Scheduler or persistence engine not found\n"),
        ("-E -t 10.0.0.1:80 -s nosuch", 255, "No such service\n"),
        ("-A -t 10.0.0.1:80", 0, ""),
        ("-A -t 10.0.0.1:80 -s nosuch", 255, "Service already exists\n"),
        ("-E -t 10.0.0.1:80 -s nosuch", 255, "Scheduler or persistence engine not found\n"),
        (
            "-a -t 10.0.0.1:80 -r 224.0.0.1",
            255,
            "Invalid operation.  Possibly wrong module version, address not unicast, ...\n",
        ),
        ("-a -t 10.0.0.1:80 -r 1.2.3.4 -x 5 -y 10", 255, "Numerical result out of range\n"),
        ("-e -t 10.0.0.2:80 -r 1.2.3.4", 255, "Service not defined\n"),
        ("--start-daemon master --mcast-interface nosuch", 255, "No such device\n"),
        ("--start-daemon backup", 0, ""),
        ("--start-daemon backup", 255, "Daemon has already run\n"),
        ("--stop-daemon backup", 0, ""),
        ("--stop-daemon backup", 255, "No daemon is running\n"),
        ("-A -6", 2, "-6 used before -f\n\n"),
    ] {
        let run = outcome(&ipvsadm(socket, line, ""));
        assert_eq!(run, (status, String::new(), errors.to_owned()), "{line}");
    }
}

#[test]
fn names_unless_numeric() {
    let director = ControlSocket::with_table();
    let socket = &director.socket;
    let rules = "-A -t localhost:80 -s rr\n-a -t 127.0.0.1:80 -r localhost -m\n";
    assert_eq!(outcome(&ipvsadm(socket, "-R", rules)).0, 0);
    let (_, numeric, _) = outcome(&ipvsadm(socket, "-S -n", ""));
    assert_eq!(numeric, "-A -t 127.0.0.1:80 -s rr\n-a -t 127.0.0.1:80 -r 127.0.0.1:80 -m -w 1\n");
    let (_, named, _) = outcome(&ipvsadm(socket, "-S", ""));
    assert!(named.starts_with("-A -t localhost"), "{named}");
}

#[test]
fn no_director() {
    let nowhere = Path::new("/nowhere");
    let (status, output, errors) = outcome(&ipvsadm(nowhere, "-Ln", ""));
    assert_eq!((status, output.as_str(), errors.lines().count()), (2, "", 1));
    assert!(errors.starts_with("cannot reach the director at "), "{errors}");
    let (status, output, _) = outcome(&ipvsadm(nowhere, "-v", ""));
    let version = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";
    assert_eq!((status, output.as_str()), (0, version));
}

#[test]
fn a_closed_connection_is_an_error() {
    let socket = serve(|_| vec![Reply::Rows(Rows::of(Vec::<u8>::new()))]);
    let (status, _, errors) = outcome(&ipvsadm(&socket, "-Lnc", ""));
    assert_eq!(status, 255);
    assert!(errors.starts_with("the director closed the connection"), "{errors}");
}

/// The package's scripts find `ipvsadm` as a shell function, which takes precedence over their own PATH.
#[test]
fn the_wrapper_scripts_run_unchanged() {
    let scripts = ["ipvsadm-save", "ipvsadm-restore"].map(|name| Path::new("/usr/sbin").join(name));
    if !scripts.iter().all(|script| script.exists()) {
        eprintln!("skipped: ipvsadm-save and ipvsadm-restore are not installed");
        return;
    }
    let [save, restore] = scripts;
    let director = ControlSocket::with_table();
    let shell = |script: &str| {
        let output = Command::new("bash")
            .args(["-c", script])
            .env("IPVSADM", env!("CARGO_BIN_EXE_ipvsadm"))
            .env(SOCKET_VARIABLE, &director.socket)
            .output()
            .expect("bash");
        outcome(&output)
    };
    let ours = "ipvsadm() { \"$IPVSADM\" \"$@\"; }; export -f ipvsadm;";
    let rules = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 1.2.3.4:80 -g -w 1\n";
    let restored = shell(&format!("{ours} printf '# a comment\\n{rules}' | {}", restore.display()));
    assert_eq!(restored, (0, String::new(), String::new()));
    let saved = shell(&format!("{ours} {} -n", save.display()));
    assert_eq!(saved, (0, rules.to_owned(), String::new()));
    let replaced = shell(&format!("{ours} echo -A -f 1 | {}", restore.display()));
    assert_eq!(replaced.0, 0);
    assert_eq!(shell(&format!("{ours} {}", save.display())).1, "-A -f 1 -s wlc\n");
}

/// A director that says when its answer is complete.
struct Announcing<'a> {
    rows: usize,
    is_complete: &'a Cell<bool>,
}

impl Backend for Announcing<'_> {
    fn call(&mut self, _: Request, each: &mut dyn FnMut(Reply)) -> Result<(), ClientError> {
        let row = ConnectionRow {
            protocol: "TCP".to_owned(),
            state: "ESTABLISHED".to_owned(),
            expires_s: 900,
            client: "10.0.0.10:40000".parse().unwrap(),
            virtual_address: "10.0.0.100:80".parse().unwrap(),
            destination: "192.168.10.11:80".parse().unwrap(),
            persistence_engine: None,
        };
        (0..self.rows).for_each(|_| each(Reply::Rows(Rows::of(vec![row.clone()]))));
        self.is_complete.set(true);
        Ok(())
    }
}

/// The reader of a pipe that takes rows only from a complete answer.
struct Reader<'a> {
    is_complete: &'a Cell<bool>,
    text: Vec<u8>,
}

impl Write for Reader<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let has_row = bytes.windows(9).any(|text| text == b"10.0.0.10");
        assert!(!has_row || self.is_complete.get(), "a row is printed while the director answers");
        self.text.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that pauses, such as `less`, must not hold up the director.
#[test]
fn a_listing_is_read_to_its_end_before_it_is_printed() {
    let is_complete = Cell::new(false);
    let mut output = Reader { is_complete: &is_complete, text: Vec::new() };
    let mut errors = Vec::new();
    let mut streams = Streams { input: &mut &[][..], output: &mut output, errors: &mut errors };
    let mut director = Announcing { rows: 3, is_complete: &is_complete };
    let words = ["-L", "-n", "-c"].map(str::to_owned);
    let status = run(&words, &SystemNames::default(), &mut director, &mut streams);
    assert_eq!((status, errors.len()), (0, 0));
    assert_eq!(String::from_utf8(output.text).unwrap().matches("10.0.0.10:40000").count(), 3);
}

#[test]
fn the_tools_give_up_on_a_director_that_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    // Connections wait in its queue.
    let _listener = UnixListener::bind(&socket).unwrap();
    let tools = [
        (env!("CARGO_BIN_EXE_ipvsadm"), "-Ln", 255),
        (env!("CARGO_BIN_EXE_directorctl"), "status", 1),
    ];
    for (program, argument, status) in tools {
        for (timeout, expected) in [
            ("1", "the director did not answer within 1 s; raise DIRECTOR_TIMEOUT"),
            ("soon", "DIRECTOR_TIMEOUT is `soon`; allowed: a whole number of seconds"),
        ] {
            let mut tool = Command::new(program);
            tool.arg(argument).env(SOCKET_VARIABLE, &socket).env(TIMEOUT_VARIABLE, timeout);
            let output = tool.output().expect("an exit status");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(errors.contains(expected), "{program}: {errors}");
            assert_eq!(output.status.code(), Some(status), "{program}: {errors}");
        }
    }
}
