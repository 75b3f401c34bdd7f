//! A virtual machine whose kernel records.

use crate::transcript::Transcript;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time for QEMU to open its socket, and for the machine to record one list of scenarios.
const OPEN_LIMIT: Duration = Duration::from_secs(20);
const RECORD_LIMIT: Duration = Duration::from_secs(240);

/// A running machine; it ends with this value.
#[derive(Debug)]
pub struct Guest {
    qemu: Child,
    requests: UnixStream,
    answers: BufReader<UnixStream>,
    console: PathBuf,
}

impl Guest {
    /// Boots the image built by `kernel/build-image`; `folder` gets the machine's socket and console output.
    ///
    /// # Errors
    /// One sentence with the reason why it does not run.
    pub fn boot(image: &Path, folder: &Path) -> Result<Guest, String> {
        let socket = folder.join("guest.sock");
        let console = folder.join("console");
        let told = |error: std::io::Error| format!("{}: {error}", console.display());
        let output = File::create(&console).map_err(told)?;
        let errors = output.try_clone().map_err(told)?;
        let mut qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
            .args([
                "-accel",
                "tcg,tb-size=128",
                "-cpu",
                "max",
                "-m",
                "768",
                "-nodefaults",
                "-nographic",
                "-no-reboot",
            ])
            .arg("-kernel")
            .arg(image.join("vmlinuz"))
            .arg("-initrd")
            .arg(image.join("initramfs"))
            .args(["-append", "console=ttyS0 quiet panic=-1 tsc=unstable mitigations=off"])
            .args([
                "-serial",
                "stdio",
                "-device",
                "virtio-serial-pci",
                "-device",
                "virtserialport,chardev=r",
            ])
            .arg("-chardev")
            .arg(format!("socket,id=r,server=on,wait=on,path={}", socket.display()))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot run qemu-system-x86_64: {error}"))?;
        let requests = connect(&socket, &mut qemu, &console)?;
        requests.set_read_timeout(Some(RECORD_LIMIT)).map_err(|error| error.to_string())?;
        let answers = BufReader::new(requests.try_clone().map_err(|error| error.to_string())?);
        Ok(Guest { qemu, requests, answers, console })
    }

    /// Records scenarios at the same time; each result is a transcript, or the reason why there is none.
    ///
    /// # Errors
    /// If the machine does not answer, with the last line of its console.
    pub fn record(
        &mut self,
        scenarios: &[&Transcript],
    ) -> Result<Vec<Result<Transcript, String>>, String> {
        let mut request = serde_json::to_string(scenarios).map_err(|error| error.to_string())?;
        request.push('\n');
        let mut answer = String::new();
        let exchanged = self
            .requests
            .write_all(request.as_bytes())
            .and_then(|()| self.answers.read_line(&mut answer));
        match exchanged {
            Ok(0) => Err(format!("the recording machine ended: {}", last_line(&self.console))),
            Ok(_) => {
                serde_json::from_str(&answer).map_err(|error| format!("the recorder: {error}"))
            }
            Err(error) => {
                Err(format!("the recording machine: {error}; {}", last_line(&self.console)))
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Errors here mean that it has ended.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn connect(socket: &Path, qemu: &mut Child, console: &Path) -> Result<UnixStream, String> {
    let deadline = Instant::now() + OPEN_LIMIT;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(_)
                if qemu.try_wait().is_ok_and(|status| status.is_none())
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => {
                let _ = qemu.kill();
                let _ = qemu.wait();
                return Err(format!("QEMU does not run: {error}; {}", last_line(console)));
            }
        }
    }
}

fn last_line(console: &Path) -> String {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or("its console is empty".to_owned(), |line| {
        format!("its console says: {}", line.trim())
    })
}
