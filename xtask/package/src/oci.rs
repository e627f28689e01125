//! The component as an OCI image layout of one artifact, by the CNCF's layout for WebAssembly: config
//! `application/vnd.wasm.config.v0+json`, one layer `application/wasm`. `oras`, `skopeo` and `wkg` push it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::component::Component;
use super::sha256;

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Required by the config's format; the time of a build would make each one different.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// The files of the layout.
pub(crate) fn layout(component: &Component) -> BTreeMap<String, Vec<u8>> {
    let mut blobs = Blobs::default();
    let layer = blobs.add(LAYER, component.bytes.clone());
    let config = json!({
        "created": CREATED,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer["digest"]],
        "component": {"imports": component.imports, "exports": component.exports},
    });
    let config = blobs.add(CONFIG, config.to_string().into_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [layer],
        "annotations": {
            "org.opencontainers.image.title": component.name,
            "org.opencontainers.image.version": component.version,
            "org.opencontainers.image.description": component.describe["summary"],
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    });
    let mut manifest = blobs.add(MANIFEST, manifest.to_string().into_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": component.version});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
    let mut files = blobs.0;
    files.insert("oci-layout".to_owned(), json!({"imageLayoutVersion": "1.0.0"}).to_string().into_bytes());
    files.insert("index.json".to_owned(), index.to_string().into_bytes());
    files
}

/// Files named by the hash of their content.
#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Adds a blob; returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let hash = sha256(&bytes);
        let descriptor =
            json!({"mediaType": media_type, "digest": format!("sha256:{hash}"), "size": bytes.len()});
        self.0.insert(format!("blobs/sha256/{hash}"), bytes);
        descriptor
    }
}
