//! One connection: the contract's `connection` resource, free of bindings.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, Usage};
use crate::change::Change;
use crate::check::{self, Item};
use crate::config::{Config, Shape};
use crate::error::{Error, Kind, Result};
use crate::file::{self, OpenFile, Piece};
use crate::flat;
use crate::limits;
use crate::oauth::Grant;
use crate::plan::{self, Chosen, Cost};
use crate::reader::{self, Batch, Limits};
use crate::schema::{self, Field};
use crate::session::Session;
use crate::table::Table;
use crate::tables;
use crate::transport::Transport;
use crate::url::Path;
use crate::webhook::{self, Delivery, Receipt, Receiver};

/// The table that lists the fields of every module.
const FIELDS: &str = "organization_fields";

/// Departments of one page (`zoho-desk-api.md` §3.2).
const DEPARTMENTS_PAGE: u64 = 200;

/// A configured connection; its state is in its configuration and session only.
pub struct Connection<T> {
    api: Api<T>,
    receiver: Receiver,
    /// The file that is being fetched.
    file: Option<OpenFile>,
}

/// One table as `discover` finds it.
#[derive(Debug)]
pub struct Found {
    pub table: &'static Table,
    pub schema: Value,
    /// What the schema lacks, and why.
    pub warning: Option<String>,
}

impl<T: Transport> Connection<T> {
    /// Parses configuration and session; does no I/O.
    pub fn open(transport: T, config: &str, session: Option<&str>) -> Result<Self> {
        let config = Config::parse(config)?;
        let session = Session::parse(session, &config.client_id)?;
        Ok(Self { api: Api::new(transport, config, session), receiver: Receiver::default(), file: None })
    }

    /// For the next `open`.
    pub fn session(&self) -> String {
        self.api.session().to_json()
    }

    /// The cost of the calls since the last time.
    pub fn take_usage(&mut self) -> Usage {
        self.api.take_usage()
    }

    pub fn authorize(&mut self, grant: &str) -> Result<()> {
        let grant = Grant::parse(grant)?;
        self.api.authorize(&grant)
    }

    pub fn check(&mut self) -> Vec<Item> {
        check::run(&mut self.api)
    }

    /// The configured tables with the schema of their rows.
    pub fn discover(&mut self) -> Result<Vec<Found>> {
        let (tables, shape) = (self.api.config().tables.clone(), self.api.config().shape);
        let mut answers = Vec::with_capacity(tables.len());
        let mut is_answered = false;
        for table in tables {
            let fields = match table.fields_module {
                Some(module) => self.fields(module),
                None => Ok((Vec::new(), None)),
            };
            is_answered |= table.fields_module.is_some() && fields.is_ok();
            match fields {
                Err(error) if !error.is_of_request() => return Err(error),
                fields => answers.push((table, fields)),
            }
        }
        let found = |(table, fields): (&'static Table, Result<_>)| {
            let (fields, warning) = match fields {
                // Without any answer the failure is one of the connection; the first one may pass.
                Err(error) if is_answered && self.gives_up_fields(table) => {
                    no_fields(table.fields_module.unwrap_or_default(), &error)
                }
                fields => fields?,
            };
            Ok(Found { table, schema: schema::of(table, &fields, shape), warning })
        };
        answers.into_iter().map(found).collect()
    }

    /// Rows of a table; none where the API cannot count them.
    pub fn count(&mut self, table: &str) -> Result<Option<u64>> {
        let table = self.table(table)?;
        reader::count(&mut self.api, table)
    }

    pub fn cursor_at(&self, table: &str, time_ms: u64) -> Result<String> {
        Ok(reader::cursor_at(self.table(table)?, time_ms).to_json(self.api.config().shape))
    }

    pub fn read(&mut self, table: &str, cursor: Option<&str>, limits: Limits) -> Result<Batch> {
        let table = self.table(table)?;
        self.api.end_within(Some(limits.max_ms.into()));
        let batch = reader::read(&mut self.api, table, cursor, limits);
        self.api.end_within(None);
        let mut batch = batch?;
        self.shape(&mut batch.changes);
        Ok(batch)
    }

    /// Gives rows the shape that the configuration asks for.
    fn shape(&self, changes: &mut Vec<Change>) {
        if self.api.config().shape == Shape::Document {
            return;
        }
        let flat = |change: Change| match tables::find(change.table) {
            Some(table) => flat::change(table, change),
            None => change,
        };
        *changes = std::mem::take(changes).into_iter().map(flat).collect();
    }

    /// Ends the answer that [`Self::fetch`] keeps open.
    pub fn close_file(&mut self) {
        self.file = None;
    }

    /// The bytes from `offset` on of the file that a row names.
    pub fn fetch(&mut self, table: &str, row: &str, offset: u64, limits: Limits) -> Result<Piece> {
        let table = self.table(table)?;
        file::fetch(&mut self.api, &mut self.file, table, row, offset, limits)
    }

    /// A named action; see `describe`'s `commands`.
    pub fn command(&mut self, name: &str, arguments: &str) -> Result<Value> {
        match name {
            "list-fields" => {
                let arguments: ListFields = parse_arguments(name, arguments)?;
                self.list_fields(&arguments.module)
            }
            "list-departments" => {
                let NoArguments {} = parse_arguments(name, arguments)?;
                self.list_departments()
            }
            "plan" => {
                let arguments: PlanTables = parse_arguments(name, arguments)?;
                self.plan(&arguments.tables)
            }
            "refresh-token" => {
                let NoArguments {} = parse_arguments(name, arguments)?;
                self.api.renew_token()?;
                Ok(json!({"valid_until_ms": self.api.session().access_token_ends_ms}))
            }
            _ => Err(Error::new(Kind::Unsupported, format!("there is no command `{name}`"))
                .hint("`spec` lists the commands: list-fields, list-departments, plan, refresh-token")),
        }
    }

