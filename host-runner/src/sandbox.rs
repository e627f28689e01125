//! The sandbox of one connection: every call of the contract ([`calls`]), bounded in time and CPU.
//!
//! A trap, a timeout or a limit drops the instance and becomes an error; the next call creates another one
//! with the same configuration and session. The session is saved after every call that changed it. Knows
//! nothing of tables, files or retries.

mod calls;
mod cpu_account;
mod error;
mod instance;
mod offline;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use self::cpu_account::{Cpu, within};
use self::error::{refused, stopped, timed_out, used_up};
use self::instance::{Live, Slot};
use crate::bindings::types;
use crate::boundary;
use crate::boundary::limits::SESSION;
use crate::clock;
use crate::conv;
use crate::egress::{Client, Hooks, Meter};
use crate::engine::permits::{Class, Origin, Permit};
use crate::engine::{Component, Linked};
use crate::error::{Error, Result};
use crate::limits::{INSTANCE_REQUESTS_MAX, Limits};
use crate::secret::Redactor;
use crate::store_data::Host;
use crate::store_data::budget::Share;

pub(crate) use self::offline::validate;

/// Where the session of a connection is kept: tokens and other secrets of a component.
pub trait SessionStore: Send + Sync {
    /// Stores a changed session durably; none deletes it. May block.
    fn save(&self, session: Option<&str>) -> Result<()>;
    /// Reports that the component's session was refused; the one before it is kept.
    fn report_refused(&self, error: &Error);
    /// Whether the last [`Self::save`] succeeded.
    fn is_saved(&self) -> bool;
}

/// A component that runs for one connection.
pub struct Sandbox {
    linked: Linked,
    config: String,
    session: Option<String>,
    /// Whether the store has the session.
    is_saved: bool,
    /// Why the component's newest session was refused; the one before it counts.
    refused_session: Option<Error>,
    sessions: Arc<dyn SessionStore>,
    redactor: Redactor,
    client: Client,
    limits: Limits,
    meter: Arc<Meter>,
    cpu: Cpu,
    /// Of the memory that instances share.
    share: Share,
    /// The host that it calls first of all.
    origin: Option<Origin>,
    instance: Arc<Slot>,
    /// Waits for the permit of the next read.
    reserving: JoinSet<Result<Permit>>,
    reserved: Option<Permit>,
}

/// With what the answer of a call is checked.
struct Checks {
    redactor: Redactor,
    /// By the source's clock, when the call returned.
    now_ms: u64,
}

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;
type Calling<'a, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 'a>>;

impl Sandbox {
    /// A sandbox for a connection; nothing runs yet.
    pub fn new(
        component: &Component,
        config: String,
        session: Option<String>,
        sessions: Arc<dyn SessionStore>,
        redactor: Redactor,
        client: Client,
        limits: Limits,
    ) -> Result<Self> {
        let linked = component.link()?;
        let (meter, is_saved) = (Arc::new(Meter::new(redactor.clone())), sessions.is_saved());
        let origin = client.policy().declared().first().map(|host| Origin::from(host.to_string()));
        let instance = Slot::new(&linked.permits);
        let (reserving, reserved) = (JoinSet::new(), None);
        Ok(Self {
            linked,
            config,
            session,
            is_saved,
            refused_session: None,
            sessions,
            redactor,
            client,
            limits,
            meter,
            cpu: Cpu::default(),
            share: Share::All,
            origin,
            instance,
            reserving,
            reserved,
        })
    }

    /// Drops the instance and the idle sockets until the next call; they hold no state that is not stored.
    pub fn release(&mut self) {
        drop(self.instance.take());
        self.rest();
    }

    /// Closes the idle sockets alone.
    pub fn rest(&mut self) {
        self.client.rest();
    }

    /// Waits for the permit of a read. May be canceled, to apply a delivery first; it keeps its place in the
    /// queue until [`Self::unreserve`].
    pub async fn reserve_read(&mut self) -> Result<()> {
        if self.reserved.is_none() {
            if self.reserving.is_empty() {
                let (permits, origin) = (self.linked.permits.clone(), self.origin.clone());
                let cpu = self.cpu.clone();
                self.reserving.spawn(async move {
                    cpu.turn().await;
                    permits.acquire(Class::Read, origin.as_ref()).await
                });
            }
            if let Some(permit) = self.reserving.join_next().await {
                let permit = permit.map_err(|error| Error::host(format!("sandbox: {error}")))?;
                self.reserved = Some(permit?);
            }
        }
        Ok(())
    }

    /// Gives the place, or the permit, to others: nothing is to be read now.
    pub fn unreserve(&mut self) {
        self.reserving = JoinSet::new();
        self.reserved = None;
    }

    /// Limits the connection to its share of processor and memory, as one of many in the process.
    pub fn share_machine(&mut self) {
        (self.cpu, self.share) = (Cpu::limited(), Share::Half);
    }

    /// Draws time that the connection's other work used on its share of the processor.
    pub(crate) fn cpu_meter(&self) -> impl Fn(Duration) + Send + Sync + use<> {
        let cpu = self.cpu.clone();
        move |used| cpu.draw(used)
    }

    /// Whether there is an instance.
    pub fn is_live(&self) -> bool {
        self.instance.is_live()
    }

    /// Requests sent so far, and the last one that was refused.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Continues without a session, which the caller has deleted.
    pub fn forget_session(&mut self) {
        self.release();
        (self.session, self.is_saved, self.refused_session) = (None, true, None);
    }

