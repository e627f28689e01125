//! A built component: bytes, description, imports and exports.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use wasmparser::{Parser, Payload};

/// The custom section with the answer of `describe`.
const DESCRIBE_SECTION: &str = "connector:describe";

pub(crate) struct Component {
    /// The connector's name.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) describe: Value,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads a component that has its description embedded.
pub(crate) fn read(path: &Path) -> Result<Component> {
    let bytes = super::read(path)?;
    let (mut imports, mut exports, mut describe) = (Vec::new(), Vec::new(), None);
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.with_context(|| path.display().to_string())? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == DESCRIBE_SECTION => {
                describe = Some(serde_json::from_slice::<Value>(section.data())?);
            }
            _ => {}
        }
    }
    let describe =
        describe.with_context(|| format!("{}: has no section {DESCRIBE_SECTION}", path.display()))?;
    let text = |member: &str| {
        describe[member].as_str().map(str::to_owned).with_context(|| format!("describe: no `{member}`"))
    };
    let (name, version) = (text("name")?, text("version")?);
    imports.sort();
    exports.sort();
    Ok(Component { name, version, bytes, describe, imports, exports })
}
