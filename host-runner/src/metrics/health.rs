//! Counters as health: JSON for a person or a monitor, and whether all connections are past their start.

use serde_json::{Value, json};

use super::{Phase, Shown, TableCounters};
use crate::clock::rfc3339_ms;

/// A connection file that cannot be used.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The file.
    pub file: String,
    /// Why.
    pub error: String,
}

/// All connections, and the files that could be none; secrets are the caller's to remove.
///
/// `status` is `ok` while everything is at work or about to be, else `degraded`.
pub fn health(all: &[Shown], broken: &[Broken], now_ms: u64) -> Value {
    let at_work = |one: &Shown| matches!(one.counters.phase, Phase::Starting | Phase::Running);
    let is_well = broken.is_empty() && all.iter().all(at_work);
    let broken = broken.iter().map(|one| json!({ "file": one.file, "error": one.error }));
    json!({
        "status": if is_well { "ok" } else { "degraded" },
        "connections": all.iter().map(|one| connection(one, now_ms)).collect::<Vec<_>>(),
        "files_not_served": broken.collect::<Vec<_>>(),
    })
}

fn connection(one: &Shown, now_ms: u64) -> Value {
    let counters = &one.counters;
    let tables = counters.tables.iter().map(|(name, counters)| table(name, counters, now_ms));
    let error = counters.last_error.as_ref();
    let since = |at: u64| now_ms.saturating_sub(at) / 1000;
    json!({
        "connection": one.name,
        "state": counters.phase.name(),
        "deliveries_waiting": one.depth.count,
        "oldest_waiting_s": one.depth.oldest_ms.map(since),
        "dead_letters": one.depth.dead,
        "last_delivery_at": time(counters.delivered_ms),
        "last_error": error.map(|(message, _)| message),
        "last_error_at": error.and_then(|(_, at)| time(*at)),
        "tables": tables.collect::<Vec<_>>(),
    })
}

fn table(name: &str, counters: &TableCounters, now_ms: u64) -> Value {
    let caught_up_ms = Some(counters.caught_up_ms).filter(|at| *at > 0);
    json!({
        "table": name,
        "complete": counters.complete,
        "caught_up_at": caught_up_ms.and_then(rfc3339_ms),
        "behind_s": caught_up_ms.map(|at| now_ms.saturating_sub(at) / 1000),
    })
}

/// A time; none for one that never was.
fn time(ms: u64) -> Option<String> {
    Some(ms).filter(|ms| *ms > 0).and_then(rfc3339_ms)
}

/// Whether every connection has got past its start.
pub fn is_ready(all: &[Shown]) -> bool {
    all.iter().all(|one| one.counters.phase != Phase::Starting)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Broken, health, is_ready};
    use crate::error::Error;
    use crate::journal::Depth;
    use crate::metrics::{Meters, Phase, Shown};

    fn shown(meters: &Meters) -> Shown {
        let depth = Depth { count: 2, bytes: 10, oldest_ms: Some(1_500), dead: 1 };
        Shown { name: "acme".to_owned(), counters: meters.read(), depth }
    }

    #[test]
    fn a_connection_tells_its_state_its_tables_and_what_waits() {
        let meters = Meters::default();
        meters.phase(Phase::Running);
        meters.count(|counters| {
            counters.table("things").complete = true;
            counters.table("things").caught_up_ms = 1_000;
            counters.table("pairs");
            counters.delivered_ms = 2_000;
        });
        assert_eq!(
            health(&[shown(&meters)], &[], 31_999),
            json!({
                "status": "ok",
                "connections": [{
                    "connection": "acme",
                    "state": "running",
                    "deliveries_waiting": 2,
                    "oldest_waiting_s": 30,
                    "dead_letters": 1,
                    "last_delivery_at": "1970-01-01T00:00:02.000Z",
                    "last_error": null,
                    "last_error_at": null,
                    "tables": [
                        {"table": "pairs", "complete": false, "caught_up_at": null, "behind_s": null},
                        {"table": "things", "complete": true, "caught_up_at": "1970-01-01T00:00:01.000Z", "behind_s": 30},
                    ],
                }],
                "files_not_served": [],
            })
        );
    }

    #[test]
    fn what_waits_for_a_person_or_cannot_be_used_is_degraded() {
        let meters = Meters::default();
        let status = |broken: &[Broken]| health(&[shown(&meters)], broken, 0)["status"].clone();
        assert_eq!(status(&[]), "ok");
        let broken = Broken { file: "a.toml".to_owned(), error: "not TOML".to_owned() };
        assert_eq!(status(&[broken]), "degraded");
        for phase in [Phase::Waiting, Phase::Stopped] {
            meters.failed(&Error::state("gone"));
            meters.phase(phase);
            assert_eq!(status(&[]), "degraded");
            assert_eq!(health(&[shown(&meters)], &[], 0)["connections"][0]["last_error"], "gone");
        }
    }

    #[test]
    fn it_is_ready_when_every_connection_got_past_its_start() {
        let meters = Meters::default();
        assert!(!is_ready(&[shown(&meters)]));
        meters.phase(Phase::Waiting);
        assert!(is_ready(&[shown(&meters)]) && is_ready(&[]));
    }
}
