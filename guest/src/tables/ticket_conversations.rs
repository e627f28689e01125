//! Conversations of tickets: threads with their content, and comments, one row each (`zoho-desk-api.md` §4.2).
//!
//! There is no list of them across tickets: they are read ticket by ticket, and only where the ticket has some.

use crate::table::Type::{Array, Boolean, Html, Id, Integer, Object, Text, Time};
use crate::table::{
    Children, Column, Copy, EventFilter, Follow, Kind, List, MODIFIED, Moment, Table, column, event,
};

pub(super) const TABLE: Table = Table {
    name: "ticket_conversations",
    alias: "TicketConversations",
    title: "Ticket conversations",
    scopes: &["Desk.tickets.READ", "Desk.search.READ"],
    list: List {
        path: "/api/v1/tickets",
        limit: 100,
        query: &[],
        sort_by: Some("createdTime"),
        sort_is_chosen: true,
        optional: &["sortBy"],
        departments: Some("departmentIds"),
        slices: None,
    },
    record: None,
    detail: None,
    children: Some(Children {
        parent: "tickets",
        parent_key: "ticketId",
        kinds: KINDS,
        other_parts: OTHER_PARTS,
    }),
    count: None,
    follow: Follow::Search { path: "/api/v1/tickets/search", moments: &[MODIFIED, ANSWERED] },
    events: EVENTS,
    fields_module: None,
    columns: COLUMNS,
    notes: "For each ticket that has some: one list call for threads, one for comments, and one call for each thread, whose \
            content is nowhere else. Read again when the ticket is modified, when its customer answers, and when its counts \
            change within half an hour of that. A comment on a quiet ticket comes by its webhook or the next complete read; one \
            that is deleted, by the latter.",
};

/// A reply of a customer moves this; whether it moves the ticket's modified time too is nowhere said (§3.5).
const ANSWERED: Moment = Moment { member: "customerResponseTime", range: "customerResponseTimeRange" };

const OTHER_PARTS: &[&str] = &["Ticket_Attachment_", "Ticket_Approval_"];

const KINDS: &[Kind] = &[
    Kind {
        name: "thread",
        list: "/api/v1/tickets/{parent}/threads",
        limit: 100,
        record: "/api/v1/tickets/{parent}/threads/{id}",
        list_is_whole: false,
        count: "threadCount",
        event_prefix: "Ticket_Thread_",
        copies: &[],
    },
    Kind {
        name: "comment",
        list: "/api/v1/tickets/{parent}/comments",
        limit: 100,
        record: "/api/v1/tickets/{parent}/comments/{id}",
        list_is_whole: true,
        count: "commentCount",
        event_prefix: "Ticket_Comment_",
        copies: &[
            Copy { from: "commenter", to: "author", words: &[] },
            Copy { from: "commentedTime", to: "createdTime", words: &[] },
            Copy {
                from: "isPublic",
                to: "visibility",
                words: &[("true", "\"public\""), ("false", "\"private\"")],
            },
        ],
    },
];

const EVENTS: &[EventFilter] = &[
    event("Ticket_Thread_Add", true, false),
    event("Ticket_Comment_Add", true, false),
    event("Ticket_Comment_Update", true, false),
];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("ticketId", Id),
    column("kind", Text),
    column("direction", Text),
    column("visibility", Text),
    column("channel", Text),
    column("status", Text),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("author", Object),
    column("content", Html),
    column("contentType", Text),
    column("summary", Text),
    column("to", Text),
    column("cc", Text),
    column("bcc", Text),
    column("replyTo", Text),
    column("fromEmailAddress", Text),
    column("commenterId", Id),
    column("attachmentCount", Integer),
    column("hasAttach", Boolean),
    column("isForward", Boolean),
    column("isDescriptionThread", Boolean),
    column("isContentTruncated", Boolean),
    column("isPublic", Boolean),
    column("attachments", Array),
    column("source", Object),
];
