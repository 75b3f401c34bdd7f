//! The control socket: each complete request gets one reply, in order, however its bytes are split. Sessions end with
//! their clients, and the next client is served.

use bolero::TypeGenerator;
use director::api::{Client, Envelope, PROTOCOL_VERSION, RefusalCode};
use director::api::{Refusal, Reply, Request, Rows};
use director::control::server::{Calls, ReplyChannel, Server};
use director::limits::{REQUEST_BYTES, SESSIONS};
use director::query::{
    Info, InfoRow, NoArgs, Query, Status, Sysctl, SysctlArgs, SysctlRow, request,
};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Number of concurrent sessions.
const CLIENTS: usize = 4;
/// Size of a row that a client disconnects in; several fill the socket buffer.
const HEAVY: usize = 100_000;
/// Longest wait for an expected event.
const PATIENCE: Duration = Duration::from_secs(20);

/// Session threads are counted for the whole process, so only one test may have sessions at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[derive(Clone, Debug, TypeGenerator)]
enum Act {
    /// A valid request, written in two parts.
    Ask {
        #[generator(0..6u8)]
        pieces: u8,
        cut: u8,
    },
    Line(Vec<u8>),
    /// Bytes without an end of line; later bytes continue the line.
    Bytes(Vec<u8>),
    /// If 0, more bytes than a request may have; rare, because it is slow.
    Endless(#[generator(0..24u8)] u8),
    /// Disconnects while a reply is being sent.
    HangUp,
}

/// The expected reply to a request.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Refused,
    /// This many rows with the name from the request.
    Pieces(String, usize),
}

/// A query for `pieces` rows called `name`.
fn ask(name: &str, pieces: usize, size: usize) -> Request {
    request::<Sysctl>(&SysctlArgs { setting: Some(format!("{name}={pieces} {size}")) })
}

/// Rows still to be sent for an [`ask`], and their size.
fn owed(request: &Request) -> Option<(String, usize, usize)> {
    let Request::Query { query, args } = request else { return None };
    let args: SysctlArgs = serde_json::from_value(args.clone()).ok()?;
    let setting = args.setting.filter(|_| query == Sysctl::NAME)?;
    let (name, count) = setting.split_once('=')?;
    let (pieces, size) = count.split_once(' ')?;
    Some((name.to_owned(), pieces.parse().ok()?, size.parse().ok()?))
}

/// Replaces the control thread: sends the rows of each query as the client takes them, until `Status` is queried.
fn answer(calls: &Calls) {
    let mut open: VecDeque<(ReplyChannel, String, usize, usize)> = VecDeque::new();
    loop {
        if let Ok(call) = calls.receiver().recv_timeout(Duration::from_micros(200)) {
            match (owed(&call.request), &call.request) {
                (Some((name, pieces, size)), _) => {
                    open.push_back((call.answer, name, pieces, size));
                }
                (None, asked) if *asked == request::<Info>(&NoArgs {}) => {
                    call.answer.finish(Reply::Rows(Rows::of(vec![InfoRow {
                        version: "1".into(),
                        connection_table_size: 1,
                    }])))
                }
                (None, asked) if *asked == request::<Status>(&NoArgs {}) => return,
                (None, _) => call.answer.refuse(Refusal::new(RefusalCode::EINVAL, "not that")),
            }
        }
        open.retain_mut(|(answer, name, left, size)| {
            while answer.has_room() {
                if *left == 0 {
                    answer.send(Reply::End);
                    return false;
                }
                *left -= 1;
                let row =
                    SysctlRow { name: name.clone(), value: String::new(), help: "x".repeat(*size) };
                answer.send(Reply::Rows(Rows::of(vec![row])));
            }
            !answer.is_gone()
        });
    }
}

/// A server and its control thread, which ends at a request.
struct Running {
    path: PathBuf,
    control: Option<thread::JoinHandle<()>>,
    /// Folder of the socket; removed with the value.
    _folder: TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let calls = Server::bind(&path).unwrap().start().unwrap();
        let control = Some(thread::spawn(move || answer(&calls)));
        Running { path, control, _folder: folder }
    }
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Checks that another session is served.
fn is_served(path: &Path) {
    let mut client = Client::connect(path).expect("the server listens");
    let mut pieces = 0;
    client.call(request::<Info>(&NoArgs {}), |_| pieces += 1).expect("a good session");
    assert_eq!(pieces, 1);
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(control) = self.control.take() else { return };
        let deadline = Instant::now() + PATIENCE;
        // Sessions that are about to end may still count for the limit.
        while !control.is_finished() && Instant::now() < deadline {
            let _ = Client::connect(&self.path)
                .map(|mut client| client.call(request::<Status>(&NoArgs {}), |_| ()));
            thread::sleep(Duration::from_millis(1));
        }
        assert!(thread::panicking() || control.is_finished(), "the control thread ends");
    }
}

