//! The client's end of the control socket.

use super::{
    DEFAULT_TIMEOUT, Envelope, PROTOCOL_VERSION, Refusal, Reply, Request, TIMEOUT_MAX,
    TIMEOUT_VARIABLE,
};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum ClientError {
    #[error("cannot reach the director at {path}: {source}; {}", advice(source))]
    Connect { path: PathBuf, source: io::Error },
    #[error("the director did not answer within {} s; raise {TIMEOUT_VARIABLE}", .0.as_secs_f32())]
    Silent(Duration),
    #[error(
        "{TIMEOUT_VARIABLE} is `{0}`; allowed: a whole number of seconds from 1 to {TIMEOUT_MAX}"
    )]
    Timeout(String),
    #[error("the director closed the connection: {0}")]
    Broken(#[from] io::Error),
    #[error("the director's answer is not understood: {0}")]
    Garbled(#[from] serde_json::Error),
    #[error("{0}")]
    Failed(Refusal),
}

/// Advice for a socket that does not accept a connection.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "only root may open the socket",
        _ => "is directord running?",
    }
}

/// A connection to a running director.
#[derive(Debug)]
pub struct Client {
    /// Longest wait for a piece of an answer.
    timeout: Duration,
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Client {
    /// Connects with the timeout of the environment, or [`DEFAULT_TIMEOUT`].
    ///
    /// # Errors
    /// As [`Client::connect_within`]; [`ClientError::Timeout`] if the environment names no valid timeout.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let Some(text) = std::env::var_os(TIMEOUT_VARIABLE) else {
            return Self::connect_within(path, DEFAULT_TIMEOUT);
        };
        let text = text.to_string_lossy();
        match text.parse() {
            Ok(seconds @ 1..=TIMEOUT_MAX) => {
                Self::connect_within(path, Duration::from_secs(seconds))
            }
            _ => Err(ClientError::Timeout(text.into_owned())),
        }
    }

    /// Connects. The director has `timeout` to accept, and again for each piece of an answer.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if nothing listens at `path` or it may not be opened, [`ClientError::Silent`] if too many
    /// clients wait for the director already.
    pub fn connect_within(path: &Path, timeout: Duration) -> Result<Self, ClientError> {
        let connect = || {
            let writer = connect_stream(path, timeout)?;
            let reader = BufReader::new(writer.try_clone()?);
            Ok(Client { timeout, writer, reader })
        };
        connect().map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::WouldBlock => ClientError::Silent(timeout),
            _ => ClientError::Connect { path: path.to_owned(), source },
        })
    }

    /// Sends one request and hands every piece of the answer to `each`, in order.
    ///
    /// # Errors
    /// [`ClientError::Failed`] if the director refuses the request as a whole.
    pub fn call(
        &mut self,
        request: Request,
        mut each: impl FnMut(Reply),
    ) -> Result<(), ClientError> {
        let mut line = serde_json::to_string(&Envelope { version: PROTOCOL_VERSION, request })?;
        line.push('\n');
        // A director that ended the session, or has no room for so long a request, writes a sentence and closes
        // without reading on. The sentence counts for more than the broken pipe.
        let mut written = self.writer.write_all(line.as_bytes());
        loop {
            line.clear();
            match self.reader.read_line(&mut line) {
                Ok(1..) => {}
                outcome => {
                    std::mem::replace(&mut written, Ok(())).map_err(|error| self.broken(error))?;
                    outcome.map_err(|error| self.broken(error))?;
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
            }
            match serde_json::from_str(&line)? {
                Reply::End => return Ok(()),
                Reply::Failed(refusal) => return Err(ClientError::Failed(refusal)),
                piece => each(piece),
            }
        }
    }

    fn broken(&self, error: io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::Silent(self.timeout)
            }
            _ => ClientError::Broken(error),
        }
    }
}

/// Connects to a control socket. Connecting, each read and each write end with [`io::ErrorKind::WouldBlock`] after
/// `timeout`.
///
/// # Errors
/// Nothing listens at `path`, it may not be opened, or the listener's queue stays full.
pub fn connect_stream(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(timeout))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(timeout))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_director_that_accepts_no_client_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let short = Duration::from_millis(20);
        let mut waiting = Vec::new();
        let error = loop {
            match Client::connect_within(&path, short) {
                Ok(client) => waiting.push(client),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ClientError::Silent(_)), "{error}");
        let absent = Client::connect_within(&folder.path().join("absent.sock"), short);
        assert!(matches!(absent, Err(ClientError::Connect { .. })));
    }
}
