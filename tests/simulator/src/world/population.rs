//! How many records of each module are generated. Generated references are drawn from these counts.

use crate::options::Sizes;

/// The seed and the number of generated records per module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Population {
    pub(crate) seed: u64,
    /// Live, trashed and archived ones together.
    pub(crate) tickets: u32,
    /// Also the number of teams: each department has one.
    pub(crate) departments: u32,
    pub(crate) agents: u32,
    pub(crate) contacts: u32,
    pub(crate) accounts: u32,
    pub(crate) products: u32,
    pub(crate) contracts: u32,
    pub(crate) more: Option<u32>,
    /// Most threads and comments of one ticket, together.
    pub(crate) conversations_max: u32,
}

impl Population {
    /// The counts for these sizes. Modules that other records must refer to have at least one record.
    pub(crate) fn new(seed: u64, sizes: &Sizes) -> Population {
        Population {
            seed,
            tickets: sizes.tickets + sizes.trashed_tickets + sizes.archived_tickets,
            departments: sizes.departments.max(1),
            agents: sizes.agents.max(1),
            contacts: sizes.contacts.max(1),
            accounts: sizes.accounts.max(1),
            products: sizes.products,
            contracts: sizes.contracts,
            more: sizes.more,
            conversations_max: sizes.conversations_max,
        }
    }
}
