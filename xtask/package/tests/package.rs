//! The package of the built component, and the dependencies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// `$E2E_BIN_DIR`, else `target/release` of this workspace.
fn component() -> PathBuf {
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release");
    let path = std::env::var_os("E2E_BIN_DIR").map_or(release, PathBuf::from).join("zoho_desk.wasm");
    assert!(path.is_file(), "{} is missing: run `cargo xtask build`", path.display());
    path
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, root, files);
            } else {
                let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
                files.insert(name, std::fs::read(&path).expect("read"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

fn package() -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    package::write(&component(), folder.path()).expect("packaged");
    files(folder.path())
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_package_that_is_made_twice_has_equal_bytes() {
    let (one, two) = (package(), package());
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (file, bytes) in &one {
        assert!(two[file] == *bytes, "{file} differs");
    }
}

#[test]
fn a_package_has_the_component_its_contract_and_its_checksums() {
    let package = package();
    assert_eq!(package["zoho-desk.wasm"], std::fs::read(component()).expect("read"));
    let describe = json(&package["zoho-desk.describe.json"]);
    assert_eq!(describe["configuration"], json(&package["zoho-desk.config.schema.json"]));
    assert!(package.contains_key("wit/source.wit") && package.contains_key("wit/deps/http.wit"));
    let checksums = String::from_utf8(package["SHA256SUMS"].clone()).expect("text");
    assert_eq!(checksums.lines().count(), package.len() - 1, "every file but itself");
    for line in checksums.lines() {
        let (hash, file) = line.split_once("  ").expect("hash and file");
        assert_eq!(hash, sha256(&package[file]), "{file}");
    }
}

#[test]
fn the_oci_layout_leads_from_the_index_to_the_component() {
    let package = package();
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().and_then(|text| text.strip_prefix("sha256:"));
        let bytes = &package[&format!("oci/blobs/sha256/{}", digest.expect("a digest"))];
        assert_eq!(descriptor["size"], bytes.len());
        assert_eq!(sha256(bytes), digest.expect("a digest"));
        bytes
    };
    assert_eq!(json(&package["oci/oci-layout"])["imageLayoutVersion"], "1.0.0");
    let index = json(&package["oci/index.json"]);
    let manifest = json(blob(&index["manifests"][0]));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert!(*blob(&manifest["layers"][0]) == package["zoho-desk.wasm"]);
    let config = json(blob(&manifest["config"]));
    assert_eq!(config["layerDigests"][0], manifest["layers"][0]["digest"]);
    let has = |list: &str, name: &str| {
        config["component"][list].as_array().expect("a list").iter().any(|found| found == name)
    };
    assert!(has("exports", "connector:source/source@0.1.0"), "{config}");
    assert!(has("imports", "wasi:http/outgoing-handler@0.2.12"), "{config}");
}

#[test]
fn the_bills_of_materials_name_what_is_linked_and_nothing_else() {
    let package = package();
    let bill = |file: &str| {
        let bill = json(&package[file]);
        let components = bill["components"].as_array().expect("components").clone();
        let names: Vec<String> =
            components.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect();
        for component in components.iter().filter(|one| one["type"] == "library") {
            assert!(component["hashes"][0]["content"].is_string(), "{component}");
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        }
        names
    };
    let (guest, runner) = (bill("zoho-desk.cdx.json"), bill("host-runner.cdx.json"));
    let has = |names: &[String], name: &str| names.iter().any(|found| found == name);
    assert!(has(&guest, "serde_json") && has(&guest, "wit-bindgen") && !has(&guest, "tokio"), "{guest:?}");
    assert!(has(&runner, "wasmtime") && has(&runner, "libsqlite3-sys"), "{runner:?}");
    assert!(!has(&runner, "tempfile"), "a dependency of tests is not linked");
}

#[test]
fn the_component_itself_lists_its_crates_for_auditors() {
    let component = std::fs::read(component()).expect("read");
    let section = wasmparser::Parser::new(0).parse_all(&component).find_map(|payload| match payload {
        Ok(wasmparser::Payload::CustomSection(section)) if section.name() == package::audit::SECTION => {
            Some(section.data().to_vec())
        }
        _ => None,
    });
    let json = miniz_oxide::inflate::decompress_to_vec_zlib(&section.expect("the section")).expect("zlib");
    // Refuses cycles and dependencies outside the list.
    let info: auditable_serde::VersionInfo = serde_json::from_slice(&json).expect("the format of auditors");
    let listed = |name: &str| info.packages.iter().find(|package| package.name == name);
    let root = listed("zoho-desk").expect("the connector");
    assert!(root.root && root.source == auditable_serde::Source::Local);
    let used = listed("serde_json").expect("a dependency");
    assert_eq!(used.source, auditable_serde::Source::CratesIo);
    assert!(root.dependencies.iter().any(|index| info.packages[*index].name == "serde_json"));
    assert!(listed("tokio").is_none() && listed("tempfile").is_none());
}

#[test]
fn a_folder_with_other_files_is_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mine"), "").expect("written");
    let error = package::write(&component(), folder.path()).expect_err("refused");
    assert!(error.to_string().contains("holds other files than a package"), "{error}");
    // As in a folder of releases.
    std::fs::write(folder.path().join("SHA256SUMS"), "0  theirs\n").expect("written");
    std::fs::write(folder.path().join("theirs"), "").expect("written");
    package::write(&component(), folder.path()).expect_err("refused");
    assert_eq!(files(folder.path()).len(), 3, "nothing is deleted");
    std::fs::remove_file(folder.path().join("mine")).expect("removed");
    package::write(&component(), folder.path()).expect_err("refused");
    assert_eq!(files(folder.path()).len(), 2, "nothing is deleted");
}

#[test]
fn a_package_replaces_an_earlier_one_but_no_file_that_a_person_put_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        package::write(&component(), folder.path()).expect("packaged");
    }
    std::fs::write(folder.path().join("zoho-desk.wasm.sig"), "signed").expect("written");
    let error = package::write(&component(), folder.path()).expect_err("refused");
    assert!(error.to_string().contains("zoho-desk.wasm.sig"), "{error}");
    assert!(files(folder.path()).contains_key("zoho-desk.wasm.sig"));
}

#[test]
fn every_dependency_has_an_allowed_license_and_source() {
    let report = package::check().unwrap_or_else(|error| panic!("{error}"));
    assert!(report.contains("crates of others"), "{report}");
}
