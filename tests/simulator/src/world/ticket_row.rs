//! Renders tickets: any set of keys, directly as JSON bytes.

use serde_json::Value;

use crate::clock::DATA_END_MS;
use crate::ids::{self, Kind};
use crate::json;
use crate::rng::mix;
use crate::time::iso_bytes;
use crate::vocabulary::{CHANNELS, PRIORITIES};
use crate::world::World;
use crate::world::fields::Field;
use crate::world::table::{Object, Record};
use crate::world::ticket::{NEVER, NONE, Ticket};
use crate::world::ticket_fields::TicketField;

const NULL: &[u8] = b"null";
const WEB_URL: &str = "https://desk.zoho.com/support/simulator/ShowHomePage.do#Cases/dv/";

/// The key of a custom field in an object.
#[derive(Clone, Copy)]
enum CustomKey {
    /// `cf`.
    ApiName,
    /// `customFields`.
    Label,
}

impl World {
    /// Appends a ticket as an object with the given keys.
    pub(crate) fn ticket(&self, out: &mut Vec<u8>, ticket: &Ticket, fields: &[TicketField]) {
        out.push(b'{');
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(field.key());
            self.ticket_value(out, ticket, *field);
        }
        out.push(b'}');
    }

    /// A ticket as an object with the given keys.
    pub(crate) fn ticket_object(&self, ticket: &Ticket, fields: &[TicketField]) -> Object {
        let mut out = Vec::new();
        self.ticket(&mut out, ticket, fields);
        serde_json::from_slice(&out).unwrap_or_default()
    }

    fn ticket_value(&self, out: &mut Vec<u8>, ticket: &Ticket, field: TicketField) {
        use TicketField as F;
        if let Some(value) = ticket.extra.as_ref().and_then(|e| e.values.get(field.name())) {
            return json::value(out, value);
        }
        if let Some(at) = time_of(ticket, field) {
            return time(out, at);
        }
        if let Some((kind, index)) = reference_of(ticket, field) {
            return self.reference(out, kind, index);
        }
        match field {
            F::Id => json::quoted(out, ticket.id(self.seed)),
            F::TicketNumber => json::quoted(out, ticket.number()),
            F::Status => json::text(out, &self.status(ticket).name),
            F::StatusType => json::text(out, self.status(ticket).kind),
            F::Priority => optional(out, PRIORITIES.get(usize::from(ticket.priority)).copied()),
            F::Channel => json::text(out, CHANNELS[usize::from(ticket.channel) % CHANNELS.len()].0),
            F::CommentCount => json::quoted(out, u64::from(ticket.comments)),
            F::ThreadCount => json::quoted(out, u64::from(ticket.threads)),
            F::RelationshipType => out.extend_from_slice(b"\"None\""),
            F::LastThread => last_thread(out, ticket),
            F::Source | F::SourceWithUuid => source(out, self.seed, ticket, field),
            F::WebUrl => json::plain(out, format_args!("{WEB_URL}{}", ticket.id(self.seed))),
            F::IsOverDue => overdue(out, ticket, ticket.due),
            F::IsResponseOverdue => overdue(out, ticket, ticket.response_due),
            F::IsArchived => boolean(out, ticket.is_archived),
            F::IsRead => boolean(out, ticket.is_read),
            F::IsTrashed => boolean(out, !ticket.is_live()),
            F::IsEscalated => boolean(out, self.status(ticket).name == "Escalated"),
            F::IsFollowing | F::IsDeleted | F::IsSpam => boolean(out, false),
            F::AttachmentCount
            | F::ApprovalCount
            | F::TaskCount
            | F::TimeEntryCount
            | F::FollowerCount
            | F::TagCount
            | F::ChildTicketCount => self.count(out, ticket, field),
            F::SecondaryContacts | F::SharedDepartments | F::EntitySkills | F::Skills => {
                out.extend_from_slice(b"[]");
            }
            F::LayoutDetails => {
                out.extend_from_slice(b"{\"id\":");
                self.reference(out, Kind::Layout, 0);
                out.extend_from_slice(b",\"layoutName\":\"Layout 1\"}");
            }
            F::Cf => self.custom_fields(out, ticket, CustomKey::ApiName),
            F::CustomFields => self.custom_fields(out, ticket, CustomKey::Label),
            F::Contact => self.embedded_contact(out, ticket.contact),
            F::Assignee => self.embedded(out, &self.agents, ticket.assignee),
            F::Department => self.embedded(out, &self.departments, ticket.department),
            F::Product => self.embedded(out, &self.products, ticket.product),
            F::Team => self.embedded(out, &self.teams, ticket.team),
            // The text fields, and the fields that are always null.
            _ => self.append_text(out, ticket, field),
        }
    }

    fn reference(&self, out: &mut Vec<u8>, kind: Kind, index: u32) {
        if index == NONE {
            return out.extend_from_slice(NULL);
        }
        json::quoted(out, ids::id(self.seed, kind, u64::from(index)));
    }

    fn count(&self, out: &mut Vec<u8>, ticket: &Ticket, field: TicketField) {
        json::quoted(out, self.count_of(ticket, field));
    }

    /// How many tags, attachments, time entries or approvals a ticket has: three at most.
    pub(crate) fn count_of(&self, ticket: &Ticket, field: TicketField) -> u64 {
        let list = match field {
            TicketField::AttachmentCount => "attachments",
            TicketField::TimeEntryCount => "timeEntry",
            TicketField::ApprovalCount => "approvals",
            TicketField::TagCount => "tags",
            _ => "",
        };
        if let Some(rows) = ticket.extra.as_ref().and_then(|extra| extra.parts.get(list)) {
            return rows.len() as u64;
        }
        let hash = mix(self.seed, 71 + field as u64, u64::from(ticket.index));
        if hash.is_multiple_of(5) && !ticket.is_new() { hash / 5 % 4 } else { 0 }
    }

    fn append_text(&self, out: &mut Vec<u8>, ticket: &Ticket, field: TicketField) {
        match self.generated_text(ticket, field) {
            // Every eighth ticket has escaped texts, so that clients meet both forms of JSON.
            Some(text) if ticket.index % 8 == 5 => json::text_ascii(out, &text),
            text => optional(out, text.as_deref()),
        }
    }

    fn custom_fields(&self, out: &mut Vec<u8>, ticket: &Ticket, key: CustomKey) {
        out.push(b'{');
        let start = out.len();
        let given = ticket.extra.as_ref().map(|extra| &extra.cf);
        let department = u64::from(ticket.department);
        for field in self.fields.custom("tickets") {
            let set = given.and_then(|cf| cf.get(&field.api_name));
            if set.is_none() && !field.is_in_layout(department) {
                continue;
            }
            if out.len() > start {
                out.push(b',');
            }
            json::text(
                out,
                match key {
                    CustomKey::ApiName => &field.api_name,
                    CustomKey::Label => &field.label,
                },
            );
            out.push(b':');
            match set {
                Some(value) => json::value(out, value),
                None => optional(out, self.custom_value(ticket, field).as_deref()),
            }
        }
        out.push(b'}');
    }

    fn custom_value(&self, ticket: &Ticket, field: &Field) -> Option<String> {
        if ticket.is_new() { None } else { field.generate(&self.population, Kind::Ticket, ticket.index) }
    }

    /// Appends `cf` with the named fields only, as `fields=cf_a,cf_b` shows it.
    pub(crate) fn chosen_custom_fields(&self, out: &mut Vec<u8>, ticket: &Ticket, names: &[String]) {
        let mut all = Vec::new();
        self.custom_fields(&mut all, ticket, CustomKey::ApiName);
        let all: Object = serde_json::from_slice(&all).unwrap_or_default();
        let chosen = names.iter().map(|name| (name.clone(), all.get(name).cloned().unwrap_or(Value::Null)));
        json::value(out, &Value::Object(chosen.collect()));
    }
}

