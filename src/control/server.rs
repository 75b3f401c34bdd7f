//! The control socket: sessions that read requests and write answers, and touch no state. Everything is asked of the
//! control thread over a channel; an answer comes back in pieces, as fast as the client takes them and no faster.

use crate::api::{Envelope, PROTOCOL_VERSION, Refusal, RefusalCode, Reply, Request};
use crate::limits::{REPLY_PIECES, REQUEST_BYTES, SESSIONS};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;
use thiserror::Error;

/// Longest wait for a client to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wait after a client could not be let in.
const PAUSE: Duration = Duration::from_millis(100);
/// Requests that may wait for the control thread.
const CALLS: usize = 64;

/// Why the control socket cannot be had.
#[derive(Debug, Error)]
pub enum ServerError {
    #[error("another director answers at {0}; give this one its own `socket` in [director]")]
    Taken(PathBuf),
    #[error(
        "cannot make the control socket {path}: {source}; run as root or give another `socket` in [director]"
    )]
    Bind { path: PathBuf, source: io::Error },
}

/// One request with the way back.
#[derive(Debug)]
pub struct Call {
    pub request: Request,
    pub answer: Answer,
}

/// Where the pieces of an answer go. Never blocks.
#[derive(Clone, Debug)]
pub struct Answer(Sender<Reply>, Weak<()>);

impl Answer {
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
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(SocketPath { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let is_own = |found: fs::Metadata| (found.dev(), found.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(is_own) {
            // Gone already is as good.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The requests of all sessions; the socket goes with it.
#[derive(Debug)]
pub struct Calls {
    receiver: Receiver<Call>,
    _path: SocketPath,
}

impl Calls {
    pub fn receiver(&self) -> &Receiver<Call> {
        &self.receiver
    }
}

impl Server {
    /// Makes the socket, for its owner only. A socket that nobody answers any more is replaced.
    ///
    /// # Errors
    /// [`ServerError`] if a living director has it, or the file system refuses.
    pub fn bind(path: &Path) -> Result<Server, ServerError> {
        let failed = |source| ServerError::Bind { path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
        {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        if UnixStream::connect(path).is_ok() {
            return Err(ServerError::Taken(path.to_owned()));
        }
        if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            return Err(failed(io::Error::from(io::ErrorKind::AlreadyExists)));
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
        let (sender, receiver) = bounded(CALLS);
        let listener = self.listener;
        thread::Builder::new().name("api".to_owned()).spawn(move || accept(&listener, &sender))?;
        Ok(Calls { receiver, _path: self.path })
    }
}

fn accept(listener: &UnixListener, calls: &Sender<Call>) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // Out of file descriptors, say: the next moment may be better.
                log::warn!("control socket: {error}");
                thread::sleep(PAUSE);
                continue;
            }
        };
        // A client that stops reading ends its own session only.
        let _ = stream.set_write_timeout(Some(PATIENCE));
        if open.load(Ordering::Relaxed) >= SESSIONS {
            let refusal = Refusal::new(
                RefusalCode::ENOMEM,
                format!(
                    "{SESSIONS} sessions are open already, which is all the director serves at once"
                ),
            );
            let _ = write_line(&mut BufWriter::new(stream), &Reply::Failed(refusal));
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let (calls, ends) = (calls.clone(), Arc::clone(&open));
        let session = thread::Builder::new().name("api-session".to_owned()).spawn(move || {
            // A client that breaks off ends its own session only.
            let _ = serve(stream, &calls);
            ends.fetch_sub(1, Ordering::Relaxed);
        });
        if session.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// One session: request after request until the client closes.
fn serve(stream: UnixStream, calls: &Sender<Call>) -> io::Result<()> {
    let mut writer = BufWriter::new(stream.try_clone()?);
    let mut reader = BufReader::new(stream);
    let mut stats = Vec::new();
    loop {
        stats.clear();
        let room = REQUEST_BYTES as u64 + 1;
        if reader.by_ref().take(room).read_until(b'\n', &mut stats)? == 0 {
            return Ok(());
        }
        if stats.len() > REQUEST_BYTES {
            let detail = format!("a request is longer than {REQUEST_BYTES} bytes");
            write_line(&mut writer, &Reply::Failed(Refusal::new(RefusalCode::EINVAL, detail)))?;
            return Ok(());
        }
        match read(&stats) {
            Ok(request) => answer(request, calls, &mut writer)?,
            Err(refusal) => write_line(&mut writer, &Reply::Failed(refusal))?,
        }
    }
}

fn read(stats: &[u8]) -> Result<Request, Refusal> {
    /// The part of an envelope that every version has.
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let invalid = |error: serde_json::Error| {
        Refusal::new(RefusalCode::EINVAL, format!("the request is not understood: {error}"))
    };
    let Version { version } = serde_json::from_slice(stats).map_err(invalid)?;
    if version != PROTOCOL_VERSION {
        let detail = format!(
            "the client speaks version {version} of the control protocol, the director {PROTOCOL_VERSION}"
        );
        return Err(Refusal::new(RefusalCode::EINVAL, detail));
    }
    serde_json::from_slice::<Envelope>(stats).map(|envelope| envelope.request).map_err(invalid)
}

/// Asks the control thread and passes its pieces on to the client.
fn answer(
    request: Request,
    calls: &Sender<Call>,
    writer: &mut BufWriter<UnixStream>,
) -> io::Result<()> {
    let (sender, pieces) = bounded(REPLY_PIECES);
    let alive = Arc::new(());
    let ended = || Reply::Failed(Refusal::new(RefusalCode::ENODEV, "the director is ending"));
    if calls.send(Call { request, answer: Answer(sender, Arc::downgrade(&alive)) }).is_err() {
        return write_line(writer, &ended());
    }
    loop {
        let piece = pieces.recv().unwrap_or_else(|_| ended());
        write_line(writer, &piece)?;
        if matches!(piece, Reply::End | Reply::Failed(_)) {
            return Ok(());
        }
    }
}

fn write_line(writer: &mut BufWriter<UnixStream>, reply: &Reply) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, reply)?;
    writer.write_all(b"\n")?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Client, Rows};
    use crate::query::{Info, InfoRow, NoArgs, Status, request};

    /// Answers every request with an [`InfoRow`] until the status is asked for.
    fn start(path: &Path) -> thread::JoinHandle<()> {
        let calls = Server::bind(path).unwrap().start().unwrap();
        thread::spawn(move || {
            while let Ok(call) = calls.receiver().recv_timeout(std::time::Duration::from_secs(2)) {
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
        fs::write(&path, "not a socket").unwrap();
        assert!(matches!(Server::bind(&path), Err(ServerError::Bind { .. })));
    }
}
