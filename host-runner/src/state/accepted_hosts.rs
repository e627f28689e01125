//! The hosts that a person has accepted for the component of a connection. Needs no lock.
//!
//! The hosts of the first run are accepted with it: the person has chosen the component. Afterward a file
//! that is replaced may reach fewer hosts, and more once they are accepted.

use std::collections::BTreeSet;
use std::path::Path;

use super::items::Item;
use super::{Change, ConnectionStore};
use crate::describe::SHOWN_MAX;
use crate::error::{Error, Result};

impl ConnectionStore {
    /// The accepted hosts; none before the first run.
    pub(crate) fn accepted_hosts(&self) -> Result<Option<BTreeSet<String>>> {
        let stored = self.0.items.load(Item::AcceptedHosts)?.value;
        stored.map(|text| serde_json::from_slice(&text).map_err(|error| self.failed(&error))).transpose()
    }

    /// Accepts these hosts and no others.
    pub(crate) fn accept_hosts(&self, hosts: &BTreeSet<String>) -> Result<()> {
        let text = serde_json::to_vec(hosts).map_err(|error| self.failed(&error))?;
        self.update(Item::AcceptedHosts, |_| Ok(Change::To(Some(text.clone())))).map(drop)
    }

    /// Fails if the component can reach a host that was not accepted; accepts all at the first run.
    pub(crate) fn require_accepted(&self, hosts: &BTreeSet<String>, file: &Path) -> Result<()> {
        let Some(accepted) = self.accepted_hosts()? else { return self.accept_hosts(hosts) };
        let new: Vec<&str> = hosts.difference(&accepted).map(String::as_str).collect();
        if new.is_empty() {
            return Ok(());
        }
        let more = new.len().saturating_sub(SHOWN_MAX);
        let shown = new[..new.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message =
            format!("connection `{}`: its component wants to reach new hosts: {shown}{more}", self.name());
        Err(Error::configuration(message).hint(format!(
            "if you trust it with your data: host-runner connection accept-hosts -c {}",
            file.display()
        )))
    }
}
