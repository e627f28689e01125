//! `componentize CORE COMPONENT [--describe]`: encodes a core module as a component.
//!
//! With `--describe`, embeds the answer of the connector's `describe` as a custom section. Prints the file,
//! its size and its imports. `cargo xtask build` runs this program; it builds nothing itself.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

/// The custom section with the answer of `describe`: a registry reads it without running the component.
const DESCRIBE_SECTION: &str = "connector:describe";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (core, component, description) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [core, component] => (core, component, None),
        [core, component, "--describe"] => {
            (core, component, Some(zoho_desk::describe::document().to_string()))
        }
        _ => bail!("usage: componentize CORE COMPONENT [--describe]"),
    };
    let bytes = encode(Path::new(core), description.as_deref())?;
    replace(Path::new(component), &bytes)?;
    println!("{component}  {} KiB", bytes.len() / 1024);
    println!("imports: {}", imports(&bytes)?.join(", "));
    Ok(())
}

fn encode(core: &Path, description: Option<&str>) -> Result<Vec<u8>> {
    let module = std::fs::read(core).with_context(|| format!("cannot read {}", core.display()))?;
    let mut bytes = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .with_context(|| format!("cannot encode {} as a component", core.display()))?;
    if let Some(description) = description {
        let section =
            CustomSection { name: Cow::from(DESCRIBE_SECTION), data: Cow::from(description.as_bytes()) };
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

/// Names of a component's imports, sorted.
fn imports(bytes: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut depth = 0;
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload? {
            wasmparser::Payload::ModuleSection { .. } | wasmparser::Payload::ComponentSection { .. } => {
                depth += 1;
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
        bail!("the component is truncated");
    }
    names.sort();
    Ok(names)
}
