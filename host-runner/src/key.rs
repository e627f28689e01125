//! The key of an installation: from the environment, a file, or generated at first use; and the keys that are
//! derived from it, one for each use.
//!
//! The key itself is the key of HMACs alone, each with its own label.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::durable::sync_folder;
use crate::error::{Error, Result};
use crate::files;

/// The environment variable that may hold the key.
pub(crate) const VARIABLE: &str = "HOST_RUNNER_KEY";

const BYTES: usize = 32;

/// 32 secret bytes.
#[derive(Clone)]
pub struct Key([u8; BYTES]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// A key of this process alone.
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = [0_u8; BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::state(format!("no randomness for a key: {error}")))?;
        Ok(Self(bytes))
    }

    /// A key for one purpose, from secret bytes of any length.
    pub(crate) fn derive(secret: &[u8], purpose: &[u8]) -> Self {
        // The first step of HKDF (RFC 5869), with the purpose as its salt.
        let salt: [u8; BYTES] = Sha256::digest(purpose).into();
        Self(mac(&salt).chain_update(secret).finalize().into_bytes().into())
    }

    pub(crate) fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// The key for one use. The label is part of the format of the protected bytes.
    pub(crate) fn subkey(&self, label: &'static [u8]) -> [u8; BYTES] {
        mac(&self.0).chain_update(label).finalize().into_bytes().into()
    }

    /// The key of this installation: the variable's, else the file's, else `<data>/key`, generated if
    /// missing.
    pub fn find(variable: Option<&str>, file: Option<&Path>, data: &Path) -> Result<Self> {
        if let Some(text) = variable {
            return parse(text).ok_or_else(|| wrong(VARIABLE));
        }
        match file {
            Some(file) => Self::read(file),
            None => Self::read_or_generate(&data.join("key")),
        }
    }

    /// The key in a file that a person gives.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = files::read_key_file(path).map_err(|error| {
            Error::state(format!("key {}: {error}", path.display())).hint(
                "give a folder that can be read and written with --data DIR, or a key with --key-file FILE",
            )
        })?;
        parse(text.trim()).ok_or_else(|| wrong(&path.display().to_string()))
    }

    /// The key in a file of the data folder, generated if it is missing.
    pub(crate) fn read_or_generate(path: &Path) -> Result<Self> {
        let Some(mut file) = files::open_existing(path, OpenOptions::new().read(true))? else {
            return generate(path);
        };
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| Error::state(format!("key {}: {error}", path.display())))?;
        parse(text.trim()).ok_or_else(|| wrong(&path.display().to_string()))
    }
}

/// An HMAC with a key of 32 bytes.
pub(crate) fn mac(key: &[u8; BYTES]) -> Hmac<Sha256> {
    let mut block = [0_u8; 64]; // HMAC pads a key with zeros to the block size of the hash.
    block[..BYTES].copy_from_slice(key);
    Hmac::<Sha256>::new(&block.into())
}

fn wrong(place: &str) -> Error {
    Error::configuration(format!("key {place}: not 32 bytes in base64 or hexadecimal"))
        .hint("generate one with: openssl rand -base64 32")
}

fn parse(text: &str) -> Option<Key> {
    let hexadecimal = || -> Option<Vec<u8>> {
        let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        let pairs = digits?;
        pairs.chunks(2).map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok()).collect()
    };
    let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    let mut forms = engines.iter().filter_map(|engine| engine.decode(text).ok()).chain(hexadecimal());
    forms.find_map(|bytes| bytes.try_into().ok()).map(Key)
}

fn generate(path: &Path) -> Result<Key> {
    let key = Key::random()?;
    let failed = |error: std::io::Error| Error::state(format!("key {}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        files::private_folder(folder)?;
    }
    // Linking fails if the file exists, so that two processes that start at the same time agree on one key.
    let aside = path.with_extension(format!("{}.tmp", std::process::id()));
    let _left_over = std::fs::remove_file(&aside);
    let mut file = files::open(&aside, OpenOptions::new().write(true).create_new(true))?;
    writeln!(file, "{}", STANDARD.encode(key.bytes())).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside).map_err(failed)?;
    // A session that is sealed with it may be synced before the folder.
    sync_folder(files::folder_of(path)).map_err(failed)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Key::read_or_generate(path),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::Key;

    #[test]
    fn keys_are_read_in_base64_and_hexadecimal() {
        let folder = tempfile::tempdir().expect("a folder");
        let find = |text: &str| Key::find(Some(text), None, folder.path());
        let bytes = [7_u8; 32];
        let hex = "07".repeat(32);
        for text in ["BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", &hex] {
            assert_eq!(find(text).expect("a key").bytes(), &bytes, "{text}");
        }
        for text in ["", "short", &"0".repeat(63), &"z".repeat(64)] {
            assert!(find(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_use_has_a_key_of_its_own() {
        let key = Key::from_bytes([7; 32]);
        assert_eq!(key.subkey(b"one"), key.subkey(b"one"));
        assert_ne!(key.subkey(b"one"), key.subkey(b"two"));
        assert_ne!(key.subkey(b"one"), Key::from_bytes([8; 32]).subkey(b"one"));
        assert_ne!(&key.subkey(b"one"), key.bytes());
    }

    #[test]
    fn a_key_that_somebody_planted_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let theirs = folder.path().join("theirs");
        std::fs::write(&theirs, "07".repeat(32)).expect("written");
        std::os::unix::fs::symlink(&theirs, folder.path().join("key")).expect("linked");
        let error = Key::find(None, None, folder.path()).expect_err("used");
        assert!(error.message.ends_with("key: is a link; a file is required"), "{error}");
    }

    #[test]
    fn a_key_is_generated_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let generated = Key::find(None, None, &data).expect("generated");
        let again = Key::find(None, None, &data).expect("read");
        assert_eq!(generated.bytes(), again.bytes());
        let mode = std::fs::metadata(data.join("key")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            Key::find(None, Some(&data.join("nope")), &data).is_err(),
            "a missing key file was generated"
        );
    }
}
