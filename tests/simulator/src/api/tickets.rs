//! The ticket list, the list of archived tickets, and the ticket detail.

use http::StatusCode;

use crate::api::context::Context;
use crate::api::ticket_filter::{self, Filter};
use crate::api::views;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::world::World;
use crate::world::table::Record;
use crate::world::ticket::Ticket;
use crate::world::ticket_fields::{self, TicketField, included, is_selectable};

/// `GET /tickets`.
pub(crate) fn list(context: &Context<'_>) -> Result<Answer, ApiError> {
    views::check(context, "tickets")?;
    let by = context.get("sortBy").unwrap_or("-createdTime");
    if by.ends_with("modifiedTime") && !context.settings.tickets_sort_by_modified_time {
        let message = "The value passed for field 'sortBy' is invalid.";
        return Err(ApiError::unprocessable(message));
    }
    let answer = {
        let world = context.world();
        let selection = world.tickets.selection(&context.selection_key(), || {
            let filter = Filter::of_list(context, &world);
            let now = context.shared.clock.now_ms();
            let is_hidden = |ticket: &Ticket| {
                !context.settings.hidden_make_pages_short && context.is_hidden_ticket(&world, ticket)
            };
            ticket_filter::select(&world, by, |ticket| {
                ticket.is_live()
                    && !ticket.is_archived
                    && !is_hidden(ticket)
                    && filter.matches(&world, ticket, now)
            })
        });
        let mut page = context.page(&selection).to_vec();
        page.retain(|at| !context.is_hidden_ticket(&world, &world.tickets.rows[*at as usize]));
        let page = &page[..];
        let rows = match context.get("fields").filter(|names| !names.is_empty()) {
            Some(names) => rows_with_fields(context, &world, page, names)?,
            None => {
                let mut out = Vec::with_capacity(page.len() * 2_200);
                world.ticket_rows(&mut out, page, &shape(context, &ticket_fields::list()));
                out
            }
        };
        context.list_answer(&rows, None)
    };
    churn(context, answer.status);
    Ok(answer)
}

/// `GET /tickets/archivedTickets`.
pub(crate) fn archived(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let selection = world.tickets.selection(&context.selection_key(), || {
        let filter = Filter::of_list(context, &world);
        ticket_filter::select(&world, "-createdTime", |ticket| {
            ticket.is_live() && ticket.is_archived && filter.matches(&world, ticket, 0)
        })
    });
    let mut out = Vec::new();
    world.ticket_rows(&mut out, context.page(&selection), &shape(context, &ticket_fields::list()));
    Ok(context.list_answer(&out, None))
}

/// `GET /tickets/{id}`, also of a ticket in the recycle bin.
pub(crate) fn detail(context: &Context<'_>) -> Result<Answer, ApiError> {
    let world = context.world();
    let ticket = world.tickets.find(context.id(0)).ok_or_else(ApiError::not_found)?;
    if context.is_hidden_ticket(&world, ticket) {
        return Err(ApiError::forbidden());
    }
    let mut out = Vec::with_capacity(4_096);
    world.ticket(&mut out, ticket, &shape(context, &ticket_fields::detail()));
    Ok(Answer::json(out))
}

fn shape(context: &Context<'_>, base: &[TicketField]) -> Vec<TicketField> {
    // In the order of INCLUDABLE: every order of the parameter shares one projection in the cache.
    let wanted: Vec<TicketField> = context.list("include").into_iter().filter_map(included).collect();
    let mut fields = base.to_vec();
    fields.extend(ticket_fields::INCLUDABLE.iter().filter(|field| wanted.contains(field)));
    fields
}

/// Rows with `fields=`: it replaces the projection, `cf` is null, an unknown name is 500 (§8, gotcha 9).
fn rows_with_fields(
    context: &Context<'_>,
    world: &World,
    page: &[u32],
    names: &str,
) -> Result<Vec<u8>, ApiError> {
    let (mut fields, mut custom, mut null_cf) = (vec![TicketField::Id], Vec::new(), false);
    for name in names.split(',').map(str::trim) {
        let known = TicketField::of(name).filter(|field| is_selectable(*field));
        match known {
            Some(TicketField::Cf) => null_cf = true,
            Some(TicketField::Id) => {}
            Some(field) => fields.push(field),
            None if !context.settings.readings.no_custom_fields_by_name
                && world.fields.custom("tickets").any(|field| field.api_name == name) =>
            {
                custom.push(name.to_owned());
            }
            None => return Err(ApiError::internal()),
        }
    }
    fields.dedup();
    let fields = shape(context, &fields);
    let mut out = Vec::new();
    for at in page {
        if !out.is_empty() {
            out.push(b',');
        }
        let ticket = &world.tickets.rows[*at as usize];
        world.ticket(&mut out, ticket, &fields);
        out.pop();
        if !custom.is_empty() {
            out.extend_from_slice(b",\"cf\":");
            world.chosen_custom_fields(&mut out, ticket, &custom);
        } else if null_cf {
            out.extend_from_slice(b",\"cf\":null");
        }
        out.push(b'}');
    }
    Ok(out)
}

/// Creates or trashes a ticket after every `churn_every_pages` pages.
fn churn(context: &Context<'_>, status: StatusCode) {
    let every = u64::from(context.settings.churn_every_pages);
    if every == 0 || status != StatusCode::OK {
        return;
    }
    // Churn cannot fail: without a ticket to trash it does nothing.
    let _ = context.shared.change(None, |world, stamp| Ok(((), world.churn(every, stamp))));
}
