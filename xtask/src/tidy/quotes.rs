//! docs/troubleshooting.md quotes messages: each must be one that a program prints.

use super::sources::Source;

const DOCUMENT: &str = "docs/troubleshooting.md";

/// Messages of the operating system and of libraries.
const FOREIGN: [&str; 3] =
    ["Address already in use", "invalid peer certificate", "database disk image is malformed"];

/// Quotes in the first column of the tables that are in no Rust file, as lines to print.
pub(crate) fn breaches(sources: &[Source]) -> Vec<String> {
    let Some(document) = sources.iter().find(|source| source.name == DOCUMENT) else { return Vec::new() };
    let code: Vec<String> = sources
        .iter()
        .filter(|source| source.is_rust() && !source.name.starts_with("xtask/"))
        .map(|source| joined(&source.text))
        .collect();
    let is_printed = |piece: &str| code.iter().any(|text| text.contains(piece));
    let mut breaches = Vec::new();
    for (number, _, line) in document.lines().filter(|(_, _, line)| line.starts_with('|')) {
        for piece in pieces(line.split('|').nth(1).unwrap_or_default()) {
            if !FOREIGN.contains(&piece.as_str()) && !is_printed(&piece) {
                breaches.push(format!("{DOCUMENT}:{number}: no program prints `{piece}`"));
            }
        }
    }
    breaches
}

/// The messages that a cell quotes, without the parts that vary.
fn pieces(cell: &str) -> Vec<String> {
    let mark = if cell.contains("``") { "``" } else { "`" };
    let quoted = cell.split(mark).skip(1).step_by(2);
    quoted
        .flat_map(|text| text.split('…'))
        .map(|piece| piece.trim_matches([' ', ',', ':']).to_owned())
        .filter(|piece| piece.contains(' '))
        .collect()
}

/// The code with texts of several lines joined, and without escapes of quotation marks.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.lines() {
        let line = if joined.ends_with('\\') {
            joined.pop();
            line.trim_start()
        } else {
            joined.push('\n');
            line
        };
        joined.push_str(line);
    }
    joined.replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_compared_without_the_parts_that_vary() {
        let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
        let code = source("a.rs", "\"the list of `{}` \\\n     is empty, but\"");
        let of = |row: &str| breaches(&[source(DOCUMENT, row), source("a.rs", &code.text)]);
        assert_eq!(of("| `the list of … is empty, but …` | 0 |"), [""; 0]);
        assert_eq!(of("| `` the list of `{}` is empty `` | 0 |"), [""; 0]);
        assert_eq!(of("| `the list shows` | 0 |").len(), 1);
    }
}