/// Number of the server's session threads.
fn session_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "api-session").count()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// One client and all bytes that it wrote.
struct Session {
    stream: UnixStream,
    written: Vec<u8>,
    /// The server has closed the session, or will without reading more.
    is_over: bool,
}

impl Session {
    fn write(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
        // The server does not read on after it refused an endless line.
        self.is_over |= self.stream.write_all(bytes).is_err();
    }

    /// False if the client has disconnected.
    fn act(&mut self, act: &Act, number: usize) -> bool {
        match act {
            Act::Ask { pieces, cut } => {
                let line = line(ask(&format!("setting {number}"), usize::from(*pieces), 9));
                let (first, second) = line.split_at(usize::from(*cut) % line.len());
                self.write(first);
                self.write(second);
            }
            Act::Line(bytes) => {
                self.write(bytes);
                self.write(b"\n");
            }
            Act::Bytes(bytes) => self.write(bytes),
            Act::Endless(0) => self.write(&vec![b' '; REQUEST_BYTES + 1]),
            Act::Endless(_) => self.write(b"\n"),
            Act::HangUp => {
                self.write(b"\n");
                self.write(&line(ask("heavy", 50, HEAVY)));
                let mut some = [0; 100];
                let _ = self.stream.read(&mut some);
                return false;
            }
        }
        true
    }

    /// Replies expected for all bytes written.
    fn wanted(&self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for line in self.written.split_inclusive(|&byte| byte == b'\n') {
            if line.len() > REQUEST_BYTES {
                wanted.push(Wanted::Refused);
                break;
            }
            let request = serde_json::from_slice::<Envelope>(line).ok();
            let asked = request.and_then(|envelope| owed(&envelope.request));
            wanted.push(
                asked.map_or(Wanted::Refused, |(name, pieces, _)| Wanted::Pieces(name, pieces)),
            );
        }
        wanted
    }

    /// Ends writing and reads all replies.
    fn answers(&self) -> Vec<Wanted> {
        let _ = self.stream.shutdown(Shutdown::Write);
        let (mut answers, mut rows) = (Vec::new(), Vec::new());
        for line in BufReader::new(&self.stream).lines() {
            // A server that closes with unread bytes resets the connection after its last reply.
            let Ok(line) = line else { break };
            match serde_json::from_str(&line).expect("a reply") {
                Reply::Rows(piece) => {
                    let piece: Vec<SysctlRow> = piece.read().expect("rows of settings");
                    rows.extend(piece.into_iter().map(|row| row.name));
                }
                Reply::End => {
                    let name = rows.first().cloned().unwrap_or_default();
                    assert!(
                        rows.iter().all(|other| *other == name),
                        "rows of several replies mixed: {rows:?}"
                    );
                    answers.push(Wanted::Pieces(name, rows.len()));
                    rows.clear();
                }
                Reply::Failed(_) => {
                    assert!(rows.is_empty(), "a reply was cut off");
                    answers.push(Wanted::Refused);
                }
                other => panic!("unexpected reply {other:?}"),
            }
        }
        assert!(rows.is_empty(), "a reply has no end");
        answers
    }
}

fn line(request: Request) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Envelope { version: PROTOCOL_VERSION, request }).unwrap();
    line.push(b'\n');
    line
}

/// A reply without rows has no name.
fn named(wanted: Vec<Wanted>) -> Vec<Wanted> {
    let nameless = |wanted| match wanted {
        Wanted::Pieces(_, 0) => Wanted::Pieces(String::new(), 0),
        other => other,
    };
    wanted.into_iter().map(nameless).collect()
}

#[test]
fn any_sessions() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Running::start();
    type Case = Vec<(u8, Act)>;
    bolero::check!().with_type::<Case>().with_test_time(crate::SHORT).for_each(|acts| {
        let open =
            || Session { stream: connect(&server.path), written: Vec::new(), is_over: false };
        let mut sessions: Vec<Option<Session>> = (0..CLIENTS).map(|_| Some(open())).collect();
        for (number, (client, act)) in acts.iter().take(40).enumerate() {
            let slot = &mut sessions[usize::from(*client) % CLIENTS];
            let stays = |session: &mut Session| session.is_over || session.act(act, number);
            if slot.as_mut().is_some_and(|session| !stays(session)) {
                *slot = None;
            }
        }
        assert!(session_threads() <= SESSIONS);
        for session in sessions.into_iter().flatten() {
            assert_eq!(session.answers(), named(session.wanted()));
        }
        is_served(&server.path);
        wait_for("sessions end with their clients", || session_threads() == 0);
    });
}

#[test]
fn clients_above_the_limit_wait_for_a_place() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Running::start();
    let clients: Vec<UnixStream> = (0..SESSIONS).map(|_| connect(&server.path)).collect();
    wait_for("every client has a session", || session_threads() == SESSIONS);
    // The next client waits until an idle session ends.
    is_served(&server.path);
    assert!(session_threads() <= SESSIONS);
    drop(clients);
    is_served(&server.path);
}
