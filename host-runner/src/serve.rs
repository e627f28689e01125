//! `serve`: many connections in one process, each with its actor, behind one listener for webhooks.
//!
//! Everything that can be wrong is found before it listens. Connections come, change and go without
//! touching the others ([`tenants`]); a connection that fails as a whole begins again by itself or waits
//! for a person ([`keeper`]); the command line asks for what only the actor may do ([`control`]). A connection that
//! is not at work still has its URL ([`absent`]).

mod absent;
mod board;
pub mod control;
mod files;
mod keeper;
mod loading;
mod settling;
mod tenants;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::board::Board;
use self::tenants::Tenants;
use crate::error::{Error, Result};
use crate::hooks::{PublicUrl, Registry};
use crate::ingress::{self, Ingress, TlsFiles};
use crate::journal::{Found, Journal, JournalLimits};
use crate::paths::Paths;
use crate::stop::Stop;

/// How often the connection files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Time for everything to end after a stop: a commit takes milliseconds, a call gets five seconds.
const END_WITHIN: Duration = Duration::from_secs(10);

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connection files.
    pub files: Vec<PathBuf>,
    /// A folder of connection files, looked at again and again.
    pub folder: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key, if TLS ends here.
    pub tls: Option<TlsFiles>,
    /// The outside name.
    pub public_url: Option<PublicUrl>,
    /// Register the URL of every connection at its source.
    pub subscribe: bool,
}

/// Serves until it is asked to stop. `say` takes lines for the person who started it.
pub async fn run(options: Options, paths: Paths, mut stop: Stop, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    let mut hangup =
        signal(SignalKind::hangup()).map_err(|error| Error::host(format!("no signals: {error}")))?;
    crate::state::private_folder(&paths.data)?;
    let (journal, found) = Journal::open(paths.journal(), JournalLimits::default())?;
    tell_found(&found, say);
    let registry = Registry::default();
    let board = Arc::new(Board::new(journal.clone(), paths.redactor.clone()));
    let mut tenants = Tenants::new(&options, paths, journal.clone(), registry.clone(), Arc::clone(&board));
    // Loaded first: nothing listens, and nothing is called, before all of them can be used.
    let loaded = tenants.load_all(say).await?;
    let settings = ingress::Options {
        tls: options.tls.clone(),
        observe: board,
        ..ingress::Options::new(options.listen)
    };
    let ingress = Ingress::bind(settings, registry, journal)?;
    let tls = ingress.tls_reload();
    for warning in &ingress.warnings {
        say(&format!("warning: {warning}"));
    }
    if let Some(warning) = options.public_url.as_ref().and_then(PublicUrl::warning) {
        say(&format!("warning: {warning}"));
    }
    let url = ingress.url();
    let listening = tokio::spawn(ingress.run(stop.clone()));
    tenants.start_all(loaded, say).await;
    // Last: who reads it may use every command at once.
    say(&format!("listening on {url}"));
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => break,
            () = hung_up(&mut hangup) => {
                tenants.look(true, say).await;
                if let Some(Err(error)) = tls.as_ref().map(crate::ingress::TlsReload::reload) {
                    say(&format!("warning: {error}"));
                }
            }
            _ = look.tick() => tenants.look(false, say).await,
        }
    }
    tracing::info!("stopping");
    let ending = async { tokio::join!(tenants.stop_all(), listening) };
    if tokio::time::timeout(END_WITHIN, ending).await.is_err() {
        tracing::warn!(seconds = END_WITHIN.as_secs(), "did not end in time; nothing is lost");
    }
    Ok(())
}

async fn hung_up(hangup: &mut Signal) {
    if hangup.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Says what start-up found in the journal, if it is worth saying.
fn tell_found(found: &Found, say: &(dyn Fn(&str) + Sync)) {
    if let Some(replaced) = &found.replaced {
        say(&format!(
            "warning: journal: could not be read ({}); moved to {}, {} deliveries saved, {} lost",
            replaced.reason,
            replaced.moved_to.display(),
            replaced.saved,
            replaced.lost
        ));
    }
    if found.corrupt > 0 {
        say(&format!("warning: journal: {} damaged deliveries are dead letters now", found.corrupt));
    }
    for one in found.connections.iter().filter(|one| one.pending > 0) {
        tracing::info!(connection = %one.name, deliveries = one.pending, bytes = one.bytes, "found in the journal");
    }
}