/// The time in a field; none when the field does not hold a time.
fn time_of(ticket: &Ticket, field: TicketField) -> Option<i64> {
    Some(match field {
        TicketField::CreatedTime => ticket.created,
        TicketField::ModifiedTime => ticket.modified,
        TicketField::DueDate => ticket.due,
        TicketField::ResponseDueDate => ticket.response_due,
        TicketField::ClosedTime => ticket.closed,
        TicketField::OnholdTime => ticket.on_hold,
        TicketField::CustomerResponseTime => ticket.responded,
        _ => return None,
    })
}

/// The record that a field refers to; none when the field does not hold an id of another record.
fn reference_of(ticket: &Ticket, field: TicketField) -> Option<(Kind, u32)> {
    Some(match field {
        TicketField::LayoutId => (Kind::Layout, 0),
        TicketField::AccountId => (Kind::Account, ticket.account),
        TicketField::DepartmentId => (Kind::Department, ticket.department),
        TicketField::ContactId => (Kind::Contact, ticket.contact),
        TicketField::ProductId => (Kind::Product, ticket.product),
        TicketField::AssigneeId => (Kind::Agent, ticket.assignee),
        TicketField::TeamId => (Kind::Team, ticket.team),
        TicketField::ModifiedBy => (Kind::Agent, ticket.modifier),
        TicketField::CreatedBy => (Kind::Agent, ticket.creator),
        _ => return None,
    })
}

fn time(out: &mut Vec<u8>, ms: i64) {
    if ms == NEVER {
        return out.extend_from_slice(NULL);
    }
    out.push(b'"');
    out.extend_from_slice(&iso_bytes(ms));
    out.push(b'"');
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => json::text(out, text),
        None => out.extend_from_slice(NULL),
    }
}

fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends whether a time has passed at the end of the generated data. Not compared with the clock, so that
/// the truth does not change without a change of the record.
fn overdue(out: &mut Vec<u8>, ticket: &Ticket, due: i64) {
    boolean(out, due != NEVER && due < DATA_END_MS && ticket.closed == NEVER);
}

fn last_thread(out: &mut Vec<u8>, ticket: &Ticket) {
    let Some(incoming) = ticket.last_thread else { return out.extend_from_slice(NULL) };
    out.extend_from_slice(b"{\"channel\":\"");
    out.extend_from_slice(ticket.channel_code().as_bytes());
    out.extend_from_slice(b"\",\"isDraft\":false,\"isForward\":false,\"direction\":");
    out.extend_from_slice(if incoming { b"\"in\"}" } else { b"\"out\"}" });
}

fn source(out: &mut Vec<u8>, seed: u64, ticket: &Ticket, field: TicketField) {
    out.extend_from_slice(
        b"{\"appName\":null,\"extId\":null,\"permalink\":null,\"type\":\"SYSTEM\",\"appPhotoURL\":null",
    );
    if field == TicketField::SourceWithUuid {
        let high = mix(seed, 72, u64::from(ticket.index));
        let low = mix(seed, 73, u64::from(ticket.index)) >> 16;
        out.extend_from_slice(b",\"uuid\":");
        let (first, second, third) = (high >> 32, high >> 16 & 0xFFFF, high & 0xFFF);
        json::plain(out, format_args!("{first:08x}-{second:04x}-4{third:03x}-a000-{low:012x}"));
    }
    out.push(b'}');
}
