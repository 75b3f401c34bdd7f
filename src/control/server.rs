//! The control socket. Sessions read requests and write answers; they have no state of the director. They pass requests to
//! the control thread through a channel, and answers come back in pieces, as fast as the client reads them.

mod audit;
mod session;
mod session_slots;

use crate::api::{Refusal, Reply, Request, connect_stream};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use session::serve;
use session_slots::SessionSlots;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Longest wait for a client to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wait after a client could not be let in.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for whatever listens at the path already: a director that was killed takes a moment to end.
const PROBE: Duration = Duration::from_secs(3);
/// Requests that may wait for the control thread.
const CALLS: usize = 64;

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum ServerError {
    #[error("another director answers at {0}; give this one its own `socket` in [director]")]
    Taken(PathBuf),
    #[error("{0} is there and is not a socket; remove it or give another `socket` in [director]")]
    NotSocket(PathBuf),
    #[error(
        "cannot make the control socket {path}: {source}; run as root or give another `socket` in [director]"
    )]
    Bind { path: PathBuf, source: io::Error },
}

/// One request with the way back.
#[derive(Debug)]
pub struct Call {
    pub request: Request,
    pub answer: ReplyChannel,
}

/// Where the pieces of an answer go. Never blocks.
#[derive(Clone, Debug)]
pub struct ReplyChannel(Sender<Reply>, Weak<()>);

impl ReplyChannel {
    /// The client takes another piece now.
    pub fn has_room(&self) -> bool {
        !self.0.is_full()
    }

    /// The client broke off.
    pub fn is_gone(&self) -> bool {
        self.1.upgrade().is_none()
    }

    /// Hands a piece over; false if the client has gone or does not keep up.
    pub fn send(&self, piece: Reply) -> bool {
        match self.0.try_send(piece) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// A whole answer in one piece.
    pub fn finish(&self, piece: Reply) {
        if !matches!(piece, Reply::Failed(_) | Reply::End) {
            self.send(piece);
            self.send(Reply::End);
        } else {
            self.send(piece);
        }
    }

    pub fn refuse(&self, refusal: Refusal) {
        self.send(Reply::Failed(refusal));
    }
}

#[cfg(test)]
impl ReplyChannel {
    /// An answer, where its pieces arrive, and what lives as long as the client does.
    pub(super) fn to_test() -> (ReplyChannel, Receiver<Reply>, Arc<()>) {
        let (sender, pieces) = bounded(crate::limits::REPLY_PIECES);
        let alive = Arc::new(());
        (ReplyChannel(sender, Arc::downgrade(&alive)), pieces, alive)
    }
}

/// The bound socket, before anybody is let in.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: SocketPath,
}

