//! A thread or comment of a ticket, and the generated ones. They are generated on demand and stored
//! only once a change has touched them.

use std::sync::Arc;

use crate::ids::{self, Kind};
use crate::rng::Rng;
use crate::world::population::Population;

/// Most threads and comments of one ticket: an id has room for this many.
pub(crate) const CONVERSATIONS_MAX: usize = 4_096;
/// Numbers with ids of the usual kinds; ids of those above are of another kind with more room.
const NEAR_MAX: usize = 64;

/// The position of the author in the table of contacts or agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Contact(u32),
    Agent(u32),
}

/// The difference between a thread and a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConversationKind {
    /// A message; `incoming` when the contact wrote it.
    Thread { incoming: bool },
    /// A remark of an agent; the contact can read it when it is `public`.
    Comment { public: bool },
}

/// One thread or comment.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) id: u64,
    pub(crate) kind: ConversationKind,
    pub(crate) author: Author,
    pub(crate) at: i64,
    pub(crate) modified: Option<i64>,
    /// Whether it is the thread that holds the ticket's description.
    pub(crate) first: bool,
    /// The content that a change has set; none: generated from the id.
    pub(crate) content: Option<Arc<str>>,
    /// The position among all threads and comments that the ticket ever had; the id is made from it.
    pub(crate) number: u16,
}

impl Conversation {
    /// Whether this is a thread.
    pub(crate) fn is_thread(&self) -> bool {
        matches!(self.kind, ConversationKind::Thread { .. })
    }

    /// Whether this is a thread that the contact wrote.
    pub(crate) fn is_incoming(&self) -> bool {
        self.kind == ConversationKind::Thread { incoming: true }
    }

    /// The number after the one that the id was made from.
    pub(crate) fn next_number(&self) -> usize {
        usize::from(self.number) + 1
    }
}

/// The generated threads and comments of a ticket, oldest first, between its creation and modification.
pub(crate) fn generate(
    population: &Population,
    index: u32,
    (created, modified): (i64, i64),
    contact: u32,
) -> Vec<Conversation> {
    let mut rng = Rng::new(population.seed, 60, u64::from(index));
    let most = u64::from(population.conversations_max);
    let count = rng.below(most + 1).min(NEAR_MAX as u64 / 2);
    let span = (modified - created).max(0) / 1000;
    let mut all = Vec::with_capacity(count as usize);
    for number in 0..count {
        let agent = Author::Agent(rng.below(u64::from(population.agents)) as u32);
        let is_comment = number > 0 && rng.chance(400);
        let coin = rng.chance(500);
        let (kind, author) = match (is_comment, number == 0 || coin) {
            (false, true) => (ConversationKind::Thread { incoming: true }, Author::Contact(contact)),
            (false, false) => (ConversationKind::Thread { incoming: false }, agent),
            (true, public) => (ConversationKind::Comment { public }, agent),
        };
        let at = created + span * number as i64 / count as i64 * 1000;
        let is_edited = is_comment && rng.chance(200);
        all.push(Conversation {
            id: conversation_id(population.seed, index, number as usize, kind),
            kind,
            author,
            at,
            modified: is_edited.then_some(at + 60_000),
            first: number == 0,
            content: None,
            number: number as u16,
        });
    }
    all
}

/// The id of a ticket's thread or comment with this number.
pub(crate) fn conversation_id(seed: u64, ticket: u32, number: usize, kind: ConversationKind) -> u64 {
    if number >= NEAR_MAX {
        let index = u64::from(ticket) * CONVERSATIONS_MAX as u64 + number as u64;
        return ids::id(seed, Kind::FarConversation, index);
    }
    let kind = match kind {
        ConversationKind::Thread { .. } => Kind::Thread,
        ConversationKind::Comment { .. } => Kind::Comment,
    };
    ids::id(seed, kind, u64::from(ticket) * NEAR_MAX as u64 + number as u64)
}
