//! A ticket: the values that queries filter and sort by, about 140 bytes, and the values set by changes.
//!
//! Texts and custom fields are generated from (seed, index) whenever they are rendered. Only what a
//! change sets is stored, so that a million tickets fit in memory.

use std::collections::BTreeMap;

use crate::clock::{DATA_END_MS, DATA_START_MS};
use crate::ids::{self, Kind};
use crate::rng::Rng;
use crate::vocabulary::{CHANNELS, PRIORITIES};
use crate::world::conversation::{self, Conversation, ConversationKind};
use crate::world::customers::account_of;
use crate::world::population::Population;
use crate::world::status::statuses;
use crate::world::table::{Lifecycle, Module, Object, Record};

/// A time that is null.
pub(crate) const NEVER: i64 = i64::MIN;
/// A reference that is null.
pub(crate) const NONE: u32 = u32::MAX;

pub(crate) static TICKET: Module = Module {
    name: "tickets",
    event: Some("Ticket"),
    kind: Kind::Ticket,
    list: &[],
    search_adds: &[],
    title: "subject",
    trash_key: Some("ticketIds"),
};

/// One ticket. References are positions in the tables of their modules, or [`NONE`].
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) index: u32,
    pub(crate) department: u32,
    pub(crate) contact: u32,
    pub(crate) account: u32,
    pub(crate) product: u32,
    pub(crate) assignee: u32,
    pub(crate) team: u32,
    pub(crate) creator: u32,
    pub(crate) modifier: u32,
    pub(crate) comments: u16,
    pub(crate) threads: u16,
    /// Position in the statuses of the department.
    pub(crate) status: u8,
    /// Position in [`CHANNELS`].
    pub(crate) channel: u8,
    /// Position in [`PRIORITIES`]; null beyond its end.
    pub(crate) priority: u8,
    pub(crate) is_read: bool,
    pub(crate) is_archived: bool,
    /// Whether the last thread is incoming; none without a thread.
    pub(crate) last_thread: Option<bool>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) due: i64,
    pub(crate) response_due: i64,
    pub(crate) responded: i64,
    pub(crate) closed: i64,
    pub(crate) on_hold: i64,
    pub(crate) last_thread_at: i64,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) extra: Option<Box<Extra>>,
}

/// Further values, set by changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// Values by field name, in place of the generated ones.
    pub(crate) values: Object,
    /// Custom field values by API name, in place of the generated ones.
    pub(crate) cf: Object,
    /// Threads and comments, once they differ from the generated ones.
    pub(crate) conversations: Option<Vec<Conversation>>,
    /// When it was updated, oldest first.
    pub(crate) updated_at: Vec<i64>,
    /// The ids of deleted comments.
    pub(crate) deleted_conversations: Vec<u64>,
    /// The number of the next thread or comment, so that no id is used twice.
    pub(crate) next_conversation: usize,
    /// Attachments, time entries and approvals, by their lists, once they differ from the generated ones.
    pub(crate) parts: BTreeMap<&'static str, Vec<Object>>,
    /// How many of them were added.
    pub(crate) added_parts: u64,
    /// Set for tickets created while the simulator runs: they have no generated texts.
    pub(crate) is_new: bool,
}

impl Record for Ticket {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }
}

impl Ticket {
    /// The generated ticket at an index.
    pub(crate) fn generate(population: &Population, index: u32) -> Ticket {
        let Draws { mut rng, department, contact, has_product, is_unassigned, agent, created, modified } =
            Draws::new(population, index);
        let statuses = statuses(department);
        let status = rng.below(statuses.len() as u64) as u8;
        let kind = statuses[usize::from(status)].kind;
        let conversations = conversation::generate(population, index, (created, modified), contact);
        let mut ticket = Ticket {
            index,
            department,
            contact,
            account: account_of(population, contact).unwrap_or(NONE),
            product: if has_product { rng.below(u64::from(population.products)) as u32 } else { NONE },
            assignee: if is_unassigned { NONE } else { agent },
            team: if rng.chance(300) { department } else { NONE },
            creator: rng.below(u64::from(population.agents)) as u32,
            modifier: agent,
            comments: 0,
            threads: 0,
            status,
            channel: (rng.below(100).isqrt() / 2).min(CHANNELS.len() as u64 - 1) as u8,
            priority: rng.below(PRIORITIES.len() as u64 + 2) as u8,
            is_read: rng.chance(700),
            is_archived: false,
            last_thread: None,
            created,
            modified,
            due: if rng.chance(400) { NEVER } else { created + hours(&mut rng, 24 * 20) },
            response_due: if rng.chance(700) { NEVER } else { created + hours(&mut rng, 48) },
            responded: created,
            closed: if kind == "Closed" { modified } else { NEVER },
            on_hold: if kind == "On Hold" { modified } else { NEVER },
            last_thread_at: NEVER,
            lifecycle: Lifecycle::Live,
            extra: None,
        };
        ticket.recount(&conversations);
        ticket
    }

    /// The ticket's id.
    pub(crate) fn id(&self, seed: u64) -> u64 {
        ids::id(seed, Kind::Ticket, u64::from(self.index))
    }

