//! For unit tests: connections to the tiny connector of `tests/guests`, as `cargo xtask build` makes it.

use std::path::{Path, PathBuf};

use wasmparser::{Instance, Parser, Payload};

use crate::connection::Connection;
use crate::paths::Paths;
use crate::secret::Redactor;

pub(crate) fn component() -> PathBuf {
    let folder = std::env::var_os("TEST_GUESTS_DIR").map(PathBuf::from);
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/tests");
    let file = folder.unwrap_or_else(default).join("tiny_connector.wasm");
    assert!(file.is_file(), "{} is missing; make it with: cargo xtask build", file.display());
    file
}

/// The data folder in a folder.
pub(crate) fn paths(folder: &Path) -> Paths {
    Paths::new(folder.join("data"), None, None, Redactor::default())
}

/// The connector with further core modules, each with an instance, and the first of them with memories; in a
/// file of a folder.
pub(crate) fn with_modules(folder: &Path, more: usize, memories: usize) -> PathBuf {
    let mut wasm = std::fs::read(component()).expect("the component");
    let first = core_items(&wasm).modules;
    for number in 0..more {
        // An empty module, or one with a memory of a page. Sizes and indices are below 128: each is a byte.
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(if number < memories { &[5, 3, 1, 0, 1][..] } else { &[] });
        let byte = |number: usize| u8::try_from(number).ok().filter(|byte| *byte < 128).expect("small");
        wasm.extend([1, byte(module.len())]);
        wasm.extend(module);
        // A section with one instance of that module, without imports.
        wasm.extend([2, 4, 1, 0, byte(first + number), 0]);
    }
    let file = folder.join(format!("modules-{more}-{memories}.wasm"));
    std::fs::write(&file, wasm).expect("written");
    file
}

/// The core modules of a component, their instances and memories.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CoreItems {
    pub(crate) modules: usize,
    pub(crate) instances: usize,
    pub(crate) memories: usize,
}

pub(crate) fn core_items(wasm: &[u8]) -> CoreItems {
    let mut items = CoreItems::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("a component") {
            Payload::ModuleSection { .. } => items.modules += 1,
            Payload::InstanceSection(section) => {
                let is_made = |instance: &Instance<'_>| matches!(instance, Instance::Instantiate { .. });
                items.instances += section.into_iter().flatten().filter(is_made).count();
            }
            Payload::MemorySection(section) => items.memories += section.count() as usize,
            _ => {}
        }
    }
    items
}

/// A connection with three rows in each table.
pub(crate) fn connection(folder: &Path, name: &str) -> Connection {
    connection_with(folder, name, "")
}

/// The same, with more lines of `[config]`.
pub(crate) fn connection_with(folder: &Path, name: &str, config: &str) -> Connection {
    connection_of(folder, name, config, &component())
}

/// The same, of a component.
pub(crate) fn connection_of(folder: &Path, name: &str, config: &str, component: &Path) -> Connection {
    let file = folder.join(format!("{name}.toml"));
    let text = format!(
        "name = \"{name}\"\ncomponent = {:?}\n[config]\nsecret = \"planted-secret\"\nrows = 3\n{config}\n",
        component
    );
    std::fs::write(&file, text).expect("written");
    Connection::load(&file, &|_| None).expect("valid")
}
