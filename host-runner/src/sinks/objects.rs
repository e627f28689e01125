//! An object store with the interface of S3: objects under a prefix, each put as a whole.
//!
//! [`address`] reads the URL, [`http`] sends requests over the runner's own TLS. Methods block; one thread of
//! the process reads and writes the sockets of all stores. Knows nothing of rows and files.

mod address;
mod http;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutPayload, PutResult, RetryConfig, UpdateVersion, WriteMultipart,
};
use tokio::sync::Notify;

use self::address::Address;
use self::http::Connector;
use super::Used;
use super::client_thread::ClientThread;
use crate::error::{Error, Kind, Origin, Result};

/// Retries of a request that failed by itself, for at most [`RETRY_TIMEOUT`].
const RETRIES: usize = 4;
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time of a call, its retries and all parts of a large object included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Objects beyond this are put in parts of this size, so that memory does not grow with them.
const PART_BYTES: usize = 8 << 20;
/// Bytes of a message of the store that are shown.
const MESSAGE_BYTES_MAX: usize = 400;

/// The thread of all stores.
static STORES: ClientThread = ClientThread::new("objects", "the object store");

/// A store, and the prefix of the names in it.
pub(super) struct Objects {
    store: AmazonS3,
    prefix: String,
    /// The URL without keys.
    name: String,
    /// Ends the call under way, which fails then.
    stop: Arc<Notify>,
    /// The store has refused a put that names what it replaces: it has no such thing.
    is_blind: AtomicBool,
}

/// The object of a name when it was read or put last; none was there by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen(Option<UpdateVersion>);

impl Seen {
    fn new(e_tag: Option<String>, version: Option<String>) -> Self {
        Self(Some(UpdateVersion { e_tag, version }))
    }

    /// A put that fails if the object is another one meanwhile; of a store without tags, one that does not.
    fn mode(&self) -> PutMode {
        match &self.0 {
            None => PutMode::Create,
            Some(version) if version.e_tag.is_some() => PutMode::Update(version.clone()),
            Some(_) => PutMode::Overwrite,
        }
    }
}

/// Fails if a URL cannot be one of a store; `key` is the configuration key with the URL.
pub(super) fn check(url: &str, key: &str) -> Result<()> {
    Address::parse(url, key).map(drop)
}

/// See [`super::used`].
pub(super) fn used(url: &str) -> Option<Used> {
    let Address { bucket, prefix, endpoint, region, ca_file, keys } = Address::parse(url, "url").ok()?;
    let server = endpoint.or_else(|| domain(region.as_deref().unwrap_or_default()));
    let place = format!("{bucket}/{prefix} at {server:?}");
    Some(Used { place, authority: ca_file.map(Into::into), has_user: keys.is_some() })
}

/// See [`super::check_authority`].
pub(super) fn check_authority(url: &str, key: &str) -> Result<()> {
    let address = Address::parse(url, key)?;
    Connector::new(address.ca_file.as_deref().map(FilePath::new), key).map(drop)
}

/// The domain that a region leads to, by the rule of the client: Amazon's, whatever the region.
fn domain(region: &str) -> Option<String> {
    let uri: ::http::Uri = format!("https://s3.{region}.amazonaws.com/").parse().ok()?;
    uri.authority()?.as_str().splitn(3, '.').nth(2).map(str::to_owned)
}

