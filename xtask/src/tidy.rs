//! `cargo xtask tidy`: rules of docs/STYLE.md and docs/GLOSSARY.md that no lint knows.
//!
//! Rules about files must hold. Rules about language are ratchets: each has a figure for the whole tree that
//! may only fall. A change that lowers a figure lowers its limit below.

mod names;
mod phrases;
mod quotes;
mod sources;
mod tree;

use phrases::Class;
use sources::{Part, Source};

/// Phrases of the dialect per 1,000 lines of comments and documents, in the four classes that the review of
/// issue 7 counted.
const DIALECT_MAX: f64 = 0.5;
/// The same for single words that the review named.
const WORDS_MAX: f64 = 0.3;
/// Lines that are too long.
const LONG_LINES_MAX: usize = 0;
/// Product files over [`FILE_LINES_MAX`] whose header does not say why.
const LONG_FILES_MAX: usize = 0;
/// Names that the glossary replaced, and British spellings.
const NAMES_MAX: usize = 0;

/// Last column of a line of code, comment or document, as in rustfmt.toml.
const COLUMN_MAX: usize = 110;

/// Lines of a product file without its tests; more need a reason in its header, which begins with [`REASON`].
const FILE_LINES_MAX: usize = 400;
const REASON: &str = "//! Long because ";

/// Texts that programs print: their line breaks are part of the text.
const SHOWN: &str = "guest/src/describe/";

/// The words of the rules themselves, and documents that quote them.
const ABOUT_NAMES: [&str; 4] = ["xtask/src/tidy", "docs/GLOSSARY.md", "docs/STYLE.md", "CHANGELOG.md"];

/// The arguments of `cargo xtask tidy`.
#[derive(Default)]
pub(crate) struct Options {
    /// Print each hit.
    pub(crate) list: bool,
    /// Read only files whose path begins with one of these. The limits are for the whole tree and not
    /// compared then.
    pub(crate) prefixes: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--list" => options.list = true,
                unknown if unknown.starts_with('-') => return Err(format!("unknown option `{unknown}`")),
                prefix => options.prefixes.push(prefix.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Hits of the language rules.
#[derive(Default)]
struct Hits {
    /// Lines of comments and documents.
    lines: usize,
    /// For each class.
    phrases: [usize; Class::COUNT],
    long_lines: usize,
    long_files: usize,
    names: usize,
    /// `file:line: hit`.
    list: Vec<String>,
}

/// Checks the tree and prints the figures; the error names every breach.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let sources = sources::sources(&options.prefixes)?;
    let mut hits = Hits::default();
    for source in &sources {
        hits.read(source);
    }
    if options.list {
        hits.list.iter().for_each(|hit| println!("{hit}"));
    }
    hits.print();
    let mut breaches = tree::breaches(&sources);
    if options.prefixes.is_empty() {
        breaches.extend(quotes::breaches(&sources));
        breaches.extend(hits.figures().into_iter().filter_map(Figure::breach));
    }
    if breaches.is_empty() { Ok(()) } else { Err(breaches.join("\n")) }
}

impl Hits {
    fn read(&mut self, source: &Source) {
        let lines = source.product_lines();
        let has_reason = || source.text.lines().any(|line| line.starts_with(REASON));
        if lines > FILE_LINES_MAX && !has_reason() {
            self.long_files += 1;
            self.list.push(format!("{}: {lines} lines", source.name));
        }
        let is_text = source.is_rust() || source.is_wit() || source.is_document();
        for (number, part, line) in source.lines() {
            let place = format!("{}:{number}", source.name);
            if is_too_long(source, part, line) {
                self.long_lines += 1;
                self.list.push(format!("{place}: {} columns", line.chars().count()));
            }
            if !is_text {
                continue;
            }
            if matches!(part, Part::Comment | Part::Document) {
                self.lines += 1;
                // The glossary's tables show the words not to use.
                if !(source.name == "docs/GLOSSARY.md" && line.starts_with('|')) {
                    for (class, phrase) in phrases::phrases(line) {
                        self.phrases[class as usize] += 1;
                        self.list.push(format!("{place}: {phrase}"));
                    }
                }
            }
            if !ABOUT_NAMES.iter().any(|prefix| source.name.starts_with(prefix)) {
                for (name, instead) in names::names(line, matches!(part, Part::Code | Part::Expected)) {
                    self.names += 1;
                    self.list.push(format!("{place}: `{name}`, use: {instead}"));
                }
            }
        }
    }

    /// Hits of these classes per 1,000 lines.
    fn per_1000(&self, classes: &[Class]) -> f64 {
        let hits: usize = classes.iter().map(|class| self.phrases[*class as usize]).sum();
        1000.0 * hits as f64 / self.lines.max(1) as f64
    }

    fn print(&self) {
        println!("{} lines of comments and documents; phrases per 1,000 of them:", self.lines);
        for class in Class::DIALECT.into_iter().chain([Class::Word]) {
            println!("{:>8.1}  {}", self.per_1000(&[class]), class.name());
        }
        println!();
        for Figure { name, value, limit, decimals } in self.figures() {
            println!("{value:>8.decimals$}  {name} (limit {limit})");
        }
    }

    /// The figures that may only fall.
    fn figures(&self) -> [Figure; 5] {
        let count = |name, value: usize, limit: usize| Figure {
            name,
            value: value as f64,
            limit: limit as f64,
            decimals: 0,
        };
        let density =
            |name, classes, limit| Figure { name, value: self.per_1000(classes), limit, decimals: 1 };
        [
            density("dialect per 1,000 lines, the first four classes", &Class::DIALECT, DIALECT_MAX),
            density("other words per 1,000 lines", &[Class::Word], WORDS_MAX),
            count("lines past column 110", self.long_lines, LONG_LINES_MAX),
            count("product files over 400 lines without a reason", self.long_files, LONG_FILES_MAX),
            count("names that the glossary replaced, British spellings", self.names, NAMES_MAX),
        ]
    }
}

/// A figure for the whole tree, with its limit.
struct Figure {
    name: &'static str,
    value: f64,
    limit: f64,
    decimals: usize,
}

impl Figure {
    fn breach(self) -> Option<String> {
        let Self { name, value, limit, decimals } = self;
        (value > limit).then(|| {
            format!(
                "{value:.decimals$} {name}, above the limit of {limit}\n\n\
                 hint: `cargo xtask tidy --list PATH` shows each one"
            )
        })
    }
}

/// Rows of tables, lines of JSON in documents, lines with a URL and expected output may be longer.
fn is_too_long(source: &Source, part: Part, line: &str) -> bool {
    // Also in the text of a page that a test makes.
    let is_row = line.starts_with("| ") || source.name.ends_with(".md") && line.starts_with(['|', '{']);
    let is_shown = source.name.starts_with(SHOWN) || part == Part::Expected;
    line.chars().count() > COLUMN_MAX && !is_row && !is_shown && !line.contains("://")
}
