//! A portal with one connection that `serve` keeps up to date: subscribe, change, look, compare.

use std::time::Instant;

use desk_simulator::Options;
use serde_json::{Value, json};

use crate::compare::truth;
use crate::rows::{Rows, eventually, eventually_after};
use crate::serve::Serve;
use crate::support::http::request;
use crate::support::{ConnectionFile, Setup, sizes, tables, tables_as_toml};

/// Signatures made in one call: each takes the simulator a millisecond or two.
const TOKENS_AT_ONCE: usize = 1_000;

/// A simulator, a connection `demo` of all tables in `a.toml`, rows in `out.db`.
pub(crate) struct Desk {
    pub(crate) setup: Setup,
    pub(crate) rows: Rows,
}

impl Desk {
    /// A portal of so many tickets, authorized.
    pub(crate) fn new(tickets: u32) -> Desk {
        Desk::with(Options { sizes: sizes(tickets), ..Options::default() }, |file| file)
    }

    /// The same with other options and another connection file.
    pub(crate) fn with(options: Options, alter: impl FnOnce(ConnectionFile) -> ConnectionFile) -> Desk {
        let setup = Setup::with(options, |file| alter(file.config("tables", &tables_as_toml())));
        setup.authorize();
        let rows = Rows::at(&setup.path("out.db"));
        Desk { setup, rows }
    }

    /// Starts `serve` on any port.
    pub(crate) fn serve(&self) -> Serve {
        self.serve_on(0)
    }

    /// Starts `serve` on a port.
    pub(crate) fn serve_on(&self, port: u16) -> Serve {
        Serve::start(self.setup.folder(), port, &["-c", "a.toml"])
    }

    /// Starts `serve`, waits for the snapshots, subscribes. Only webhooks bring changes in the minutes after.
    pub(crate) fn live(&self) -> Serve {
        self.live_with_hook().0
    }

    /// The same with the id of the webhook.
    pub(crate) fn live_with_hook(&self) -> (Serve, String) {
        let serve = self.serve();
        self.until_read();
        let since = Instant::now();
        let hook = self.subscribe(&serve);
        // No webhook covered the changes before the registration: all tables are read again.
        self.until_polled(&serve, since);
        (serve, hook)
    }

    /// Waits until every table was caught up after `since`.
    pub(crate) fn until_polled(&self, serve: &Serve, since: Instant) {
        eventually("all tables to be polled", || {
            let lag =
                |table: &&str| serve.metric_with("host_runner_table_lag_seconds", &format!("\"{table}\""));
            let lags: Vec<_> = tables().iter().map(lag).collect();
            let most = since.elapsed().as_secs_f64();
            let are_polled = lags.iter().all(|lag| lag.is_some_and(|lag| lag < most));
            if are_polled { Ok(()) } else { Err(format!("{lags:?}")) }
        });
    }

    /// Waits until the first snapshot of every table is complete.
    pub(crate) fn until_read(&self) {
        self.rows.until_number("SELECT count(*) FROM _sync_state WHERE complete", tables().len() as i64);
    }

    /// Registers the URL at the simulator; gives the id there.
    pub(crate) fn subscribe(&self, serve: &Serve) -> String {
        eventually("the subscription", || {
            let run = self.setup.host(&["webhook", "subscribe", "--public-url", &serve.url]);
            if run.code() == 0 { Ok(()) } else { Err(run.stderr) }
        });
        let hooks = self.admin("GET", "webhooks", &json!({}));
        let mine = |hook: &&Value| hook["url"].as_str().is_some_and(|url| url.starts_with(&serve.url));
        let hook = hooks["webhooks"].as_array().and_then(|hooks| hooks.iter().find(mine));
        let hook = hook.unwrap_or_else(|| panic!("not registered: {hooks}"));
        hook["id"].as_str().expect("an id").to_owned()
    }

