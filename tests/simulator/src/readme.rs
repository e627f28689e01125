//! The lists of `README.md` that are made from the code: endpoints, and tables of the truth. Compared with
//! the page, or written into it.

use std::fmt::Write as _;

use crate::api::routes::ROUTES;
use crate::{Options, Readings, Simulator, TruthQuery, truth};

/// Longest line of a document.
const COLUMNS: usize = 110;

/// Paths and their methods.
type Paths<'p> = Vec<(&'p str, Vec<&'p str>)>;

/// The endpoints below each first part of a path: a row for each part, with the methods of each path.
fn endpoints() -> String {
    let mut groups: Vec<(&str, Paths<'_>)> = Vec::new();
    for route in ROUTES.into_iter().flatten() {
        let (method, path) = route.name.split_once(" /").expect("a method and a path");
        let at = path.find('/').unwrap_or(path.len());
        let (group, rest) = path.split_at(at);
        let paths = value_of(&mut groups, group);
        value_of(paths, rest).push(method);
    }
    let mut text = "| Path | Calls |\n|---|---|\n".to_owned();
    for (group, paths) in groups {
        let call = |(rest, methods): (&str, Vec<&str>)| {
            let call = format!("{} {rest}", methods.join(" "));
            format!("`{}`", call.trim_end())
        };
        let calls: Vec<String> = paths.into_iter().map(call).collect();
        writeln!(text, "| `/{group}` | {} |", calls.join(", ")).expect("a text");
    }
    text
}

/// The value of a key, which is appended where it is missing.
fn value_of<'a, 'k, V: Default>(pairs: &'a mut Vec<(&'k str, V)>, key: &'k str) -> &'a mut V {
    let at = pairs.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        pairs.push((key, V::default()));
        pairs.len() - 1
    });
    &mut pairs[at].1
}

/// The tables of the truth, in lines.
fn tables() -> String {
    let mut names: Vec<String> = truth::names().map(|name| format!("`{name}`")).collect();
    names.sort_unstable();
    let mut lines = vec![String::new()];
    let last = names.len() - 1;
    for (at, name) in names.into_iter().enumerate() {
        let word = format!("{name}{}", if at == last { "." } else { "," });
        let line = lines.last_mut().expect("a line");
        match line.len() + 1 + word.len() {
            _ if line.is_empty() => *line = word,
            length if length <= COLUMNS => write!(line, " {word}").expect("a text"),
            _ => lines.push(word),
        }
    }
    format!("{}\n", lines.join("\n"))
}

#[test]
fn the_page_of_the_simulator_lists_every_endpoint_and_every_table_of_the_truth() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let mut made = page.clone();
    for (name, list) in [("endpoints", endpoints()), ("truth", tables())] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let (before, rest) = made.split_once(&begin).expect("the beginning of a list");
        let (_, after) = rest.split_once(&end).expect("its end");
        made = [before, &begin, &list, &end, after].concat();
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, made).expect("the page");
    } else {
        assert!(
            page == made,
            "tests/simulator/README.md differs from the code. This rewrites it: \
             UPDATE_DOCS=1 cargo test --release --workspace the_page"
        );
    }
}

#[test]
fn the_page_of_the_simulator_names_every_reading() {
    let page = include_str!("../README.md");
    let readings = serde_json::json!(Readings::default());
    for name in readings.as_object().expect("readings").keys() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_table_that_is_named_has_a_truth_and_no_other() {
    let simulator = Simulator::start(Options::default()).expect("the simulator starts");
    for name in truth::names() {
        assert!(simulator.truth(name, TruthQuery::default()).is_some(), "{name}");
    }
    assert!(simulator.truth("no_table", TruthQuery::default()).is_none());
}