    /// `ticketNumber`.
    pub(crate) fn number(&self) -> u64 {
        u64::from(self.index) + 101
    }

    /// The channel as threads name it.
    pub(crate) fn channel_code(&self) -> &'static str {
        CHANNELS[usize::from(self.channel) % CHANNELS.len()].1
    }

    /// Derives the counts, the last thread and the response time from the threads and comments.
    pub(crate) fn recount(&mut self, conversations: &[Conversation]) {
        self.threads = conversations.iter().filter(|item| item.is_thread()).count() as u16;
        self.comments = conversations.len() as u16 - self.threads;
        let incoming = |item: &&Conversation| item.kind == ConversationKind::Thread { incoming: true };
        let last = conversations.iter().rfind(|item| item.is_thread());
        self.last_thread = last.map(|item| incoming(&item));
        self.last_thread_at = last.map_or(NEVER, |item| item.at);
        if let Some(reply) = conversations.iter().rfind(incoming) {
            self.responded = reply.at;
        }
    }

    /// The threads and comments, oldest first.
    pub(crate) fn conversations(&self, population: &Population) -> Vec<Conversation> {
        if let Some(extra) = &self.extra {
            if let Some(stored) = &extra.conversations {
                return stored.clone();
            }
            if extra.is_new {
                return Vec::new();
            }
        }
        // Generated from the generated contact and times: a change may have replaced the current ones.
        let draws = Draws::new(population, self.index);
        conversation::generate(population, self.index, (draws.created, draws.modified), draws.contact)
    }

    /// The further values, to be modified.
    pub(crate) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Whether the ticket was created while the simulator runs.
    pub(crate) fn is_new(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.is_new)
    }
}

/// The first values drawn for a ticket, which its conversations are generated from as well.
struct Draws {
    /// Draws the values after these.
    rng: Rng,
    department: u32,
    contact: u32,
    has_product: bool,
    is_unassigned: bool,
    agent: u32,
    created: i64,
    modified: i64,
}

impl Draws {
    fn new(population: &Population, index: u32) -> Draws {
        let mut rng = Rng::new(population.seed, Kind::Ticket as u64, u64::from(index));
        let department = rng.below(u64::from(population.departments)) as u32;
        let contact = rng.below(u64::from(population.contacts)) as u32;
        let has_product = population.products > 0 && rng.chance(500);
        let is_unassigned = rng.chance(150);
        let agent = rng.below(u64::from(population.agents)) as u32;
        let (created, modified) = times(population, index, &mut rng);
        Draws { rng, department, contact, has_product, is_unassigned, agent, created, modified }
    }
}

fn hours(rng: &mut Rng, max: u64) -> i64 {
    (rng.below(max) as i64 + 1) * 3_600_000
}

/// Creation and modification time in whole seconds. Creation ascends with the index; one ticket in
/// seven shares the second of its predecessor, and one in twenty of each 2,000 has the modification time
/// of a bulk edit.
fn times(population: &Population, index: u32, rng: &mut Rng) -> (i64, i64) {
    let seconds = (DATA_END_MS - DATA_START_MS) / 1000 - 1;
    let position = if index % 7 == 3 { index - 1 } else { index };
    let at = seconds * i64::from(position) / i64::from(population.tickets.max(1));
    let created = DATA_START_MS + at * 1000;
    let left = (DATA_END_MS - created) / 1000 - 1;
    let bulk = index - index % 2000 + 1999;
    if rng.chance(50) && bulk < population.tickets {
        let at = seconds * i64::from(bulk) / i64::from(population.tickets.max(1));
        return (created, DATA_START_MS + at * 1000);
    }
    let later = if rng.chance(150) { 0 } else { rng.below(60 * 86_400) as i64 };
    (created, created + later.min(left.max(0)) * 1000)
}

#[cfg(test)]
mod tests {
    use super::Ticket;
    use crate::options::Sizes;
    use crate::world::population::Population;

    #[test]
    fn counts_and_response_time_agree_with_the_conversations_generated_on_demand() {
        let population = Population::new(3, &Sizes { tickets: 3_000, ..Sizes::default() });
        let (mut threads, mut comments) = (0, 0);
        for index in 0..3_000 {
            let ticket = Ticket::generate(&population, index);
            let mut recounted = ticket.clone();
            recounted.recount(&ticket.conversations(&population));
            assert_eq!((recounted.threads, recounted.comments), (ticket.threads, ticket.comments), "{index}");
            assert_eq!(recounted.responded, ticket.responded, "{index}");
            threads += usize::from(ticket.threads);
            comments += usize::from(ticket.comments);
        }
        assert!(threads > 3_000 && comments > 1_000, "{threads} threads, {comments} comments");
    }

    #[test]
    fn no_generated_ticket_is_modified_before_it_is_created() {
        let population = Population::new(3, &Sizes { tickets: 3_000, ..Sizes::default() });
        for index in 0..3_000 {
            let ticket = Ticket::generate(&population, index);
            assert!(ticket.created <= ticket.modified, "{index}");
        }
    }
}
