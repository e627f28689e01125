//! `serve`: many connections in one process, each with its actor, behind one listener for webhooks.
//!
//! The port opens first, on a separate thread: state and journal hold all that a delivery needs. Meanwhile
//! connections are loaded, then added, changed and removed without touching the others ([`plan`] decides,
//! [`connections`] executes). A supervisor restarts a failed actor with backoff, or stops it until its file
//! or its session changes ([`supervisor`]). Commands run inside the connection's actor, reached through the
//! server API ([`control`]).

mod connection_files;
mod connections;
pub(crate) mod control;
mod ended;
mod loader;
mod loads;
mod plan;
mod scan;
mod status;
mod supervisor;
mod url_answer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};

use self::connections::{Connections, Notify};
use self::control::Control;
use self::plan::Reload;
use self::status::Overview;
use self::supervisor::Shared;
use crate::error::{Error, Result};
use crate::heap;
use crate::ingress::{self, Ingress, Listener, Observe, Tls, TlsFiles};
use crate::journal::{Journal, JournalLimits, RecoveryReport};
use crate::paths::Paths;
use crate::stop::Stop;
use crate::webhook_url::{PublicUrl, UrlRegistry};

/// How often connection files are checked for changes.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// How often memory that nothing uses is given back; for the first time after the start, which uses most.
const TRIM_EVERY: Duration = Duration::from_secs(60);
/// Time for everything to stop: a commit takes milliseconds, a call gets five seconds.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// What to serve, and where.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Connection files.
    pub files: Vec<PathBuf>,
    /// A folder of connection files, checked for changes.
    pub folder: Option<PathBuf>,
    /// Where to listen for deliveries; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to listen for operators.
    pub admin: SocketAddr,
    /// Calls of components at a time.
    pub instances: u32,
    /// Certificate and key, if TLS ends here.
    pub tls: Option<TlsFiles>,
    /// The URL under which the source reaches the listener.
    pub public_url: Option<PublicUrl>,
    /// Whether to subscribe the URL of every connection at its source.
    pub subscribe: bool,
}

/// Serves until a stop is requested. `notify` gets lines for the operator.
pub(crate) async fn run(
    options: Options,
    paths: Paths,
    mut stop: Stop,
    notify: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let mut hangup =
        signal(SignalKind::hangup()).map_err(|error| Error::host(format!("no signals: {error}")))?;
    heap::share();
    // Bound first: senders wait in the kernel's queue while the journal is verified.
    let listener = Listener::bind("--listen", options.listen)?;
    let admin = Listener::bind("--admin", options.admin)?;
    let tls = options.tls.clone().map(Tls::open).transpose()?;
    crate::files::private_folder(&paths.data)?;
    paths.verify()?;
    let Some(journal) = open_journal(&paths, &mut stop, notify).await? else { return Ok(()) };
    let registry = UrlRegistry::default();
    let metrics = ingress::Metrics::default();
    let overview = Arc::new(Overview::new(journal.clone(), paths.redactor.clone(), &metrics));
    let control = Control::new(
        Arc::new(journal.clone()),
        Arc::clone(&overview) as Arc<dyn Observe>,
        registry.clone(),
        paths.redactor.clone(),
    );
    let _socket = control.listen(&paths.data);
    let shared = Shared { paths, journal: journal.clone(), registry: registry.clone(), control };
    let mut connections = Connections::new(&options, shared, Arc::clone(&overview));
    tokio::select! {
        begun = connections.begin(notify) => begun?,
        () = stop.requested() => return Ok(()),
    }
    let settings = ingress::Options {
        tls: tls.clone(),
        metrics,
        served: connections.served(),
        ..ingress::Options::default()
    };
    let ingress = Ingress::new(listener, settings, registry, journal.clone())?;
    let pages = ingress::Options::pages(overview);
    let admin = Ingress::new(admin, pages, UrlRegistry::default(), journal)?;
    for warning in &ingress.warnings {
        notify(&format!("warning: {warning}"));
    }
    if let Some(warning) = options.public_url.as_ref().and_then(PublicUrl::warning) {
        notify(&format!("warning: {warning}"));
    }
    let url = ingress.url();
    notify(&format!("pages for operators on {}/-/health", admin.url()));
    notify(&format!("deliveries are taken on {url}; loading connections"));
    let admin = tokio::spawn(admin.run(stop.clone()));
    let mut listening = ingress.start(stop.clone())?;
    let mut ended = None;
    if connections.finish_start(&mut stop, notify).await? {
        // Last: from this line on, every command reaches the server.
        notify(&format!("listening on {url}"));
        ended = follow(&mut connections, &mut listening, &mut hangup, &mut stop, (tls, notify)).await;
    }
    tracing::info!("stopping");
    let stopped = async {
        connections.stop_all().await;
        // Ended already, if that is why the server stops.
        let _both = (listening.changed().await, admin.await);
    };
    if ended.is_none() && tokio::time::timeout(STOP_WITHIN, stopped).await.is_err() {
        tracing::warn!(seconds = STOP_WITHIN.as_secs(), "did not stop in time; no delivery is lost");
    }
    ended.map_or(Ok(()), Err)
}

/// Opens the journal; none if a stop is requested meanwhile.
async fn open_journal(paths: &Paths, stop: &mut Stop, notify: Notify<'_>) -> Result<Option<Journal>> {
    let file = paths.journal();
    // Its last owner may take seconds to stop, and all of its records are read.
    let opening = spawn_blocking(move || Journal::open(file, JournalLimits::default()));
    let opened = tokio::select! {
        opened = opening => opened.map_err(|error| Error::host(format!("journal: {error}"))),
        () = stop.requested() => return Ok(None),
    };
    let (journal, found) = opened??;
    print_recovery(&found, notify);
    Ok(Some(journal))
}

/// Follows files and signals until a stop is requested; an error if the listener ended before.
async fn follow(
    connections: &mut Connections,
    listening: &mut watch::Receiver<()>,
    hangup: &mut Signal,
    stop: &mut Stop,
    (tls, notify): (Option<Tls>, Notify<'_>),
) -> Option<Error> {
    let mut check = tokio::time::interval(CHECK_EVERY);
    let mut trim = tokio::time::interval(TRIM_EVERY);
    // Tasks, because files may hang.
    let mut reloads = JoinSet::new();
    check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => return None,
            _ = listening.changed() => {
                if stop.is_requested() {
                    return None;
                }
                return Some(Error::host("the listener for deliveries ended").hint("a defect; see the log"));
            }
            () = received(hangup) => {
                connections.start_scan(Reload::Everything);
                if let Some(tls) = tls.clone() {
                    reloads.spawn_blocking(move || tls.reload());
                }
            }
            Some(reloaded) = reloads.join_next() => {
                if let Ok(Err(error)) = reloaded {
                    notify(&format!("warning: {error}"));
                }
            }
            _ = trim.tick() => drop(spawn_blocking(heap::trim)),
            _ = check.tick() => connections.start_scan(Reload::ChangedFiles),
            event = connections.next() => connections.handle(event, notify),
        }
    }
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