/// Removes the socket at the end, if it is still this director's.
#[derive(Debug)]
struct SocketPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketPath {
    /// The file at the path is the one that this director made.
    fn is_own(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }

    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(SocketPath { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        if self.is_own() {
            // Gone already is as good.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The requests of all sessions; the socket goes with it.
#[derive(Debug)]
pub struct Calls {
    receiver: Receiver<Call>,
    socket: Arc<Mutex<Socket>>,
}

/// What it takes to make the socket again.
#[derive(Debug)]
struct Socket {
    calls: Sender<Call>,
    slots: Arc<SessionSlots>,
    path: SocketPath,
}

impl Calls {
    pub fn receiver(&self) -> &Receiver<Call> {
        &self.receiver
    }

    /// For a thread that may wait for the file system.
    pub fn socket_keeper(&self) -> SocketKeeper {
        SocketKeeper(Arc::downgrade(&self.socket))
    }
}

/// Makes the socket again while its [`Calls`] exist.
#[derive(Clone, Debug)]
pub struct SocketKeeper(Weak<Mutex<Socket>>);

impl SocketKeeper {
    /// Makes the socket again if its file was removed. Takes at most a tenth of a second if the file system is quick.
    ///
    /// # Errors
    /// Something else is at its path now, or the file system refuses.
    pub fn restore(&self) -> Result<(), ServerError> {
        let Some(socket) = self.0.upgrade() else { return Ok(()) };
        let mut socket = socket.lock();
        if socket.path.is_own() {
            return Ok(());
        }
        let path = socket.path.path.clone();
        let server = Server::bind_unless(&path, is_listening)?;
        log::warn!(
            "control socket {} did not exist any more; it was created again",
            path.display()
        );
        spawn_acceptor(server.listener, socket.calls.clone(), Arc::clone(&socket.slots))
            .map_err(|source| ServerError::Bind { path, source })?;
        socket.path = server.path;
        Ok(())
    }
}

impl Server {
    /// Makes the socket, for its owner only. A socket that nobody answers any more is replaced.
    ///
    /// # Errors
    /// [`ServerError`] if a living director has it, or the file system refuses.
    pub fn bind(path: &Path) -> Result<Server, ServerError> {
        Self::bind_unless(path, is_answered)
    }

    fn bind_unless(path: &Path, is_taken: fn(&Path) -> bool) -> Result<Server, ServerError> {
        let failed = |source| ServerError::Bind { path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
        {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            return Err(ServerError::NotSocket(path.to_owned()));
        }
        if is_taken(path) {
            return Err(ServerError::Taken(path.to_owned()));
        }
        // Under another name first: nobody may connect before the mode is set.
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let _ = fs::remove_file(&draft);
        let listener = UnixListener::bind(&draft).map_err(failed)?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        fs::rename(&draft, path).map_err(failed)?;
        Ok(Server { listener, path: SocketPath::of(path).map_err(failed)? })
    }

    /// Lets clients in: an acceptor thread, and a thread for each session.
    ///
    /// # Errors
    /// If no thread can be made.
    pub fn start(self) -> io::Result<Calls> {
        let (calls, receiver) = bounded(CALLS);
        let slots = Arc::default();
        spawn_acceptor(self.listener, calls.clone(), Arc::clone(&slots))?;
        let socket = Socket { calls, slots, path: self.path };
        Ok(Calls { receiver, socket: Arc::new(Mutex::new(socket)) })
    }
}

/// A director answers at the path. One that was killed accepts for a moment more and then hangs up; one that is stuck
/// does not answer in time, and counts as there.
fn is_answered(path: &Path) -> bool {
    let deadline = Instant::now() + PROBE;
    while Instant::now() < deadline {
        let mut stream = match connect_stream(path, PROBE) {
            Ok(stream) => stream,
            Err(error) => return is_timeout(&error),
        };
        // Any line is answered, if only by a refusal.
        let asked = stream.write_all(b"{}\n").and_then(|()| stream.read(&mut [0; 1]));
        match asked {
            Ok(1..) => return true,
            Err(error) if is_timeout(&error) => return true,
            _ => thread::sleep(PAUSE),
        }
    }
    true
}

/// Somebody listens at the path, or is too busy to.
fn is_listening(path: &Path) -> bool {
    connect_stream(path, PAUSE).map_or_else(|error| is_timeout(&error), |_| true)
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn spawn_acceptor(
    listener: UnixListener,
    calls: Sender<Call>,
    slots: Arc<SessionSlots>,
) -> io::Result<()> {
    thread::Builder::new()
        .name("api".to_owned())
        .spawn(move || accept(&listener, &calls, &slots))?;
    Ok(())
}

fn accept(listener: &UnixListener, calls: &Sender<Call>, slots: &Arc<SessionSlots>) {
    loop {
        let (stream, _) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // There may be no file descriptor left; a moment later there may be one.
                log::warn!("control socket: {error}");
                thread::sleep(PAUSE);
                continue;
            }
        };
        // The client waits for a slot, and those behind it in the kernel's queue of the socket.
        let slot = slots.take();
        // A client that stops reading ends its own session only.
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let calls = calls.clone();
        let session = thread::Builder::new().name("api-session".to_owned()).spawn(move || {
            // A client that breaks off ends its own session only.
            let _ = serve(stream, &calls, &slot);
        });
        if let Err(error) = session {
            log::warn!("control socket: no thread for a session: {error}");
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Client, Rows};
    use crate::limits::SESSIONS;
    use crate::query::{Info, InfoRow, NoArgs, Status, request};
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;

    /// Answers every request with an [`InfoRow`] until the status is asked for.
    fn start(path: &Path) -> thread::JoinHandle<()> {
        let calls = Server::bind(path).unwrap().start().unwrap();
        thread::spawn(move || {
            while let Ok(call) = calls.receiver().recv_timeout(Duration::from_secs(20)) {
                if call.request == request::<Status>(&NoArgs {}) {
                    return;
                }
                let row = InfoRow { version: "v".into(), connection_table_size: 7 };
                call.answer.finish(Reply::Rows(Rows::of(vec![row])));
            }
        })
    }

    #[test]
    fn requests_are_answered_and_the_socket_goes_with_the_server() {
        let folder = tempfile::tempdir().unwrap();
        // The server makes the folders above its socket.
        let path = folder.path().join("missing/control.sock");
        let server = start(&path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Server::bind(&path), Err(ServerError::Taken(_))));
        let mut client = Client::connect(&path).unwrap();
        for _ in 0..3 {
            let mut pieces = Vec::new();
            client.call(request::<Info>(&NoArgs {}), |piece| pieces.push(piece)).unwrap();
            assert!(matches!(pieces[..], [Reply::Rows(_)]));
        }
        assert!(client.call(request::<Status>(&NoArgs {}), |_| ()).is_err(), "the director ended");
        server.join().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn nonsense_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let server = start(&path);
        let mut stream = UnixStream::connect(&path).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        for (stats, expected) in [
            ("nonsense\n", "not understood"),
            ("{\"version\":99,\"request\":{\"query\":\"info\"}}\n", "version 99"),
            ("{\"version\":2,\"request\":{\"dance\":1}}\n", "unknown field"),
            ("{\"version\":2,\"request\":{}}\n", "either `apply`, or `query`"),
        ] {
            stream.write_all(stats.as_bytes()).unwrap();
            let mut answer = String::new();
            answers.read_line(&mut answer).unwrap();
            assert!(answer.contains(expected), "{stats}: {answer}");
        }
        let mut client = Client::connect(&path).unwrap();
        assert!(client.call(request::<Status>(&NoArgs {}), |_| ()).is_err());
        server.join().unwrap();
    }

    #[test]
    fn a_dead_socket_is_replaced_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        drop(Server::bind(&path).unwrap());
        // One that was killed accepts a client and hangs up, then is gone.
        let dying = UnixListener::bind(&path).unwrap();
        let end = thread::spawn(move || drop(dying.accept()));
        drop(Server::bind(&path).unwrap());
        end.join().unwrap();
        fs::write(&path, "not a socket").unwrap();
        assert!(matches!(Server::bind(&path), Err(ServerError::NotSocket(_))));
    }

    #[test]
    fn a_removed_socket_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let calls = Server::bind(&path).unwrap().start().unwrap();
        let keeper = calls.socket_keeper();
        let inode = || fs::metadata(&path).unwrap().ino();
        let first = inode();
        keeper.restore().unwrap();
        assert_eq!(inode(), first, "it is there");
        fs::remove_file(&path).unwrap();
        keeper.restore().unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not a socket").unwrap();
        assert!(matches!(keeper.restore(), Err(ServerError::NotSocket(_))));
        drop(calls);
        assert!(keeper.restore().is_ok(), "nothing is to be kept");
    }

    #[test]
    fn more_clients_than_slots_wait_and_idle_sessions_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let server = start(&path);
        let idle: Vec<UnixStream> =
            (0..SESSIONS).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let clients: Vec<_> = (0..2 * SESSIONS)
            .map(|_| {
                let path = path.clone();
                thread::spawn(move || Client::connect(&path)?.ask::<Info>(&NoArgs {}))
            })
            .collect();
        for client in clients {
            assert_eq!(client.join().unwrap().expect("a slot in the end").len(), 1);
        }
        // As many idle sessions ended as were in the way.
        let told = |stream: &UnixStream| {
            stream.set_nonblocking(true).unwrap();
            let mut line = String::new();
            let _ = BufReader::new(stream).read_line(&mut line);
            line.contains("the session ended after")
        };
        assert!(idle.iter().any(told));
        let mut client = Client::connect(&path).unwrap();
        assert!(client.call(request::<Status>(&NoArgs {}), |_| ()).is_err());
        server.join().unwrap();
    }

    #[test]
    fn clients_that_send_a_request_byte_by_byte_do_not_keep_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let server = start(&path);
        let mut slow: Vec<UnixStream> =
            (0..SESSIONS).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let end = Arc::new(());
        let going_on = Arc::downgrade(&end);
        let drip = thread::spawn(move || {
            while going_on.strong_count() > 0 {
                slow.retain_mut(|stream| stream.write_all(b" ").is_ok());
                thread::sleep(Duration::from_millis(50));
            }
        });
        let ask = || Client::connect_within(&path, Duration::from_secs(5))?.ask::<Info>(&NoArgs {});
        assert_eq!(ask().expect("a place").len(), 1);
        drop(end);
        drip.join().unwrap();
        let mut client = Client::connect(&path).unwrap();
        assert!(client.call(request::<Status>(&NoArgs {}), |_| ()).is_err());
        server.join().unwrap();
    }
}
