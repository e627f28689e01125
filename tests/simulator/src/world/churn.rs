//! Churn: tickets created and trashed while a client reads pages, so that the later pages shift.

use serde_json::json;

use crate::prose;
use crate::rng::Rng;
use crate::world::World;
use crate::world::change::{Event, Stamp, Transition};
use crate::world::table::{Record, into_object};

/// Attempts to find a live ticket before one change is skipped.
const ATTEMPTS_MAX: u32 = 50;

impl World {
    /// Counts a list page; after each `every_pages` of them creates a ticket (two times in five) or trashes
    /// one.
    pub(crate) fn churn(&mut self, every_pages: u64, stamp: Stamp) -> Vec<Event> {
        self.churn_pages += 1;
        if !self.churn_pages.is_multiple_of(every_pages) {
            return Vec::new();
        }
        let mut rng = Rng::new(self.seed, 80, self.churn_pages);
        if rng.chance(400) {
            let values = into_object(json!({
                "subject": prose::subject(&mut rng), "description": prose::description(&mut rng),
            }));
            return self.create_ticket(&values, stamp).map(|(_, events)| events).unwrap_or_default();
        }
        for _ in 0..ATTEMPTS_MAX {
            let at = rng.below(self.tickets.rows.len() as u64) as usize;
            let Some(ticket) = self.tickets.rows.get(at) else { break };
            let id = ticket.id(self.seed).to_string();
            if ticket.is_live() && !ticket.is_archived {
                return self.transition("tickets", &id, Transition::Trash, stamp).unwrap_or_default();
            }
        }
        Vec::new()
    }
}
