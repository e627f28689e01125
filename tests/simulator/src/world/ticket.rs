//! The core of a ticket: what queries filter and sort by, about 140 bytes each.
//!
//! Texts and custom fields are generated from (seed, index) whenever they are shown; only what a
//! mutation sets is kept, so that a million tickets fit in memory.

use crate::clock::{DATA_END_MS, DATA_START_MS};
use crate::ids::{self, Kind};
use crate::rng::Rng;
use crate::vocabulary::{CHANNELS, PRIORITIES};
use crate::world::conversation::{self, Conversation};
use crate::world::customers::account_of;
use crate::world::departments::statuses;
use crate::world::table::{Document, Life};

/// "Null" for a moment.
pub(crate) const NEVER: i64 = i64::MIN;
/// "Null" for a reference.
pub(crate) const NONE: u32 = u32::MAX;

/// How many records of other modules tickets can refer to, and how they are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    pub(crate) seed: u64,
    pub(crate) tickets: u32,
    pub(crate) departments: u32,
    pub(crate) agents: u32,
    pub(crate) contacts: u32,
    pub(crate) accounts: u32,
    pub(crate) products: u32,
    pub(crate) conversations_max: u32,
}

/// One ticket.
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
    pub(crate) status: u8,
    pub(crate) channel: u8,
    /// Position in [`PRIORITIES`]; beyond its end: null.
    pub(crate) priority: u8,
    pub(crate) is_read: bool,
    pub(crate) is_archived: bool,
    /// Of the last thread: none, or whether it came in.
    pub(crate) last_thread: Option<bool>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    pub(crate) due: i64,
    pub(crate) response_due: i64,
    pub(crate) responded: i64,
    pub(crate) closed: i64,
    pub(crate) on_hold: i64,
    pub(crate) last_thread_at: i64,
    pub(crate) life: Life,
    pub(crate) extra: Option<Box<Extra>>,
}

/// What mutations set beyond the core.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// Values by field name, in place of the generated ones.
    pub(crate) values: Document,
    /// Custom field values by api name, in place of the generated ones.
    pub(crate) cf: Document,
    /// Threads and comments, once they differ from the generated ones.
    pub(crate) conversations: Option<Vec<Conversation>>,
    /// Comments that were removed.
    pub(crate) removed_talks: Vec<u64>,
    /// The place of the next thread or comment, so that no id is used twice.
    pub(crate) next_talk: usize,
    /// Tickets created while the simulator runs have no generated texts.
    pub(crate) is_new: bool,
}

impl Ticket {
    /// The generated ticket at an index.
    pub(crate) fn generate(draw: &Draw, index: u32) -> Ticket {
        let mut rng = Rng::new(draw.seed, Kind::Ticket as u64, u64::from(index));
        let department = rng.below(u64::from(draw.departments)) as u32;
        let contact = rng.below(u64::from(draw.contacts)) as u32;
        let product = draw.products > 0 && rng.chance(500);
        let unassigned = rng.chance(150);
        let agent = rng.below(u64::from(draw.agents)) as u32;
        let (created, modified) = moments(draw, index, &mut rng);
        let statuses = statuses(department);
        let status = rng.below(statuses.len() as u64) as u8;
        let kind = statuses[usize::from(status)].kind;
        let sizes = (draw.conversations_max, draw.agents);
        let talks = conversation::generate(draw.seed, index, (created, modified), contact, sizes);
        let mut ticket = Ticket {
            index,
            department,
            contact,
            account: account_of(draw.seed, contact, draw.accounts).unwrap_or(NONE),
            product: if product { rng.below(u64::from(draw.products)) as u32 } else { NONE },
            assignee: if unassigned { NONE } else { agent },
            team: if rng.chance(300) { department } else { NONE },
            creator: rng.below(u64::from(draw.agents)) as u32,
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
            life: Life::Live,
            extra: None,
        };
        ticket.recount(&talks);
        ticket
    }

    /// The ticket's id.
    pub(crate) fn id(&self, seed: u64) -> u64 {
        ids::id(seed, Kind::Ticket, u64::from(self.index))
    }

    /// The ticket's number, which people see.
    pub(crate) fn number(&self) -> u64 {
        u64::from(self.index) + 101
    }

