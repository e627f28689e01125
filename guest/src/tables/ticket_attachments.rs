//! Attachments of tickets: `GET /tickets/{id}/attachments` (`zoho-desk-api.md` §4.2). Their bytes are files.

use super::tickets;
use crate::table::Type::{Boolean, Id, Integer, Text, Time};
use crate::table::{ChildKind, Column, EventFilter, FileMembers, Table, column, event};

pub(super) const TABLE: Table = Table {
    name: "ticket_attachments",
    title: "Ticket attachments",
    children: tickets::children(KINDS),
    events: EVENTS,
    columns: COLUMNS,
    attachment: Some(FileMembers { name: "name", size: "size", href: "href" }),
    notes: "One call for each ticket in a snapshot, and for each changed ticket that has attachments. A \
            deleted attachment is found by its webhook or the next change of its ticket. Their bytes, where \
            the runner keeps them: one call for each attachment.",
    ..tickets::BELOW
};

const KINDS: &[ChildKind] = &[ChildKind {
    name: "attachment",
    list: "/api/v1/tickets/{parent}/attachments",
    count: "attachmentCount",
    event_prefix: "Ticket_Attachment_",
    list_is_complete: true,
    ..ChildKind::DEFAULT
}];

const EVENTS: &[EventFilter] = &[
    event("Ticket_Attachment_Add"),
    event("Ticket_Attachment_Update"),
    event("Ticket_Attachment_Delete").by_department(),
    event("Ticket_Attachment_Trashed").by_department(),
    event("Ticket_Attachment_Restored").by_department(),
];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("ticketId", Id),
    column("name", Text),
    column("size", Integer),
    column("isPublic", Boolean),
    column("creatorId", Id),
    column("createdTime", Time),
    column("previewurl", Text),
    column("href", Text),
];
