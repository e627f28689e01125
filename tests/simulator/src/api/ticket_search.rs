//! `GET /tickets/search` and `GET /ticketsCount`, which show changes after the search lag. Whether the count
//! has the lag, and archived tickets, is not documented: it is a reading.

use std::sync::Arc;

use serde_json::Value;

use crate::api::context::Context;
use crate::api::criteria::{contains, in_range};
use crate::api::parameters::range;
use crate::api::ticket_filter::{channel, has_status, priority, sort};
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::World;
use crate::world::table::{Object, Record, Table};
use crate::world::ticket::{NEVER, NONE, Ticket};
use crate::world::ticket_fields::{self, TicketField};

/// `GET /tickets/search`.
pub(crate) fn search(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let now = context.shared.clock.now_ms();
    let selection = select(context, &world, now);
    let page = context.page(&selection);
    let fields = ticket_fields::search();
    let mut out = Vec::with_capacity(page.len() * 4_000);
    if world.tickets.is_search_lagging(now) {
        for at in page {
            if !out.is_empty() {
                out.push(b',');
            }
            world.ticket(&mut out, visible(&world, *at, now), &fields);
        }
    } else {
        world.ticket_rows(&mut out, page, &fields);
    }
    let answer = context.list_answer(&out, context.search_count(selection.len(), page.len()));
    Ok(if context.get("id").is_some() { answer.with_weight(1) } else { answer })
}

/// `GET /ticketsCount`: 200 with a number, 0 included.
pub(crate) fn count(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let tickets = &world.tickets;
    let now = context.shared.clock.now_ms();
    let readings = &context.settings.readings;
    let counted = |at: usize| match readings.count_has_no_lag {
        true => tickets.rows.get(at),
        false => tickets.visible(now, at),
    };
    let is_selected = selects(context, &world);
    let is_counted =
        |ticket: &Ticket| (readings.count_has_archived || !ticket.is_archived) && is_selected(ticket);
    let count = (0..tickets.rows.len()).filter_map(counted).filter(|ticket| is_counted(ticket)).count();
    Ok(Answer::json(format!("{{\"count\":{count}}}").into_bytes()))
}

fn visible(world: &World, at: u32, now: i64) -> &Ticket {
    world.tickets.visible(now, at as usize).unwrap_or(&world.tickets.rows[at as usize])
}

fn select(context: &Context<'_>, world: &World, now: i64) -> Arc<Vec<u32>> {
    world.tickets.search_selection(now, &context.selection_key(), || {
        let is_selected = selects(context, world);
        let positions = 0..world.tickets.rows.len() as u32;
        let matching = positions.filter(|at| {
            let ticket = world.tickets.visible(now, *at as usize);
            ticket.is_some_and(|ticket| !ticket.is_archived && is_selected(ticket))
        });
        let mut selected: Vec<u32> = matching.collect();
        let by = match context.get("sortBy") {
            None | Some("relevance" | "-relevance") => "-modifiedTime",
            Some(by) => by,
        };
        sort(by, &mut selected, |at| visible(world, at, now));
        selected
    })
}

/// Whether a ticket is live, visible to the agent, and meets all conditions of the query.
fn selects<'a>(context: &'a Context<'_>, world: &'a World) -> impl Fn(&Ticket) -> bool + 'a {
    let conditions: Vec<Condition<'_>> =
        context.call.query.iter().filter_map(|(name, value)| condition(world, name, value)).collect();
    move |ticket| {
        ticket.is_live()
            && !context.is_hidden_ticket(world, ticket)
            && conditions.iter().all(|is_met| is_met(ticket))
    }
}

type Condition<'a> = Box<dyn Fn(&Ticket) -> bool + 'a>;