    /// Registers the webhook; returns the subscription.
    pub fn subscribe(&mut self, url: &str, tables: &[String], current: Option<&str>) -> Result<String> {
        webhook::subscribe(&mut self.api, url, tables, current).map(|subscription| subscription.to_json())
    }

    /// The state of a subscription at Zoho.
    pub fn check_subscription(&mut self, subscription: &str) -> Vec<Item> {
        vec![webhook::check(&mut self.api, subscription)]
    }

    pub fn unsubscribe(&mut self, subscription: &str) -> Result<()> {
        webhook::unsubscribe(&mut self.api, subscription)
    }

    /// Verifies and translates deliveries, in order, one result each.
    pub fn receive(&mut self, subscription: Option<&str>, deliveries: &[Delivery]) -> Vec<Result<Receipt>> {
        self.api.end_within(Some(limits::REFETCH_MS));
        let mut receipts = self.receiver.receive(&mut self.api, subscription, deliveries);
        self.api.end_within(None);
        let now_ms = self.api.to_source_clock(self.api.transport().now_ms());
        let is_signed = self.api.trust().is_signed() && self.api.config().signature.refuses_unsigned();
        for receipt in receipts.iter().flatten().filter(|receipt| !receipt.changes.is_empty()) {
            self.api.delivered_mut().note(&receipt.changes, is_signed, now_ms);
        }
        receipts.iter_mut().flatten().for_each(|receipt| self.shape(&mut receipt.changes));
        receipts
    }

    /// What a first read of these tables costs, or of all configured ones.
    fn plan(&mut self, names: &[String]) -> Result<Value> {
        let tables = match names {
            [] => self.api.config().tables.clone(),
            names => names.iter().map(|name| self.table(name)).collect::<Result<_>>()?,
        };
        let sizes = reader::sizes(&mut self.api, &tables)?;
        let (config, usage) = (self.api.config(), self.api.usage());
        let first_read = |table| plan::first_read(Chosen::of(config, table), table, &sizes);
        let planned: Vec<_> = tables.into_iter().map(first_read).collect();
        let (calls, credits) = (usage.requests, usage.credits_used);
        let used = Cost { calls, credits, older_credits: credits };
        Ok(plan::document(config, &planned, used, self.api.credits()))
    }

    fn list_fields(&mut self, module: &str) -> Result<Value> {
        self.api.get(&fields_path(module))?.json()
    }

    /// The fields of a module. None where the portal or the edition does not have it, and, with a warning,
    /// where this user may not see them, or where they are refused that were listed before: its rows may well
    /// be readable.
    fn fields(&mut self, module: &str) -> Result<(Vec<Field>, Option<String>)> {
        let answer = match self.api.get(&fields_path(module)) {
            Ok(answer) => answer,
            Err(error) if matches!(error.kind, Kind::Data | Kind::NotFound) => {
                let had_fields = self.api.session().learned.partition_had_rows(FIELDS, module) == Some(true);
                return Ok(if had_fields { no_fields(module, &error) } else { (Vec::new(), None) });
            }
            Err(error) if error.code.as_deref() == Some("LICENSE_ACCESS_LIMITED") => {
                return Ok((Vec::new(), None));
            }
            Err(error) if error.kind == Kind::Permission => return Ok(no_fields(module, &error)),
            Err(error) => return Err(error),
        };
        let fields = answer.rows()?.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok());
        let fields: Vec<Field> = fields.collect();
        self.api.learned().forget_failures(FIELDS, module);
        if !fields.is_empty() {
            self.api.learned().note_partition(FIELDS, module, true);
        }
        Ok((fields, None))
    }

    /// True when the fields of a table's module failed before, too, a while ago.
    fn gives_up_fields(&mut self, table: &Table) -> bool {
        let module = table.fields_module.unwrap_or_default();
        self.api.gives_up(FIELDS, module, limits::FAILED_RECORD_CALLS.0)
    }

    /// Every department, as the pages list them.
    fn list_departments(&mut self) -> Result<Value> {
        let mut departments = Vec::new();
        for page in 0..limits::DEPARTMENT_PAGES_MAX {
            let from = 1 + page * DEPARTMENTS_PAGE;
            let path = Path::new("/api/v1/departments").with("from", from).with("limit", DEPARTMENTS_PAGE);
            let answer = self.api.get(&path.into_string())?;
            let rows: Vec<Value> =
                answer.rows()?.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect();
            let is_last = (rows.len() as u64) < DEPARTMENTS_PAGE;
            departments.extend(rows);
            if is_last {
                break;
            }
        }
        Ok(json!({"data": departments}))
    }

    /// A table by name or original name, whether or not it is among the configured ones.
    fn table(&self, name: &str) -> Result<&'static Table> {
        tables::find(name).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no table `{name}`"))
                .hint(format!("there are {}", tables::names()))
        })
    }
}

/// No fields of a module, and the warning.
fn no_fields(module: &str, error: &Error) -> (Vec<Field>, Option<String>) {
    (Vec::new(), Some(format!("no columns for the custom fields of `{module}`: {error}")))
}

fn fields_path(module: &str) -> String {
    Path::new("/api/v1/organizationFields").with("module", module).into_string()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFields {
    #[serde(default = "tickets")]
    module: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanTables {
    #[serde(default)]
    tables: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

fn tickets() -> String {
    "tickets".to_owned()
}

fn parse_arguments<'a, A: Deserialize<'a>>(name: &str, arguments: &'a str) -> Result<A> {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    serde_json::from_str(arguments).map_err(|error| {
        Error::new(Kind::Config, format!("arguments of command `{name}`: {error}"))
            .hint("`spec` lists the arguments of each command")
    })
}
