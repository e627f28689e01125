//! The files that the command line names: data folder, component, key. Knows where each file of the data
//! folder lies.
//!
//! Does not know what the files hold.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::connection::PolicyFile;
use crate::engine::Cache;
use crate::error::{Error, Result};
use crate::files::{self, private_folder};
use crate::key::{Key, VARIABLE};
use crate::secret::Redactor;

/// The files that the command line names, and the redactor of everything read from them.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// The data folder.
    pub data: PathBuf,
    /// The component, if a flag names it.
    pub component: Option<PathBuf>,
    /// Learns every secret that is read or generated.
    pub redactor: Redactor,
    /// Bounds on connection files.
    pub policy: Option<Arc<PolicyFile>>,
    key_file: Option<PathBuf>,
    key: Arc<OnceLock<Key>>,
}

impl Paths {
    /// Paths as given on the command line; reads nothing.
    pub(crate) fn new(
        data: PathBuf,
        component: Option<PathBuf>,
        key_file: Option<PathBuf>,
        redactor: Redactor,
    ) -> Self {
        Self { data, component, redactor, policy: None, key_file, key: Arc::default() }
    }

    /// The key of this installation, read once per process; generated if neither variable nor file has one.
    pub(crate) fn key(&self) -> Result<Key> {
        if let Some(key) = self.key.get() {
            return Ok(key.clone());
        }
        self.verify()?;
        let variable = std::env::var(VARIABLE).ok();
        let key = Key::find(variable.as_deref(), self.key_file.as_deref(), &self.data)?;
        Ok(self.key.get_or_init(|| key).clone())
    }

    /// Whether the key comes from elsewhere than the data folder.
    pub(crate) fn is_key_given(&self) -> bool {
        self.key_file.is_some() || std::env::var_os(VARIABLE).is_some()
    }

    /// Fails if another user could have put anything into the data folder: the key, the journal, a lock.
    pub(crate) fn verify(&self) -> Result<()> {
        if !self.data.exists() {
            return Ok(());
        }
        private_folder(&self.data)?;
        for name in ["key", "journal.db", "journal.db-wal", "journal.db-shm", "journal.lock"] {
            files::open_existing(&self.data.join(name), OpenOptions::new().read(true))?;
        }
        Ok(())
    }

    /// The folder with the state of a connection.
    pub(crate) fn connection(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// The journal of all connections.
    pub(crate) fn journal(&self) -> PathBuf {
        self.data.join("journal.db")
    }

    /// The compiled components; none if no key can authenticate them: the next use of the key reports that.
    pub(crate) fn cache(&self) -> Option<Cache> {
        let key = self.key().inspect_err(|error| tracing::debug!(%error, "compiled code is not cached"));
        Some(Cache::new(self.data.join("cache"), &key.ok()?))
    }

    /// The component's file: the one given by the flag, by the connection file, or the only one next to this
    /// program.
    pub(crate) fn component(&self, in_connection_file: Option<&Path>) -> Result<PathBuf> {
        if let Some(path) = self.component.as_deref().or(in_connection_file) {
            return Ok(path.to_owned());
        }
        let program = std::env::current_exe()
            .map_err(|error| Error::usage(format!("component: not given, and not found: {error}")))?;
        only_component(program.parent().unwrap_or(Path::new(".")))
    }
}

fn only_component(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Error::usage(format!("component: {}: {error}", folder.display())))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let is_component = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "wasm");
    let mut found: Vec<PathBuf> = paths.filter(is_component).collect();
    found.sort();
    let hint = "give its file: --component FILE, or component = \"FILE\" in the connection file";
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::usage(format!("component: none is in {}", folder.display())).hint(hint)),
        many => {
            let names: Vec<String> = many.iter().map(|path| path.display().to_string()).collect();
            Err(Error::usage(format!("component: several to choose from: {}", names.join(", "))).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {

    use super::{Paths, only_component};
    use crate::secret::Redactor;

    #[test]
    fn the_only_component_next_to_the_program_is_the_default() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("readme.txt"), "").expect("written");
        assert!(only_component(folder.path()).is_err());
        let file = folder.path().join("a.wasm");
        std::fs::write(&file, "").expect("written");
        assert_eq!(only_component(folder.path()).expect("found"), file);
        std::fs::write(folder.path().join("b.wasm"), "").expect("written");
        let error = only_component(folder.path()).expect_err("one of two was chosen");
        assert!(error.message.contains("a.wasm") && error.message.contains("b.wasm"));
    }

    #[test]
    fn the_key_is_read_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths::new(folder.path().to_owned(), None, None, Redactor::default());
        let first = paths.key().expect("generated");
        std::fs::remove_file(folder.path().join("key")).expect("removed");
        assert_eq!(paths.clone().key().expect("kept").bytes(), first.bytes());
        assert!(!folder.path().join("key").exists());
    }
}
