//! What the kernel shows of the machine.

use std::fs;
use std::path::{Path, PathBuf};

/// A machine, as the files below a root describe it.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        Machine::below(Path::new("/"))
    }

    pub(super) fn below(root: &Path) -> Self {
        Machine { root: root.to_owned() }
    }

    /// The text of a file without the spaces around it; `None` if it does not exist.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok().map(|text| text.trim().to_owned())
    }

    pub(super) fn has(&self, path: &str) -> bool {
        // A link that leads nowhere counts too.
        fs::symlink_metadata(self.root.join(path)).is_ok()
    }

    /// The last name of what a link leads to.
    pub(super) fn link(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.root.join(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }
}

/// An invented machine.
#[cfg(test)]
pub(super) struct Tree(tempfile::TempDir);

#[cfg(test)]
impl Tree {
    pub(super) fn new() -> Self {
        Tree(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn machine(&self) -> Machine {
        Machine::below(self.0.path())
    }

    pub(super) fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub(super) fn link(&self, path: &str, target: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(target, path).expect("a link");
    }

    pub(super) fn remove(&self, path: &str) {
        let path = self.0.path().join(path);
        match fs::symlink_metadata(&path).expect("it is there").is_dir() {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        }
        .expect("it is removed");
    }
}
