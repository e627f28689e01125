//! Compiled code on disk, so that a component is compiled once and not at every start.
//!
//! A cached file is native code. It begins with an HMAC over its name and content under a key of the
//! installation, and the bytes that were verified are the bytes that are loaded: neither another user, nor a
//! restored backup, nor a component can plant code. Names cover the component, the engine's settings and
//! wasmtime's version.

use std::fs::OpenOptions;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::{Error, Result};
use crate::files::{self, private_folder};
use crate::key::{Key, mac};

const LABEL: &[u8] = b"host-runner cache 1";
const TAG_BYTES: usize = 32;
/// Code of earlier components and versions is deleted at this age. Compiling again takes a second.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// A folder of compiled code, and the key that authenticates it.
#[derive(Clone)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; 32],
}

/// The file name for a component of this hash under this engine, whose version is part of its settings.
pub(super) fn name(engine: &Engine, sha256: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let settings = hasher.finish();
    format!("{sha256}-{settings:016x}.cwasm")
}

impl Cache {
    /// A cache in a folder, authenticated by a key derived from that of the installation.
    pub fn new(folder: PathBuf, key: &Key) -> Self {
        Self { folder, key: key.subkey(LABEL) }
    }

    /// The code, if this installation stored it and the engine accepts it.
    pub(super) fn load(&self, engine: &Engine, name: &str) -> Option<Component> {
        let read = || -> Result<Option<Vec<u8>>> {
            if !self.folder.exists() {
                return Ok(None);
            }
            private_folder(&self.folder)?;
            let path = self.folder.join(name);
            let Some(mut file) = files::open_existing(&path, OpenOptions::new().read(true))? else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|error| failed(&path, &error))?;
            Ok(Some(bytes))
        };
        let bytes =
            read().inspect_err(|error| tracing::warn!(%error, "compiled code is not used")).ok()??;
        let (tag, code) = bytes.split_at_checked(TAG_BYTES)?;
        if self.mac(name, code).verify_slice(tag).is_err() {
            // Also after the key was replaced.
            tracing::info!(file = name, "compiled code that this installation did not store is not used");
            return None;
        }
        #[expect(unsafe_code, reason = "loading native code is what a code cache is")]
        // SAFETY: only `store` of an installation with this key makes the tag of these very bytes; the engine
        // checks that they were compiled by this version with these settings.
        let loaded = unsafe { Component::deserialize(engine, code) };
        loaded.inspect_err(|error| tracing::debug!(file = name, %error, "cached code rejected")).ok()
    }

    /// Writes the code to a temporary file and renames it, so that no reader sees a part of it.
    pub(super) fn store(&self, code: &Component, name: &str) -> Result<()> {
        private_folder(&self.folder)?;
        self.sweep();
        let bytes = code.serialize().map_err(|error| Error::state(error.to_string()))?;
        let tag = self.mac(name, &bytes).finalize().into_bytes();
        let file = self.folder.join(name);
        let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
        let mut options = OpenOptions::new();
        let mut output = files::open(&temporary, options.write(true).create(true).truncate(true))?;
        let mut write = || {
            output.write_all(&tag)?;
            output.write_all(&bytes)?;
            output.sync_all()?;
            std::fs::rename(&temporary, &file)
        };
        // A full disk must not fill with temporary files.
        write().map_err(|error| failed(&file, &error)).inspect_err(|_| drop(std::fs::remove_file(&temporary)))
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        // A name has no zero byte.
        mac(&self.key).chain_update(name).chain_update([0]).chain_update(code)
    }

    /// Deletes old files. Best effort: the next call deletes the rest.
    fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let stored = entry.metadata().and_then(|metadata| metadata.modified());
            let age = stored.ok().and_then(|stored| SystemTime::now().duration_since(stored).ok());
            if age.is_some_and(|age| age > KEPT_FOR) {
                let _busy = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::state(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    use std::path::PathBuf;
    use std::time::SystemTime;

    use tempfile::TempDir;
    use wasmtime::Engine;
    use wasmtime::component::Component;

    use super::{Cache, KEPT_FOR, name};
    use crate::key::Key;

    struct Fixture {
        _folder: TempDir,
        folder: PathBuf,
        cache: Cache,
        engine: Engine,
        code: Component,
        name: String,
        file: PathBuf,
    }

    /// An empty component, and the file in which the cache stores it.
    fn fixture() -> Fixture {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = temporary.path().join("cache");
        let cache = Cache::new(folder.clone(), &Key::from_bytes([1; 32]));
        let engine = Engine::default();
        let code = Component::new(&engine, b"\0asm\x0d\0\x01\0").expect("an empty component");
        let name = name(&engine, "00");
        let file = folder.join(&name);
        Fixture { _folder: temporary, folder, cache, engine, code, name, file }
    }

    #[test]
    fn code_is_stored_in_and_loaded_from_a_folder_that_others_cannot_change() {
        let Fixture { _folder, folder, cache, engine, code, name, .. } = fixture();
        cache.store(&code, &name).expect("stored");
        assert!(cache.load(&engine, &name).is_some());

        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o775)).expect("mode");
        assert!(cache.load(&engine, &name).is_none(), "a folder that others can write to was trusted");
        assert!(cache.store(&code, &name).is_err());
    }

    #[test]
    fn a_failed_store_leaves_no_temporary_file() {
        let Fixture { _folder, folder, cache, code, name, file, .. } = fixture();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&file).expect("something in its place");
        assert!(cache.store(&code, &name).is_err());
        assert_eq!(std::fs::read_dir(&folder).expect("listed").count(), 1);
    }

    #[test]
    fn code_that_this_installation_did_not_store_is_not_loaded() {
        let Fixture { _folder, folder, cache, engine, code, name, file } = fixture();
        cache.store(&code, &name).expect("stored");
        let stored = std::fs::read(&file).expect("read");
        assert!(Cache::new(folder.clone(), &Key::from_bytes([2; 32])).load(&engine, &name).is_none());
        // The same code under the name of another component.
        std::fs::copy(&file, folder.join("other.cwasm")).expect("copied");
        assert!(cache.load(&engine, "other.cwasm").is_none());
        // Code that the engine itself would accept.
        std::fs::write(&file, code.serialize().expect("serialized")).expect("planted");
        assert!(cache.load(&engine, &name).is_none());
        for bytes in [&b"not code"[..], b"", &stored[..stored.len() - 1]] {
            std::fs::write(&file, bytes).expect("damaged");
            assert!(cache.load(&engine, &name).is_none());
        }
        for index in [0, 31, 32, stored.len() - 1] {
            let mut changed = stored.clone();
            changed[index] ^= 1;
            std::fs::write(&file, changed).expect("damaged");
            assert!(cache.load(&engine, &name).is_none(), "byte {index}");
        }
        std::fs::write(&file, stored).expect("as it was");
        assert!(cache.load(&engine, &name).is_some());
    }

    #[test]
    fn old_code_is_deleted_when_new_code_is_stored() {
        let Fixture { _folder, folder, cache, code, name, file, .. } = fixture();
        cache.store(&code, "old.cwasm").expect("stored");
        let old = std::fs::File::options().write(true).open(folder.join("old.cwasm")).expect("opened");
        old.set_modified(SystemTime::now() - 2 * KEPT_FOR).expect("aged");
        cache.store(&code, &name).expect("stored");
        assert!(file.exists() && !folder.join("old.cwasm").exists());
    }
}
