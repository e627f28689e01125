//! Adding, editing and removing threads and comments of a ticket.

use serde_json::Value;

use crate::world::World;
use crate::world::change::{Event, Refused, Stamp};
use crate::world::conversation::{Author, CONVERSATIONS_MAX, Conversation, Sort, conversation_id};
use crate::world::table::Life;

impl World {
    /// Adds a thread or comment to a live ticket; gives its id.
    pub(crate) fn add_talk(
        &mut self,
        ticket_id: &str,
        sort: Sort,
        content: &str,
        stamp: Stamp,
    ) -> Result<(u64, Vec<Event>), Refused> {
        let (at, mut talks) = self.talks_of(ticket_id)?;
        let ticket = &self.tickets.rows[at];
        let last = talks.iter().map(number_after).max().unwrap_or(0);
        let next = ticket.extra.as_ref().map_or(0, |extra| extra.next_talk);
        let number = last.max(next);
        if number >= CONVERSATIONS_MAX {
            return Err(Refused::Invalid("content".to_owned()));
        }
        let comment = matches!(sort, Sort::Comment { .. });
        let incoming = sort == Sort::Thread { incoming: true };
        let author = if incoming { Author::Contact(ticket.contact) } else { Author::Agent(0) };
        let id = conversation_id(self.seed, ticket.index, number, comment);
        let at_ms = stamp.cut;
        let content = Some(content.to_owned());
        let first = talks.is_empty() && !comment;
        talks.push(Conversation { id, sort, author, at: at_ms, modified: None, first, content });
        self.keep_talks(at, talks, stamp, comment);
        let mut event = self.talk_event(at, id, "Add", stamp.now).ok_or(Refused::Missing)?;
        event.direction = (!comment).then_some(if incoming { "in" } else { "out" });
        Ok((id, vec![event]))
    }

    /// Gives a comment another content.
    pub(crate) fn update_comment(
        &mut self,
        ticket_id: &str,
        comment_id: &str,
        content: &str,
        stamp: Stamp,
    ) -> Result<Vec<Event>, Refused> {
        let (at, mut talks) = self.talks_of(ticket_id)?;
        let found = talks.iter_mut().find(|c| !c.is_thread() && c.id.to_string() == comment_id);
        let comment = found.ok_or(Refused::Missing)?;
        comment.content = Some(content.to_owned());
        comment.modified = Some(stamp.cut.max(comment.at));
        let id = comment.id;
        self.keep_talks(at, talks, stamp, true);
        Ok(self.talk_event(at, id, "Update", stamp.now).into_iter().collect())
    }

    /// Removes a comment. The service has no event for it.
    pub(crate) fn delete_comment(
        &mut self,
        ticket_id: &str,
        comment_id: &str,
        stamp: Stamp,
    ) -> Result<(), Refused> {
        let (at, mut talks) = self.talks_of(ticket_id)?;
        let used = talks.iter().map(number_after).max();
        let is_meant = |item: &Conversation| !item.is_thread() && item.id.to_string() == comment_id;
        let removed: Vec<u64> = talks.iter().filter(|item| is_meant(item)).map(|item| item.id).collect();
        talks.retain(|item| !is_meant(item));
        if removed.is_empty() {
            return Err(Refused::Missing);
        }
        let extra = self.tickets.rows[at].extra_mut();
        extra.next_talk = used.unwrap_or(0).max(extra.next_talk);
        extra.removed_talks.extend(removed);
        self.keep_talks(at, talks, stamp, true);
        Ok(())
    }

    fn talks_of(&self, ticket_id: &str) -> Result<(usize, Vec<Conversation>), Refused> {
        let at = self.tickets.position(ticket_id).ok_or(Refused::Missing)?;
        let ticket = &self.tickets.rows[at];
        if ticket.life != Life::Live {
            return Err(Refused::Missing);
        }
        Ok((at, ticket.conversations(&self.draw)))
    }

    fn keep_talks(&mut self, at: usize, talks: Vec<Conversation>, stamp: Stamp, comment: bool) {
        let moves = if comment { stamp.comment_moves } else { stamp.thread_moves };
        self.edit_ticket(at, stamp, moves, |ticket| {
            ticket.recount(&talks);
            let used = talks.iter().map(number_after);
            let extra = ticket.extra_mut();
            extra.next_talk = used.max().unwrap_or(0).max(extra.next_talk);
            extra.conversations = Some(talks);
        });
    }

    fn talk_event(&self, at: usize, id: u64, what: &str, now: i64) -> Option<Event> {
        let ticket = &self.tickets.rows[at];
        let talks = ticket.conversations(&self.draw);
        let item = talks.iter().find(|item| item.id == id)?;
        let mut payload = self.conversation_truth(ticket, item);
        let word = if item.is_thread() { "Ticket_Thread" } else { "Ticket_Comment" };
        if item.is_thread() {
            for absent in ["to", "cc", "bcc", "fromEmailAddress", "replyTo"] {
                payload.remove(absent);
            }
        }
        let mut event = Event::new(format!("{word}_{what}"), payload, now);
        let department = self.departments.rows.get(ticket.department as usize);
        event.department = department.map(|row| row.text("id").to_owned());
        if let Value::Object(payload) = &event.payload {
            event.fields = payload.keys().cloned().collect();
        }
        Some(event)
    }
}

/// The place behind a thread or comment; its id says its own.
fn number_after(item: &Conversation) -> usize {
    (item.id / 100 % CONVERSATIONS_MAX as u64) as usize + 1
}
