//! Loads a connection file, its component and the secret of its URL.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;
use tokio::task::JoinSet;

use super::connection_files::{self, Stamp};
use crate::blocking;
use crate::connection::{self, Connection};
use crate::digest::sha256_hex;
use crate::engine::Component;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::loaded::{LoadedConnection, SharedEngine};
use crate::paths::Paths;
use crate::sinks::{self, Location};
use crate::state::ConnectionStore;
use crate::tls;
use crate::webhook_url::{PublicUrl, UrlSecrets};

/// A connection that can be started.
pub(super) struct Loaded {
    pub(super) file: PathBuf,
    pub(super) stamp: Option<Stamp>,
    /// Hash of the file, everything it refers to, and the component.
    pub(super) fingerprint: String,
    pub(super) loaded: LoadedConnection,
    pub(super) store: ConnectionStore,
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) secrets: UrlSecrets,
    /// A line for the operator.
    pub(super) summary: String,
}

/// See the file's header.
pub(super) struct Loader {
    /// The public URL, if webhook URLs are to be subscribed at the source.
    pub(super) subscribe: Option<PublicUrl>,
    pub(super) engine: SharedEngine,
    pub(super) paths: Paths,
    pub(super) journal: Journal,
    /// By name: a session that could not be stored outlives a reload.
    pub(super) stores: Mutex<HashMap<String, ConnectionStore>>,
}

/// The connection's name in a file, as far as it can be read.
pub(super) fn name_in(file: &Path, paths: &Paths) -> Option<String> {
    connection::name_in(file, &connection::environment, paths.policy.as_deref())
}

/// Hashed, because the connection holds secrets. Reads the files of authorities.
fn fingerprint(connection: &Connection, component_sha256: &str) -> String {
    let attachments = connection.attachments.iter().map(|attachments| &attachments.location);
    let places: Vec<&Location> = attachments.chain([&connection.sink.location]).collect();
    // The debug output of a place leaves out the secret parts of its URL.
    let urls: Vec<Option<&str>> = places.iter().map(|place| place.url()).collect();
    let files = places.iter().filter_map(|place| Some(place.authority_file()?.1));
    let authority = |file: PathBuf| Some(sha256_hex(&std::fs::read(file).ok()?));
    let authorities: Vec<_> = connection.ca_file.clone().into_iter().chain(files).map(authority).collect();
    sha256_hex(format!("{connection:?} {urls:?} {authorities:?} {component_sha256}").as_bytes())
}

/// Fails if a file of authorities cannot be used. A running connection that would start with it, because its
/// content counts in the fingerprint, then continues with the former one.
fn check_authorities(connection: &Connection) -> Result<()> {
    if let Some(file) = &connection.ca_file {
        tls::add_certificates(&mut RootCertStore::empty(), "egress.ca_file", file)?;
    }
    if let Some(attachments) = &connection.attachments {
        sinks::check_authority(&attachments.location, "sink.attachments")?;
    }
    sinks::check_authority(&connection.sink.location, "sink.url")
}

/// Runs work in a task, so that a panic in it is an error: else its file would load without end. The task
/// ends when this is dropped.
async fn unless_panicked<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(outcome) => outcome?,
        None => Err(Error::host("stopped")),
    }
}

impl Loader {
    /// Loads a file, see [`Self::load`]; a panic is an error.
    pub(super) async fn load_safely(self: &Arc<Self>, file: &Path, must_be_free: bool) -> Result<Loaded> {
        let (this, file) = (Arc::clone(self), file.to_owned());
        unless_panicked(async move { this.load(&file, must_be_free).await }).await
    }

    /// Loads a file; fails if it `must_be_free` and another process has the connection.
    async fn load(self: &Arc<Self>, file: &Path, must_be_free: bool) -> Result<Loaded> {
        let (this, path) = (Arc::clone(self), file.to_owned());
        let reading = blocking::spawn(move || this.read(&path));
        let (stamp, connection, component) = reading.await??;
        let mut loaded = LoadedConnection::with(component, connection, &self.paths).await?;
        let limits = &mut loaded.connection.limits;
        limits.batch.max_time = limits.batch.max_time.min(limits.serve.max_batch_time);
        let (this, file) = (Arc::clone(self), file.to_owned());
        blocking::spawn(move || this.complete(file, stamp, loaded, must_be_free)).await?
    }

    /// Forgets a connection that was removed.
    pub(super) fn forget(&self, name: &str) {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.paths.redactor.forget(name);
    }

    /// Reads a file, those of its authorities, and its component. Blocks.
    fn read(&self, file: &Path) -> Result<(Option<Stamp>, Connection, Component)> {
        let stamp = connection_files::stamp(file);
        let connection = Connection::load_within(file, &connection::environment, self.paths.policy.as_ref())?;
        check_authorities(&connection)?;
        let path = self.paths.component(connection.component.as_deref())?;
        let component = self.engine.component(&path, &self.paths)?;
        Ok((stamp, connection, component))
    }

