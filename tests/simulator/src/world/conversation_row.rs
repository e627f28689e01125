//! Renders threads and comments: list rows, details, webhook payloads (reference, §4.2 and §6.4).

use serde_json::{Value, json};

use crate::ids::{self, Kind};
use crate::prose;
use crate::rng::Rng;
use crate::time::iso;
use crate::world::World;
use crate::world::conversation::{Author, Conversation, ConversationKind};
use crate::world::table::{Object, into_object};
use crate::world::ticket::Ticket;

/// The keys of a thread's detail that webhook payloads lack (§6.4).
const NOT_IN_PAYLOADS: &[&str] = &["to", "cc", "bcc", "fromEmailAddress", "replyTo"];
/// Characters of the content that `summary` shows.
const SUMMARY_CHARACTERS: usize = 60;

impl World {
    fn author(&self, author: Author) -> Value {
        let (row, kind, mail) = match author {
            Author::Contact(at) => (&self.contacts.rows[at as usize], "END_USER", "email"),
            Author::Agent(at) => (&self.agents.rows[at as usize], "AGENT", "emailId"),
        };
        let (first, last) = (row.text("firstName"), row.text("lastName"));
        let name = if first.is_empty() { last.to_owned() } else { format!("{first} {last}") };
        json!({
            "id": row.id.to_string(), "name": name, "firstName": row.values.get("firstName"),
            "lastName": last, "email": row.values.get(mail), "photoURL": null, "type": kind,
        })
    }

    /// The content: HTML for threads and for two comments in three, plain text for the third.
    fn content(&self, item: &Conversation) -> String {
        if let Some(content) = &item.content {
            return content.to_string();
        }
        let mut rng = Rng::new(self.seed, 61, item.id);
        let text = match item.author {
            Author::Contact(_) => prose::customer_text(&mut rng),
            Author::Agent(_) => prose::agent_text(&mut rng),
        };
        if is_html(item) { format!("<div>{}<br></div>", prose::escape_html(&text)) } else { text }
    }

    /// The row of `GET /tickets/{id}/threads`, without the content.
    pub(crate) fn thread_row(&self, ticket: &Ticket, item: &Conversation) -> Object {
        let content = self.content(item);
        let plain = content.chars().map(|letter| if matches!(letter, '<' | '>') { ' ' } else { letter });
        let summary: String = plain.take(SUMMARY_CHARACTERS).collect();
        into_object(json!({
            "id": item.id.to_string(), "channel": ticket.channel_code(), "canReply": true,
            "contentType": "text/html", "hasAttach": has_attachment(item),
            "status": "SUCCESS", "summary": summary,
            "author": self.author(item.author),
            "attachmentCount": u8::from(has_attachment(item)).to_string(), "sentiment": null,
            "aspects": null, "keyWords": null, "channelRelatedInfo": null, "respondedIn": null,
            "lastRatingIconURL": null, "readReceipts": null, "impersonatedUser": null,
            "source": {
                "extId": null, "appName": null, "appPhotoURL": null, "permalink": null, "type": "SYSTEM",
            },
            "isDescriptionThread": item.first, "visibility": "public", "createdTime": iso(item.at),
            "actions": [], "direction": if item.is_incoming() { "in" } else { "out" },
        }))
    }

    /// The object of `GET /tickets/{id}/threads/{id}`.
    pub(crate) fn thread_detail(&self, ticket: &Ticket, item: &Conversation) -> Object {
        let mut detail = self.thread_row(ticket, item);
        let author = self.author(item.author);
        let mail = author.get("email").and_then(Value::as_str).unwrap_or("");
        let (from, to) =
            if item.is_incoming() { (mail, "support@desk.example") } else { ("support@desk.example", "") };
        detail.extend(into_object(json!({
            "content": self.content(item), "attachments": attachments(self.seed, ticket.id(self.seed), item),
            "to": to, "cc": "", "bcc": "", "replyTo": null, "fromEmailAddress": from,
            "isForward": false, "fullContentURL": null, "isContentTruncated": false,
        })));
        detail
    }

    /// The row of a comment, which is its detail as well.
    pub(crate) fn comment(&self, ticket: &Ticket, item: &Conversation) -> Object {
        let is_public = item.kind == (ConversationKind::Comment { public: true });
        let mut commenter = self.author(item.author);
        if let Value::Object(object) = &mut commenter {
            object.remove("id");
            object.insert("roleName".to_owned(), json!("Support Agent"));
        }
        let commenter_id = match item.author {
            Author::Contact(at) => self.contacts.rows[at as usize].id,
            Author::Agent(at) => self.agents.rows[at as usize].id,
        };
        into_object(json!({
            "id": item.id.to_string(), "content": self.content(item),
            "contentType": if is_html(item) { "html" } else { "plainText" }, "isPublic": is_public,
            "commentedTime": iso(item.at), "modifiedTime": item.modified.map(iso),
            "commenterId": commenter_id.to_string(), "commenter": commenter, "mention": [],
            "attachments": attachments(self.seed, ticket.id(self.seed), item),
        }))
    }

    /// The complete record of a thread or comment: its detail, and the id of its ticket.
    pub(crate) fn conversation_truth(&self, ticket: &Ticket, item: &Conversation) -> Object {
        let mut detail =
            if item.is_thread() { self.thread_detail(ticket, item) } else { self.comment(ticket, item) };
        detail.insert("ticketId".to_owned(), Value::String(ticket.id(self.seed).to_string()));
        detail
    }

    /// A thread or comment as webhook payloads show it.
    pub(crate) fn conversation_payload(&self, ticket: &Ticket, item: &Conversation) -> Object {
        let mut payload = self.conversation_truth(ticket, item);
        payload.retain(|key, _| !NOT_IN_PAYLOADS.contains(&key.as_str()));
        payload
    }
}

fn is_html(item: &Conversation) -> bool {
    item.is_thread() || !item.id.is_multiple_of(3)
}

fn has_attachment(item: &Conversation) -> bool {
    item.id.is_multiple_of(11)
}

fn attachments(seed: u64, ticket: u64, item: &Conversation) -> Value {
    if !has_attachment(item) {
        return json!([]);
    }
    let id = ids::id(seed, Kind::Attachment, item.id % 10_000_000);
    let path = if item.is_thread() { "threads" } else { "comments" };
    let parent = item.id;
    let href =
        format!("https://desk.zoho.com/api/v1/tickets/{ticket}/{path}/{parent}/attachments/{id}/content");
    let size = (item.id % 90_000 + 1).to_string();
    json!([{"id": id.to_string(), "name": "scan \"1\".png", "size": size, "href": href}])
}
