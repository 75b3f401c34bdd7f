//! The daemon's side of the control socket, in a thread, answered by a [`Table`] or a closure.

use super::model::Table;
use director::api::{Envelope, PROTOCOL_VERSION, Reply, Request};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;
use tempfile::TempPath;

/// A running daemon; its thread ends with the process.
pub struct ControlSocket {
    pub socket: TempPath,
    pub table: Arc<Mutex<Table>>,
}

impl ControlSocket {
    /// Serves a table that starts empty.
    pub fn with_table() -> Self {
        let table = Arc::new(Mutex::new(Table::default()));
        let behind = Arc::clone(&table);
        let socket = serve(move |request| {
            let answer = behind.lock().unwrap().answer(request);
            match answer {
                Ok(mut pieces) => {
                    pieces.push(Reply::End);
                    pieces
                }
                Err(refusal) => vec![Reply::Failed(refusal)],
            }
        });
        ControlSocket { socket, table }
    }
}

/// Sends the lines returned by `answer` for every request; an empty answer closes the connection.
pub fn serve(answer: impl Fn(Request) -> Vec<Reply> + Send + 'static) -> TempPath {
    let bound = tempfile::Builder::new().make(|path| UnixListener::bind(path));
    let (listener, socket) = bound.expect("a socket in the temporary directory").into_parts();
    thread::spawn(move || {
        for stream in listener.incoming() {
            converse(&stream.expect("a client"), &answer);
        }
    });
    socket
}

fn converse(stream: &UnixStream, answer: &impl Fn(Request) -> Vec<Reply>) {
    let mut writer = stream;
    for line in BufReader::new(stream).lines() {
        let envelope: Envelope = serde_json::from_str(&line.unwrap()).expect("an envelope");
        assert_eq!(envelope.version, PROTOCOL_VERSION);
        let replies = answer(envelope.request);
        let closing = !matches!(replies.last(), Some(Reply::End | Reply::Failed(_)));
        let mut text = String::new();
        for reply in replies {
            text.push_str(&serde_json::to_string(&reply).unwrap());
            text.push('\n');
        }
        // A client may disconnect in the middle of a reply.
        if writer.write_all(text.as_bytes()).is_err() || closing {
            return;
        }
    }
}
