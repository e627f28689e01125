//! The status of connections: typed, and as the JSON of `/-/health`.

use serde_json::{Value, json};

use super::Readings;
use crate::clock::rfc3339_ms;
use crate::inbox::{Depth, LetterCounts};
use crate::journal::Full;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Its component is being opened, or its first call to the source has not succeeded yet.
    #[default]
    Starting,
    /// Its actor polls and applies deliveries.
    Running,
    /// It waits before the next attempt.
    Waiting,
    /// It is stopped until its file or its session changes.
    Stopped,
}

impl State {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Running, Self::Waiting, Self::Stopped];

    /// The name in metrics and in health.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

/// A state, since when, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What the connection is doing.
    pub state: State,
    /// Since when, in milliseconds since 1970; 0: since its start.
    pub since_ms: u64,
    /// Why it waits or is stopped.
    pub reason: Option<String>,
}

impl Status {
    /// Enters a state at a time. The same state again keeps its start.
    pub(super) fn enter(&mut self, state: State, reason: Option<&str>, now_ms: u64) {
        if self.state != state || self.since_ms == 0 {
            self.since_ms = now_ms;
        }
        self.state = state;
        self.reason = reason.map(str::to_owned);
    }
}

/// The status of one table.
#[derive(Clone, Debug, Default)]
pub struct TableStatus {
    /// When polling last caught up with it, in milliseconds since 1970; 0: never.
    pub caught_up_ms: u64,
    /// When it was last read.
    pub polled_ms: u64,
    /// Whether a snapshot of it is complete.
    pub snapshot_complete: bool,
    /// Since when its reads or commits fail, and the last message.
    pub failing: Option<(u64, String)>,
}

impl TableStatus {
    /// A read or a commit failed.
    pub(crate) fn failed(&mut self, message: &str, now_ms: u64) {
        let since_ms = self.failing.take().map_or(now_ms, |(since_ms, _)| since_ms);
        self.failing = Some((since_ms, message.to_owned()));
    }

    /// Time since polling last caught up; none if it never did.
    pub fn lag_ms(&self, now_ms: u64) -> Option<u64> {
        (self.caught_up_ms > 0).then(|| now_ms.saturating_sub(self.caught_up_ms))
    }
}

/// The status of one connection, with its queue.
#[derive(Clone, Debug)]
pub struct ConnectionStatus {
    /// Its name.
    pub name: String,
    /// The report of its actor.
    pub readings: Readings,
    /// Its queue in the journal.
    pub queue: Depth,
    /// Its dead letters since the start of the process.
    pub letters: LetterCounts,
    /// Which of its stores are full.
    pub full: Full,
}

/// How long a table fails before it degrades health: most faults of a source pass within it.
const FAILING_MIN_MS: u64 = 60_000;
/// How long a connection may start: a first call to a source, and the tables that it discovers.
const STARTING_MAX_MS: u64 = 60_000;
/// How old a queued delivery may be. Bursts are applied within it.
const QUEUED_MAX_MS: u64 = 5 * 60_000;
/// Reasons listed in health, at most: a person reads the first ones.
const REASONS_MAX: usize = 50;

/// The status of the server as a whole.
#[derive(Clone, Debug, Default)]
pub struct ServerStatus {
    /// Connection files that cannot be loaded.
    pub invalid: Vec<InvalidFile>,
    /// Connection files that are being loaded.
    pub loading: usize,
    /// The last delivery could not be stored, or the next one cannot.
    pub journal_fails: bool,
}

impl ConnectionStatus {
    /// Age of the oldest queued delivery.
    pub fn oldest_age_ms(&self, now_ms: u64) -> Option<u64> {
        self.queue.oldest_ms.map(|oldest_ms| now_ms.saturating_sub(oldest_ms))
    }

    /// Why this connection degrades the server's health.
    fn reasons(&self, now_ms: u64) -> Vec<String> {
        let Status { state, reason, since_ms } = &self.readings.status;
        let mut reasons = Vec::new();
        if matches!(state, State::Waiting | State::Stopped) {
            let why = reason.as_deref().unwrap_or("unknown");
            reasons.push(format!("connection `{}` is {}: {why}", self.name, state.name()));
        }
        let mut add = |is_so: bool, what: &str| {
            if is_so {
                reasons.push(format!("connection `{}`: {what}", self.name));
            }
        };
        let starting_ms = now_ms.saturating_sub(*since_ms);
        add(
            *state == State::Starting && starting_ms >= STARTING_MAX_MS,
            &format!(
                "has been starting for {} s: its sink or its source does not answer",
                starting_ms / 1000
            ),
        );
        let waiting = self.readings.gauges.deliveries_waiting;
        let oldest_ms = self.oldest_age_ms(now_ms).filter(|_| waiting == 0).unwrap_or(0);
        add(
            oldest_ms >= QUEUED_MAX_MS,
            &format!("its oldest delivery has been queued for {} s", oldest_ms / 1000),
        );
        add(waiting > 0, &format!("{waiting} of its deliveries failed and wait for another attempt"));
        let failing = self.readings.tables.values().filter_map(|table| table.failing.as_ref());
        let mut failing = failing.filter(|(since_ms, _)| now_ms.saturating_sub(*since_ms) >= FAILING_MIN_MS);
        if let Some((_, message)) = failing.next() {
            let tables = 1 + failing.count();
            add(true, &format!("{tables} of its tables cannot be read or stored: {message}"));
        }
        if let Some((since_ms, message)) = &self.readings.files_late {
            let is_late = now_ms.saturating_sub(*since_ms) >= FAILING_MIN_MS;
            add(is_late, &format!("its files are late, and their rows wait in the sink's log: {message}"));
        }
        add(self.full.queue, "its queue is full: deliveries are rejected");
        add(self.full.dead_letters, "its dead letters are full");
        reasons
    }

