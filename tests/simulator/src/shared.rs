//! All that one running simulator consists of, and the locks around it.
//!
//! Order of locks, where more than one is held: settings, accounts, world, webhooks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::http::faults::Plan;
use crate::http::journal::Journal;
use crate::http::meter::Meter;
use crate::oauth::Accounts;
use crate::options::Options;
use crate::settings::Settings;
use crate::webhooks::Webhooks;
use crate::world::World;
use crate::world::change::{Event, Refused, Stamp};

/// One running simulator.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) meter: Meter,
    pub(crate) faults: Plan,
    pub(crate) journal: Journal,
    pub(crate) webhooks: Webhooks,
    /// Told when the server shall stop.
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
            faults: Plan::default(),
            journal: Journal::default(),
            stop: Notify::new(),
            address: OnceLock::new(),
            clock,
            options,
        }
    }

    /// Where it listens, from now on.
    pub(crate) fn set_address(&self, address: SocketAddr) {
        // Set once, by the server.
        let _ = self.address.set(address);
    }

    /// `http://127.0.0.1:PORT`; empty before it listens.
    pub(crate) fn url(&self) -> String {
        self.address.get().map(|address| format!("http://{address}")).unwrap_or_default()
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the settings.
    pub(crate) fn set_settings(&self, settings: Settings) {
        let restart = settings.faults != self.settings().faults;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        if restart {
            self.faults.restart();
        }
    }

    /// The accounts host.
    pub(crate) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records, to read.
    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records, to write without telling webhooks.
    pub(crate) fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes records and tells the webhooks, in the order of the changes.
    pub(crate) fn change<T>(
        &self,
        source_id: Option<&str>,
        make: impl FnOnce(&mut World, Stamp) -> Result<(T, Vec<Event>), Refused>,
    ) -> Result<T, Refused> {
        let settings = self.settings();
        let stamp = Stamp::new(&self.clock, &settings);
        let mut world = self.world_mut();
        let (value, events) = make(&mut world, stamp)?;
        self.webhooks.publish(&settings, events, source_id);
        Ok(value)
    }

    /// Credits per day.
    pub(crate) fn daily_credits(&self, settings: &Settings) -> u64 {
        let users = u64::from(self.options.sizes.agents.max(1));
        settings.daily_credits.unwrap_or_else(|| self.options.edition.daily_credits(users))
    }
}
