//! The bill of materials of a crate of the workspace, in the format CycloneDX 1.6: every package that is
//! linked into it. It has neither a time nor a serial number, so that equal dependencies give equal bytes.

use anyhow::Result;
use serde_json::{Value, json};

use super::crates::{Package, checksums, metadata};

/// The bill of a crate.
pub(crate) fn of(crate_name: &str, platform: Option<&str>) -> Result<Value> {
    let (metadata, checksums) = (metadata(platform)?, checksums()?);
    let linked = metadata.linked(crate_name)?;
    let (mut subject, mut components, mut dependencies) = (Value::Null, Vec::new(), Vec::new());
    for (id, uses) in &linked {
        let package = metadata.package(id)?;
        let uses = uses.iter().map(|id| metadata.package(id).map(reference)).collect::<Result<Vec<_>>>()?;
        dependencies.push(json!({"ref": reference(package), "dependsOn": uses}));
        let checksum = checksums.get(&(package.name.clone(), package.version.clone()));
        let component = component(package, checksum);
        if package.name == crate_name { subject = component } else { components.push(component) }
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
        "dependencies": dependencies,
    }))
}

/// The package URL.
fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

fn component(package: &Package, checksum: Option<&String>) -> Value {
    let reference = reference(package);
    let mut component = json!({
        "type": if package.source.is_some() { "library" } else { "application" },
        "bom-ref": reference,
        "name": package.name,
        "version": package.version,
        "purl": reference,
    });
    if let Some(description) = &package.description {
        component["description"] = json!(description.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if let Some(license) = &package.license {
        // Crates of before 2018 separate with a slash.
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}
