//! The connection test: one item for each thing that must work, and none that passes without having been tried.

use crate::api::Api;
use crate::error::{Error, Kind};
use crate::table::Table;
use crate::transport::Transport;
use crate::url::Path;

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
    /// What to do about it, when it failed.
    pub kind: Option<Kind>,
}

/// Tries both hosts, the token, the organisation and every configured table, in this order. What depends on something
/// that failed is skipped.
pub fn run<T: Transport>(api: &mut Api<T>) -> Vec<Item> {
    let mut items = vec![
        host(api, "desk host", false, "/api/v1/organizations"),
        host(api, "accounts host", true, "/oauth/serverinfo"),
    ];
    let reachable = items.iter().all(|item| item.outcome == Outcome::Passed);
    let token = if reachable { token(api) } else { skipped("token", "a host cannot be reached") };
    let authorised = token.outcome == Outcome::Passed;
    items.push(token);
    if authorised {
        let organization = organization(api);
        let known = organization.outcome != Outcome::Failed;
        items.push(organization);
        let tables = api.config().tables.clone();
        for table in tables {
            let name = format!("table {}", table.name);
            items.push(if known {
                self::table(api, table, name)
            } else {
                skipped(name, "the organisation is not right")
            });
        }
    } else {
        items.push(skipped("organization", "there is no valid token"));
        items.extend(
            api.config()
                .tables
                .iter()
                .map(|table| skipped(format!("table {}", table.name), "there is no valid token")),
        );
    }
    items
}

/// Any HTTP answer, a refusal included, shows that the host is there.
fn host<T: Transport>(api: &mut Api<T>, name: &str, accounts: bool, path: &str) -> Item {
    let origin = if accounts { &api.config().accounts } else { &api.config().desk }.to_string();
    let answered =
        if accounts { api.probe_accounts(path) } else { api.get_public(path).map(|answer| answer.status) };
    match answered {
        Ok(status) if status < 500 => passed(name, format!("{origin} answers")),
        Ok(status) => Item {
            outcome: Outcome::Warning,
            hint: Some("the service may be down; see Zoho's status page".to_owned()),
            ..passed(name, format!("{origin} answers HTTP {status}"))
        },
        Err(error) => failed(name, error),
    }
}

/// The token is tried against the API, not only obtained.
fn token<T: Transport>(api: &mut Api<T>) -> Item {
    match api.ensure_token().and_then(|()| api.get("/api/v1/organizations").map(drop)) {
        Ok(()) => passed("token", "accepted".to_owned()),
        // A good token for another organisation: the next item says so.
        Err(error) if error.code.as_deref() == Some("OAUTH_ORG_MISMATCH") => {
            passed("token", "accepted".to_owned())
        }
        Err(error) => failed("token", error),
    }
}

/// The token sees the configured organisation, and the organisation accepts it.
fn organization<T: Transport>(api: &mut Api<T>) -> Item {
    let wanted = api.config().organization_id.clone();
    match api.organization() {
        Ok(Some(found)) => {
            let name = found.name.unwrap_or_else(|| "without a name".to_owned());
            let edition = found.edition.as_deref().unwrap_or("unknown").to_ascii_lowercase();
            let at_once = api.concurrency();
            passed("organization", format!("{wanted} ({name}), edition {edition}: up to {at_once} calls at once"))
        }
        Ok(None) => failed(
            "organization",
            Error::new(Kind::Config, format!("`organization_id` {wanted} is none of those that the token sees")).hint(
                "copy the organisation id from Setup > Developer Space > API, or generate the code with the right portal \
                 selected",
            ),
        ),
        Err(error) => failed("organization", error),
    }
}

/// One row of the list, one detail where the table has them, and the search that follows it.
fn table<T: Transport>(api: &mut Api<T>, table: &'static Table, name: String) -> Item {
    match try_table(api, table) {
        Ok(None) => passed(name, "readable".to_owned()),
        Ok(Some(warning)) => Item { outcome: Outcome::Warning, ..passed(name, warning) },
        Err(error) => {
            let hint = (error.code.as_deref() == Some("SCOPE_MISMATCH"))
                .then(|| format!("generate a new code with {} among its scopes", table.scopes.join(" and ")));
            let item = failed(name, error);
            Item { hint: hint.or(item.hint.clone()), ..item }
        }
    }
}

fn try_table<T: Transport>(api: &mut Api<T>, table: &'static Table) -> crate::error::Result<Option<String>> {
    let mut path = Path::new(table.list.path);
    if table.list.limit > 0 {
        path = path.with("from", 1).with("limit", 1);
    }
    if let Some(slices) = table.list.slices {
        path = path.with(slices.parameter, slices.values[0]);
    }
    let answer = api.get(&path.into_string())?;
    let rows = answer.rows()?;
    let first = rows.first().and_then(|raw| crate::row::head(raw.get()));
    if let (Some(head), Some(_)) = (&first, table.detail)
        && let Some(path) = table.detail_path(&head.id)
    {
        match api.get(&path) {
            Ok(_) => {}
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if let crate::table::Follow::Search { path, .. } = table.follow {
        let path =
            Path::new(path).with("from", 0).with("limit", 1).with("sortBy", "modifiedTime").into_string();
        api.get(&path)?;
    }
    Ok(first.is_none().then(|| "readable, but shows no rows: empty, or hidden from this user".to_owned()))
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
