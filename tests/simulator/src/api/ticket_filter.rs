//! The filters of ticket lists, and the order of tickets in lists and searches.

use std::cmp::Reverse;

use crate::api::context::Context;
use crate::time::{DAY_MS, iso};
use crate::vocabulary::{CHANNELS, PRIORITIES};
use crate::world::World;
use crate::world::table::Table;
use crate::world::ticket::{NEVER, NONE, Ticket};

/// One condition. References are positions in the tables of their modules.
enum Condition {
    Departments(Vec<u32>),
    /// [`NONE`] selects tickets without an agent.
    Assignees(Vec<u32>),
    Teams(Vec<u32>),
    Statuses(Vec<String>),
    Channels(Vec<u8>),
    Priorities(Vec<u8>),
    CreatedWithinDays(i64),
    Due(String),
    Closed(String),
}

/// A position that no record has, for unknown ids.
const UNKNOWN: u32 = NONE - 1;

/// The conditions of a list: a ticket must meet all.
pub(crate) struct Filter(Vec<Condition>);

impl Filter {
    /// The conditions in the query of a ticket list.
    pub(crate) fn of_list(context: &Context<'_>, world: &World) -> Filter {
        let mut conditions = Vec::new();
        for (name, value) in &context.call.query {
            let parts = || value.split(',').map(str::trim).filter(|part| !part.is_empty());
            let positions = |table: &Table| -> Vec<u32> {
                parts().map(|id| table.position(id).map_or(UNKNOWN, |at| at as u32)).collect()
            };
            conditions.push(match name.as_str() {
                "departmentIds" | "departmentId" => Condition::Departments(positions(&world.departments)),
                "assignee" => Condition::Assignees(
                    parts()
                        .map(|part| match part {
                            "Unassigned" => NONE,
                            id => world.agents.position(id).map_or(UNKNOWN, |at| at as u32),
                        })
                        .collect(),
                ),
                "teamIds" => Condition::Teams(positions(&world.teams)),
                "status" => Condition::Statuses(parts().map(str::to_owned).collect()),
                "channel" => Condition::Channels(parts().map(channel).collect()),
                "priority" => Condition::Priorities(parts().map(priority).collect()),
                "receivedInDays" => Condition::CreatedWithinDays(value.parse().unwrap_or(0)),
                "dueDate" => Condition::Due(value.clone()),
                "closedTime" => Condition::Closed(value.clone()),
                _ => continue,
            });
        }
        Filter(conditions)
    }

    /// Whether a ticket meets all conditions.
    pub(crate) fn matches(&self, world: &World, ticket: &Ticket, now: i64) -> bool {
        self.0.iter().all(|condition| match condition {
            Condition::Departments(positions) => positions.contains(&ticket.department),
            Condition::Assignees(positions) => positions.contains(&ticket.assignee),
            Condition::Teams(positions) => positions.contains(&ticket.team),
            Condition::Statuses(wanted) => has_status(world, ticket, wanted),
            Condition::Channels(wanted) => wanted.contains(&ticket.channel),
            Condition::Priorities(wanted) => wanted.contains(&ticket.priority),
            Condition::CreatedWithinDays(days) => ticket.created >= now - days * DAY_MS,
            Condition::Due(preset) => is_due(ticket.due, preset, now),
            Condition::Closed(preset) => was_closed(ticket.closed, preset, now),
        })
    }
}

/// The position of a channel; an unknown name gives one that no ticket has.
pub(crate) fn channel(name: &str) -> u8 {
    CHANNELS.iter().position(|(known, _)| *known == name).map_or(u8::MAX - 1, |at| at as u8)
}

/// The position of a priority; an unknown name gives one that no ticket has.
pub(crate) fn priority(name: &str) -> u8 {
    PRIORITIES.iter().position(|known| *known == name).map_or(u8::MAX - 1, |at| at as u8)
}

/// Whether a ticket's status has one of the names, or one of the types `${OPEN}`, `${ONHOLD}`, `${CLOSED}`.
pub(crate) fn has_status(world: &World, ticket: &Ticket, wanted: &[String]) -> bool {
    let status = world.status(ticket);
    wanted.iter().any(|name| match name.to_ascii_uppercase().as_str() {
        "${OPEN}" => status.kind == "Open",
        "${ONHOLD}" => status.kind == "On Hold",
        "${CLOSED}" => status.kind == "Closed",
        _ => status.name == *name,
    })
}

fn is_due(due: i64, preset: &str, now: i64) -> bool {
    if due == NEVER {
        return false;
    }
    let (today, day) = (now.div_euclid(DAY_MS), due.div_euclid(DAY_MS));
    match preset {
        "overdue" => due < now,
        "today" => day == today,
        "tomorrow" => day == today + 1,
        "currentWeek" => (day + 3).div_euclid(7) == (today + 3).div_euclid(7),
        _ => iso(due).get(..7) == iso(now).get(..7),
    }
}

fn was_closed(closed: i64, preset: &str, now: i64) -> bool {
    if closed == NEVER {
        return false;
    }
    let (today, day) = (now.div_euclid(DAY_MS), closed.div_euclid(DAY_MS));
    match preset {
        "today" => day == today,
        "yesterday" => day == today - 1,
        "currentWeek" => (day + 3).div_euclid(7) == (today + 3).div_euclid(7),
        "currentMonth" => iso(closed).get(..7) == iso(now).get(..7),
        other => {
            let days = other.trim_start_matches("last").trim_end_matches("days");
            day > today - days.parse().unwrap_or(0)
        }
    }
}

/// The positions of the matching tickets, sorted.
pub(crate) fn select(world: &World, by: &str, is_match: impl Fn(&Ticket) -> bool) -> Vec<u32> {
    let rows = &world.tickets.rows;
    let positions = 0..rows.len() as u32;
    let mut selected: Vec<u32> = positions.filter(|at| is_match(&rows[*at as usize])).collect();
    sort(by, &mut selected, |at| &rows[at as usize]);
    selected
}

/// Sorts positions by a documented key, `-` for descending. Equal keys ascend by id.
pub(crate) fn sort<'a>(by: &str, selected: &mut [u32], ticket: impl Fn(u32) -> &'a Ticket) {
    let (name, descending) = by.strip_prefix('-').map_or((by, false), |name| (name, true));
    let key = |ticket: &Ticket| match name {
        "createdTime" => ticket.created,
        "ticketNumber" => i64::from(ticket.index),
        "dueDate" => ticket.due,
        "responseDueDate" => ticket.response_due,
        "customerResponseTime" => ticket.responded,
        "recentThread" => ticket.last_thread_at,
        _ => ticket.modified,
    };
    if descending {
        selected.sort_unstable_by_key(|at| (Reverse(key(ticket(*at))), *at));
    } else {
        selected.sort_unstable_by_key(|at| (key(ticket(*at)), *at));
    }
}
