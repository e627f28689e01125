//! Threads and comments of a ticket: generated on demand, kept only once they changed.

use serde_json::{Value, json};

use crate::time::iso;
use crate::ids::{self, Kind};
use crate::prose;
use crate::rng::Rng;
use crate::world::World;
use crate::world::table::Document;
use crate::world::ticket::Ticket;

/// Most threads and comments of one ticket; an id has room for so many.
pub(crate) const CONVERSATIONS_MAX: usize = 64;

/// Who wrote something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Contact(u32),
    Agent(u32),
}

/// What distinguishes a thread from a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A mail or the like; `incoming` when the customer wrote it.
    Thread { incoming: bool },
    /// A remark; the customer sees it when it is `public`.
    Comment { public: bool },
}

/// One thread or comment.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) id: u64,
    pub(crate) sort: Sort,
    pub(crate) author: Author,
    pub(crate) at: i64,
    pub(crate) modified: Option<i64>,
    pub(crate) first: bool,
    /// The content if it was given; none: generated from the id.
    pub(crate) content: Option<String>,
}

impl Conversation {
    /// Whether this is a thread.
    pub(crate) fn is_thread(&self) -> bool {
        matches!(self.sort, Sort::Thread { .. })
    }
}

/// The threads and comments that a ticket begins with, oldest first.
pub(crate) fn generate(
    seed: u64,
    index: u32,
    (created, modified): (i64, i64),
    contact: u32,
    (most, agents): (u32, u32),
) -> Vec<Conversation> {
    let mut rng = Rng::new(seed, 60, u64::from(index));
    let count = rng.below(u64::from(most) + 1).min(CONVERSATIONS_MAX as u64 / 2);
    let span = (modified - created).max(0) / 1000;
    let mut all = Vec::with_capacity(count as usize);
    for number in 0..count {
        let agent = Author::Agent(rng.below(u64::from(agents)) as u32);
        let comment = number > 0 && rng.chance(400);
        let coin = rng.chance(500);
        let (sort, author) = match (comment, number == 0 || coin) {
            (false, true) => (Sort::Thread { incoming: true }, Author::Contact(contact)),
            (false, false) => (Sort::Thread { incoming: false }, agent),
            (true, public) => (Sort::Comment { public }, agent),
        };
        let at = created + span * number as i64 / count as i64 * 1000;
        let edited = comment && rng.chance(200);
        all.push(Conversation {
            id: conversation_id(seed, index, number as usize, comment),
            sort,
            author,
            at,
            modified: edited.then_some(at + 60_000),
            first: number == 0,
            content: None,
        });
    }
    all
}

/// The id of the thread or comment at a place of a ticket.
pub(crate) fn conversation_id(seed: u64, ticket: u32, number: usize, comment: bool) -> u64 {
    let kind = if comment { Kind::Comment } else { Kind::Thread };
    ids::id(seed, kind, u64::from(ticket) * CONVERSATIONS_MAX as u64 + number as u64)
}

impl World {
    fn author(&self, author: Author) -> Value {
        let (row, kind, mail) = match author {
            Author::Contact(at) => (&self.contacts.rows[at as usize], "END_USER", "email"),
            Author::Agent(at) => (&self.agents.rows[at as usize], "AGENT", "emailId"),
        };
        let (first, last) = (row.text("firstName"), row.text("lastName"));
        let name = if first.is_empty() { last.to_owned() } else { format!("{first} {last}") };
        json!({
            "id": row.id.to_string(), "name": name, "firstName": row.document.get("firstName"),
            "lastName": last, "email": row.document.get(mail), "photoURL": null, "type": kind,
        })
    }

    /// The content, HTML for threads and for two comments in three.
    fn content(&self, item: &Conversation) -> String {
        if let Some(content) = &item.content {
            return content.clone();
        }
        let mut rng = Rng::new(self.seed, 61, item.id);
        let text = match item.author {
            Author::Contact(_) => prose::customer_text(&mut rng),
            Author::Agent(_) => prose::agent_text(&mut rng),
        };
        if is_html(item) { format!("<div>{}<br></div>", prose::escape_html(&text)) } else { text }
    }

    /// The row of `GET /tickets/{id}/threads`, without the body.
    pub(crate) fn thread_row(&self, ticket: &Ticket, item: &Conversation) -> Document {
        let incoming = item.sort == (Sort::Thread { incoming: true });
        let summary: String = self.content(item).replace(['<', '>'], " ").chars().take(60).collect();
        object(json!({
            "id": item.id.to_string(), "channel": ticket.channel_code(), "canReply": true,
            "contentType": "text/html", "hasAttach": has_attachment(item),
            "status": "SUCCESS", "summary": summary,
            "author": self.author(item.author),
            "attachmentCount": u8::from(has_attachment(item)).to_string(), "sentiment": null,
            "aspects": null, "keyWords": null, "channelRelatedInfo": null, "respondedIn": null,
            "lastRatingIconURL": null, "readReceipts": null, "impersonatedUser": null,
            "source": {"extId": null, "appName": null, "appPhotoURL": null, "permalink": null, "type": "SYSTEM"},
            "isDescriptionThread": item.first, "visibility": "public", "createdTime": iso(item.at),
            "actions": [], "direction": if incoming { "in" } else { "out" },
        }))
    }

    /// The document of `GET /tickets/{id}/threads/{threadId}`.
    pub(crate) fn thread_detail(&self, ticket: &Ticket, item: &Conversation) -> Document {
        let incoming = item.sort == (Sort::Thread { incoming: true });
        let mut document = self.thread_row(ticket, item);
        let writer = self.author(item.author);
        let mail = writer.get("email").and_then(Value::as_str).unwrap_or("");
        let (from, to) = if incoming { (mail, "support@desk.example") } else { ("support@desk.example", "") };
        let more = json!({
            "content": self.content(item), "attachments": attachments(self.seed, ticket.id(self.seed), item),
            "to": to, "cc": "", "bcc": "", "replyTo": null, "fromEmailAddress": from,
            "isForward": false, "fullContentURL": null, "isContentTruncated": false,
        });
        document.extend(object(more));
        document
    }

    /// The row and document of a comment.
    pub(crate) fn comment(&self, ticket: &Ticket, item: &Conversation) -> Document {
        let public = item.sort == (Sort::Comment { public: true });
        let mut commenter = self.author(item.author);
        if let Value::Object(object) = &mut commenter {
            object.remove("id");
            object.insert("roleName".to_owned(), json!("Support Agent"));
        }
        let writer = match item.author {
            Author::Contact(at) => self.contacts.rows[at as usize].id,
            Author::Agent(at) => self.agents.rows[at as usize].id,
        };
        object(json!({
            "id": item.id.to_string(), "content": self.content(item),
            "contentType": if is_html(item) { "html" } else { "plainText" }, "isPublic": public,
            "commentedTime": iso(item.at), "modifiedTime": item.modified.map(iso),
            "commenterId": writer.to_string(), "commenter": commenter, "mention": [],
            "attachments": attachments(self.seed, ticket.id(self.seed), item),
        }))
    }

    /// What an ideal connector holds of a thread or comment: the detail and its ticket's id.
    pub(crate) fn conversation_truth(&self, ticket: &Ticket, item: &Conversation) -> Document {
        let mut document =
            if item.is_thread() { self.thread_detail(ticket, item) } else { self.comment(ticket, item) };
        document.insert("ticketId".to_owned(), Value::String(ticket.id(self.seed).to_string()));
        document
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

/// The object in a `json!` value.
pub(crate) fn object(value: Value) -> Document {
    if let Value::Object(document) = value { document } else { Document::new() }
}
