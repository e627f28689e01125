//! The component: the contract's exports, with the faults that the configuration asks for.

mod bindings;
mod files;
mod hostile;
mod http;

use std::cell::RefCell;

use bindings::exports::connector::source::metadata;
use bindings::exports::connector::source::source::ConnectionBorrow;
use bindings::exports::connector::source::source::{
    CheckItem, Connection, Guest, GuestConnection, Outcome, Table,
};
use bindings::exports::connector::source::types::{
    Batch, Change, ChangeSource, Error, ErrorKind, Generation, Limits, Operation, Piece,
};
use bindings::exports::connector::source::webhook;
use bindings::wasi::clocks::{monotonic_clock, wall_clock};

use crate::config::{Behavior, Config, Crosses, Opens};
use crate::describe;
use crate::events;
use crate::rows::{self, Cursor};

struct Component;

struct Open {
    config: Config,
    session: RefCell<Option<String>>,
}

impl metadata::Guest for Component {
    fn describe() -> String {
        describe::document().to_string()
    }
}

impl Guest for Component {
    type Connection = Open;
}

impl webhook::Guest for Component {
    fn subscribe(
        connection: ConnectionBorrow<'_>,
        url: String,
        tables: Vec<String>,
        _: Option<String>,
    ) -> Result<String, Error> {
        let open: &Open = connection.get();
        if open.config.crosses == Some(Crosses::Subscription) {
            return Ok(hostile::answer(256 << 10));
        }
        Ok(serde_json::json!({"version": 1, "url": url, "tables": tables}).to_string())
    }

    fn check(_: ConnectionBorrow<'_>, _: String) -> Vec<CheckItem> {
        Vec::new()
    }

    fn unsubscribe(_: ConnectionBorrow<'_>, _: String) -> Result<(), Error> {
        Ok(())
    }

    fn receive(
        connection: ConnectionBorrow<'_>,
        _: Option<String>,
        deliveries: Vec<webhook::Delivery>,
    ) -> Vec<Result<webhook::Receipt, Error>> {
        let open: &Open = connection.get();
        deliveries.iter().map(|delivery| receipt(delivery, &open.config)).collect()
    }
}

/// One delivery: a list of events, each a change, an event to ignore, or a fault.
fn receipt(delivery: &webhook::Delivery, config: &Config) -> Result<webhook::Receipt, Error> {
    let events = events::parse(&delivery.body).map_err(|wrong| error(ErrorKind::Data, &wrong))?;
    let mut receipt = webhook::Receipt { changes: vec![], attributes: vec![] };
    for event in events {
        match event.table.as_str() {
            "things" => {}
            "trap" => std::process::abort(),
            "fail" => return Err(error(kind(&event.op), "as the event says")),
            "leak" => return Err(error(ErrorKind::Data, &format!("the secret is {}", config.secret))),
            other => {
                receipt.attributes.push(("ignored".into(), other.into()));
                continue;
            }
        }
        let row: u64 =
            event.id.parse().map_err(|_| error(ErrorKind::Data, "an event: its id is not a number"))?;
        let operation = match event.op.as_str() {
            "create" => Operation::Create,
            "delete" => Operation::Delete,
            _ => Operation::Update,
        };
        let mut change = thing(row, event.time, config, operation, ChangeSource::Webhook);
        change.as_of_ms = Some(event.time);
        receipt.changes.push(change);
    }
    if let Some(crosses) = config.crosses {
        hostile::receive(crosses, &mut receipt)?;
    }
    Ok(receipt)
}

impl GuestConnection for Open {
    fn open(config: String, session: Option<String>) -> Result<Connection, Error> {
        let config: Config = serde_json::from_str(&config)
            .map_err(|wrong| error(ErrorKind::Config, &format!("configuration: {wrong}")))?;
        match config.opens {
            Opens::AtOnce => {}
            Opens::Waits => monotonic_clock::subscribe_duration(u64::MAX).block(),
            Opens::Spins => loop {
                std::hint::spin_loop();
            },
        }
        Ok(Connection::new(Self { config, session: RefCell::new(session) }))
    }