impl Objects {
    /// A client of a store; calls nothing yet. `key` is the configuration key with the URL.
    pub(super) fn open(url: &str, key: &str, name: &str, stop: Arc<Notify>) -> Result<Self> {
        let address = Address::parse(url, key)?;
        // Keys of the URL are used alone: those of the environment are for another account.
        let mut builder = match &address.keys {
            Some((id, secret)) => {
                AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret)
            }
            None => AmazonS3Builder::from_env(),
        };
        if let Some(endpoint) = &address.endpoint {
            builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
        }
        if let Some(region) = &address.region {
            builder = builder.with_region(region);
        }
        let retry =
            RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        let connector = Connector::new(address.ca_file.as_deref().map(FilePath::new), key)?;
        let store = builder
            .with_bucket_name(&address.bucket)
            .with_allow_http(true)
            .with_disable_bulk_delete(true)
            .with_retry(retry)
            .with_http_connector(connector)
            .build()
            .map_err(|error| Error::configuration(format!("{key}: {name}: {}", short(&error))))?;
        Ok(Self {
            store,
            prefix: address.prefix,
            name: name.to_owned(),
            stop,
            is_blind: AtomicBool::new(false),
        })
    }

    /// The URL without keys.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The content of an object, none if there is none, and the version for [`Self::replace`].
    pub(super) fn get(&self, name: &str) -> Result<(Option<Vec<u8>>, Seen)> {
        let path = self.path(name)?;
        self.wait(async {
            match self.store.get(&path).await {
                Ok(found) => {
                    let seen = Seen::new(found.meta.e_tag.clone(), found.meta.version.clone());
                    found.bytes().await.map(|bytes| (Some(Vec::from(bytes)), seen))
                }
                Err(object_store::Error::NotFound { .. }) => Ok((None, Seen::default())),
                Err(error) => Err(error),
            }
        })
    }

    /// Puts an object in place of the one that was seen; fails if another writer came between.
    pub(super) fn replace(&self, name: &str, bytes: Vec<u8>, seen: &Seen) -> Result<Seen> {
        let path = self.path(name)?;
        let put = async |mode: PutMode| {
            let put = self.store.put_opts(&path, PutPayload::from(bytes.clone()), mode.into()).await;
            put.map(|PutResult { e_tag, version, .. }| Seen::new(e_tag, version))
        };
        let mode = if self.is_blind.load(Ordering::Relaxed) { PutMode::Overwrite } else { seen.mode() };
        let answer = self.wait(async {
            match put(mode).await {
                Err(error) if is_not_implemented(&error) => {
                    self.is_blind.store(true, Ordering::Relaxed);
                    put(PutMode::Overwrite).await.map(Some)
                }
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                    Ok(None)
                }
                answer => answer.map(Some),
            }
        });
        if let Some(seen) = answer? {
            return Ok(seen);
        }
        // It may be this put, whose first answer was lost.
        let (found, seen) = self.get(name)?;
        if found.is_some_and(|found| found == bytes) {
            return Ok(seen);
        }
        Err(self.failed(&format!("{name} has changed meanwhile")).hint(
            "another connection writes there, or a cache in front of the store gives old answers; the next \
             attempt reads it again",
        ))
    }

    /// Puts an object in place of one of this name.
    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.path(name)?;
        self.wait(async { self.store.put(&path, PutPayload::from(bytes)).await.map(drop) })
    }

    /// Puts a file, in parts if it is large.
    pub(super) fn put_file(&self, name: &str, file: &FilePath) -> Result<()> {
        let wrong = |error: std::io::Error| super::file_failure::failed(file, &error);
        let mut content = File::open(file).map_err(wrong)?;
        if content.metadata().map_err(wrong)?.len() <= PART_BYTES as u64 {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(wrong)?;
            return self.put(name, bytes);
        }
        let path = self.path(name)?;
        let upload = self.wait(self.store.put_multipart(&path))?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        match self.put_parts(&mut parts, &mut content).and_then(|parts| parts.map_err(wrong)) {
            // It removes the parts if it fails.
            Ok(()) => self.wait(parts.finish()).map(drop),
            Err(error) => {
                // Parts without an object are stored, and billed, until someone removes them.
                let _stay = self.wait(parts.abort());
                Err(error)
            }
        }
    }

    /// Puts the parts of a file; a failure of the store, or else one of the file.
    fn put_parts(&self, parts: &mut WriteMultipart, content: &mut File) -> Result<std::io::Result<()>> {
        let mut part = vec![0; PART_BYTES];
        loop {
            let bytes = match content.read(&mut part) {
                Ok(read) => part.get(..read).unwrap_or_default(),
                Err(error) => return Ok(Err(error)),
            };
            if bytes.is_empty() {
                return Ok(Ok(()));
            }
            self.wait(parts.wait_for_capacity(1))?;
            let _context = STORES.runtime()?.enter();
            parts.write(bytes);
        }
    }

    /// Whether there is an object of this name.
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        let path = self.path(name)?;
        self.wait(async {
            match self.store.head(&path).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// Removes an object, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        self.wait(async {
            match self.store.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }

    fn path(&self, name: &str) -> Result<Path> {
        let path = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        Path::parse(&path).map_err(|error| Error::sink(format!("{}: {}", self.name, short(&error))))
    }

    /// Waits for a call on this thread.
    fn wait<T>(&self, call: impl Future<Output = object_store::Result<T>>) -> Result<T> {
        let call = async {
            tokio::select! {
                biased;
                () = self.stop.notified() => Err(self.failed("the sink was closed")),
                answer = call => answer.map_err(|error| self.refused(&error)),
            }
        };
        STORES.wait(CALL_TIMEOUT, call)?.unwrap_or_else(|| Err(self.failed("no answer")))
    }

    fn failed(&self, what: &str) -> Error {
        Error::new(Origin::Sink, Kind::Unavailable, format!("{}: {what}", self.name))
    }

    /// A failure of the store: all of them can end without a change to the connection file.
    fn refused(&self, error: &object_store::Error) -> Error {
        let failed = self.failed(&short(error));
        match error {
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                failed.hint(
                    "the keys need s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and \
                     s3:ListBucket there: those in the URL, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                )
            }
            object_store::Error::NotFound { .. } => failed.hint("create the bucket"),
            _ => failed,
        }
    }
}

/// Whether a store does not know the header that says what a put replaces.
fn is_not_implemented(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Generic { .. }) && error.to_string().contains("501 Not Implemented")
}

/// An error with its causes on one line, cut.
fn short(error: &dyn std::error::Error) -> String {
    let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cause = error.source();
    while let Some(next) = cause.and_then(|cause| cause.source()) {
        cause = Some(next);
    }
    let cause = cause.map(ToString::to_string).filter(|cause| !text.contains(cause.as_str()));
    let text = cause.map_or(text.clone(), |cause| format!("{text}: {cause}"));
    match text.char_indices().nth(MESSAGE_BYTES_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