    fn store(&self, name: &str) -> Result<ConnectionStore> {
        let stores = || self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores().get(name) {
            return Ok(store.clone());
        }
        // Others do not wait while another program holds the file.
        let store = ConnectionStore::open(&self.paths, name)?;
        Ok(stores().entry(name.to_owned()).or_insert(store).clone())
    }

    /// Reads the state of a connection. Blocks.
    fn complete(
        &self,
        file: PathBuf,
        stamp: Option<Stamp>,
        loaded: LoadedConnection,
        must_be_free: bool,
    ) -> Result<Loaded> {
        let name = &loaded.connection.name;
        let store = self.store(name)?;
        if must_be_free {
            // The supervisor takes it again and keeps it.
            store.check_free()?;
        }
        let secrets = store.webhook_url().secrets()?;
        let revealed = store.webhook_url().secret();
        if let Err(error) = &revealed {
            tracing::warn!(connection = %name, %error, "its URL still works");
        }
        let subscribe = self.subscribe.clone();
        if subscribe.is_some() {
            revealed?;
        }
        let subscription = store.subscription()?;
        let queued = self.journal.depth(name).count;
        let subscribed = match (&subscription, &subscribe) {
            (_, Some(_)) => "subscribes",
            (Some(_), _) => "subscribed",
            (None, None) => "no subscription known",
        };
        let summary = format!(
            "{name}: into {}, {subscribed}, {queued} deliveries queued",
            loaded.connection.sink.location
        );
        let fingerprint = fingerprint(&loaded.connection, &loaded.component.sha256);
        Ok(Loaded { file, stamp, fingerprint, loaded, store, subscribe, secrets, summary })
    }
}

#[cfg(test)]
mod tests {
    use super::{check_authorities, fingerprint, unless_panicked};
    use crate::connection::Connection;
    use crate::error::Result;

    #[test]
    fn a_connection_is_another_one_if_anything_that_its_file_refers_to_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |text: &str| {
            let file = folder.path().join("acme.toml");
            std::fs::write(&file, format!("name = \"acme\"\n{text}\n")).expect("written");
            let connection = Connection::load(&file, &|_| None).expect("valid");
            assert!(!format!("{connection:?}").contains("pa55"), "the debug output shows no secret");
            fingerprint(&connection, "sha256")
        };
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        let postgres = |url: &str| of(&format!("[sink]\nkind = \"postgres\"\nurl = \"{url}\""));
        write("ca.pem", "first");
        let before = postgres("postgres://me:pa55-1@db/desk?sslmode=disable&sslrootcert=ca.pem");
        for other in [
            "postgres://me:pa55-2@db/desk?sslmode=disable&sslrootcert=ca.pem",
            "postgres://you:pa55-1@db/desk?sslmode=disable&sslrootcert=ca.pem",
            "postgres://me:pa55-1@db/desk?sslmode=verify-full&sslrootcert=ca.pem",
        ] {
            assert_ne!(postgres(other), before, "{other}");
        }
        let same = || postgres("postgres://me:pa55-1@db/desk?sslmode=disable&sslrootcert=ca.pem");
        assert_eq!(same(), before);
        let attachments = |key: &str| of(&format!("[sink]\nattachments = \"s3://me:{key}@desk/a?region=x\""));
        assert_ne!(attachments("pa55-1"), attachments("pa55-2"));
        let egress = || of("[egress]\nca_file = \"ca.pem\"");
        let proxied = egress();
        assert_eq!(egress(), proxied);
        write("ca.pem", "renewed");
        assert_ne!(same(), before, "the authority of the database");
        assert_ne!(egress(), proxied, "the authority of a proxy");
    }

    #[test]
    fn an_authority_that_cannot_be_used_is_an_error_that_names_it_unless_it_is_not_needed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), "no certificate").expect("written");
        let check = |text: &str| {
            let file = folder.path().join("acme.toml");
            std::fs::write(&file, format!("name = \"acme\"\n{text}\n")).expect("written");
            check_authorities(&Connection::load(&file, &|_| None).expect("valid"))
        };
        let postgres = |more: &str| {
            let url = format!("postgres://me:pa55@db/desk?sslrootcert=ca.pem{more}");
            format!("[sink]\nkind = \"postgres\"\nurl = \"{url}\"")
        };
        for (text, key) in [
            ("[egress]\nca_file = \"ca.pem\"".to_owned(), "egress.ca_file "),
            ("[egress]\nca_file = \"missing.pem\"".to_owned(), "egress.ca_file "),
            (postgres(""), "sink.url: sslrootcert "),
            (
                "[sink]\nattachments = \"s3://desk/a?region=x&ca_file=ca.pem\"".to_owned(),
                "sink.attachments: ca_file ",
            ),
        ] {
            let error = check(&text).expect_err(&text);
            assert!(error.message.starts_with(key) && error.message.contains(".pem: "), "{error}");
        }
        assert_eq!([check(&postgres("&sslmode=disable")), check("")], [Ok(()), Ok(())]);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = unless_panicked(async { panic!("a defect") as Result<()> }).await.expect_err("panicked");
        assert!(error.message.starts_with("stopped: "), "{error}");
        assert_eq!(unless_panicked(async { Ok(7) }).await, Ok(7));
    }
}