    fn session(&self) -> Option<String> {
        if let Some(session) = self.config.crosses.and_then(|crosses| hostile::session(crosses, now_ms())) {
            return Some(session);
        }
        self.session.borrow().clone()
    }

    fn authorize(&self, grant: String) -> Result<(), Error> {
        let grant: serde_json::Value = serde_json::from_str(&grant).unwrap_or_default();
        let code = grant["code"].as_str().unwrap_or_default();
        if code.is_empty() || code.starts_with("expired") {
            let mut refused = error(ErrorKind::Auth, &format!("code {code}: expired or used"));
            refused.code = Some("invalid_code".into());
            refused.hint = Some("generate a new code".into());
            return Err(refused);
        }
        *self.session.borrow_mut() = Some(format!("{{\"token\":\"token-for-{code}\",\"calls\":0}}"));
        Ok(())
    }

    fn check(&self) -> Vec<CheckItem> {
        let authorized = self.session.borrow().is_some();
        let mut items = vec![CheckItem {
            name: "session".into(),
            outcome: if authorized { Outcome::Passed } else { Outcome::Failed },
            message: if authorized { "authorized" } else { "not authorized" }.into(),
            hint: (!authorized).then(|| "authorize first".into()),
            kind: (!authorized).then_some(ErrorKind::Auth),
        }];
        if let Some(crosses) = self.config.crosses {
            items.extend(hostile::check_items(crosses));
        }
        if let Some(url) = &self.config.url {
            let answer = http::get(url, &self.config);
            items.push(CheckItem {
                name: "api".into(),
                outcome: if answer.is_ok() { Outcome::Passed } else { Outcome::Failed },
                message: match answer {
                    Ok((status, body)) => format!("{status}, {} bytes", body.len()),
                    Err(wrong) => wrong,
                },
                hint: None,
                kind: None,
            });
        }
        items
    }

    fn discover(&self) -> Result<Vec<Table>, Error> {
        let pairs = "{\"properties\":{\"left\":{\"type\":\"string\"},\"right\":{\"type\":\"integer\"},\
                     \"sum\":{\"type\":\"integer\"}}}";
        if self.config.fails_discover {
            let mut failed = error(kind(&self.config.kind), "no tables, as configured");
            failed.retry_after_ms = self.config.retry_after_ms;
            return Err(failed);
        }
        let mut tables = vec![
            Table {
                name: "things".into(),
                primary_key: vec!["id".into()],
                schema: rows::schema(&self.config),
                schema_complete: true,
                attributes: vec![("title".into(), "Things".into()), ("count".into(), "true".into())],
            },
            Table {
                name: "pairs".into(),
                primary_key: vec!["left".into(), "right".into()],
                schema: pairs.into(),
                schema_complete: true,
                attributes: vec![],
            },
        ];
        if let Some(crosses) = self.config.crosses {
            hostile::discover(crosses, &mut tables);
        }
        let hidden = self.hidden();
        Ok(tables.into_iter().filter(|table| hidden.as_deref() != Some(table.name.as_str())).collect())
    }

    fn count(&self, table: String) -> Result<Option<u64>, Error> {
        Ok((table == "things").then_some(self.config.rows))
    }

    fn cursor_at(&self, _: String, _: u64) -> Result<String, Error> {
        Err(error(ErrorKind::Unsupported, "rows have no times"))
    }

    fn read(&self, table: String, cursor: Option<String>, limits: Limits) -> Result<Batch, Error> {
        if self.config.renew {
            let token = format!("{{\"token\":\"renewed-{}\"}}", now_ms());
            *self.session.borrow_mut() = Some(token);
        }
        match table.as_str() {
            "things" => self.things(cursor, &limits),
            "pairs" => Ok(pairs()),
            other => Err(error(ErrorKind::NotFound, &format!("table {other}: does not exist"))),
        }
    }

    fn fetch(&self, _: String, row: String, offset: u64, _: Limits) -> Result<Piece, Error> {
        files::piece(&self.config, &row, offset)
    }

