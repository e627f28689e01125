//! Adds threads and comments to a ticket, changes and deletes comments.

use std::sync::Arc;

use serde_json::Value;

use crate::world::World;
use crate::world::change::{ChangeError, Event, ModifiedTime, Stamp};
use crate::world::conversation::{
    Author, CONVERSATIONS_MAX, Conversation, ConversationKind, conversation_id,
};
use crate::world::table::Record;

/// The content of threads that are added in bulk, repeated to their size.
const QUOTED: &str = "<blockquote>&gt; On Monday somebody wrote:</blockquote> ";

impl World {
    /// Adds a thread or comment to a live ticket and gives its id.
    pub(crate) fn add_conversation(
        &mut self,
        ticket_id: &str,
        kind: ConversationKind,
        content: &str,
        stamp: Stamp,
    ) -> Result<(u64, Vec<Event>), ChangeError> {
        let (at, mut conversations) = self.conversations_of(ticket_id)?;
        let ticket = &self.tickets.rows[at];
        let reserved = ticket.extra.as_ref().map_or(0, |extra| extra.next_conversation);
        let number = next_number(&conversations).max(reserved);
        if number >= CONVERSATIONS_MAX {
            return Err(ChangeError::Invalid("content".to_owned()));
        }
        let is_incoming = kind == ConversationKind::Thread { incoming: true };
        let item = Conversation {
            id: conversation_id(self.seed, ticket.index, number, kind),
            kind,
            author: if is_incoming { Author::Contact(ticket.contact) } else { Author::Agent(0) },
            at: stamp.record_time,
            modified: None,
            first: conversations.is_empty() && matches!(kind, ConversationKind::Thread { .. }),
            content: Some(content.into()),
            number: number as u16,
        };
        let (id, is_thread) = (item.id, item.is_thread());
        conversations.push(item);
        let modified = if is_thread { stamp.after_thread } else { stamp.after_comment };
        self.set_conversations(at, conversations, stamp, modified);
        let mut event = self.conversation_event(at, id, "Add", stamp.now).ok_or(ChangeError::NotFound)?;
        event.direction = is_thread.then_some(if is_incoming { "in" } else { "out" });
        Ok((id, vec![event]))
    }

    /// Adds many threads to a live ticket, all with the same content, in one change without events.
    pub(crate) fn add_threads(
        &mut self,
        ticket_id: &str,
        count: usize,
        bytes: usize,
        stamp: Stamp,
    ) -> Result<(), ChangeError> {
        let (at, mut conversations) = self.conversations_of(ticket_id)?;
        let ticket = &self.tickets.rows[at];
        let reserved = ticket.extra.as_ref().map_or(0, |extra| extra.next_conversation);
        let start = next_number(&conversations).max(reserved);
        if start + count > CONVERSATIONS_MAX {
            return Err(ChangeError::Invalid("count".to_owned()));
        }
        let content: Arc<str> = QUOTED.repeat(bytes.div_ceil(QUOTED.len())).into();
        let kind = ConversationKind::Thread { incoming: true };
        for number in start..start + count {
            conversations.push(Conversation {
                id: conversation_id(self.seed, ticket.index, number, kind),
                kind,
                author: Author::Contact(ticket.contact),
                at: stamp.record_time,
                modified: None,
                first: conversations.is_empty(),
                content: Some(Arc::clone(&content)),
                number: number as u16,
            });
        }
        self.set_conversations(at, conversations, stamp, stamp.after_thread);
        Ok(())
    }

    /// Replaces the content of a comment.
    pub(crate) fn update_comment(
        &mut self,
        ticket_id: &str,
        comment_id: &str,
        content: &str,
        stamp: Stamp,
    ) -> Result<Vec<Event>, ChangeError> {
        let (at, mut conversations) = self.conversations_of(ticket_id)?;
        let found = conversations.iter_mut().find(|c| !c.is_thread() && c.id.to_string() == comment_id);
        let comment = found.ok_or(ChangeError::NotFound)?;
        comment.content = Some(content.into());
        comment.modified = Some(stamp.record_time.max(comment.at));
        let id = comment.id;
        self.set_conversations(at, conversations, stamp, stamp.after_comment);
        Ok(self.conversation_event(at, id, "Update", stamp.now).into_iter().collect())
    }

    /// Deletes a comment. The API has no event for it (§6.3).
    pub(crate) fn delete_comment(
        &mut self,
        ticket_id: &str,
        comment_id: &str,
        stamp: Stamp,
    ) -> Result<(), ChangeError> {
        let (at, mut conversations) = self.conversations_of(ticket_id)?;
        let used = next_number(&conversations);
        let is_it = |item: &Conversation| !item.is_thread() && item.id.to_string() == comment_id;
        let position = conversations.iter().position(is_it).ok_or(ChangeError::NotFound)?;
        let deleted = conversations.remove(position).id;
        let extra = self.tickets.rows[at].extra_mut();
        extra.next_conversation = used.max(extra.next_conversation);
        extra.deleted_conversations.push(deleted);
        self.set_conversations(at, conversations, stamp, stamp.after_comment);
        Ok(())
    }

    fn conversations_of(&self, ticket_id: &str) -> Result<(usize, Vec<Conversation>), ChangeError> {
        let at = self.tickets.position(ticket_id).ok_or(ChangeError::NotFound)?;
        let ticket = &self.tickets.rows[at];
        if !ticket.is_live() {
            return Err(ChangeError::NotFound);
        }
        Ok((at, ticket.conversations(&self.population)))
    }

    fn set_conversations(
        &mut self,
        at: usize,
        conversations: Vec<Conversation>,
        stamp: Stamp,
        modified: ModifiedTime,
    ) {
        self.edit_ticket(at, stamp, modified, |ticket| {
            ticket.recount(&conversations);
            let used = next_number(&conversations);
            let extra = ticket.extra_mut();
            extra.next_conversation = used.max(extra.next_conversation);
            extra.conversations = Some(conversations);
        });
    }

    fn conversation_event(&self, at: usize, id: u64, what: &str, now: i64) -> Option<Event> {
        let ticket = &self.tickets.rows[at];
        let conversations = ticket.conversations(&self.population);
        let item = conversations.iter().find(|item| item.id == id)?;
        let payload = self.conversation_payload(ticket, item);
        let module = if item.is_thread() { "Ticket_Thread" } else { "Ticket_Comment" };
        let mut event = Event::new(format!("{module}_{what}"), payload, now);
        let department = self.departments.rows.get(ticket.department as usize);
        event.department = department.map(|row| row.text("id").to_owned());
        if let Value::Object(payload) = &event.payload {
            event.fields = payload.keys().cloned().collect();
        }
        Some(event)
    }
}

/// The first number above those of all threads and comments.
fn next_number(conversations: &[Conversation]) -> usize {
    conversations.iter().map(Conversation::next_number).max().unwrap_or(0)
}
