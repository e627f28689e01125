//! Scopes: existing names, their grants, and the requirement of an endpoint (reference, §2.5).

use std::collections::BTreeSet;

/// The modules in scope names.
const MODULES: &[&str] = &[
    "tickets",
    "contacts",
    "accounts",
    "products",
    "contracts",
    "basic",
    "settings",
    "search",
    "tasks",
    "calls",
    "events",
    "activities",
    "activities.tasks",
    "activities.calls",
    "activities.events",
    "articles",
    "webhooks",
    "custommodule",
    "layouts",
    "modules",
];
const OPERATIONS: &[&str] = &["READ", "CREATE", "UPDATE", "DELETE", "WRITE", "ALL"];

/// The scopes of an endpoint: one scope of each group is required.
pub(crate) type RequiredScopes = &'static [&'static [&'static str]];

/// A set of scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scopes(BTreeSet<String>);

impl Scopes {
    /// `ALL` of every module.
    pub(crate) fn all() -> Scopes {
        Scopes(MODULES.iter().map(|module| format!("Desk.{module}.ALL")).collect())
    }

    /// These scopes; unknown ones are kept and grant nothing.
    pub(crate) fn from_list<'a>(list: impl Iterator<Item = &'a str>) -> Scopes {
        Scopes(list.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Reads a comma-separated list; none when one of the scopes does not exist.
    pub(crate) fn parse(list: &str) -> Option<Scopes> {
        let scopes = Scopes::from_list(list.split(','));
        (!scopes.0.is_empty() && scopes.0.iter().all(|name| is_known(name))).then_some(scopes)
    }

    /// Whether these scopes grant what an endpoint requires.
    pub(crate) fn satisfy(&self, required: RequiredScopes) -> bool {
        required.iter().all(|group| group.iter().any(|scope| self.grants(scope)))
    }

    fn grants(&self, scope: &str) -> bool {
        let Some((module, operation)) = scope.rsplit_once('.') else { return false };
        let has = |operation: &str| self.0.contains(&format!("{module}.{operation}"));
        let writes = matches!(operation, "CREATE" | "UPDATE");
        self.0.contains(scope) || has("ALL") || (writes && has("WRITE"))
    }
}

impl std::fmt::Display for Scopes {
    /// Separated by spaces, as in token answers (§2.2).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

fn is_known(scope: &str) -> bool {
    let Some(rest) = scope.strip_prefix("Desk.") else { return scope == "aaaserver.profile.READ" };
    let Some((module, operation)) = rest.rsplit_once('.') else { return false };
    MODULES.contains(&module) && OPERATIONS.contains(&operation)
}

#[cfg(test)]
mod tests {
    use super::Scopes;

    #[test]
    fn all_grants_every_operation_of_its_module_and_no_other() {
        let scopes = Scopes::parse("Desk.tickets.ALL, Desk.search.READ").expect("known");
        assert!(scopes.satisfy(&[&["Desk.tickets.READ"], &["Desk.search.READ"]]));
        assert!(scopes.satisfy(&[&["Desk.contacts.READ", "Desk.tickets.DELETE"]]));
        assert!(!scopes.satisfy(&[&["Desk.search.UPDATE"]]));
    }

    #[test]
    fn write_grants_create_and_update_and_not_read() {
        let scopes = Scopes::parse("Desk.tickets.WRITE").expect("known");
        assert!(scopes.satisfy(&[&["Desk.tickets.CREATE"], &["Desk.tickets.UPDATE"]]));
        assert!(!scopes.satisfy(&[&["Desk.tickets.READ"]]));
    }

    #[test]
    fn a_list_with_an_unknown_scope_or_without_a_scope_is_rejected() {
        assert_eq!(Scopes::parse("Desk.tickets.ALL,Desk.nothing.READ"), None);
        assert_eq!(Scopes::parse(""), None);
    }
}
