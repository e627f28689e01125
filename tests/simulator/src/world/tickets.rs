//! The table of tickets: cores in memory, rows rendered on demand.

use std::sync::Arc;

use crate::ids::{self, Kind};
use crate::options::Sizes;
use crate::rng::hash;
use crate::world::World;
use crate::world::pending::Pending;
use crate::world::rendered::Rendered;
use crate::world::table::Life;
use crate::world::ticket::{Draw, Ticket};
use crate::world::ticket_fields::{TicketField, list_with_included};
use crate::world::views::Views;

/// Bytes of rendered rows that are kept: the list rows of a million tickets, and little more.
const RENDERED_BYTES_MAX: u64 = 1_900 << 20;

/// All tickets.
#[derive(Debug)]
pub(crate) struct Tickets {
    pub(crate) rows: Vec<Ticket>,
    /// Earlier states that searches still see.
    pub(crate) pending: Pending<Ticket>,
    views: Views,
    rendered: Rendered,
    seed: u64,
}

impl Tickets {
    /// The tickets that a portal begins with; archived and trashed ones are spread among the others.
    pub(crate) fn new(draw: &Draw, sizes: &Sizes) -> Tickets {
        let mut rows: Vec<Ticket> = (0..draw.tickets).map(|at| Ticket::generate(draw, at)).collect();
        let special = sizes.archived_tickets + sizes.trashed_tickets;
        for number in 0..special {
            let at = u64::from(number) * u64::from(draw.tickets) / u64::from(special);
            let ticket = &mut rows[at as usize];
            if number < sizes.archived_tickets {
                ticket.is_archived = true;
            } else {
                let by = ids::id(draw.seed, Kind::Agent, 0);
                ticket.life = Life::Trashed { at: ticket.modified, by };
            }
        }
        Tickets {
            rows,
            pending: Pending::default(),
            views: Views::default(),
            rendered: Rendered::new(RENDERED_BYTES_MAX),
            seed: draw.seed,
        }
    }

    /// The position of the ticket with this id, whatever its life.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        ids::index(self.seed, Kind::Ticket, id).filter(|at| *at < self.rows.len())
    }

    /// The ticket with this id unless it was purged.
    pub(crate) fn find(&self, id: &str) -> Option<&Ticket> {
        self.position(id).map(|at| &self.rows[at]).filter(|ticket| ticket.life != Life::Purged)
    }

    /// The positions that a query selects, in its order; worked out once per state of the table.
    pub(crate) fn view(&self, query: &str, select: impl FnOnce() -> Vec<u32>) -> Arc<Vec<u32>> {
        self.views.get(query, select)
    }

    /// Adds a ticket at the end.
    pub(crate) fn push(&mut self, ticket: Ticket) {
        self.rows.push(ticket);
        self.forget(self.rows.len() - 1);
    }

    /// Forgets everything worked out from a ticket, because it changed.
    pub(crate) fn forget(&mut self, at: usize) {
        self.views.clear();
        self.rendered.forget(at);
    }

    /// Forgets every rendered row, because something that rows embed changed.
    pub(crate) fn forget_rows(&mut self) {
        self.rendered.clear();
    }
}

impl World {
    /// Appends tickets, separated by commas, from the kept rows where possible.
    pub(crate) fn ticket_rows(&self, out: &mut Vec<u8>, positions: &[u32], fields: &[TicketField]) {
        let names: Vec<u8> = fields.iter().map(|field| *field as u8).collect();
        let slots = self.tickets.rendered.slots(hash(&names), self.tickets.rows.len());
        for (number, at) in positions.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            let at = *at as usize;
            slots.append(at, out, |out| self.ticket(out, &self.tickets.rows[at], fields));
        }
    }

    /// Renders the list row of every ticket with all it can include, as far as there is room.
    pub(crate) fn warm(&self) {
        let fields = list_with_included();
        let positions: Vec<u32> = (0..self.tickets.rows.len() as u32).collect();
        let mut out = Vec::new();
        for piece in positions.chunks(1_000) {
            out.clear();
            self.ticket_rows(&mut out, piece, &fields);
        }
    }
}
