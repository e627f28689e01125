//! Turns crates into components: the wasm target, the core module, the component around it, its description inside.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

use crate::tools;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The custom section that holds what `describe` answers, so that a registry can read it without running anything.
const DESCRIBE_SECTION: &str = "connector:describe";

/// What [`everything`] made.
pub(crate) struct Built {
    pub(crate) component: PathBuf,
    pub(crate) runner: PathBuf,
}

impl Built {
    /// Says where things are, how large, and what the component imports.
    pub(crate) fn print(&self) {
        for path in [&self.runner, &self.component] {
            let size = std::fs::metadata(path).map(|found| found.len()).unwrap_or(0);
            println!("{}  {} KiB", path.display(), size / 1024);
        }
        match std::fs::read(&self.component).context("component").and_then(|bytes| imports(&bytes)) {
            Ok(imports) => println!("imports: {}", imports.join(", ")),
            Err(error) => println!("imports: {error:#}"),
        }
    }
}

/// Builds the component, the test components and the host runner.
pub(crate) fn everything() -> Result<Built> {
    native(&["-p", "host-runner", "-p", "desk-simulator"])
}

/// The same and every test and bench of the workspace. One build for all: cargo unites the features of what is
/// built together, so building the runner by itself first would compile its dependencies twice.
pub(crate) fn for_tests() -> Result<Built> {
    native(&["--workspace", "--all-targets"])
}

fn native(what: &[&str]) -> Result<Built> {
    let component = components()?;
    tools::run(tools::cargo().args(["build", "--release", "--quiet"]).args(what))?;
    Ok(Built { component, runner: tools::release().join("host-runner") })
}

/// Builds every component; answers the path of the connector.
pub(crate) fn components() -> Result<PathBuf> {
    ensure_target()?;
    tools::run(tools::cargo().args([
        "build",
        "--quiet",
        "--profile",
        "wasm",
        "--target",
        TARGET,
        "-p",
        "zoho-desk",
        "-p",
        "tiny-connector",
    ]))?;
    let cores = tools::target().join(TARGET).join("wasm");
    let connector = tools::release().join("zoho_desk.wasm");
    let description = zoho_desk::describe::document().to_string();
    componentize(&cores.join("zoho_desk.wasm"), &connector, Some(&description))?;
    let tiny = tools::release().join("tests/tiny_connector.wasm");
    componentize(&cores.join("tiny_connector.wasm"), &tiny, None)?;
    Ok(connector)
}

/// Adds the wasm target with rustup when the toolchain lacks its standard library.
fn ensure_target() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("cannot start rustc")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("adding the Rust target {TARGET}");
    tools::run(Command::new("rustup").args(["target", "add", TARGET])).with_context(|| {
        format!("the Rust target {TARGET} is missing; add it with `rustup target add {TARGET}`")
    })
}

/// Encodes the core module as a component; leaves the file alone when nothing changed.
fn componentize(core: &Path, component: &Path, description: Option<&str>) -> Result<()> {
    let module = std::fs::read(core).with_context(|| format!("cannot read {}", core.display()))?;
    let mut bytes = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .with_context(|| format!("cannot make a component of {}", core.display()))?;
    if let Some(description) = description {
        let section =
            CustomSection { name: Cow::from(DESCRIBE_SECTION), data: Cow::from(description.as_bytes()) };
        section.append_to_component(&mut bytes);
    }
    if let Some(folder) = component.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::fs::read(component).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    // By rename, so that a runner that has the old file mapped keeps it.
    let fresh = component.with_extension("wasm.new");
    std::fs::write(&fresh, &bytes)?;
    std::fs::rename(&fresh, component).with_context(|| format!("cannot write {}", component.display()))
}

/// Names of a component's imports, sorted.
pub(crate) fn imports(bytes: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut depth = 0;
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload? {
            wasmparser::Payload::ModuleSection { .. } | wasmparser::Payload::ComponentSection { .. } => {
                depth += 1
            }
            wasmparser::Payload::End(_) => depth -= 1,
            wasmparser::Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.push(import?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    if depth != -1 {
        bail!("the component is not whole");
    }
    names.sort();
    Ok(names)
}
