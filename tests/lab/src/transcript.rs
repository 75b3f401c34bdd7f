//! A transcript: commands and frames for a director, and a kernel's results.

use crate::frame;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fs;
use std::path::Path;

/// One recorded transcript. A scenario is a transcript without results; the recorder fills them in.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Transcript {
    pub name: String,
    #[serde(default)]
    pub about: String,
    /// `net.ipv4.vs` settings, set before the first step.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub sysctl: Settings,
    /// Commands that set up firewall marks on the recorded machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// When each step began, or a command ended, in seconds after the start of the first, as recorded. A transcript with listings of connections is played
    /// no faster; without these times it is played as fast as possible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<f64>,
    pub steps: Vec<Step>,
}

/// `name = value` pairs: a table, `"name=value"`, or a list of these.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "SettingsText")]
pub struct Settings(pub Vec<(String, String)>);

impl Transcript {
    /// The text of its file.
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("names, numbers and texts can be written as JSON") + "\n"
    }
}

impl Settings {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            table.serialize_entry(name, value)?;
        }
        table.end()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SettingsText {
    One(String),
    Many(Vec<String>),
    Table(serde_json::Map<String, serde_json::Value>),
}

impl From<SettingsText> for Settings {
    fn from(text: SettingsText) -> Self {
        let split = |pair: String| {
            let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
            (short_name(name), value.trim().to_owned())
        };
        Settings(match text {
            SettingsText::One(pair) => vec![split(pair)],
            SettingsText::Many(pairs) => pairs.into_iter().map(split).collect(),
            SettingsText::Table(map) => map
                .into_iter()
                .map(|(name, value)| match value {
                    serde_json::Value::String(text) => (short_name(&name), text),
                    other => (short_name(&name), other.to_string()),
                })
                .collect(),
        })
    }
}

/// Strips the prefix: `net.ipv4.vs.conn_reuse_mode` is `conn_reuse_mode` in the director.
fn short_name(name: &str) -> String {
    name.trim().trim_start_matches("net.ipv4.vs.").to_owned()
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Step {
    Send {
        send: Sent,
        #[serde(default)]
        out: Vec<Sent>,
    },
    /// Frames sent one after another; their results are compared as datagrams, because fragmentation may differ.
    Burst {
        burst: Vec<Sent>,
        #[serde(default)]
        out: Vec<Sent>,
    },
    Command {
        ipvsadm: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stdin: Option<String>,
        #[serde(default)]
        rc: i32,
        #[serde(default)]
        stdout: String,
        #[serde(default)]
        stderr: String,
    },
    Sysctl {
        sysctl: Settings,
    },
    Sleep {
        /// Seconds.
        sleep: f64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        out: Vec<Sent>,
    },
}

/// A frame on a port of the director.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sent {
    pub port: String,
    #[serde(deserialize_with = "from_hex")]
    pub frame: Vec<u8>,
}

/// Serialised with a description for readers beside the hexadecimal digits.
impl Serialize for Sent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.frame.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut table = serializer.serialize_map(Some(3))?;
        table.serialize_entry("port", &self.port)?;
        table.serialize_entry("frame", &digits)?;
        table.serialize_entry("text", &frame::describe(&self.frame))?;
        table.end()
    }
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digit = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8);
    if text.len() % 2 != 0 {
        return Err(D::Error::custom("a frame needs an even number of hexadecimal digits"));
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect::<Option<_>>()
        .ok_or_else(|| D::Error::custom("a frame has other characters than hexadecimal digits"))
}

/// Reads one transcript.
///
/// # Errors
/// One sentence that names the file.
pub fn read(path: &Path) -> Result<Transcript, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Every transcript in a folder whose name contains `filter`, sorted by name.
///
/// # Errors
/// One sentence about the first file that is not a valid transcript.
pub fn read_folder(folder: &Path, filter: &str) -> Result<Vec<Transcript>, String> {
    let listing = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = listing
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "topology"))
        .filter(|path| path.file_stem().is_some_and(|s| s.to_string_lossy().contains(filter)))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_step_is_read() {
        let text = r#"{"name": "n", "about": "a", "sysctl": {"net.ipv4.vs.sloppy_tcp": 1}, "steps": [
            {"ipvsadm": "-Ln", "rc": 0, "stdout": "x\n", "stderr": ""},
            {"send": {"port": "wan0", "frame": "00ff"}, "out": [{"port": "lan0", "frame": ""}]},
            {"sysctl": "net.ipv4.vs.expire_nodest_conn=1"}, {"sleep": 0.5}]}"#;
        let transcript: Transcript = serde_json::from_str(text).unwrap();
        assert_eq!(transcript.sysctl.0, [("sloppy_tcp".to_owned(), "1".to_owned())]);
        assert!(matches!(&transcript.steps[0], Step::Command { rc: 0, stdin: None, .. }));
        let Step::Send { send, out } = &transcript.steps[1] else { panic!("not a frame") };
        assert_eq!((&send.frame[..], out.len()), (&[0, 255][..], 1));
        let Step::Sysctl { sysctl } = &transcript.steps[2] else { panic!("not a setting") };
        assert_eq!(sysctl.0, [("expire_nodest_conn".to_owned(), "1".to_owned())]);
        assert!(matches!(&transcript.steps[3], Step::Sleep { out, .. } if out.is_empty()));
    }

    #[test]
    fn a_written_transcript_reads_back_equal() {
        let text = r#"{"name":"n","about":"","sysctl":{"sloppy_tcp":"1"},"shell":["nft x"],"at":[0.0,0.5,0.75,1.0,2.25],"steps":[
            {"send":{"port":"wan0","frame":"00ff","text":"2 bytes, too few for Ethernet"},"out":[]},
            {"ipvsadm":"-R","stdin":"x","rc":2,"stdout":"","stderr":"y"},
            {"burst":[{"port":"lan0","frame":"01","text":"1 bytes, too few for Ethernet"}],"out":[]},
            {"sysctl":{"cache_bypass":"1"}},{"sleep":0.5}]}"#;
        let transcript: Transcript = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&transcript).unwrap();
        assert_eq!(written, text.replace("\n            ", ""));
    }

    #[test]
    fn a_broken_frame_is_refused() {
        for frame in ["0", "0g"] {
            let text = format!(r#"{{"port": "wan0", "frame": "{frame}"}}"#);
            assert!(serde_json::from_str::<Sent>(&text).is_err(), "{frame}");
        }
    }
}