    /// The URL for deliveries of this connection.
    pub(crate) fn hook_url(&self, serve: &Serve) -> String {
        let run = self.setup.host(&["webhook", "url", "--public-url", &serve.url]).exits(0);
        let words = run.stdout.split_whitespace().map(|word| word.trim_matches(['`', '"', '\'']));
        let url = words.into_iter().find(|word| word.starts_with(&format!("{}/hooks/", serve.url)));
        url.unwrap_or_else(|| panic!("no URL\n{run}")).to_owned()
    }

    /// A call of the simulator's admin API that must succeed.
    #[track_caller]
    pub(crate) fn admin(&self, method: &str, call: &str, body: &Value) -> Value {
        let url = format!("{}/_admin/{call}", self.setup.simulator.url());
        let answer = request(method, &url, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{method} {call} {body}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// A POST by the simulator to a URL, signed or mis-signed; its status.
    #[track_caller]
    pub(crate) fn forge(&self, url: &str, hook: &str, signature: &str, body: &Value) -> u64 {
        let call = json!({"url": url, "webhook_id": hook, "signature": signature, "body": body});
        let answer = self.admin("POST", "webhooks/forge", &call);
        answer["status"].as_u64().unwrap_or_else(|| panic!("no answer from {url}"))
    }

    /// Signatures for deliveries that a test makes itself. Each delivery needs another, as at the source.
    pub(crate) fn tokens(&self, hook: &str, count: u64) -> Vec<String> {
        let mut tokens = Vec::new();
        for first in (0..count).step_by(TOKENS_AT_ONCE) {
            let some = (count - first).min(TOKENS_AT_ONCE as u64);
            let call = json!({"webhook_id": hook, "count": some, "from_ms": first});
            let mut answer = self.admin("POST", "webhooks/tokens", &call);
            tokens.extend(serde_json::from_value::<Vec<String>>(answer["tokens"].take()).expect("tokens"));
        }
        tokens
    }

    /// One mutation that must succeed; returns the id of its record.
    #[track_caller]
    pub(crate) fn mutate(&self, mutation: Value) -> String {
        let said = self.setup.simulator.mutate(mutation.clone());
        let said = said.unwrap_or_else(|error| panic!("{mutation}: {error}"));
        said["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Ids of a table that live, in order.
    pub(crate) fn live_ids(&self, table: &str) -> Vec<String> {
        let rows = truth(&self.setup.simulator, table, true).into_iter();
        rows.filter_map(|(id, row)| row.map(|_| id)).collect()
    }

    /// One record as the simulator has it.
    pub(crate) fn record(&self, table: &str, id: &str) -> Value {
        let row = truth(&self.setup.simulator, table, true).remove(id).flatten();
        Value::Object(row.unwrap_or_else(|| panic!("{table} {id} does not live")))
    }

    /// Waits until every delivery was made and its changes are in the target.
    #[track_caller]
    pub(crate) fn settle(&self, serve: &Serve) {
        let patience = std::time::Duration::from_secs(60);
        assert!(self.setup.simulator.wait_for_deliveries(patience), "{}", self.setup.simulator.stats());
        // A busy machine may take minutes for many deliveries; one that brings nothing for a minute hangs.
        let (mut last, mut since) = (None, Instant::now());
        eventually_after("an empty journal", || {
            let depth = serve.metric(DEPTH);
            if depth != last {
                (last, since) = (depth, Instant::now());
            }
            if depth == Some(0.0) { Ok(()) } else { Err((since, format!("{DEPTH} is {depth:?}"))) }
        });
    }

    /// The dead letters, from `dead-letters list --json`.
    pub(crate) fn dead_letters(&self) -> Vec<Value> {
        let said = self.setup.host(&["dead-letters", "list", "--json"]).exits(0).json();
        said["dead_letters"].as_array().unwrap_or_else(|| panic!("{said}")).clone()
    }
}

/// The metric of deliveries that were answered and are not in the target yet.
pub(crate) const DEPTH: &str = "host_runner_delivery_queue_length";
