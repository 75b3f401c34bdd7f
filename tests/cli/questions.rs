//! directorctl: its queries as the director receives them, and its output as tables and JSON.

use super::control_socket::serve;
use director::api::{
    Command as Change, Refusal, RefusalCode, Reply, Request, Rows, SOCKET_VARIABLE,
};
use director::model::Overlay;
use director::query::{
    DropRow, Drops, NeighbourRow, Neighbours, NoArgs, Sysctl, SysctlArgs, SysctlRow, request,
};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempPath;

fn directorctl(socket: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_directorctl"))
        .args(line.split_whitespace())
        .env(SOCKET_VARIABLE, socket)
        .output()
        .expect("the directorctl binary")
}

fn neighbour(address: &str) -> NeighbourRow {
    NeighbourRow {
        address: address.parse().unwrap(),
        port: "lan0".to_owned(),
        mac: None,
        state: "incomplete".to_owned(),
        queued: 1,
    }
}

/// 10.0.0.11 is a destination, other addresses are not.
fn drained(commands: &[Change]) -> Result<(), Refusal> {
    match commands {
        [Change::SetOverlay { target, overlay: Overlay::Drain }]
            if target.address.to_string() == "10.0.0.11" =>
        {
            Ok(())
        }
        other => Err(Refusal::new(RefusalCode::ENOENT, format!("{other:?} is not expected"))),
    }
}

fn director() -> TempPath {
    let drops = || DropRow {
        kind: "drop".to_owned(),
        reason: "no_route".to_owned(),
        help: "no route".to_owned(),
        packets: 3,
    };
    let sloppy = || SysctlArgs { setting: Some("sloppy_tcp=1".to_owned()) };
    let setting = || SysctlRow {
        name: "sloppy_tcp".to_owned(),
        value: "1".to_owned(),
        help: "any packet makes a connection".to_owned(),
    };
    serve(move |asked| match asked {
        asked if asked == request::<Neighbours>(&NoArgs {}) => vec![
            Reply::Rows(Rows::of(vec![neighbour("10.0.0.1")])),
            Reply::Rows(Rows::of(vec![neighbour("10.0.0.2")])),
            Reply::End,
        ],
        asked if asked == request::<Drops>(&NoArgs {}) => {
            vec![Reply::Rows(Rows::of(vec![drops()])), Reply::End]
        }
        asked if asked == request::<Sysctl>(&sloppy()) => {
            vec![Reply::Rows(Rows::of(vec![setting()])), Reply::End]
        }
        Request::Apply(commands) => vec![Reply::Applied(vec![drained(&commands)]), Reply::End],
        _ => vec![Reply::Failed(Refusal::new(RefusalCode::ENOENT, "there is no such setting"))],
    })
}

#[test]
fn tables() {
    let director = director();
    let output = directorctl(&director, "neighbours");
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "address   port  MAC  state       waiting\n\
         10.0.0.1  lan0  -    incomplete        1\n\
         10.0.0.2  lan0  -    incomplete        1\n"
    );
}

#[test]
fn json() {
    let director = director();
    let output = directorctl(
        Path::new("/nowhere"),
        &format!("drops --json --socket {}", director.display()),
    );
    assert!(output.status.success());
    let rows: Vec<DropRow> = serde_json::from_slice(&output.stdout).expect("an array of rows");
    assert_eq!((rows.len(), rows[0].packets), (1, 3));
    let output = directorctl(&director, "--json sysctl sloppy_tcp=1");
    let rows: Vec<SysctlRow> = serde_json::from_slice(&output.stdout).expect("an array of rows");
    assert_eq!(rows[0].value, "1");
}

#[test]
fn refusals_are_printed_as_one_line() {
    let director = director();
    let output = directorctl(&director, "sysctl nosuch");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "directorctl: there is no such setting\n");
    let output = directorctl(Path::new("/nowhere"), "status");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.starts_with("directorctl: cannot reach the director at "), "{errors}");
    assert_eq!(errors.lines().count(), 1);
}

#[test]
fn changes_are_silent_and_their_refusals_one_sentence() {
    let director = director();
    let output = directorctl(&director, "drain 10.0.0.11:80 --service tcp:10.0.0.100:80");
    assert_eq!((output.status.code(), output.stdout.len(), output.stderr.len()), (Some(0), 0, 0));
    let output = directorctl(&director, "drain 10.0.0.12");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.starts_with("directorctl: ") && errors.contains("10.0.0.12"), "{errors}");
    assert_eq!(errors.lines().count(), 1);
    let output = directorctl(&director, "drain --service nonsense 10.0.0.12");
    assert_eq!(output.status.code(), Some(2));
}
