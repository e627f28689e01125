//! Records that signed webhook deliveries brought of late, so that polling notices a gap: while none is
//! missing, tables that webhooks cover are polled less often. Kept in the session, because an instance lives
//! for seconds. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::change::Change;
use crate::limits;

/// See the file's header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Delivered {
    /// When a record came last, by the digest of its table and key; times are the source's.
    records: BTreeMap<u64, u64>,
    /// Until when a change may be of a record that was forgotten.
    forgotten_ms: u64,
    /// Any delivery came.
    has_come: bool,
    /// When the last signed delivery came, by the source's clock.
    last_ms: Option<u64>,
    /// When polling last found a change that no delivery brought.
    missing_ms: Option<u64>,
}

impl Delivered {
    /// Notes the changes of a delivery.
    pub(crate) fn note(&mut self, changes: &[Change], is_signed: bool, now_ms: u64) {
        self.has_come = true;
        if !is_signed {
            return;
        }
        self.last_ms = Some(now_ms);
        self.records.extend(changes.iter().map(|change| (digest(change), now_ms)));
        if let Some(surplus) = self.records.len().checked_sub(limits::DELIVERED_MAX + 1) {
            let mut times: Vec<u64> = self.records.values().copied().collect();
            let (_, latest_ms, _) = times.select_nth_unstable(surplus);
            let latest_ms = *latest_ms;
            self.records.retain(|_, at_ms| *at_ms > latest_ms);
            self.forgotten_ms = latest_ms.saturating_add(limits::EVENT_SKEW_MS);
        }
    }

    /// Compares the changes that a poll found with those that were delivered. One of just now may still be on
    /// its way.
    pub(crate) fn compare<'a>(&mut self, mut changes: impl Iterator<Item = &'a Change>, now_ms: u64) {
        let is_missing = |change: &Change| {
            changed_ms(change).saturating_add(limits::DELIVERY_DELAY_MS) < now_ms && self.lacks(change)
        };
        if self.last_ms.is_some() && changes.any(is_missing) {
            self.missing_ms = Some(now_ms);
        }
    }

    /// Of changes that a poll found, how many no delivery brought; none while no signed one came.
    pub(crate) fn undelivered<'a>(&self, changes: impl Iterator<Item = &'a Change>) -> Option<u64> {
        self.last_ms?;
        Some(changes.filter(|change| self.lacks(change)).count() as u64)
    }

    /// True for a change of a record that was not delivered since.
    fn lacks(&self, change: &Change) -> bool {
        let changed_ms = changed_ms(change);
        let delivered_ms = self.records.get(&digest(change));
        let is_delivered =
            delivered_ms.is_some_and(|at_ms| at_ms.saturating_add(limits::EVENT_SKEW_MS) >= changed_ms);
        !is_delivered && changed_ms > self.forgotten_ms
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True when any delivery came.
    pub(crate) fn has_come(&self) -> bool {
        self.has_come
    }

    /// True while deliveries come and none is missing.
    pub(crate) fn is_whole(&self, now_ms: u64) -> bool {
        let is_before = |at_ms: u64, ms: u64| now_ms.saturating_sub(at_ms) >= ms;
        self.last_ms.is_some_and(|at_ms| !is_before(at_ms, limits::DAY_MS))
            && self.missing_ms.is_none_or(|at_ms| is_before(at_ms, limits::DELIVERED_MS))
    }
}

/// Of table and key.
fn digest(change: &Change) -> u64 {
    xxh3_64_with_seed(change.key.as_bytes(), xxh3_64_with_seed(change.table.as_bytes(), 0))
}

