//! A component: its imports, exports and custom sections, and a built connector with its description.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wasmparser::{Parser, Payload};

/// The custom section with the answer of `describe`: a registry reads it without running the component.
pub const DESCRIBE_SECTION: &str = "connector:describe";

/// The outside of a component.
#[derive(Debug, Default)]
pub struct Outline {
    /// Sorted.
    pub imports: Vec<String>,
    /// Sorted.
    pub exports: Vec<String>,
    /// Names and contents, in their order.
    pub sections: Vec<(String, Vec<u8>)>,
}

pub(crate) struct Component {
    /// The connector's name.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) describe: Value,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads the outside of a component; fails if it is truncated.
pub fn outline(bytes: &[u8]) -> Result<Outline> {
    let mut outline = Outline::default();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outline.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    outline.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 0 => {
                outline.sections.push((section.name().to_owned(), section.data().to_vec()));
            }
            _ => {}
        }
    }
    if depth != -1 {
        bail!("the component is truncated");
    }
    outline.imports.sort();
    outline.exports.sort();
    Ok(outline)
}

/// Reads a component that has its description embedded.
pub(crate) fn read(path: &Path) -> Result<Component> {
    let bytes = super::read(path)?;
    let Outline { imports, exports, sections } =
        outline(&bytes).with_context(|| path.display().to_string())?;
    let section = sections.iter().find(|(name, _)| name == DESCRIBE_SECTION);
    let (_, section) =
        section.with_context(|| format!("{}: has no section {DESCRIBE_SECTION}", path.display()))?;
    let describe: Value = serde_json::from_slice(section)?;
    let text = |member: &str| {
        describe[member].as_str().map(str::to_owned).with_context(|| format!("describe: no `{member}`"))
    };
    let (name, version) = (text("name")?, text("version")?);
    Ok(Component { name, version, bytes, describe, imports, exports })
}
