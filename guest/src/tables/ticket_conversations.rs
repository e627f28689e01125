//! Conversations of tickets: threads with their content, and comments, one row each (`zoho-desk-api.md`
//! §4.2).
//!
//! The API has no list of them across tickets: they are read ticket by ticket, and only where the ticket has
//! some.

use super::tickets;
use crate::embedded;
use crate::table::Type::{Array, Boolean, Html, Id, Integer, Object, Text, Time};
use crate::table::{
    ChildKind, Children, Column, EventFilter, Group, Incremental, MODIFIED, Mapping, Table, TimeField,
    Together, column, event, object,
};

pub(super) const TABLE: Table = Table {
    name: "ticket_conversations",
    group: Group::Core,
    alias: "TicketConversations",
    title: "Ticket conversations",
    children: Some(Children {
        parent: "tickets",
        parent_key: "ticketId",
        kinds: KINDS,
        together: Some(Together { list: CONVERSATIONS, kind: "type", whole: "content" }),
    }),
    incremental: Incremental::Search {
        path: "/api/v1/tickets/search",
        cursor_fields: &[MODIFIED, CUSTOMER_RESPONSE],
    },
    events: EVENTS,
    columns: COLUMNS,
    notes: "For each ticket that has some: one list call, and one call for each thread, because the list \
            lacks its content. Threads and comments are listed separately where the portal has no list of \
            both. Read again when the ticket is modified, when its customer answers, and when its counts \
            change within half an hour of that. A comment on an unmodified ticket is found by its webhook or \
            a full refresh; a deleted comment by the next change of its ticket.",
    ..tickets::BELOW
};

/// A reply of a customer moves this; whether it also moves the ticket's modified time is not documented
/// (§3.5).
const CUSTOMER_RESPONSE: TimeField =
    TimeField { member: "customerResponseTime", range: "customerResponseTimeRange" };

/// Threads and comments in one list. No description of the API has its path, but others use it (§4.2).
const CONVERSATIONS: ChildKind =
    ChildKind { name: "conversation", list: "/api/v1/tickets/{parent}/conversations", ..ChildKind::DEFAULT };

const KINDS: &[ChildKind] = &[
    ChildKind {
        name: "thread",
        list: "/api/v1/tickets/{parent}/threads",
        record: "/api/v1/tickets/{parent}/threads/{id}",
        count: "threadCount",
        event_prefix: "Ticket_Thread_",
        ..ChildKind::DEFAULT
    },
    ChildKind {
        name: "comment",
        list: "/api/v1/tickets/{parent}/comments",
        record: "/api/v1/tickets/{parent}/comments/{id}",
        list_is_complete: true,
        count: "commentCount",
        event_prefix: "Ticket_Comment_",
        mappings: &[
            Mapping { from: "commenter", to: "author", values: &[] },
            Mapping { from: "commentedTime", to: "createdTime", values: &[] },
            Mapping {
                from: "isPublic",
                to: "visibility",
                values: &[("true", "\"public\""), ("false", "\"private\"")],
            },
        ],
        ..ChildKind::DEFAULT
    },
];

const EVENTS: &[EventFilter] = &[
    event("Ticket_Thread_Add").by_department(),
    event("Ticket_Comment_Add").by_department(),
    event("Ticket_Comment_Update").by_department(),
    event("Ticket_Comment_Attachment_Add"),
    event("Ticket_Comment_Attachment_Delete"),
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
    object("author", embedded::PERSON),
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
    column("canReply", Boolean),
    column("commentedTime", Time),
    column("respondedIn", Text),
    column("sentiment", Text),
    column("fullContentURL", Text),
    column("lastRatingIconURL", Text),
    column("attachments", Array),
    object("source", embedded::SOURCE),
    object("commenter", embedded::PERSON),
    column("impersonatedUser", Object),
    column("channelRelatedInfo", Object),
    column("mention", Array),
    column("actions", Array),
    column("aspects", Array),
    column("keyWords", Array),
    column("readReceipts", Array),
];
