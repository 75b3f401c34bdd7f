//! The director's process and its command line tools.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The line that `directord` prints when all workers run and its socket listens.
const READY: &str = "directord: ready";
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Paths of the binaries.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub directord: PathBuf,
    pub ipvsadm: PathBuf,
    pub directorctl: PathBuf,
}

/// Result of a command line tool.
#[derive(Debug)]
pub struct Answer {
    pub rc: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A running director. It ends with the thread that started it and leaves no files.
#[derive(Debug)]
pub struct DirectorProcess {
    child: Child,
    folder: PathBuf,
    file_prefix: String,
    said: Receiver<String>,
    last_words: Vec<String>,
}

impl DirectorProcess {
    /// Path of the control socket of a director that works in `folder`.
    pub fn socket(folder: &Path) -> PathBuf {
        folder.join("control.sock")
    }

    /// Starts `directord` with this configuration and waits until it is ready. `folder` is created, and removed with
    /// the director.
    ///
    /// # Errors
    /// One sentence with the director's last output.
    pub fn start(
        binaries: &Binaries,
        folder: &Path,
        file_prefix: &str,
        configuration: &str,
    ) -> Result<DirectorProcess, String> {
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(told)?;
        let file = folder.join("director.toml");
        fs::write(&file, configuration).map_err(told)?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&binaries.directord)
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run setpriv: {error}; install util-linux"))?;
        let (sender, said) = channel();
        let stderr = child.stderr.take();
        thread::spawn(move || {
            for line in stderr.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let folder = folder.to_owned();
        let file_prefix = file_prefix.to_owned();
        let mut director =
            DirectorProcess { child, folder, file_prefix, said, last_words: Vec::new() };
        director.wait_until_ready()?;
        Ok(director)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) if line.contains(READY) => return Ok(()),
                Ok(line) => self.last_words.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("directord is not ready after {START_LIMIT:?}"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let last = self.last_words.last().map_or("nothing", String::as_str);
                    return Err(format!("directord did not start; its last output: {last}"));
                }
            }
        }
    }

    /// `Ok` if it still runs.
    ///
    /// # Errors
    /// One sentence with its exit status and its last output.
    pub fn check_alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.epitaph(status)),
            Err(error) => Err(format!("cannot query the state of directord: {error}")),
        }
    }

    fn epitaph(&mut self, status: ExitStatus) -> String {
        self.last_words.extend(self.said.try_iter());
        let words = &self.last_words;
        // The line of a panic is more useful than the note about backtraces after it.
        let telling = words.iter().rev().find(|line| line.contains("panicked"));
        let last = telling.or(words.last()).map_or("nothing", String::as_str);
        format!("directord ended ({status}); its last output: {last}")
    }

    /// Ends the director with SIGTERM.
    ///
    /// # Errors
    /// One sentence if it does not end, or not with status 0.
    pub fn stop(mut self) -> Result<(), String> {
        self.check_alive()?;
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, Signal::SIGTERM).map_err(|error| format!("directord: {error}"))?;
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.epitaph(status)),
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Err(error) => {
                    return Err(format!("cannot query the state of directord: {error}"));
                }
            }
        }
        Err(format!("directord does not end within {STOP_LIMIT:?} of SIGTERM"))
    }

    /// Runs one of the tools with this director's socket.
    ///
    /// # Errors
    /// One sentence if the tool cannot be run.
    pub fn run(&self, tool: &Path, words: &[String], stdin: &str) -> Result<Answer, String> {
        let told = |error: std::io::Error| format!("cannot run {}: {error}", tool.display());
        let mut child = Command::new(tool)
            .args(words)
            .env("DIRECTOR_SOCKET", DirectorProcess::socket(&self.folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(told)?;
        if let Some(mut pipe) = child.stdin.take() {
            // A tool that refuses its input early has closed the pipe; its output explains why.
            let _ = pipe.write_all(stdin.as_bytes());
        }
        let output = child.wait_with_output().map_err(told)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let rc = output.status.code().unwrap_or(-1);
        Ok(Answer { rc, stdout: text(output.stdout), stderr: text(output.stderr) })
    }
}

impl Drop for DirectorProcess {
    fn drop(&mut self) {
        // Errors here mean that the process or the folder is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_dir_all(Path::new("/var/run/dpdk").join(&self.file_prefix));
    }
}