    fn command(&self, name: String, arguments: String) -> Result<String, Error> {
        match name.as_str() {
            "echo" if self.config.crosses == Some(Crosses::Answer) => Ok(hostile::answer(8 << 20)),
            "echo" => Ok(arguments),
            "hide" => {
                let arguments: serde_json::Value = serde_json::from_str(&arguments).unwrap_or_default();
                let session = serde_json::json!({"token": "of-hide", "hidden": arguments["table"]});
                *self.session.borrow_mut() = Some(session.to_string());
                Ok("null".into())
            }
            "fail" => {
                let arguments: serde_json::Value = serde_json::from_str(&arguments).unwrap_or_default();
                Err(error(kind(arguments["kind"].as_str().unwrap_or_default()), "as asked"))
            }
            other => Err(error(ErrorKind::NotFound, &format!("command {other}: does not exist"))),
        }
    }
}

impl Open {
    /// The table that the command `hide` hid from `discover`.
    fn hidden(&self) -> Option<String> {
        let session: serde_json::Value = serde_json::from_str(self.session.borrow().as_deref()?).ok()?;
        Some(session["hidden"].as_str()?.to_owned())
    }

    fn things(&self, cursor: Option<String>, limits: &Limits) -> Result<Batch, Error> {
        let config = &self.config;
        match config.behavior {
            Behavior::Trap => std::process::abort(),
            Behavior::Spin => loop {
                std::hint::spin_loop();
            },
            Behavior::Allocate => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(std::hint::black_box(vec![1; 1 << 20]));
                }
            }
            Behavior::Hold => {
                let _held = std::hint::black_box(vec![1_u8; 200 << 20]);
                monotonic_clock::subscribe_duration(u64::MAX).block();
            }
            Behavior::Naps => {
                for _ in 0..50 {
                    monotonic_clock::subscribe_duration(11_000_000).block();
                }
            }
            Behavior::Hoard => http::hoard(),
            Behavior::ForbiddenHost => {
                return Err(http::get("https://forbidden.example:8443/path?token=secret", config)
                    .map_or_else(
                        |wrong| error(ErrorKind::Unavailable, &wrong),
                        |_| error(ErrorKind::Internal, "the host let it through"),
                    ));
            }
            Behavior::Fail => {
                let mut failed = error(kind(&config.kind), "as configured");
                failed.retry_after_ms = config.retry_after_ms;
                return Err(failed);
            }
            Behavior::LeakSecrets => {
                let session = self.session.borrow();
                let message =
                    format!("secret {} session {}", config.secret, session.as_deref().unwrap_or("none"));
                return Err(error(ErrorKind::Data, &message));
            }
            _ => {}
        }
        let mut batch = self.good(cursor, limits)?;
        if let Some(crosses) = config.crosses {
            hostile::read(crosses, &mut batch)?;
        }
        match config.behavior {
            Behavior::StuckCursor => {
                batch.cursor = "{}".into();
                batch.caught_up = false;
                batch.generation = None;
            }
            Behavior::BadJson => replace(&mut batch, |change| change.after = Some("{not json".into())),
            Behavior::BadKey => replace(&mut batch, |change| change.key = "[]".into()),
            Behavior::WrongTable => replace(&mut batch, |change| change.table = "elsewhere".into()),
            Behavior::BigBatch => {
                let padding = "x".repeat(1 << 20);
                for _ in 0..160 {
                    replace(&mut batch, |change| change.id.push_str(&padding));
                }
            }
            Behavior::Http => {
                let url = config.url.as_deref().unwrap_or_default();
                let (status, body) =
                    http::get(url, config).map_err(|wrong| error(ErrorKind::Unavailable, &wrong))?;
                replace(&mut batch, |change| {
                    let name = format!("{status} {}", body.len());
                    change.after = Some(serde_json::json!({"id": "0", "name": name}).to_string());
                });
            }
            _ => {}
        }
        Ok(batch)
    }

    fn good(&self, cursor: Option<String>, limits: &Limits) -> Result<Batch, Error> {
        let config = &self.config;
        let fresh = Cursor { version: 1, generation: now_ms(), row: 0, change: 0 };
        let mut cursor: Cursor = match cursor {
            None => fresh,
            Some(text) => serde_json::from_str(&text).unwrap_or(fresh),
        };
        let mut changes = Vec::new();
        let mut generation = None;
        let mut caught_up = true;
        if cursor.generation > 0 {
            let (numbers, end, complete) = rows::page(cursor, config, u64::from(limits.max_changes));
            changes.extend(
                numbers.into_iter().map(|row| thing(row, 1, config, Operation::Read, ChangeSource::Snapshot)),
            );
            generation = Some(Generation { id: cursor.generation, as_of_ms: None, complete });
            cursor.row = end;
            if complete {
                cursor.generation = 0;
            }
            caught_up = complete && config.changes == 0;
        } else if cursor.change < config.changes {
            let row = cursor.change % config.rows.max(1);
            cursor.change += 1;
            caught_up = cursor.change == config.changes;
            let operation = if caught_up { Operation::Delete } else { Operation::Update };
            changes.push(thing(row, 1 + cursor.change, config, operation, ChangeSource::Incremental));
        }
        Ok(Batch {
            changes,
            cursor: serde_json::to_string(&cursor).unwrap_or_default(),
            generation,
            caught_up,
            wait_ms: None,
            listings: vec![],
            undelivered: None,
            attributes: vec![("credits-used".into(), "1".into()), ("credits-left".into(), "99".into())],
        })
    }
}

