//! The table of tickets: its generated records, and the rendering of its rows through the cache.

use crate::ids::{self, Kind};
use crate::options::Sizes;
use crate::rng::hash;
use crate::world::World;
use crate::world::population::Population;
use crate::world::table::{Lifecycle, Table};
use crate::world::ticket::{TICKET, Ticket};
use crate::world::ticket_fields::{TicketField, list_with_included};

/// Tickets rendered at a time when the cache is filled.
const WARM_ROWS: usize = 1_000;

/// The generated tickets; archived and trashed ones are spread evenly among the others.
/// At most `cache_bytes` of rendered rows are kept.
pub(crate) fn generate(population: &Population, sizes: &Sizes, cache_bytes: u64) -> Table<Ticket> {
    let seed = population.seed;
    let mut rows: Vec<Ticket> =
        (0..population.tickets).map(|index| Ticket::generate(population, index)).collect();
    let special = sizes.archived_tickets + sizes.trashed_tickets;
    for number in 0..special {
        let at = u64::from(number) * u64::from(population.tickets) / u64::from(special);
        let ticket = &mut rows[at as usize];
        if number < sizes.archived_tickets {
            ticket.is_archived = true;
        } else {
            let by = ids::id(seed, Kind::Agent, 0);
            ticket.lifecycle = Lifecycle::Trashed { at: ticket.modified, by };
        }
    }
    Table::with_cache(&TICKET, seed, rows, cache_bytes)
}

impl World {
    /// Appends tickets, separated by commas, from the cache where possible.
    pub(crate) fn ticket_rows(&self, out: &mut Vec<u8>, positions: &[u32], fields: &[TicketField]) {
        let names: Vec<u8> = fields.iter().map(|field| *field as u8).collect();
        let cached = self.tickets.cached_rows(hash(&names));
        for (number, at) in positions.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            let at = *at as usize;
            cached.append(at, out, |out| self.ticket(out, &self.tickets.rows[at], fields));
        }
    }

    /// Fills the cache with the list row of every ticket, with every `include`, as far as the budget allows.
    pub(crate) fn warm(&self) {
        let fields = list_with_included();
        let positions: Vec<u32> = (0..self.tickets.rows.len() as u32).collect();
        let mut out = Vec::new();
        for chunk in positions.chunks(WARM_ROWS) {
            out.clear();
            self.ticket_rows(&mut out, chunk, &fields);
        }
    }
}
