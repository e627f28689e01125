//! `serve`: many connections in one process, each with its actor, behind one listener for webhooks.
//!
//! Validates connection files before it listens. Connections are added, changed and removed without touching
//! the others ([`connections`]). A supervisor restarts a failed actor with backoff, or stops it until its
//! file or its session changes ([`supervisor`]). Commands run inside the connection's actor, reached through
//! a Unix socket ([`control`]). The URL of a connection that does not run keeps answering ([`webhook_urls`]).

mod connection_files;
mod connections;
pub mod control;
mod loader;
mod status;
mod supervisor;
mod webhook_urls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::connections::{Connections, Reload};
use self::status::Overview;
use crate::error::{Error, Result};
use crate::ingress::{self, Ingress, TlsFiles};
use crate::journal::{Journal, JournalLimits, RecoveryReport};
use crate::paths::Paths;
use crate::stop::Stop;
use crate::webhook_url::{PublicUrl, UrlRegistry};

/// How often connection files are checked for changes.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// Time for everything to stop: a commit takes milliseconds, a call gets five seconds.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connection files.
    pub files: Vec<PathBuf>,
    /// A folder of connection files, checked for changes.
    pub folder: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key, if TLS ends here.
    pub tls: Option<TlsFiles>,
    /// The URL under which the source reaches the listener.
    pub public_url: Option<PublicUrl>,
    /// Whether to subscribe the URL of every connection at its source.
    pub subscribe: bool,
}

/// Serves until a stop is requested. `notify` gets lines for the operator.
pub async fn run(
    options: Options,
    paths: Paths,
    mut stop: Stop,
    notify: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let mut hangup =
        signal(SignalKind::hangup()).map_err(|error| Error::host(format!("no signals: {error}")))?;
    crate::state::private_folder(&paths.data)?;
    let (journal, found) = Journal::open(paths.journal(), JournalLimits::default())?;
    print_recovery(&found, notify);
    let registry = UrlRegistry::default();
    let metrics = ingress::Metrics::default();
    let overview = Arc::new(Overview::new(journal.clone(), paths.redactor.clone(), &metrics));
    let mut connections =
        Connections::new(&options, paths, journal.clone(), registry.clone(), Arc::clone(&overview));
    // Before the listener: an invalid file must fail before any URL answers.
    let loaded = connections.load_all(notify).await?;
    let settings = ingress::Options {
        tls: options.tls.clone(),
        observe: overview,
        metrics,
        ..ingress::Options::new(options.listen)
    };
    let ingress = Ingress::bind(settings, registry, journal)?;
    let tls = ingress.tls();
    for warning in &ingress.warnings {
        notify(&format!("warning: {warning}"));
    }
    if let Some(warning) = options.public_url.as_ref().and_then(PublicUrl::warning) {
        notify(&format!("warning: {warning}"));
    }
    let url = ingress.url();
    let listening = tokio::spawn(ingress.run(stop.clone()));
    connections.start_all(loaded, notify).await;
    // Last: from this line on, every command reaches the server.
    notify(&format!("listening on {url}"));
    let mut check = tokio::time::interval(CHECK_EVERY);
    check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => break,
            () = received(&mut hangup) => {
                connections.reconcile(Reload::Everything, notify).await;
                if let Some(Err(error)) = tls.as_ref().map(ingress::Tls::reload) {
                    notify(&format!("warning: {error}"));
                }
            }
            _ = check.tick() => connections.reconcile(Reload::ChangedFiles, notify).await,
        }
    }
    tracing::info!("stopping");
    let stopped = async { tokio::join!(connections.stop_all(), listening) };
    if tokio::time::timeout(STOP_WITHIN, stopped).await.is_err() {
        tracing::warn!(seconds = STOP_WITHIN.as_secs(), "did not stop in time; no delivery is lost");
    }
    Ok(())
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Reports the recovery of the journal.
fn print_recovery(report: &RecoveryReport, notify: &(dyn Fn(&str) + Sync)) {
    if let Some(replaced) = &report.replaced {
        notify(&format!(
            "warning: journal: could not be read ({}); moved to {}, {} deliveries recovered, {} lost",
            replaced.reason,
            replaced.moved_to.display(),
            replaced.saved,
            replaced.lost
        ));
    }
    if report.corrupt > 0 {
        notify(&format!("warning: journal: {} corrupt deliveries became dead letters", report.corrupt));
    }
    for one in report.connections.iter().filter(|one| one.pending > 0) {
        let (deliveries, bytes) = (one.pending, one.bytes);
        tracing::info!(connection = %one.name, deliveries, bytes, "queued in the journal");
    }
}
