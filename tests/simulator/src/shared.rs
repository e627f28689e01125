//! The state of one running simulator, and its locks.
//!
//! Lock order: settings, accounts, world, webhooks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::http::faults::FaultPlan;
use crate::http::meter::Meter;
use crate::http::request_log::RequestLog;
use crate::http::rules::RuleCounts;
use crate::oauth::Accounts;
use crate::options::Options;
use crate::settings::{FaultSettings, Settings};
use crate::webhooks::Webhooks;
use crate::world::World;
use crate::world::change::{ChangeError, Event, Stamp};

/// One running simulator.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) meter: Meter,
    pub(crate) faults: FaultPlan,
    pub(crate) rules: RuleCounts,
    pub(crate) request_log: RequestLog,
    pub(crate) webhooks: Webhooks,
    /// Notified to stop the server.
    pub(crate) stop: Notify,
    address: OnceLock<SocketAddr>,
    settings: RwLock<Arc<Settings>>,
    accounts: Mutex<Accounts>,
    world: RwLock<World>,
}

impl Shared {
    /// A simulator that does not listen yet.
    pub(crate) fn new(options: Options) -> Shared {
        let clock = Clock::default();
        Shared {
            accounts: Mutex::new(Accounts::new(&options, clock.now_ms())),
            world: RwLock::new(World::new(&options)),
            settings: RwLock::new(Arc::new(options.settings.clone())),
            webhooks: Webhooks::new(&options),
            meter: Meter::default(),
            faults: FaultPlan::default(),
            rules: RuleCounts::default(),
            request_log: RequestLog::default(),
            stop: Notify::new(),
            address: OnceLock::new(),
            clock,
            options,
        }
    }

    /// Sets the address that the simulator listens on.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        // Called once, when the listener is bound.
        let _ = self.address.set(address);
    }

    /// `http://127.0.0.1:PORT`; empty before [`Shared::set_address`].
    pub(crate) fn url(&self) -> String {
        self.address.get().map(|address| format!("http://{address}")).unwrap_or_default()
    }

    /// The current settings.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the settings. A changed plan of faults starts from its beginning, and so do rules, unless the
    /// change only appends others.
    pub(crate) fn set_settings(&self, settings: Settings) {
        let current = self.settings();
        let (old, new) = (&current.faults, &settings.faults);
        let restart = old != new;
        if !new.rules.starts_with(&old.rules) {
            self.rules.restart();
        }
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        if restart {
            self.faults.restart();
        }
    }

    /// Disables all faults.
    pub(crate) fn heal(&self) {
        let settings = Settings { faults: FaultSettings::default(), ..(*self.settings()).clone() };
        self.set_settings(settings);
    }

    /// The accounts host.
    pub(crate) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records, to read.
    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes records and publishes the events, which are queued in the order of the changes. `source_id` is
    /// the `sourceId` of the request (§6.6).
    pub(crate) fn change<T>(
        &self,
        source_id: Option<&str>,
        make: impl FnOnce(&mut World, Stamp) -> Result<(T, Vec<Event>), ChangeError>,
    ) -> Result<T, ChangeError> {
        let settings = self.settings();
        let stamp = Stamp::new(&self.clock, &settings);
        let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
        let (value, events) = make(&mut world, stamp)?;
        self.webhooks.publish(&settings, events, source_id);
        Ok(value)
    }

    /// Credits per day: the setting, otherwise those of the edition.
    pub(crate) fn daily_credits(&self, settings: &Settings) -> u64 {
        let users = u64::from(self.options.sizes.agents.max(1));
        settings.daily_credits.unwrap_or_else(|| self.options.edition.daily_credits(users))
    }

    /// Credits of the day that other users leave to the client.
    pub(crate) fn own_credits(&self, settings: &Settings) -> u64 {
        self.daily_credits(settings).saturating_sub(settings.others.used(self.clock.now_ms()))
    }

    /// Concurrent calls that the organization and other users leave to the client; none: no limit.
    pub(crate) fn own_concurrency(&self, settings: &Settings) -> Option<u32> {
        let limit = settings.concurrency.unwrap_or_else(|| self.options.edition.concurrency());
        (limit > 0).then(|| limit.saturating_sub(settings.others.concurrency))
    }
}
