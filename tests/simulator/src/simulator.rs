//! The handle of a running simulator, for synchronous code.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::admin::mutate::{self, Mutation};
use crate::http::server;
use crate::oauth::scopes::Scopes;
use crate::options::Options;
use crate::settings::{Rule, Settings};
use crate::shared::Shared;
use crate::stats::{credits, stats};
use crate::truth::{TruthQuery, lines};
use crate::world::ticket_more;

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Generates the data, listens on 127.0.0.1 and serves on a separate thread. The error is that of the
    /// listener, the thread or the runtime.
    pub fn start(options: Options) -> io::Result<Simulator> {
        let runtime = runtime(options.threads)?;
        let port = options.port;
        let shared = Arc::new(Shared::new(options));
        if shared.options.warm {
            shared.world().warm();
        }
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
        let address = listener.local_addr()?;
        shared.set_address(address);
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("desk-simulator".to_owned()).spawn(move || {
            served.webhooks.attach(runtime.handle().clone(), Arc::downgrade(&served));
            runtime.block_on(server::serve(served, listener));
            runtime.shutdown_background();
        })?;
        Ok(Simulator { shared, address, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`, of accounts host and Desk host alike.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The options it was started with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The current settings.
    pub fn settings(&self) -> Settings {
        Settings::clone(&self.shared.settings())
    }

    /// Modifies the settings.
    pub fn set(&self, alter: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings();
        alter(&mut settings);
        self.shared.set_settings(settings);
    }

    /// Disables all faults.
    pub fn heal(&self) {
        self.shared.heal();
    }

    /// Moves the clock forward, so that tokens expire without waiting.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by.as_millis() as i64);
    }

    /// Sets the distance of the clock from the machine's: a jump, forward or back.
    pub fn set_clock_offset_ms(&self, ms: i64) {
        self.shared.clock.set_offset(ms);
    }

    /// Adds a rule of faults.
    pub fn add_rule(&self, rule: Rule) {
        self.set(|settings| settings.faults.rules.push(rule));
    }

    /// The answer of `GET /_admin/credits`.
    pub fn credits(&self) -> Value {
        credits(&self.shared)
    }

    /// Resets all counts except the credits of the day.
    pub fn reset_stats(&self) {
        self.shared.meter.reset();
    }

    /// The last 2,000 requests, as `GET /_admin/log` shows them.
    pub fn log(&self) -> Vec<Value> {
        self.shared.request_log.entries().iter().map(|entry| serde_json::json!(entry)).collect()
    }

    /// Invalidates every access token.
    pub fn expire_tokens(&self) {
        self.shared.accounts().expire_all();
    }

    /// Revokes every refresh token and the access tokens issued for it.
    pub fn revoke_tokens(&self) {
        self.shared.accounts().revoke(None);
    }

    /// Replaces the scopes of all codes and tokens.
    pub fn set_scopes(&self, scopes: &[&str]) {
        let scopes = Scopes::from_list(scopes.iter().copied());
        self.shared.accounts().set_scopes(scopes);
    }

    /// Applies a change, given as the body of `POST /_admin/mutate`, and gives the answer of that call. On an
    /// error nothing was changed.
    pub fn mutate(&self, mutation: Value) -> Result<Value, String> {
        let mutation: Mutation = serde_json::from_value(mutation).map_err(|e| e.to_string())?;
        mutate::apply(&self.shared, mutation).map_err(|(_, message)| message)
    }

    /// The truth of a table, one line of JSON per row; none for an unknown table.
    pub fn truth(&self, table: &str, query: TruthQuery) -> Option<Vec<String>> {
        let mut next = lines(Arc::clone(&self.shared), table, query)?;
        let mut all = Vec::new();
        while let Some(chunk) = next() {
            let text = String::from_utf8_lossy(&chunk).into_owned();
            all.extend(text.lines().map(str::to_owned));
        }
        Some(all)
    }

    /// Whether a module other than tickets has this name in URLs.
    pub fn has_module(&self, name: &str) -> bool {
        self.shared.world().table(name).is_some()
    }

    /// The bytes of a ticket's attachment; none if there is none.
    pub fn attachment(&self, ticket: &str, id: &str) -> Option<Vec<u8>> {
        let world = self.shared.world();
        let ticket = world.tickets.find(ticket)?;
        ticket_more::attachment(&world, ticket, id)
    }

    /// The answer of `GET /_admin/stats`.
    pub fn stats(&self) -> Value {
        stats(&self.shared)
    }

    /// Waits until every queued webhook event was delivered or dropped; false when `at_most` has passed.
    pub fn wait_for_deliveries(&self, at_most: Duration) -> bool {
        let start = Instant::now();
        while self.shared.webhooks.log.pending() > 0 {
            if start.elapsed() > at_most {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Blocks until `POST /_admin/shutdown` stops the simulator.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // The panic of a thread is on stderr already.
            let _ = thread.join();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = if threads > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all();
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.build()
}
