//! Values from a flag, a file or stdin.
//!
//! Does not know what they mean.

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// The text itself, or all of stdin for `-`.
pub(super) fn text(given: &str) -> Result<String> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| Error::usage(format!("stdin: {error}")))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// The text of a file, or all of stdin for `-`, without the last line break.
pub(super) fn file(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return text("-");
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::usage(format!("{}: {error}", path.display())).hint("`-` reads it from stdin")
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// A JSON text, parsed.
pub(super) fn json(flag: &str, text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| {
        Error::usage(format!("{flag}: not JSON: {error}")).hint("pass one JSON value, in single quotes")
    })
}
