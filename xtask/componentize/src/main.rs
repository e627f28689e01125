//! `componentize CORE COMPONENT [--describe]`: encodes a core module as a component.
//! `componentize --replay RECORDING CONNECTOR COMPONENT`: composes a connector with a recording of its HTTP.
//!
//! With `--describe`, embeds the answer of the connector's `describe` and the list of the crates that are
//! linked into it as custom sections. Prints the file, its size and its imports. `cargo xtask build` runs
//! this program; it builds nothing itself.

mod replay;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use package::audit;
use package::component::{DESCRIBE_SECTION, outline};
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

/// The custom sections that a connector has.
const CONNECTOR_SECTIONS: [&str; 2] = [DESCRIBE_SECTION, audit::SECTION];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (component, bytes) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--replay", recording, connector, component] => {
            (component, replay::compose(&read(connector)?, &replay_component()?, &read(recording)?)?)
        }
        [core, component] => (component, encode(&read(core)?, &[])?),
        [core, component, "--describe"] => (component, encode(&read(core)?, &connector_sections()?)?),
        _ => bail!(
            "usage: componentize CORE COMPONENT [--describe]\n       \
             componentize --replay RECORDING CONNECTOR COMPONENT"
        ),
    };
    replace(Path::new(component), &bytes)?;
    println!("{component}  {} KiB", bytes.len() / 1024);
    println!("imports: {}", outline(&bytes)?.imports.join(", "));
    Ok(())
}

/// Names and contents of the connector's custom sections.
fn connector_sections() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let description = zoho_desk::describe::document().to_string().into_bytes();
    Ok(vec![(DESCRIBE_SECTION, description), (audit::SECTION, audit::section("zoho-desk")?)])
}

fn read(file: &str) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {file}"))
}

/// The component `replay`, which is built into the folder of this program.
fn replay_component() -> Result<PathBuf> {
    let program = std::env::current_exe().context("the place of this program")?;
    Ok(program.with_file_name("tests").join("replay.wasm"))
}

fn encode(core: &[u8], sections: &[(&str, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut bytes = ComponentEncoder::default()
        .module(core)
        .and_then(|encoder| encoder.validate(true).encode())
        .context("the module cannot be encoded as a component")?;
    for (name, data) in sections {
        let section = CustomSection { name: Cow::from(*name), data: Cow::from(data) };
        section.append_to_component(&mut bytes);
    }
    Ok(bytes)
}

/// Writes the component, unless the file holds it already. Renames a new file over the old one, because a
/// runner may have the old one mapped.
fn replace(component: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(component).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = component.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let fresh = component.with_extension("wasm.new");
    std::fs::write(&fresh, bytes).with_context(|| format!("cannot write {}", fresh.display()))?;
    std::fs::rename(&fresh, component).with_context(|| format!("cannot write {}", component.display()))
}
