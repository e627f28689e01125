//! The connection test: one item for each thing that must work. An item passes only after it was tried.

use crate::api::{Answer, Api};
use crate::error::{Error, Kind, Result};
use crate::members::Members;
use crate::reader;
use crate::schema::Field;
use crate::table::{Incremental, Table};
use crate::tables;
use crate::transport::Transport;
use crate::url::{Origin, Path};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Warning,
    Failed,
    Skipped,
}

/// One line of the test; the contract's `check-item`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub name: String,
    pub outcome: Outcome,
    pub message: String,
    pub hint: Option<String>,
    /// Of the failure.
    pub kind: Option<Kind>,
}

/// Tries both hosts, the token, the organization, every configured table and the webhooks of the
/// organization, in this order. An item that depends on a failed one is skipped.
pub(crate) fn run<T: Transport>(api: &mut Api<T>) -> Vec<Item> {
    let desk = api.get_public("/api/v1/organizations").map(|answer| answer.status);
    let accounts = api.probe_accounts("/oauth/serverinfo");
    let mut items = vec![
        host("desk host", &api.config().desk, desk),
        host("accounts host", &api.config().accounts, accounts),
    ];
    let is_reachable = items.iter().all(|item| item.outcome == Outcome::Passed);
    let token = if is_reachable { token(api) } else { skipped("token", "a host cannot be reached") };
    let is_authorized = token.outcome == Outcome::Passed;
    items.push(token);
    let organization =
        if is_authorized { organization(api) } else { skipped("organization", "there is no valid token") };
    let tables_skipped = match organization.outcome {
        Outcome::Failed => Some("the organization is not right"),
        Outcome::Skipped => Some("there is no valid token"),
        Outcome::Passed | Outcome::Warning => None,
    };
    items.push(organization);
    for table in api.config().tables.clone() {
        let name = format!("table {}", table.name);
        items.push(match tables_skipped {
            Some(why) => skipped(name, why),
            None => self::table(api, table, name),
        });
    }
    if tables_skipped.is_none() {
        items.push(webhooks(api));
    }
    items
}

/// Any HTTP answer, a refusal included, shows that the host is there.
fn host(name: &str, origin: &Origin, status: Result<u16>) -> Item {
    match status {
        Ok(status) if status < 500 => passed(name, format!("{origin} answers")),
        Ok(status) => Item {
            outcome: Outcome::Warning,
            hint: Some("the service may be down; see Zoho's status page".to_owned()),
            ..passed(name, format!("{origin} answers HTTP {status}"))
        },
        Err(error) => failed(name, error),
    }
}

/// Tries the token against the API.
fn token<T: Transport>(api: &mut Api<T>) -> Item {
    let accepted = || passed("token", "accepted".to_owned());
    match api.ensure_token().and_then(|()| api.get("/api/v1/organizations")) {
        Ok(_) => accepted(),
        // A valid token for another organization: the next item says so.
        Err(error) if error.code.as_deref() == Some("OAUTH_ORG_MISMATCH") => accepted(),
        Err(error) => failed("token", error),
    }
}

/// The token sees the configured organization, and the organization accepts it.
fn organization<T: Transport>(api: &mut Api<T>) -> Item {
    let wanted = api.config().organization_id.clone();
    match api.organization() {
        Ok(Some(found)) => {
            let name = found.name.unwrap_or_else(|| "without a name".to_owned());
            let edition = found.edition.as_deref().unwrap_or("unknown").to_ascii_lowercase();
            let at_once = api.concurrency();
            let message = format!("{wanted} ({name}), edition {edition}: up to {at_once} calls at once");
            passed("organization", message)
        }
        Ok(None) => {
            let message = format!("`organization_id` {wanted} is none of those that the token sees");
            let error = Error::new(Kind::Config, message).hint(
                "copy the organization id from Setup > Developer Space > API, or generate the code with the \
                 right portal selected",
            );
            failed("organization", error)
        }
        Err(error) => failed("organization", error),
    }
}

/// The calls that reading a table makes: one row of the list, its detail and children where it has some, and
/// the search of incremental reading. Refused fields cost columns, a refused recycle bin deletes.
fn table<T: Transport>(api: &mut Api<T>, table: &'static Table, name: String) -> Item {
    match try_table(api, table) {
        Ok(warnings) if warnings.is_empty() => passed(name, "readable".to_owned()),
        Ok(warnings) => Item { outcome: Outcome::Warning, ..passed(name, warnings.join("; ")) },
        Err(error) if reader::is_skipped(api, table, &error) => {
            let message = format!("skipped: {error}");
            let hint = Some(format!("{}; or leave its group out of `tables`", reader::needs(table)));
            Item { outcome: Outcome::Skipped, hint, ..passed(name, message) }
        }
        Err(error) => {
            let hint = error
                .lacks_scope()
                .then(|| format!("generate a new code with {} among its scopes", table.scopes.join(" and ")));
            let item = failed(name, error);
            Item { hint: hint.or(item.hint.clone()), ..item }
        }
    }
}

