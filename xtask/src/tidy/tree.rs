//! Rules about files as a whole; the first breach fails tidy.
//!
//! Every Rust file says what it owns, the documents name only existing files, guest and host stay apart.

use std::path::Path;

use super::sources::Source;
use crate::tools;

/// Every breach, as a line to print.
pub(crate) fn breaches(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        if source.is_rust() {
            breaches.extend(rust(source));
        }
        if source.is_document() {
            breaches.extend(paths(source));
        }
    }
    breaches
}

fn rust(source: &Source) -> Vec<String> {
    let Source { name, text } = source;
    let mut breaches = Vec::new();
    if !text.starts_with("//!") {
        breaches.push(format!("{name}:1: does not begin with `//!` and what the file owns"));
    }
    if name.starts_with("host-runner/src") && text.to_ascii_lowercase().contains("zoho") {
        breaches.push(format!("{name}: the host runner knows no SaaS"));
    }
    if name.starts_with("guest/src")
        && !name.starts_with("guest/src/component")
        && text.contains("wit_bindgen::")
    {
        breaches.push(format!("{name}: bindings are known in guest/src/component only"));
    }
    breaches
}

/// Paths in back quotes that begin with a folder of the workspace must exist, in it or next to the document.
fn paths(source: &Source) -> Vec<String> {
    let root = tools::root();
    let own = root.join(&source.name).parent().map(Path::to_path_buf).unwrap_or_default();
    let is_path = |quoted: &str| {
        quoted.split_once('/').is_some_and(|(folder, _)| {
            !folder.is_empty()
                && folder != "target"
                && Path::new(folder).components().count() == 1
                && root.join(folder).is_dir()
        }) && !quoted.contains([' ', '*', '<', '{'])
    };
    let mut breaches = Vec::new();
    for (number, _, line) in source.lines() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let exists = root.join(quoted).exists() || own.join(quoted).exists();
            if is_path(quoted) && !exists {
                breaches.push(format!("{}:{number}: `{quoted}` does not exist", source.name));
            }
        }
    }
    breaches
}
