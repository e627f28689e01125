//! Parsers of the crate's interior, for `tests/fuzz`.

use crate::bindings::source;
use crate::change::Table;
use crate::conv;
use crate::error::Result;
use crate::request::Request;
use crate::secret::Redactor;

/// Reads a request of the control socket.
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
