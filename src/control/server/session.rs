//! One client of the control socket.

use super::audit::{Changes, Peer};
use super::session_slots::SessionSlot;
use super::{Call, ReplyChannel, is_timeout};
use crate::api::{Envelope, PROTOCOL_VERSION, Refusal, RefusalCode, Reply, Request};
use crate::limits::{REPLY_PIECES, REQUEST_BYTES};
use crossbeam_channel::{Sender, bounded};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often an idle session checks whether it must end.
const IDLE_CHECK: Duration = Duration::from_millis(250);

/// One session: request after request until the client closes or is idle for too long.
pub(super) fn serve(
    stream: UnixStream,
    calls: &Sender<Call>,
    slot: &SessionSlot,
) -> io::Result<()> {
    let peer = Peer::of(&stream);
    stream.set_read_timeout(Some(IDLE_CHECK))?;
    let mut writer = BufWriter::new(stream.try_clone()?);
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if let Err(detail) = read_request(&mut reader, &mut line, slot)? {
            let refusal = Refusal::new(RefusalCode::ETIMEDOUT, detail);
            return write_line(&mut writer, &Reply::Failed(refusal));
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

/// Reads one line, empty at the end of the stream. The inner error says why the session ends: it was idle for too long,
/// or a request took too long. The time of a request runs from its first byte, so a client that sends byte after byte
/// does not keep its place.
fn read_request(
    reader: &mut BufReader<UnixStream>,
    line: &mut Vec<u8>,
    slot: &SessionSlot,
) -> io::Result<Result<(), String>> {
    let mut since = Instant::now();
    loop {
        let room = REQUEST_BYTES + 1 - line.len();
        match reader.fill_buf() {
            Ok(bytes) => {
                if line.is_empty() {
                    since = Instant::now();
                }
                let end = bytes.iter().position(|byte| *byte == b'\n');
                let taken = end.map_or(bytes.len(), |at| at + 1).min(room);
                line.extend(bytes.iter().take(taken));
                reader.consume(taken);
                if taken == 0 || end.is_some() || line.len() > REQUEST_BYTES {
                    return Ok(Ok(()));
                }
            }
            Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let (allowed, without) = match line.is_empty() {
            true => (slot.idle(), "a request"),
            false => (slot.request(), "the end of a request"),
        };
        if since.elapsed() >= allowed {
            let seconds = allowed.as_secs();
            return Ok(Err(format!("the session ended after {seconds} s without {without}")));
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
    if calls.send(Call { request, answer: ReplyChannel(sender, Arc::downgrade(&alive)) }).is_err() {
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
