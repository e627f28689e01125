//! Compiled code on disk, so that a component is compiled once and not at every start.
//!
//! A cached file is native code: only this user has access to the folder (0700), files are renamed into
//! place, and their names cover the component, the engine's settings and wasmtime's version.

use std::fs::{DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Error, Result, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

/// The file name for a component of this hash under this engine, whose version is part of its settings.
pub(super) fn name(engine: &Engine, sha256: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let settings = hasher.finish();
    format!("{sha256}-{settings:016x}.cwasm")
}

/// The code, if the file is in a private folder and the engine accepts it.
pub(super) fn load(engine: &Engine, file: &Path) -> Option<Component> {
    let folder = file.parent()?;
    if !file.is_file() || !is_private(folder) {
        return None;
    }
    #[expect(unsafe_code, reason = "loading native code is what a code cache is")]
    // SAFETY: only this user can write to the folder, and only `store` does; the engine checks that the file
    // was written by this version with these settings.
    let loaded = unsafe { Component::deserialize_file(engine, file) };
    loaded.inspect_err(|error| tracing::debug!(file = %file.display(), %error, "cached code rejected")).ok()
}

/// Writes the code to a temporary file and renames it, so that no reader sees a part of it.
pub(super) fn store(code: &Component, folder: &Path, file: &Path) -> Result<()> {
    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if !is_private(folder) {
        return Err(Error::other("the cache folder can be changed by others; make it mode 0700"));
    }
    let bytes = code.serialize().map_err(|error| Error::other(error.to_string()))?;
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut output = File::create(&temporary)?;
        output.write_all(&bytes)?;
        output.sync_all()?;
        std::fs::rename(&temporary, file)
    };
    // A full disk must not fill with temporary files.
    write().inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}

/// Whether only its owner has access to the folder, and the owner is the user of this process.
fn is_private(folder: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(folder) else {
        return false;
    };
    let ours = std::fs::metadata("/proc/self").map_or(metadata.uid(), |process| process.uid());
    metadata.uid() == ours && metadata.permissions().mode() & 0o077 == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    use std::path::PathBuf;

    use tempfile::TempDir;
    use wasmtime::Engine;
    use wasmtime::component::Component;

    use super::{load, name, store};

    struct Fixture {
        _folder: TempDir,
        cache: PathBuf,
        engine: Engine,
        code: Component,
        file: PathBuf,
    }

    /// An empty component, and the file in which the cache stores it.
    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        let engine = Engine::default();
        let code = Component::new(&engine, b"\0asm\x0d\0\x01\0").expect("an empty component");
        let file = cache.join(name(&engine, "00"));
        Fixture { _folder: folder, cache, engine, code, file }
    }

    #[test]
    fn code_is_stored_in_and_loaded_from_a_private_folder_only() {
        let Fixture { _folder, cache, engine, code, file } = fixture();
        store(&code, &cache, &file).expect("stored");
        assert!(load(&engine, &file).is_some());

        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o755)).expect("mode");
        assert!(load(&engine, &file).is_none(), "a folder that others can read was trusted");
        assert!(store(&code, &cache, &file).is_err());
    }

    #[test]
    fn a_failed_store_leaves_no_temporary_file() {
        let Fixture { _folder, cache, code, file, .. } = fixture();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&file).expect("something in its place");
        assert!(store(&code, &cache, &file).is_err());
        assert_eq!(std::fs::read_dir(&cache).expect("listed").count(), 1);
    }

    #[test]
    fn a_damaged_file_is_not_loaded() {
        let Fixture { _folder, cache, engine, code, file } = fixture();
        store(&code, &cache, &file).expect("stored");
        std::fs::write(&file, b"not code").expect("damaged");
        assert!(load(&engine, &file).is_none());
    }
}
