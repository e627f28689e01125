//! The records of the simulated Zoho Desk, as they are now.
//!
//! Knows no HTTP. [`crate::api`] renders them, the `change` files modify them, [`crate::truth`] prints them.

mod row_cache;
mod search_index;
mod selections;
pub(crate) mod table;

mod catalog;
mod customers;
mod departments;
pub(crate) mod fields;
pub(crate) mod more;
mod population;
mod standard_fields;
mod status;
mod translations;

pub(crate) mod conversation;
mod conversation_row;
mod embedded;
pub(crate) mod ticket;
pub(crate) mod ticket_fields;
pub(crate) mod ticket_more;
mod ticket_row;
mod ticket_text;
mod tickets;

pub(crate) mod bulk;
pub(crate) mod change;
mod change_conversation;
mod change_field;
pub(crate) mod change_part;
mod change_row;
mod change_ticket;
mod churn;
mod random;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::options::Options;
use crate::world::fields::Fields;
use crate::world::population::Population;
use crate::world::status::Status;
use crate::world::table::{Object, Record, Row, Table};
use crate::world::ticket::Ticket;

/// Every record.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) population: Population,
    pub(crate) fields: Fields,
    pub(crate) departments: Table,
    pub(crate) agents: Table,
    pub(crate) teams: Table,
    pub(crate) products: Table,
    pub(crate) contracts: Table,
    pub(crate) contacts: Table,
    pub(crate) accounts: Table,
    pub(crate) tickets: Table<Ticket>,
    /// The tables of [`more`], by their names in URLs.
    more: BTreeMap<&'static str, Table>,
    /// List pages served while churn was on.
    churn_pages: u64,
    /// The statuses of each department, by its position.
    statuses: Vec<Vec<Status>>,
}

impl World {
    /// The generated records for these options.
    pub(crate) fn new(options: &Options) -> World {
        let (seed, sizes) = (options.seed, &options.sizes);
        let population = Population::new(seed, sizes);
        let statuses: Vec<Vec<Status>> = (0..population.departments).map(status::statuses).collect();
        let fields = Fields::new(seed, &status::distinct(&statuses));
        let generate = |module, count: u32, row: &dyn Fn(u32) -> Row| {
            Table::new(module, seed, (0..count).map(row).collect())
        };
        let Population { departments, agents, products, contracts, contacts, accounts, .. } = population;
        let (people, all) = (&population, &fields);
        World {
            seed,
            departments: generate(&departments::DEPARTMENT, departments, &|at| {
                departments::department(people, at)
            }),
            agents: generate(&departments::AGENT, agents, &|at| departments::agent(people, at)),
            teams: generate(&departments::TEAM, departments, &|at| departments::team(people, at)),
            products: generate(&catalog::PRODUCT, products, &|at| catalog::product(people, all, at)),
            contracts: generate(&catalog::CONTRACT, contracts, &|at| catalog::contract(people, all, at)),
            contacts: generate(&customers::CONTACT, contacts, &|at| customers::contact(people, all, at)),
            accounts: generate(&customers::ACCOUNT, accounts, &|at| customers::account(people, all, at)),
            more: more::tables(people, all),
            tickets: tickets::generate(people, sizes, options.cache_mib << 20),
            population,
            fields,
            statuses,
            churn_pages: 0,
        }
    }

    /// The table of a module by its name in URLs; none for tickets, whose table has another type.
    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        Some(match name {
            "departments" => &self.departments,
            "agents" => &self.agents,
            "teams" => &self.teams,
            "products" => &self.products,
            "contracts" => &self.contracts,
            "contacts" => &self.contacts,
            "accounts" => &self.accounts,
            name => return self.more.get(name),
        })
    }

    /// The same table, to be modified.
    pub(crate) fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        Some(match name {
            "departments" => &mut self.departments,
            "agents" => &mut self.agents,
            "teams" => &mut self.teams,
            "products" => &mut self.products,
            "contracts" => &mut self.contracts,
            "contacts" => &mut self.contacts,
            "accounts" => &mut self.accounts,
            name => return self.more.get_mut(name),
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

    /// A record as its detail endpoint shows it.
    pub(crate) fn detail(&self, table: &Table, row: &Row) -> Object {
        let mut detail = row.values.clone();
        if let Some(Value::Object(cf)) = row.values.get("cf")
            && table.module.name != "agents"
        {
            detail.insert("customFields".to_owned(), self.fields.by_label(table.module.name, cf));
        }
        if table.module.trash_key.is_some() {
            detail.insert("isDeleted".to_owned(), false.into());
            detail.insert("isTrashed".to_owned(), (!row.is_live()).into());
        }
        if table.module.name == "contracts" {
            detail.insert("account".to_owned(), self.account_of_contract(row));
            detail.insert("product".to_owned(), self.product_of_contract(row));
        }
        if table.module.name == "accounts" {
            detail.insert("owner".to_owned(), self.owner(row));
        }
        detail
    }
}
