//! The client's end of the control socket.

use super::{Envelope, PROTOCOL_VERSION, Refusal, Reply, Request};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum ClientError {
    #[error("cannot reach the director at {path}: {source}; {}", advice(source))]
    Connect { path: PathBuf, source: io::Error },
    #[error("the director closed the connection: {0}")]
    Broken(#[from] io::Error),
    #[error("the director's answer is not understood: {0}")]
    Garbled(#[from] serde_json::Error),
    #[error("{0}")]
    Failed(Refusal),
}

/// What to do about a socket that cannot be connected to.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "the socket is for root alone",
        _ => "is directord running?",
    }
}

/// A connection to a running director.
#[derive(Debug)]
pub struct Client {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Client {
    /// # Errors
    /// [`ClientError::Connect`] if nothing listens at `path` or it may not be opened.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let connect = || {
            let writer = UnixStream::connect(path)?;
            let reader = BufReader::new(writer.try_clone()?);
            Ok(Client { writer, reader })
        };
        connect().map_err(|source| ClientError::Connect { path: path.to_owned(), source })
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
        // A director that has no room for the session, or for a request so long, says so and closes without reading
        // on: its sentence counts for more than the broken pipe.
        let mut written = self.writer.write_all(line.as_bytes());
        loop {
            line.clear();
            match self.reader.read_line(&mut line) {
                Ok(1..) => {}
                outcome => {
                    std::mem::replace(&mut written, Ok(()))?;
                    outcome?;
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
}
