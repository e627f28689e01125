//! The columns of the last discovery, so that the next one can say what changed. Names and types only: not
//! sealed.

use super::items::Item;
use super::{Change, ConnectionStore};
use crate::error::Result;
use crate::schema::changes::Schemas;

/// Names and types of the columns of a connection, at most: ten times those of a source with fifty tables.
/// More are not kept, and not compared.
const BYTES_MAX: usize = 4 << 20;

impl ConnectionStore {
    /// None before the first discovery. What an older version stored and this one cannot read counts as none.
    pub(crate) fn schemas(&self) -> Result<Option<Schemas>> {
        let stored = self.0.items.load(Item::Schemas)?.value;
        Ok(stored.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    pub(crate) fn keep_schemas(&self, schemas: &Schemas) -> Result<()> {
        let text = serde_json::to_vec(schemas).map_err(|error| self.failed(&error))?;
        if text.len() > BYTES_MAX {
            tracing::debug!(connection = self.name(), bytes = text.len(), "too many columns to compare");
            return Ok(());
        }
        self.update(Item::Schemas, |_| Ok(Change::To(Some(text.clone())))).map(drop)
    }
}
