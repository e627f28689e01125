//! The meter: requests, credits of the day, concurrent calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::time::DAY_MS;

/// Counters of one simulator.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    in_flight: Arc<AtomicU32>,
    peak: AtomicU32,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    day: i64,
    credits: u64,
    credits_total: u64,
    requests: BTreeMap<String, BTreeMap<u16, u64>>,
    /// Calls and credits since the last reset.
    accounts: BTreeMap<String, (u64, u64)>,
    faults: BTreeMap<&'static str, u64>,
    tokens: u64,
}

/// One call in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    count: Arc<AtomicU32>,
    /// The calls in flight when it started, itself included.
    pub(crate) concurrency: u32,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Meter {
    /// Counts a call that starts.
    pub(crate) fn enter(&self) -> InFlight {
        let concurrency = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(concurrency, Ordering::Relaxed);
        InFlight { count: Arc::clone(&self.in_flight), concurrency }
    }

    /// Takes credits from the budget of the day and gives the rest; none when the rest does not suffice.
    pub(crate) fn charge(&self, now: i64, budget: u64, credits: u64) -> Option<u64> {
        let mut counts = self.lock();
        if counts.day != now / DAY_MS {
            counts.day = now / DAY_MS;
            counts.credits = 0;
        }
        let used = counts.credits.saturating_add(credits);
        if used > budget {
            return None;
        }
        counts.credits = used;
        counts.credits_total += credits;
        Some(budget - used)
    }

    /// The credits left today.
    pub(crate) fn left(&self, now: i64, budget: u64) -> u64 {
        let counts = self.lock();
        if counts.day == now / DAY_MS { budget.saturating_sub(counts.credits) } else { budget }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, endpoint: &str, status: u16) {
        let mut counts = self.lock();
        match counts.requests.get_mut(endpoint) {
            Some(by_status) => *by_status.entry(status).or_default() += 1,
            None => {
                counts.requests.insert(endpoint.to_owned(), BTreeMap::from([(status, 1)]));
            }
        }
    }

    /// Books a call and its credits on its endpoint.
    pub(crate) fn account(&self, endpoint: &str, credits: u64) {
        let mut counts = self.lock();
        if !counts.accounts.contains_key(endpoint) {
            counts.accounts.insert(endpoint.to_owned(), (0, 0));
        }
        if let Some((calls, sum)) = counts.accounts.get_mut(endpoint) {
            *calls += 1;
            *sum += credits;
        }
    }

    /// Sets the credits used on the day of this time.
    pub(crate) fn set_used(&self, now: i64, credits: u64) {
        let mut counts = self.lock();
        counts.day = now / DAY_MS;
        counts.credits = credits;
    }

    /// Calls and credits of each endpoint since the last reset, and credits used today.
    pub(crate) fn credits(&self, now: i64) -> Value {
        let counts = self.lock();
        let account = |(name, (calls, credits)): (&String, &(u64, u64))| {
            (name.clone(), json!({"calls": calls, "credits": credits}))
        };
        let endpoints: serde_json::Map<String, Value> = counts.accounts.iter().map(account).collect();
        let used = if counts.day == now / DAY_MS { counts.credits } else { 0 };
        json!({"endpoints": endpoints, "total": counts.credits_total, "usedToday": used})
    }

    /// Counts a fault.
    pub(crate) fn faulted(&self, name: &'static str) {
        *self.lock().faults.entry(name).or_default() += 1;
    }

    /// Counts an issued access token.
    pub(crate) fn issued(&self) {
        self.lock().tokens += 1;
    }

    /// Resets all counts except the credits of the day.
    pub(crate) fn reset(&self) {
        let mut counts = self.lock();
        counts.requests.clear();
        counts.accounts.clear();
        counts.faults.clear();
        counts.credits_total = 0;
        counts.tokens = 0;
        self.peak.store(0, Ordering::Relaxed);
    }

    /// All counts. `budget` is that of the day.
    pub(crate) fn report(&self, now: i64, budget: u64) -> Value {
        let left = self.left(now, budget);
        let counts = self.lock();
        let total: u64 = counts.requests.values().flat_map(BTreeMap::values).sum();
        json!({
            "requests": counts.requests, "requestsTotal": total, "faults": counts.faults,
            "creditsUsed": counts.credits_total, "creditsLeft": left,
            "peakConcurrency": self.peak.load(Ordering::Relaxed), "tokensIssued": counts.tokens,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
