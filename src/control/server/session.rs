//! One client of the control socket.

use super::audit::{Changes, Peer};
use super::places::Place;
use super::{Answer, Call, is_timeout};
use crate::api::{Envelope, PROTOCOL_VERSION, Refusal, RefusalCode, Reply, Request};
use crate::limits::{REPLY_PIECES, REQUEST_BYTES};
use crossbeam_channel::{Sender, bounded};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often an idle session checks whether it must end.
const IDLE_CHECK: Duration = Duration::from_millis(250);

/// One session: request after request until the client closes or is idle for too long.
pub(super) fn serve(stream: UnixStream, calls: &Sender<Call>, place: &Place) -> io::Result<()> {
    let peer = Peer::of(&stream);
    stream.set_read_timeout(Some(IDLE_CHECK))?;
    let mut writer = BufWriter::new(stream.try_clone()?);
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if !read_request(&mut reader, &mut line, place)? {
            let seconds = place.idle().as_secs();
            let detail = format!("the session ended after {seconds} s without a request");
            return write_line(
                &mut writer,
                &Reply::Failed(Refusal::new(RefusalCode::ETIMEDOUT, detail)),
            );
        }
        if line.is_empty() {
            return Ok(());
        }
        if line.len() > REQUEST_BYTES {
            let detail = format!("a request is longer than {REQUEST_BYTES} bytes");
            write_line(&mut writer, &Reply::Failed(Refusal::new(RefusalCode::EINVAL, detail)))?;
            return Ok(());
        }
        match read(&line) {
            Ok(request) => answer(request, peer, calls, &mut writer)?,
            Err(refusal) => write_line(&mut writer, &Reply::Failed(refusal))?,
        }
    }
}

/// Reads one line, empty at the end of the stream. False if the session was idle for too long.
fn read_request(
    reader: &mut BufReader<UnixStream>,
    line: &mut Vec<u8>,
    place: &Place,
) -> io::Result<bool> {
    let mut since = Instant::now();
    loop {
        let before = line.len();
        let room = (REQUEST_BYTES + 1 - before) as u64;
        match reader.by_ref().take(room).read_until(b'\n', line) {
            Ok(_) => return Ok(true),
            Err(error) if is_timeout(&error) => {
                if line.len() > before {
                    since = Instant::now();
                } else if since.elapsed() >= place.idle() {
                    return Ok(false);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

fn read(line: &[u8]) -> Result<Request, Refusal> {
    /// The part of an envelope that every version has.
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let invalid = |error: serde_json::Error| {
        Refusal::new(RefusalCode::EINVAL, format!("the request is not understood: {error}"))
    };
    let Version { version } = serde_json::from_slice(line).map_err(invalid)?;
    if version != PROTOCOL_VERSION {
        let detail = format!(
            "the client speaks version {version} of the control protocol, the director {PROTOCOL_VERSION}"
        );
        return Err(Refusal::new(RefusalCode::EINVAL, detail));
    }
    serde_json::from_slice::<Envelope>(line).map(|envelope| envelope.request).map_err(invalid)
}

/// Asks the control thread and passes its pieces on to the client.
fn answer(
    request: Request,
    peer: Option<Peer>,
    calls: &Sender<Call>,
    writer: &mut BufWriter<UnixStream>,
) -> io::Result<()> {
    let changes = Changes::of(&request);
    let (sender, pieces) = bounded(REPLY_PIECES);
    let alive = Arc::new(());
    let ended = || Reply::Failed(Refusal::new(RefusalCode::ENODEV, "the director is ending"));
    if calls.send(Call { request, answer: Answer(sender, Arc::downgrade(&alive)) }).is_err() {
        return write_line(writer, &ended());
    }
    loop {
        let piece = pieces.recv().unwrap_or_else(|_| ended());
        for (level, line) in changes.lines(peer, &piece) {
            log::log!(level, "{line}");
        }
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
