//! The files that tidy reads, and their lines as code, comment or document.
//!
//! Knows git's list of files. Does not know any rule.

use std::process::Command;

use crate::tools;

/// Vendored: its text is not ours.
const VENDORED: &str = "wit/deps/";

/// A file with its path below the workspace folder.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Code,
    Comment,
    Document,
    /// A text that a test expects a program to print, in `expect![[r#"`.
    Expected,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.name.ends_with(".rs")
    }

    pub(crate) fn is_wit(&self) -> bool {
        self.name.ends_with(".wit")
    }

    /// CHANGELOG.md, docs/*.md and every README.md.
    pub(crate) fn is_document(&self) -> bool {
        let name = self.name.as_str();
        name == "CHANGELOG.md"
            || name.ends_with("README.md")
            || (name.starts_with("docs/") && name.ends_with(".md"))
    }

    /// Lines of a file of the product, without its tests; 0 for others.
    pub(crate) fn product_lines(&self) -> usize {
        let is_product = self.is_rust()
            && ["guest/src/", "host-runner/src/"].iter().any(|folder| self.name.starts_with(folder))
            && !self.name.contains("tests")
            && !self.name.contains("conformance");
        let is_tests = |line: &str| line == "#[cfg(test)]";
        if !is_product {
            return 0;
        }
        let mut lines = self.text.lines().peekable();
        let mut count = 0;
        while let Some(line) = lines.next() {
            if is_tests(line) && lines.peek() == Some(&"mod tests {") {
                break;
            }
            count += 1;
        }
        count
    }

    /// The lines with their number, counted from 1. A comment after code counts as code.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, Part, &str)> {
        let document = self.is_document();
        let mut is_expected = false;
        self.text.lines().enumerate().map(move |(index, line)| {
            is_expected &= !line.trim_start().starts_with("\"#]]");
            let part = match line.trim_start().starts_with("//") {
                _ if document => Part::Document,
                _ if is_expected => Part::Expected,
                true => Part::Comment,
                false => Part::Code,
            };
            is_expected |= line.ends_with("expect![[r#\"");
            (index + 1, part, line)
        })
    }
}

/// Every Rust, WIT, TOML, Python and Markdown file that git tracks or does not ignore, below one of
/// `prefixes` (all files when there is none).
pub(crate) fn sources(prefixes: &[String]) -> Result<Vec<Source>, String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .args(["*.rs", "*.wit", "*.toml", "*.py", "*.md"])
        .current_dir(tools::root())
        .output()
        .map_err(|error| format!("cannot start git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let mut found = Vec::new();
    for name in String::from_utf8_lossy(&output.stdout).split('\0') {
        let path = tools::root().join(name);
        // git still lists a tracked file that was deleted.
        if name.is_empty() || name.starts_with(VENDORED) || !is_below(name, prefixes) || !path.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {name}: {error}"))?;
        found.push(Source { name: name.to_owned(), text });
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

fn is_below(name: &str, prefixes: &[String]) -> bool {
    prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix.trim_start_matches("./")))
}