    fn json(&self, now_ms: u64) -> Value {
        let Readings { status, tables, last_error, last_delivery_ms, .. } = &self.readings;
        let table = |(name, table): (&String, &TableStatus)| {
            json!({
                "table": name,
                "snapshot_complete": table.snapshot_complete,
                "caught_up_at": time(table.caught_up_ms),
                "lag_seconds": table.lag_ms(now_ms).map(|ms| ms / 1000),
            })
        };
        json!({
            "connection": self.name,
            "state": status.state.name(),
            "since": time(status.since_ms),
            "reason": status.reason,
            "queued_deliveries": self.queue.count,
            "oldest_delivery_age_seconds": self.oldest_age_ms(now_ms).map(|ms| ms / 1000),
            "waiting_deliveries": self.readings.gauges.deliveries_waiting,
            "dead_letters": self.queue.dead,
            "last_delivery_at": time(*last_delivery_ms),
            "last_error": last_error.as_ref().map(|(message, _)| message),
            "last_error_at": last_error.as_ref().and_then(|(_, at_ms)| time(*at_ms)),
            "tables": tables.iter().map(table).collect::<Vec<_>>(),
        })
    }
}

/// A connection file that cannot be loaded.
#[derive(Clone, Debug)]
pub struct InvalidFile {
    /// Its path.
    pub file: String,
    /// The message of the error.
    pub error: String,
}

/// All connections and the server as JSON; the caller redacts it. `status` is `ok`, or `degraded` with
/// `reasons`.
pub fn health(all: &[ConnectionStatus], server: &ServerStatus, now_ms: u64) -> Value {
    let mut reasons = Vec::new();
    if server.journal_fails {
        reasons.push("deliveries cannot be stored: the journal fails".to_owned());
    }
    let invalid = server.invalid.iter();
    reasons.extend(invalid.clone().map(|one| format!("file {} cannot be loaded", one.file)));
    reasons.extend(all.iter().flat_map(|one| one.reasons(now_ms)).take(REASONS_MAX));
    json!({
        "status": if reasons.is_empty() { "ok" } else { "degraded" },
        "reasons": reasons,
        "loading_files": server.loading,
        "connections": all.iter().map(|one| one.json(now_ms)).collect::<Vec<_>>(),
        "invalid_files":
            invalid.map(|one| json!({ "file": one.file, "error": one.error })).collect::<Vec<_>>(),
    })
}

