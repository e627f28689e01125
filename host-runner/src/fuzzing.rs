//! Parsers of the crate's interior, for `tests/fuzz`.

use crate::bindings::source;
use crate::change::Table;
use crate::conv;
use crate::error::Result;
use crate::request::Request;
use crate::secret::Redactor;
use crate::sinks::{Location, used};

/// Reads a request of the server API.
pub fn control_request(line: &str) {
    let _unknown: Result<Request, _> = serde_json::from_str(line);
}

/// A discovered table, as the boundary admits it.
pub fn admitted(name: &str, primary_key: &[&str], schema: &str) -> Result<Vec<Table>> {
    let table = source::Table {
        name: name.to_owned(),
        primary_key: primary_key.iter().map(|&member| member.to_owned()).collect(),
        schema: schema.to_owned(),
        schema_complete: true,
        attributes: Vec::new(),
    };
    conv::tables(vec![table], &Redactor::default())
}

/// Reads the URL of a sink, as one of an object store and of a database. The URL that is shown, which a
/// policy file compares, leads to the same place; the file that it compares is the one that is read.
pub fn sink_url(url: &str) {
    let objects = |url: &str| Location::Objects { url: url.to_owned(), path: "rows".into() };
    let schema = |url: &str| Location::Schema { url: url.to_owned(), schema: "rows".to_owned() };
    let locations: [&dyn Fn(&str) -> Location; 2] = [&objects, &schema];
    for of in locations {
        let location = of(url);
        let Some(taken) = used(&location) else { continue };
        let shown = location.shown_url();
        let Some(compared) = used(&of(&shown)) else { panic!("{url} is shown as {shown}, which is none") };
        assert_eq!(taken.place, compared.place, "{url} is shown as {shown}");
        assert!(!compared.has_user, "{url} is shown as {shown}");
        assert_eq!(taken.authority, location.authority_file().map(|(_, file)| file), "{url}");
    }
}