    /// Runs one call once the connection has its share of the processor, and checks its answer on a thread
    /// that may block: the component decides how long this takes.
    async fn call<T: Send + 'static, U: Send + 'static>(
        &mut self,
        name: &'static str,
        export: impl for<'a> FnOnce(&'a mut Live) -> Calling<'a, T> + Send,
        check: impl FnOnce(T, &Checks) -> Result<U> + Send + 'static,
    ) -> Result<U> {
        let cpu = self.cpu.clone();
        // A permit is not held while the account fills.
        if self.reserved.is_none() {
            cpu.turn().await;
        }
        // In a box, so that the task of a connection that is idle has no room for it.
        let answer = cpu.metered(Box::pin(self.call_now(name, export))).await;
        let answer = answer.map_err(|error| self.redacted(error))?;
        let now_ms = conv::source_now_ms(clock::now_ms(), self.meter.skew_ms());
        let checks = Checks { redactor: self.redactor.clone(), now_ms };
        cpu.work(move || match answer {
            Ok(answer) => check(answer, &checks),
            Err(error) => Err(conv::error(error, &checks.redactor)),
        })
        .await?
    }

    /// Runs one call within its limits, in the open instance or another one, and saves a changed session. The
    /// session is saved before the next call starts: a token that works once would be lost. The answer of a
    /// call counts also if the session after it is refused: a delivery must not fail for it.
    async fn call_now<T: Send>(
        &mut self,
        name: &'static str,
        export: impl for<'a> FnOnce(&'a mut Live) -> Calling<'a, T> + Send,
    ) -> Result<Result<T, types::Error>> {
        let class = match name {
            // Not `discover`: without its tables a connection applies no delivery.
            "read" | "fetch" | "subscribe" => Class::Read,
            _ => Class::Prompt,
        };
        // The permit of a read is neither used for another call nor held while this one waits.
        if class == Class::Prompt || !self.is_saved {
            self.unreserve();
        }
        self.save().await?;
        let permit = match self.reserved.take() {
            Some(permit) => permit,
            None if self.reserving.is_empty() => {
                self.linked.permits.acquire(class, self.origin.as_ref()).await?
            }
            None => match self.reserving.join_next().await {
                Some(permit) => permit.map_err(|error| Error::host(format!("sandbox: {error}")))??,
                None => self.linked.permits.acquire(class, self.origin.as_ref()).await?,
            },
        };
        let mut live = match self.instance.take() {
            Some(live) => live,
            None => self.open(&permit).await?,
        };
        self.meter.take_denied();
        let calling = async {
            let answer = export(&mut live).await?;
            let source = live.world.connector_source_source().connection();
            let session = source.call_session(&mut live.store, live.connection).await?;
            Ok((answer, session))
        };
        let (answer, session) = bounded(name, &self.limits, timed_out, calling).await?;
        if self.meter.requests() - live.requests_before < INSTANCE_REQUESTS_MAX {
            self.instance.park(live);
        } else {
            drop(live);
        }
        // The last use of the instance came before: the next holder of the permit may take its room.
        drop(permit);
        let is_reported = self.refused_session.is_some();
        let admitted = session.as_ref().map(|session| boundary::document(&SESSION, name, session));
        self.refused_session = admitted.and_then(Result::err);
        match &self.refused_session {
            Some(error) if !is_reported => self.sessions.report_refused(error),
            Some(_) => {}
            None if session == self.session => {}
            None => {
                (self.session, self.is_saved) = (session, false);
                self.save().await?;
            }
        }
        match answer {
            Err(error) => self.meter.take_denied().map_or(Ok(Err(error)), |denial| Err(refused(&denial))),
            answer => Ok(answer),
        }
    }

    /// Creates an instance and opens the connection in it.
    async fn open(&self, _permit: &Permit) -> Result<Live> {
        let hooks = Hooks { client: self.client.clone(), meter: Arc::clone(&self.meter) };
        let room = self.linked.permits.room();
        let memory = self.linked.memory.account(self.share);
        let mut store = Host::store(&self.linked.engine, &self.limits, hooks, memory);
        let opening = async {
            let world = self.linked.pre.instantiate_async(&mut store).await?;
            let source = world.connector_source_source().connection();
            let session = self.session.as_ref();
            let opened = source.call_open(&mut store, &self.config, session).await?;
            Ok((world, opened))
        };
        let (world, opened) = bounded("open", &self.limits, timed_out, opening).await?;
        let connection = opened.map_err(|error| conv::error(error, &self.redactor))?;
        let requests_before = self.meter.requests();
        Ok(Live { store, world, connection, requests_before, _room: room })
    }

    /// Saves the session, unless it is saved. It is kept after a failure, and saved before the next call.
    async fn save(&mut self) -> Result<()> {
        if self.is_saved {
            return Ok(());
        }
        let (sessions, session) = (Arc::clone(&self.sessions), self.session.clone());
        let saving = self.cpu.work(move || sessions.save(session.as_deref()));
        saving.await.map_err(|error| Error::state(format!("session: stopped: {error}")))??;
        self.is_saved = true;
        Ok(())
    }

    /// An error of the host without the secrets that it may quote, for example of a request. Those of the
    /// component were redacted at the boundary.
    fn redacted(&self, mut error: Error) -> Error {
        error.message = self.redactor.redact(&error.message);
        error.hint = error.hint.map(|hint| self.redactor.redact(&hint));
        error
    }
}

/// Runs a call within its time, beyond which `late` is its failure, and within its processor time.
async fn bounded<T>(
    name: &'static str,
    limits: &Limits,
    late: fn(&str, &Limits) -> Error,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Result<T> {
    match timeout(limits.sandbox.call_timeout, within(limits.sandbox.cpu_time, call)).await {
        Ok(Some(Ok(value))) => Ok(value),
        Ok(Some(Err(trap))) => Err(stopped(name, &trap, limits)),
        Ok(None) => Err(used_up(name, limits)),
        Err(_) => Err(late(name, limits)),
    }
}

#[cfg(test)]
mod tests;
