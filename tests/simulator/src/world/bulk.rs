//! One change of many records: an import, a macro, a bulk delete. Sends no events, so that 60,000 changes
//! take seconds.

use serde::Deserialize;

use crate::world::World;
use crate::world::change::{ChangeError, ModifiedTime, Stamp, Transition};
use crate::world::table::{Object, Record};

/// A change of the live records `from` to `from + count` in the order of their creation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bulk {
    table: String,
    change: BulkChange,
    count: usize,
    #[serde(default)]
    from: usize,
    /// For updates: the values of every record; none only updates `modifiedTime`.
    #[serde(default)]
    values: Object,
    /// The times of the changes are spread over this time, up to now. 0: all at once, which gives
    /// equal times.
    #[serde(default)]
    spread_ms: i64,
}

/// The change of each record.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum BulkChange {
    Create,
    Update,
    MoveToTrash,
}

impl World {
    /// Makes the change and gives the number of changed records. An error is that of the first record: the
    /// values fit none.
    pub(crate) fn change_in_bulk(&mut self, bulk: &Bulk, stamp: Stamp) -> Result<usize, ChangeError> {
        let ids = if bulk.change == BulkChange::Create {
            vec![String::new(); bulk.count]
        } else {
            self.live_ids(&bulk.table, bulk.from, bulk.count)?
        };
        for (number, id) in ids.iter().enumerate() {
            let before = (ids.len() - 1 - number) as i64 * bulk.spread_ms / ids.len() as i64;
            let at = stamp.record_time - before;
            let stamp = Stamp { record_time: at - at.rem_euclid(1_000), ..stamp };
            self.change_one(bulk, id, stamp)?;
        }
        Ok(ids.len())
    }

    fn change_one(&mut self, bulk: &Bulk, id: &str, stamp: Stamp) -> Result<(), ChangeError> {
        let is_ticket = bulk.table == "tickets";
        match bulk.change {
            BulkChange::Create if is_ticket => self.create_ticket(&bulk.values, stamp).map(|_| ()),
            BulkChange::Create => self.create_row(&bulk.table, &bulk.values, stamp).map(|_| ()),
            BulkChange::MoveToTrash => self.transition(&bulk.table, id, Transition::Trash, stamp).map(|_| ()),
            BulkChange::Update if is_ticket => {
                let at = self.tickets.position(id).ok_or(ChangeError::NotFound)?;
                let mut ticket = self.tickets.rows[at].clone();
                self.set_ticket(&mut ticket, &bulk.values, stamp)?;
                self.edit_ticket(at, stamp, ModifiedTime::Update, |stored| *stored = ticket);
                Ok(())
            }
            BulkChange::Update => {
                let table = self.table(&bulk.table).ok_or(ChangeError::NotFound)?;
                let at = table.position(id).ok_or(ChangeError::NotFound)?;
                let mut row = table.rows[at].clone();
                self.set_values(&bulk.table, &mut row, &bulk.values)?;
                self.edit_row(&bulk.table, at, stamp, ModifiedTime::Update, |stored| *stored = row);
                Ok(())
            }
        }
    }

    fn live_ids(&self, table: &str, from: usize, count: usize) -> Result<Vec<String>, ChangeError> {
        if table == "tickets" {
            let live = self.tickets.rows.iter().filter(|ticket| ticket.is_live() && !ticket.is_archived);
            return Ok(live.skip(from).take(count).map(|row| row.id(self.seed).to_string()).collect());
        }
        let rows = &self.table(table).ok_or(ChangeError::NotFound)?.rows;
        let live = rows.iter().filter(|row| row.is_live());
        Ok(live.skip(from).take(count).map(|row| row.id.to_string()).collect())
    }
}