/// A time as text; none for 0.
fn time(ms: u64) -> Option<String> {
    Some(ms).filter(|ms| *ms > 0).and_then(rfc3339_ms)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ConnectionStatus, InvalidFile, ServerStatus, State, Status, health};
    use crate::error::Error;
    use crate::inbox::{Depth, LetterCounts};
    use crate::journal::Full;
    use crate::metrics::{Meters, Readings};

    fn status_of(meters: &Meters) -> ConnectionStatus {
        let queue = Depth { count: 2, bytes: 10, oldest_ms: Some(1_500), dead: 1 };
        let full = Full::default();
        ConnectionStatus {
            name: "acme".to_owned(),
            readings: meters.read(),
            queue,
            letters: LetterCounts::default(),
            full,
        }
    }

    #[test]
    fn health_shows_state_queue_and_tables() {
        let meters = Meters::default();
        meters.count(|readings| {
            readings.status.enter(State::Running, None, 500);
            readings.table("things").snapshot_complete = true;
            readings.table("things").caught_up_ms = 1_000;
            readings.table("pairs");
            readings.last_delivery_ms = 2_000;
        });
        assert_eq!(
            health(&[status_of(&meters)], &ServerStatus::default(), 31_999),
            json!({
                "status": "ok",
                "reasons": [],
                "loading_files": 0,
                "connections": [{
                    "connection": "acme",
                    "state": "running",
                    "since": "1970-01-01T00:00:00.500Z",
                    "reason": null,
                    "queued_deliveries": 2,
                    "oldest_delivery_age_seconds": 30,
                    "waiting_deliveries": 0,
                    "dead_letters": 1,
                    "last_delivery_at": "1970-01-01T00:00:02.000Z",
                    "last_error": null,
                    "last_error_at": null,
                    "tables": [
                        {
                            "table": "pairs", "snapshot_complete": false,
                            "caught_up_at": null, "lag_seconds": null,
                        },
                        {
                            "table": "things", "snapshot_complete": true,
                            "caught_up_at": "1970-01-01T00:00:01.000Z", "lag_seconds": 30,
                        },
                    ],
                }],
                "invalid_files": [],
            })
        );
    }

    /// Status and reasons of a server with one connection.
    fn judged(one: &ConnectionStatus, server: &ServerStatus) -> (String, String) {
        judged_at(one, server, 100_000)
    }

    fn judged_at(one: &ConnectionStatus, server: &ServerStatus, now_ms: u64) -> (String, String) {
        let health = health(std::slice::from_ref(one), server, now_ms);
        (health["status"].as_str().expect("text").to_owned(), health["reasons"].to_string())
    }

    #[test]
    fn each_cause_that_keeps_deliveries_or_rows_from_arriving_degrades_health_and_is_named() {
        let meters = Meters::default();
        meters.count(|readings| readings.status.enter(State::Running, None, 1));
        let (well, server) = (status_of(&meters), ServerStatus::default());
        assert_eq!(judged(&well, &server).0, "ok");
        let starting_since = |since_ms| {
            let meters = Meters::default();
            meters.count(|readings| readings.status.enter(State::Starting, None, since_ms));
            status_of(&meters)
        };
        assert_eq!(judged(&starting_since(40_001), &server).0, "ok", "it may have a slow source");
        let queued_for = |age_ms: u64| {
            let queue = Depth { oldest_ms: Some(400_000 - age_ms), ..well.queue };
            ConnectionStatus { queue, ..well.clone() }
        };
        assert_eq!(judged_at(&queued_for(299_999), &server, 400_000).0, "ok", "a burst");
        let (status, reasons) = judged_at(&queued_for(300_000), &server, 400_000);
        assert!(status == "degraded" && reasons.contains("oldest delivery has been queued for 300 s"));
        let late_since = |since_ms| {
            let readings = Readings { files_late: Some((since_ms, "403".to_owned())), ..meters.read() };
            ConnectionStatus { readings, ..well.clone() }
        };
        assert_eq!(judged(&late_since(40_001), &server).0, "ok", "it may pass");
        let full =
            |queue, dead_letters| ConnectionStatus { full: Full { queue, dead_letters }, ..well.clone() };
        let waiting = {
            let meters = Meters::default();
            meters.count(|readings| readings.gauges.deliveries_waiting = 2);
            status_of(&meters)
        };
        let in_state = |state| {
            let meters = Meters::default();
            meters.enter(state, Some("lost"));
            status_of(&meters)
        };
        let failing_since = |since_ms| {
            let meters = Meters::default();
            meters.enter(State::Running, None);
            meters.count(|readings| {
                readings.table("things").failed("503", since_ms);
                readings.table("things").failed("locked", 99_999);
                readings.table("pairs");
            });
            status_of(&meters)
        };
        assert_eq!(judged(&failing_since(40_001), &server).0, "ok", "it may pass");
        let invalid = vec![InvalidFile { file: "a.toml".to_owned(), error: "not TOML".to_owned() }];
        for (one, server, reason) in [
            (well.clone(), ServerStatus { invalid, ..server.clone() }, "a.toml cannot be loaded"),
            (well.clone(), ServerStatus { journal_fails: true, ..server.clone() }, "the journal fails"),
            (full(true, false), server.clone(), "its queue is full"),
            (full(false, true), server.clone(), "its dead letters are full"),
            (failing_since(40_000), server.clone(), "1 of its tables cannot be read or stored: locked"),
            (waiting, server.clone(), "2 of its deliveries failed and wait"),
            (starting_since(40_000), server.clone(), "has been starting for 60 s"),
            (
                late_since(40_000),
                server.clone(),
                "its files are late, and their rows wait in the sink's log: 403",
            ),
            (in_state(State::Waiting), server.clone(), "is waiting: lost"),
            (in_state(State::Stopped), server.clone(), "is stopped: lost"),
        ] {
            let (status, reasons) = judged(&one, &server);
            assert_eq!(status, "degraded", "{reason}");
            assert!(reasons.contains(reason), "{reason}: {reasons}");
        }
    }

    #[test]
    fn health_shows_the_last_error_and_why_a_connection_waits() {
        let meters = Meters::default();
        meters.failed(&Error::state("lost"));
        meters.enter(State::Waiting, Some("503"));
        let health = health(&[status_of(&meters)], &ServerStatus::default(), 0);
        assert_eq!(health["connections"][0]["last_error"], "lost");
        assert_eq!(health["connections"][0]["reason"], "503");
    }

    #[test]
    fn a_state_keeps_its_start_until_another_one_is_entered() {
        let mut status = Status::default();
        status.enter(State::Waiting, Some("503"), 1_000);
        status.enter(State::Waiting, Some("504"), 2_000);
        assert_eq!(status, Status { state: State::Waiting, since_ms: 1_000, reason: Some("504".to_owned()) });
        status.enter(State::Running, None, 3_000);
        assert_eq!(status, Status { state: State::Running, since_ms: 3_000, reason: None });
    }
}