/// The warnings of a table that can be read.
fn try_table<T: Transport>(api: &mut Api<T>, table: &'static Table) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let detail = match reader::first_row(api, table)? {
        Some(id) => try_record(api, table, &id)?,
        None => {
            warnings.push("readable, but has no rows: empty, or hidden from this user".to_owned());
            None
        }
    };
    if let Incremental::Search { path, .. } = table.incremental {
        let path = Path::new(path).with("from", 0).with("limit", 1).with("sortBy", "modifiedTime");
        api.get(&path.into_string())?;
    }
    if let Some(module) = table.fields_module {
        let path = Path::new("/api/v1/organizationFields").with("module", module);
        let fields = api.get(&path.into_string());
        let hidden = match (&fields, &detail) {
            (Ok(fields), Some(detail)) => hidden(table, fields, detail),
            _ => Vec::new(),
        };
        if !hidden.is_empty() {
            warnings.push(format!("hidden from this user, and absent from rows: {}", hidden.join(", ")));
        }
        warnings.extend(optional("its custom fields get no columns", fields)?);
    }
    let owner = tables::parent(table).unwrap_or(table);
    if owner.recycle_bin.is_some() {
        let path = Path::new("/api/v1/recycleBin").with("from", 1).with("limit", 1);
        let lacks = "its deletes are found by snapshots only";
        warnings.extend(optional(lacks, api.get(&path.into_string()))?);
    }
    Ok(warnings)
}

/// Tries the detail of the first row, which it returns, or its children with the record of one of each kind.
fn try_record<T: Transport>(api: &mut Api<T>, table: &'static Table, id: &str) -> Result<Option<String>> {
    let mut detail = None;
    if table.detail.is_some()
        && let Some(path) = table.record_path(id)
        && let Some(answer) = unless_deleted(api.get(&path))?
    {
        detail = answer.object()?.map(|row| row.get().to_owned());
    }
    for kind in table.children.map_or(&[][..], |children| children.kinds) {
        let mut path = Path::new(&kind.list.replace("{parent}", id));
        if kind.limit > 0 {
            path = path.with("from", 1).with("limit", 1);
        }
        let Some(answer) = unless_deleted(api.get(&path.into_string()))? else { continue };
        let rows = reader::rows_of(&answer, kind.rows, kind.identity, id)?;
        if let (Some((child, _)), false) = (rows.first(), kind.list_is_complete) {
            unless_deleted(api.get(&kind.record_path(id, &child.id)))?;
        }
    }
    Ok(detail)
}

/// The fields of the module that a record lacks: the profile of this user hides them. Only columns count: the
/// module has fields by other names than a record's, and a record lacks custom fields without a value, too.
fn hidden(table: &Table, fields: &Answer, detail: &str) -> Vec<String> {
    let Some(record) = Members::parse(detail) else { return Vec::new() };
    let is_column = |name: &str| table.columns.iter().any(|column| column.name == name);
    let is_hidden = |field: &Field| {
        let name = field.api_name.clone().filter(|_| field.custom_key().is_none())?;
        (is_column(&name) && !record.has(&name)).then_some(name)
    };
    let rows = fields.rows().unwrap_or_default();
    let fields = rows.into_iter().filter_map(|raw| serde_json::from_str::<Field>(raw.get()).ok());
    fields.filter_map(|field| is_hidden(&field)).collect()
}

/// The answer about a record; none when it was deleted since it was listed.
fn unless_deleted(answer: Result<Answer>) -> Result<Option<Answer>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The warning of a call that reading does without when it is refused.
fn optional(lacks: &str, answer: Result<Answer>) -> Result<Option<String>> {
    match answer {
        Ok(_) => Ok(None),
        Err(error) if error.is_refusal() => Ok(Some(format!("{lacks}: {error}"))),
        Err(error) => Err(error),
    }
}

/// Whether webhooks can be registered through the API. Polling and a webhook that was registered by hand do
/// without it.
fn webhooks<T: Transport>(api: &mut Api<T>) -> Item {
    let name = "webhooks";
    match api.get("/api/v1/webhooks") {
        Ok(_) => passed(name, "can be listed".to_owned()),
        Err(error) if error.kind == Kind::Permission => {
            let message = format!("cannot be registered by `webhook subscribe`: {error}");
            Item { outcome: Outcome::Skipped, ..passed(name, message) }
        }
        Err(error) => Item { outcome: Outcome::Warning, ..failed(name, error) },
    }
}

fn passed(name: impl Into<String>, message: String) -> Item {
    Item { name: name.into(), outcome: Outcome::Passed, message, hint: None, kind: None }
}

fn failed(name: impl Into<String>, error: Error) -> Item {
    Item {
        name: name.into(),
        outcome: Outcome::Failed,
        message: error.to_string(),
        hint: error.hint,
        kind: Some(error.kind),
    }
}

fn skipped(name: impl Into<String>, why: &str) -> Item {
    Item { outcome: Outcome::Skipped, ..passed(name, format!("not tried: {why}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::answer_of;

    #[test]
    fn fields_that_a_record_lacks_are_hidden_and_null_is_a_value() {
        let fields = r#"{"data":[{"apiName":"resolution","isCustomField":false},
            {"apiName":"subject","isCustomField":false},{"apiName":"notAColumn","isCustomField":false},
            {"apiName":"cf_a","isCustomField":true},{"apiName":"b","isCustomField":"true"}]}"#;
        let fields = answer_of(200, fields).unwrap();
        let table = tables::find("tickets").unwrap();
        for (record, expected) in [
            (r#"{"id":"1","subject":"s","cf":{"cf_a":null}}"#, &["resolution"][..]),
            (r#"{"id":"1","subject":null,"resolution":null,"cf":{"cf_a":"1","cf_b":"2"}}"#, &[]),
            (r#"{"id":"1","subject":"s","resolution":"r"}"#, &[]),
        ] {
            assert_eq!(hidden(table, &fields, record), expected, "{record}");
        }
    }
}