fn condition<'a>(world: &'a World, name: &'a str, value: &'a str) -> Option<Condition<'a>> {
    let range = range(value);
    let ranged = move |at: i64| at != NEVER && in_range(range, at);
    let parts = || value.split(',').map(str::trim);
    Some(match name {
        "createdTimeRange" => Box::new(move |ticket| ranged(ticket.created)),
        "modifiedTimeRange" => Box::new(move |ticket| ranged(ticket.modified)),
        "dueDateRange" => Box::new(move |ticket| ranged(ticket.due)),
        "customerResponseTimeRange" => Box::new(move |ticket| ranged(ticket.responded)),
        "id" => {
            let wanted = world.tickets.position(value);
            Box::new(move |ticket| Some(ticket.index as usize) == wanted)
        }
        "ticketNumber" => Box::new(move |ticket| value == ticket.number().to_string()),
        "status" => {
            let wanted: Vec<String> = parts().map(str::to_owned).collect();
            Box::new(move |ticket| has_status(world, ticket, &wanted))
        }
        "priority" => {
            let wanted: Vec<u8> = parts().map(priority).collect();
            Box::new(move |ticket| wanted.contains(&ticket.priority))
        }
        "channel" => {
            let wanted: Vec<u8> = parts().map(channel).collect();
            Box::new(move |ticket| wanted.contains(&ticket.channel))
        }
        "departmentId" => reference(&world.departments, value, |ticket| ticket.department),
        "assigneeId" => reference(&world.agents, value, |ticket| ticket.assignee),
        "contactId" => reference(&world.contacts, value, |ticket| ticket.contact),
        "accountId" => reference(&world.accounts, value, |ticket| ticket.account),
        "productId" => reference(&world.products, value, |ticket| ticket.product),
        "contactName" => named(&world.contacts, value, "lastName", |ticket| ticket.contact),
        "accountName" => named(&world.accounts, value, "accountName", |ticket| ticket.account),
        "productName" => named(&world.products, value, "productName", |ticket| ticket.product),
        // Not simulated: tickets have a number of tags, and no tags.
        "tag" => Box::new(|_| false),
        "_all" => Box::new(move |ticket| {
            let texts = [TicketField::Subject, TicketField::Description, TicketField::Email];
            texts.iter().any(|field| text_contains(world, ticket, *field, value))
                || ticket.number().to_string() == value
        }),
        _ if name.starts_with("customField") => {
            let (field, wanted) = value.split_once(':')?;
            Box::new(move |ticket| custom_field_contains(world, ticket, field, wanted))
        }
        _ => {
            let field = TicketField::of(name)?;
            let text = matches!(
                field,
                TicketField::Subject
                    | TicketField::Description
                    | TicketField::Email
                    | TicketField::Phone
                    | TicketField::Category
            );
            if !text {
                return None;
            }
            Box::new(move |ticket| text_contains(world, ticket, field, value))
        }
    })
}

fn text_contains(world: &World, ticket: &Ticket, field: TicketField, wanted: &str) -> bool {
    contains(&world.ticket_text(ticket, field).unwrap_or_default(), wanted)
}

fn custom_field_contains(world: &World, ticket: &Ticket, field: &str, wanted: &str) -> bool {
    let mut out = Vec::new();
    world.chosen_custom_fields(&mut out, ticket, &[field.to_owned()]);
    let cf: Object = serde_json::from_slice(&out).unwrap_or_default();
    contains(cf.get(field).and_then(Value::as_str).unwrap_or(""), wanted)
}

fn reference<'a>(table: &'a Table, value: &'a str, of: impl Fn(&Ticket) -> u32 + 'a) -> Condition<'a> {
    match value {
        "${Empty}" => Box::new(move |ticket| of(ticket) == NONE),
        "${NotEmpty}" => Box::new(move |ticket| of(ticket) != NONE),
        value => {
            let wanted: Vec<u32> =
                value.split(',').filter_map(|id| table.position(id.trim())).map(|at| at as u32).collect();
            Box::new(move |ticket| wanted.contains(&of(ticket)))
        }
    }
}

fn named<'a>(
    table: &'a Table,
    value: &'a str,
    key: &'static str,
    of: impl Fn(&Ticket) -> u32 + 'a,
) -> Condition<'a> {
    Box::new(move |ticket| {
        table.rows.get(of(ticket) as usize).is_some_and(|row| contains(row.text(key), value))
    })
}
