//! The context of a handler: the call, the settings, and the steps that all list handlers share.

use std::sync::RwLockReadGuard;

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::api::parameters::{Paging, RECYCLE_BIN, range, window};
use crate::api::routes::Route;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::request::Call;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::world::World;
use crate::world::ticket::Ticket;

/// One call of one endpoint. Its parameters have been checked.
pub(crate) struct Context<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) settings: &'a Settings,
    pub(crate) call: &'a Call,
    pub(crate) route: &'static Route,
    /// The values of the placeholders in the path.
    pub(crate) ids: &'a [String],
}

impl<'a> Context<'a> {
    /// The records.
    pub(crate) fn world(&self) -> RwLockReadGuard<'a, World> {
        self.shared.world()
    }

    /// A query parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.call.get(name)
    }

    /// The parts of a comma-separated parameter.
    pub(crate) fn list(&self, name: &str) -> Vec<&'a str> {
        let parts = self.get(name).map(|value| value.split(','));
        parts.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    /// Both ends of a range parameter.
    pub(crate) fn range(&self, name: &str) -> Option<(i64, i64)> {
        self.get(name).and_then(range)
    }

    /// The value of a placeholder in the path.
    pub(crate) fn id(&self, at: usize) -> &str {
        self.ids.get(at).map_or("", String::as_str)
    }

    /// The part of the query that decides the selected rows and their order, as a cache key.
    pub(crate) fn selection_key(&self) -> String {
        let skipped = ["from", "limit", "include", "fields", "orgId"];
        let mut pairs: Vec<String> = self
            .call
            .query
            .iter()
            .filter(|(name, _)| !skipped.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.sort();
        let hidden = self.settings.hidden_departments.join(",");
        let is_after = self.settings.hidden_make_pages_short;
        format!("{}?{} {hidden} {is_after}", self.call.path, pairs.join("&"))
    }

    /// The part of the selection that is on the requested page.
    pub(crate) fn page<'v, T>(&self, selected: &'v [T]) -> &'v [T] {
        let (from, limit) = window(self.route, self.call, self.settings);
        let readings = &self.settings.readings;
        // By the OAS the `from` of the accounts of a contact starts at 1.
        let is_child = self.route.name.contains("{id}/") && self.route.name != "GET /contacts/{id}/accounts";
        let offset = match self.route.paging {
            _ if self.settings.ignore_from => 0,
            Paging::List { .. } if is_child && readings.children_from_zero => from,
            Paging::List { .. } if self.route.name == RECYCLE_BIN && readings.recycle_bin_from_zero => from,
            Paging::List { .. } => from.max(1) - 1,
            Paging::Search | Paging::None => from,
        };
        let cap = match (self.route.paging, readings.list_rows_max) {
            (Paging::List { .. }, Some(max)) => selected.len().min(max as usize),
            _ => selected.len(),
        };
        let start = (offset as usize).min(cap);
        let end = (start + limit as usize).min(cap);
        &selected[start..end]
    }

    /// Whether the agent may see the records of a department.
    pub(crate) fn is_hidden(&self, department: &str) -> bool {
        self.settings.hidden_departments.iter().any(|hidden| hidden == department)
    }

    /// Whether the agent may not see a ticket.
    pub(crate) fn is_hidden_ticket(&self, world: &World, ticket: &Ticket) -> bool {
        if self.settings.hidden_departments.is_empty() {
            return false;
        }
        let department = world.departments.rows.get(ticket.department as usize);
        department.is_some_and(|row| self.is_hidden(&row.id.to_string()))
    }

    /// `count` of a search: all matches, or those on the page.
    pub(crate) fn search_count(&self, all: usize, on_page: usize) -> Option<usize> {
        Some(if self.settings.readings.search_count_of_page { on_page } else { all })
    }

    /// The answer of a list with these rendered rows, separated by commas; 204 without rows. Searches have a
    /// `count`.
    pub(crate) fn list_answer(&self, rows: &[u8], count: Option<usize>) -> Answer {
        if rows.is_empty() && !self.settings.empty_list_as_200 {
            return Answer::empty(StatusCode::NO_CONTENT);
        }
        let mut body = Vec::with_capacity(rows.len() + 32);
        body.extend_from_slice(b"{\"data\":[");
        body.extend_from_slice(rows);
        body.push(b']');
        if let Some(count) = count {
            let quote = if self.settings.readings.search_count_as_text { "\"" } else { "" };
            body.extend_from_slice(format!(",\"count\":{quote}{count}{quote}").as_bytes());
        }
        body.push(b'}');
        Answer::json(body)
    }

    /// The JSON body.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        if self.call.body.is_empty() {
            return Err(ApiError::new(422, "EMPTY_PAYLOAD", "The request has no payload."));
        }
        let parsed = serde_json::from_slice(&self.call.body);
        parsed.map_err(|error| ApiError::invalid("", "invalid", &error.to_string()))
    }
}
