//! The truth: every record of the portal, as it is now.
//!
//! Knows nothing of HTTP. [`crate::api`] reads it, [`change`] alters it, [`crate::truth`] prints it.

pub(crate) mod catalog;
pub(crate) mod change;
pub(crate) mod change_row;
pub(crate) mod change_talk;
pub(crate) mod change_ticket;
pub(crate) mod conversation;
pub(crate) mod customers;
pub(crate) mod departments;
pub(crate) mod embedded;
pub(crate) mod fields;
pub(crate) mod pending;
pub(crate) mod random;
pub(crate) mod rendered;
pub(crate) mod standard_fields;
pub(crate) mod table;
pub(crate) mod ticket;
pub(crate) mod ticket_fields;
pub(crate) mod ticket_row;
pub(crate) mod tickets;
pub(crate) mod views;

use crate::options::{Options, Sizes};
use crate::world::catalog::Counts;
use crate::world::departments::Status;
use crate::world::fields::Fields;
use crate::world::table::{Document, Life, Row, Table};
use crate::world::ticket::{Draw, Ticket};
use crate::world::tickets::Tickets;

/// Every record of the portal.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) draw: Draw,
    pub(crate) fields: Fields,
    pub(crate) departments: Table,
    pub(crate) agents: Table,
    pub(crate) teams: Table,
    pub(crate) products: Table,
    pub(crate) contracts: Table,
    pub(crate) contacts: Table,
    pub(crate) accounts: Table,
    pub(crate) tickets: Tickets,
    /// List pages served in churn mode.
    churned: u64,
    /// The statuses of each department, by its position.
    statuses: Vec<Vec<Status>>,
}

impl World {
    /// The portal that options describe.
    pub(crate) fn new(options: &Options) -> World {
        let (seed, sizes) = (options.seed, &options.sizes);
        let draw = draw(seed, sizes);
        let counts = Counts::of(&draw);
        let statuses: Vec<Vec<Status>> = (0..draw.departments).map(departments::statuses).collect();
        let mut all: Vec<(String, String)> = Vec::new();
        for status in statuses.iter().flatten() {
            if all.iter().all(|(name, _)| *name != status.name) {
                all.push((status.name.clone(), status.kind.to_owned()));
            }
        }
        let fields = Fields::new(seed, &all);
        let people = (draw.contacts, draw.accounts, draw.agents);
        let table = |module, rows: Vec<Row>| Table::new(module, seed, rows);
        let department = |at| departments::department(seed, at, draw.agents);
        let agent = |at| departments::agent(seed, at, draw.departments);
        let team = |at| departments::team(seed, at, draw.agents);
        let product = |at| catalog::product(seed, at, counts, &fields);
        let contract = |at| catalog::contract(seed, at, counts, &fields);
        let contact = |at| customers::contact(seed, at, people, &fields);
        let account = |at| customers::account(seed, at, people, &fields);
        World {
            seed,
            draw,
            departments: table(&departments::DEPARTMENT, (0..draw.departments).map(department).collect()),
            agents: table(&departments::AGENT, (0..draw.agents).map(agent).collect()),
            teams: table(&departments::TEAM, (0..draw.departments).map(team).collect()),
            products: table(&catalog::PRODUCT, (0..draw.products).map(product).collect()),
            contracts: table(&catalog::CONTRACT, (0..sizes.contracts).map(contract).collect()),
            contacts: table(&customers::CONTACT, (0..draw.contacts).map(contact).collect()),
            accounts: table(&customers::ACCOUNT, (0..draw.accounts).map(account).collect()),
            tickets: Tickets::new(&draw, sizes),
            fields,
            statuses,
            churned: 0,
        }
    }

    /// The table of a name, as URLs use it.
    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        Some(match name {
            "departments" => &self.departments,
            "agents" => &self.agents,
            "teams" => &self.teams,
            "products" => &self.products,
            "contracts" => &self.contracts,
            "contacts" => &self.contacts,
            "accounts" => &self.accounts,
            _ => return None,
        })
    }

    /// The same, to change it.
    pub(crate) fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        Some(match name {
            "departments" => &mut self.departments,
            "agents" => &mut self.agents,
            "teams" => &mut self.teams,
            "products" => &mut self.products,
            "contracts" => &mut self.contracts,
            "contacts" => &mut self.contacts,
            "accounts" => &mut self.accounts,
            _ => return None,
        })
    }

    /// The statuses of a department.
    pub(crate) fn statuses(&self, department: u32) -> &[Status] {
        self.statuses.get(department as usize).map_or(&self.statuses[0], Vec::as_slice)
    }

    /// The status of a ticket.
    pub(crate) fn status(&self, ticket: &Ticket) -> &Status {
        let statuses = self.statuses(ticket.department);
        statuses.get(usize::from(ticket.status)).unwrap_or(&statuses[0])
    }

    /// A document as its detail call shows it.
    pub(crate) fn detail(&self, table: &Table, row: &Row) -> Document {
        let mut document = row.document.clone();
        if let Some(serde_json::Value::Object(cf)) = row.document.get("cf")
            && table.module.name != "agents"
        {
            let labelled = self.fields.by_label(table.module.name, cf);
            document.insert("customFields".to_owned(), labelled);
        }
        if table.module.trash_key.is_some() {
            document.insert("isDeleted".to_owned(), false.into());
            document.insert("isTrashed".to_owned(), (row.life != Life::Live).into());
        }
        if table.module.name == "contracts" {
            document.insert("account".to_owned(), self.account_of_contract(row));
            document.insert("product".to_owned(), self.product_of_contract(row));
        }
        if table.module.name == "accounts" {
            document.insert("owner".to_owned(), self.owner(row));
        }
        document
    }
}

fn draw(seed: u64, sizes: &Sizes) -> Draw {
    Draw {
        seed,
        tickets: sizes.tickets + sizes.trashed_tickets + sizes.archived_tickets,
        departments: sizes.departments.max(1),
        agents: sizes.agents.max(1),
        contacts: sizes.contacts.max(1),
        accounts: sizes.accounts.max(1),
        products: sizes.products,
        conversations_max: sizes.conversations_max,
    }
}