fn thing(row: u64, version: u64, config: &Config, operation: Operation, source: ChangeSource) -> Change {
    let is_deleted = matches!(operation, Operation::Delete);
    Change {
        table: "things".into(),
        operation,
        key: rows::key(row),
        before: None,
        after: (!is_deleted).then(|| rows::document(row, version, config)),
        partial: false,
        source,
        source_updated_at_ms: Some(rows::source_updated_at_ms(row)),
        as_of_ms: None,
        id: format!("things:{row}:{version}"),
        attributes: vec![],
    }
}

fn pairs() -> Batch {
    let pair = |left: u32| Change {
        table: "pairs".into(),
        operation: Operation::Read,
        key: format!("{{\"left\":\"l{left}\",\"right\":{left}}}"),
        before: None,
        after: Some(format!("{{\"left\":\"l{left}\",\"right\":{left},\"sum\":\"{}\"}}", left * 2)),
        partial: false,
        source: ChangeSource::Snapshot,
        source_updated_at_ms: None,
        as_of_ms: None,
        id: format!("pairs:{left}"),
        attributes: vec![],
    };
    Batch {
        changes: (0..3).map(pair).collect(),
        cursor: "{\"done\":true}".into(),
        generation: Some(Generation { id: now_ms(), as_of_ms: None, complete: true }),
        caught_up: true,
        wait_ms: None,
        listings: vec![],
        undelivered: None,
        attributes: vec![],
    }
}

fn replace(batch: &mut Batch, change: impl FnOnce(&mut Change)) {
    if let Some(first) = batch.changes.first_mut() {
        change(first);
    }
}

fn now_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds * 1000 + u64::from(now.nanoseconds) / 1_000_000
}

fn error(kind: ErrorKind, message: &str) -> Error {
    Error { kind, code: None, message: message.into(), hint: None, retry_after_ms: None, attributes: vec![] }
}

fn kind(name: &str) -> ErrorKind {
    match name {
        "config" => ErrorKind::Config,
        "auth" => ErrorKind::Auth,
        "permission" => ErrorKind::Permission,
        "not-found" => ErrorKind::NotFound,
        "rate-limited" => ErrorKind::RateLimited,
        "unavailable" => ErrorKind::Unavailable,
        "data" => ErrorKind::Data,
        "unsupported" => ErrorKind::Unsupported,
        _ => ErrorKind::Internal,
    }
}
