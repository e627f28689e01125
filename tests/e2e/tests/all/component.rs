//! What the artifacts are: their imports, their description, and that the runner knows no product.

use std::path::Path;

use crate::compare::Database;
use crate::support::{ConnectionFile, Setup, binaries, sizes};
use desk_simulator::Options;
use wasmparser::{Parser, Payload};

/// All that the connector imports.
pub(crate) const IMPORTS: [&str; 7] = [
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
];

/// Names of a component's imports, and one of its custom sections.
fn imports_and_section(path: &Path, section: &str) -> (Vec<String>, Vec<Vec<u8>>) {
    let bytes = std::fs::read(path).expect("the component");
    let (mut imports, mut sections, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.expect("a whole component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(found) if depth == 0 => {
                imports
                    .extend(found.into_iter().map(|import| import.expect("an import").name.name.to_owned()));
            }
            Payload::CustomSection(found) if depth == 0 && found.name() == section => {
                sections.push(found.data().to_vec());
            }
            _ => {}
        }
    }
    (imports, sections)
}

/// The name of an interface without its version.
fn interface(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

#[test]
fn the_connector_imports_http_io_and_clocks_and_nothing_else() {
    let (mut imports, _) = imports_and_section(&binaries::zoho_desk(), "");
    imports.sort();
    let interfaces: Vec<&str> = imports.iter().map(|name| interface(name)).collect();
    assert_eq!(interfaces, IMPORTS);
    assert!(imports.iter().all(|name| name.contains("@0.2.")), "WASI 0.2: {imports:?}");
}

#[test]
fn the_tiny_connector_imports_no_more_than_the_same_packages() {
    let (imports, _) = imports_and_section(&binaries::tiny_connector(), "");
    let packages = ["wasi:clocks/", "wasi:http/", "wasi:io/"];
    let foreign: Vec<_> =
        imports.iter().filter(|name| !packages.iter().any(|package| name.starts_with(package))).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn the_description_in_the_file_is_the_one_the_component_gives() {
    let (_, sections) = imports_and_section(&binaries::zoho_desk(), "connector:describe");
    assert_eq!(sections.len(), 1);
    let embedded: serde_json::Value = serde_json::from_slice(&sections[0]).expect("JSON");
    let setup = Setup::new(Options { sizes: sizes(1), ..Options::default() });
    let spoken = setup.raw(&["spec", "--json", "--data", "D"]).exits(0).json();
    assert_eq!(embedded, spoken);
}

fn files_under(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files_under(&path, found) } else { found.push(path) }
    }
}

#[test]
fn the_runner_does_not_know_the_product_by_name() {
    let mut files = Vec::new();
    files_under(&binaries::workspace().join("host-runner/src"), &mut files);
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(&file).expect("a file")).to_lowercase();
        assert!(!text.contains("zoho"), "{}", file.display());
    }
}

#[test]
fn the_simulator_shares_no_code_with_what_it_tests() {
    let manifest = binaries::workspace().join("tests/simulator/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("a manifest");
    for name in ["zoho-desk", "host-runner"] {
        assert!(!manifest.contains(name), "{name}");
    }
}

/// A folder with a connection to the tiny connector.
fn tiny(alter: impl FnOnce(ConnectionFile) -> ConnectionFile) -> Setup {
    let setup = Setup::new(Options { sizes: sizes(1), ..Options::default() });
    let component = binaries::tiny_connector().display().to_string();
    let file = ConnectionFile::empty().named("tiny").top("component", &format!("{component:?}"));
    setup.write("a.toml", &alter(file.config_text("secret", "open sesame")).render());
    setup
}

#[test]
fn another_connector_runs_in_the_same_runner() {
    let setup = tiny(|file| file.config("rows", "250").config("page", "40"));
    setup.host(&["authorize", "--code", "any"]).exits(0);
    let report = setup.host(&["sync", "--json"]).exits(0).json();
    assert_eq!(report["rows"]["inserted"].as_u64(), Some(250 + pairs(&setup)));
    let database = Database::open(&setup.path("out.db"));
    assert_eq!(database.number("SELECT count(*) FROM things_live"), 250);
    assert_eq!(database.number("SELECT count FROM things WHERE id = '77'"), 77);
    assert_eq!(database.number("SELECT cf_size FROM things WHERE id = '77'"), 77);
    let changed = database.texts("SELECT DISTINCT changed FROM things");
    assert_eq!(changed, ["2024-02-29T04:50:30.000Z"]);
    let unknown = "SELECT count(*) FROM things WHERE json_extract(_raw, '$.unknown.kept')";
    assert_eq!(database.number(unknown), 250);
    let again = setup.host(&["sync", "--json"]).exits(0).json();
    assert_eq!(again["rows"]["inserted"], 0);
}

/// Rows of the second table, whose key has two members.
fn pairs(setup: &Setup) -> u64 {
    let database = Database::open(&setup.path("out.db"));
    let rows = database.number("SELECT count(*) FROM pairs");
    assert_eq!(
        rows,
        database.number("SELECT count(*) FROM (SELECT DISTINCT \"left\", \"right\" FROM pairs)")
    );
    assert!(rows > 0);
    rows.try_into().expect("a count")
}
