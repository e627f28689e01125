//! The rows that a program stored, against the simulator's truth: ids and subjects.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Rows, World};

/// Rows by id: how often a row is there, and its subject.
pub(super) type Stored = BTreeMap<String, (u64, String)>;

/// Rows that are not as in the truth.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wrong {
    pub(super) missing: u64,
    pub(super) twice: u64,
    pub(super) outdated: u64,
}

/// The subjects of tickets that live, by id.
pub(super) fn truth(world: &World) -> Result<BTreeMap<String, String>> {
    let detail = world.rows == Rows::Detailed;
    let lines = world.simulator.text("GET", &format!("/_admin/truth/tickets?detail={detail}"), "")?;
    let mut truth = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line)?;
        if line["deleted"] == false {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let id = text(&line["id"]).context("a row without an id")?;
            truth.insert(id, text(&line["row"]["subject"]).unwrap_or_default());
        }
    }
    Ok(truth)
}

/// Counts the differences.
pub(super) fn compare(stored: &Stored, world: &World) -> Result<Wrong> {
    let mut wrong = Wrong::default();
    for (id, subject) in truth(world)? {
        match stored.get(&id) {
            None => wrong.missing += 1,
            Some((count, found)) => {
                wrong.twice += count - 1;
                wrong.outdated += u64::from(*found != subject);
            }
        }
    }
    Ok(wrong)
}