    /// The channel as threads name it.
    pub(crate) fn channel_code(&self) -> &'static str {
        CHANNELS[usize::from(self.channel) % CHANNELS.len()].1
    }

    /// Brings the counts and the last thread in line with the threads and comments.
    pub(crate) fn recount(&mut self, talks: &[Conversation]) {
        self.threads = talks.iter().filter(|item| item.is_thread()).count() as u16;
        self.comments = talks.len() as u16 - self.threads;
        let incoming = |item: &&Conversation| item.sort == conversation::Sort::Thread { incoming: true };
        let last = talks.iter().rfind(|item| item.is_thread());
        self.last_thread = last.map(|item| incoming(&item));
        self.last_thread_at = last.map_or(NEVER, |item| item.at);
        if let Some(reply) = talks.iter().rfind(incoming) {
            self.responded = reply.at;
        }
    }

    /// The threads and comments, oldest first.
    pub(crate) fn conversations(&self, draw: &Draw) -> Vec<Conversation> {
        if let Some(extra) = &self.extra {
            if let Some(kept) = &extra.conversations {
                return kept.clone();
            }
            if extra.is_new {
                return Vec::new();
            }
        }
        // The span of the generated ones is that of the generated ticket.
        let born = Rng::new(draw.seed, Kind::Ticket as u64, u64::from(self.index));
        let span = generated_moments(draw, self.index, born);
        let contact = generated_contact(draw, self.index);
        conversation::generate(draw.seed, self.index, span, contact, (draw.conversations_max, draw.agents))
    }

    /// What mutations set, made ready to be written.
    pub(crate) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
}

/// Repeats the draws of [`Ticket::generate`] up to the contact.
fn generated_contact(draw: &Draw, index: u32) -> u32 {
    let mut rng = Rng::new(draw.seed, Kind::Ticket as u64, u64::from(index));
    rng.below(u64::from(draw.departments));
    rng.below(u64::from(draw.contacts)) as u32
}

/// Repeats the draws of [`Ticket::generate`] up to the moments.
fn generated_moments(draw: &Draw, index: u32, mut rng: Rng) -> (i64, i64) {
    rng.below(u64::from(draw.departments));
    rng.below(u64::from(draw.contacts));
    if draw.products > 0 {
        rng.chance(500);
    }
    rng.chance(150);
    rng.below(u64::from(draw.agents));
    moments(draw, index, &mut rng)
}

fn hours(rng: &mut Rng, most: u64) -> i64 {
    (rng.below(most) as i64 + 1) * 3_600_000
}

/// When a ticket was created and last modified, whole seconds. Creation ascends with the index; some
/// neighbours share their second, and bulk edits gave about a hundred tickets one modification moment.
fn moments(draw: &Draw, index: u32, rng: &mut Rng) -> (i64, i64) {
    let seconds = (DATA_END_MS - DATA_START_MS) / 1000 - 1;
    let place = if index % 7 == 3 { index - 1 } else { index };
    let at = seconds * i64::from(place) / i64::from(draw.tickets.max(1));
    let created = DATA_START_MS + at * 1000;
    let left = (DATA_END_MS - created) / 1000 - 1;
    let bulk = index - index % 2000 + 1999;
    if rng.chance(50) && bulk < draw.tickets {
        let at = seconds * i64::from(bulk) / i64::from(draw.tickets.max(1));
        return (created, DATA_START_MS + at * 1000);
    }
    let later = if rng.chance(150) { 0 } else { rng.below(60 * 86_400) as i64 };
    (created, created + later.min(left.max(0)) * 1000)
}

#[cfg(test)]
mod tests {
    use super::{Draw, Ticket};

    #[test]
    fn counts_agree_with_the_conversations_made_on_demand() {
        let draw = Draw {
            seed: 3,
            tickets: 3000,
            departments: 5,
            agents: 12,
            contacts: 100,
            accounts: 20,
            products: 10,
            conversations_max: 8,
        };
        for index in 0..3000 {
            let ticket = Ticket::generate(&draw, index);
            let mut again = ticket.clone();
            again.recount(&ticket.conversations(&draw));
            assert_eq!((again.threads, again.comments), (ticket.threads, ticket.comments));
            assert_eq!(again.responded, ticket.responded);
            assert!(ticket.created <= ticket.modified);
        }
    }
}