/// When a record changed, by the source's clock, or was deleted.
fn changed_ms(change: &Change) -> u64 {
    change.source_updated_at_ms.or(change.as_of_ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{ChangeSource, Operation};
    use crate::row::RowMeta;
    use crate::tables;

    const MINUTE_MS: u64 = 60_000;

    /// A change of a ticket at a time.
    fn change(id: &str, at_ms: u64) -> Change {
        let meta = RowMeta { id: id.to_owned(), modified_time_ms: Some(at_ms), deleted: false };
        let table = tables::find("tickets").unwrap();
        Change::of_row(table, Operation::Update, &meta, "{}".to_owned(), None, ChangeSource::Webhook)
    }

    #[test]
    fn a_change_that_no_delivery_brought_is_a_gap_for_an_hour() {
        let now_ms = 100 * MINUTE_MS;
        let mut delivered = Delivered::default();
        assert!(!delivered.is_whole(now_ms), "no delivery came yet");
        delivered.note(&[change("1", now_ms)], true, now_ms);
        delivered.compare([change("1", now_ms)].iter(), now_ms + MINUTE_MS);
        assert!(delivered.is_whole(now_ms + MINUTE_MS));
        for missing in [change("2", now_ms), change("1", now_ms + 5 * MINUTE_MS)] {
            let mut delivered = Delivered::default();
            delivered.note(&[change("1", now_ms)], true, now_ms);
            delivered.compare([missing].iter(), now_ms + 6 * MINUTE_MS);
            assert!(!delivered.is_whole(now_ms + 6 * MINUTE_MS));
            assert!(delivered.is_whole(now_ms + 66 * MINUTE_MS));
        }
    }

    #[test]
    fn changes_that_deliveries_brought_are_distinguished_from_those_that_none_did() {
        let now_ms = 100 * MINUTE_MS;
        let mut delivered = Delivered::default();
        let polled = [change("1", now_ms), change("2", now_ms), change("1", now_ms + 5 * MINUTE_MS)];
        assert_eq!(delivered.undelivered(polled.iter()), None, "no delivery came");
        delivered.note(&[change("1", now_ms)], true, now_ms);
        assert_eq!(delivered.undelivered(polled.iter()), Some(2), "another record, and a later change");
        let table = tables::find("tickets").unwrap();
        let delete =
            Change::delete(table, "1", None, Some(now_ms + 5 * MINUTE_MS), ChangeSource::Incremental);
        assert_eq!(delivered.undelivered([delete].iter()), Some(1));
    }

    #[test]
    fn a_change_of_just_now_may_still_be_delivered() {
        let now_ms = 100 * MINUTE_MS;
        let mut delivered = Delivered::default();
        delivered.note(&[], true, now_ms);
        delivered.compare([change("2", now_ms)].iter(), now_ms + 2_000);
        assert!(delivered.is_whole(now_ms + 2_000));
        delivered.compare([change("2", now_ms)].iter(), now_ms + MINUTE_MS);
        assert!(!delivered.is_whole(now_ms + MINUTE_MS));
    }

    #[test]
    fn deliveries_that_stop_for_a_day_prove_nothing() {
        let mut delivered = Delivered::default();
        delivered.note(&[], true, 0);
        assert!(delivered.is_whole(limits::DAY_MS - 1) && !delivered.is_whole(limits::DAY_MS));
    }

    #[test]
    fn the_records_are_bounded() {
        let mut delivered = Delivered::default();
        let start_ms = 100 * MINUTE_MS;
        let most = limits::DELIVERED_MAX as u64;
        let at_ms = |id: u64| start_ms + id * MINUTE_MS;
        for id in 0..=most {
            delivered.note(&[change(&id.to_string(), at_ms(id))], true, at_ms(id));
        }
        assert_eq!(delivered.records.len() as u64, most);
        let polled = |id: u64| [change(&id.to_string(), at_ms(id))];
        assert_eq!(delivered.undelivered(polled(0).iter()), Some(0), "forgotten, and not missing");
        assert_eq!(delivered.undelivered(polled(1).iter()), Some(0), "known");
        assert_eq!(delivered.undelivered([change("x", at_ms(2))].iter()), Some(1));
    }
}
