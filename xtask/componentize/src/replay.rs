//! Composes a connector with a recording: one component that needs clocks and no network.
//!
//! Three components become one: the recording, the component `replay` (`tests/replay`), which reads it and
//! exports HTTP, and the connector, which imports that.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, Result};
use package::component::outline;
use package::recording::read_by_replay;
use wasm_compose::graph::{Component, CompositionGraph, EncodeOptions, InstanceId};
use wasm_encoder::{
    CodeSection, ComponentSection, ConstExpr, CustomSection, DataSection, ExportKind, ExportSection,
    Function, FunctionSection, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding};

use super::CONNECTOR_SECTIONS;

/// The world of the component that holds the recording.
const WORLD: &str = "package connector:replay;
interface recording { read: func() -> list<u8>; }
world recorded { export recording; }";
/// The bytes of a page of memory.
const PAGE: usize = 64 * 1024;
/// The recording starts here; before it lie its place and its length.
const START: usize = 8;

/// The composed component, with the custom sections of the connector.
pub(super) fn compose(connector: &[u8], replay: &Path, recording: &[u8]) -> Result<Vec<u8>> {
    let recorded = read_by_replay(recording).and_then(|read| recorded(&read)).context("the recording")?;
    let replay = std::fs::read(replay).with_context(|| format!("cannot read {}", replay.display()))?;
    let mut graph = CompositionGraph::new();
    let mut validator = wasmparser::Validator::new();
    let mut add = |name: &str, bytes: Vec<u8>| -> Result<InstanceId> {
        let component = Component::from_bytes(&mut validator, name, bytes)
            .with_context(|| format!("component `{name}`"))?;
        let id = graph.add_component(component)?;
        graph.instantiate(id)
    };
    let recorded = add("recorded", recorded)?;
    let replay = add("replay", replay)?;
    let main = add("connector", connector.to_vec())?;
    connect(&mut graph, recorded, replay)?;
    connect(&mut graph, replay, main)?;
    let mut composed =
        graph.encode(EncodeOptions { define_components: true, export: Some(main), validate: true })?;
    for (name, data) in outline(connector)?.sections {
        if CONNECTOR_SECTIONS.contains(&name.as_str()) {
            CustomSection { name: Cow::from(name), data: Cow::from(data) }.append_to_component(&mut composed);
        }
    }
    Ok(composed)
}

/// Supplies the imports of `target` that `source` exports.
fn connect(graph: &mut CompositionGraph<'_>, source: InstanceId, target: InstanceId) -> Result<()> {
    let of = |id| graph.get_component_of_instance(id).map(|(_, component)| component);
    let (from, to) = (of(source).context("no such instance")?, of(target).context("no such instance")?);
    let mut pairs = Vec::new();
    for (import, name, _) in to.imports() {
        if let Some((export, _, _)) = from.export_by_name(name) {
            pairs.push((export, import, name.to_owned()));
        }
    }
    for (export, import, name) in pairs {
        graph.connect(source, Some(export), target, import).with_context(|| format!("import `{name}`"))?;
    }
    Ok(())
}

/// A component that returns these bytes.
fn recorded(recording: &[u8]) -> Result<Vec<u8>> {
    let (start, length) = (u32::try_from(START)?, u32::try_from(recording.len())?);
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    module.section(&types);
    let mut functions = FunctionSection::new();
    functions.function(0);
    module.section(&functions);
    let mut memories = MemorySection::new();
    let pages = (START + recording.len()).div_ceil(PAGE) as u64;
    memories.memory(MemoryType {
        minimum: pages,
        maximum: Some(pages),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    module.section(&memories);
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("connector:replay/recording#read", ExportKind::Func, 0);
    module.section(&exports);
    let mut code = CodeSection::new();
    let mut read = Function::new([]);
    // A list is returned as the address of its address and length.
    read.instructions().i32_const(0).end();
    code.function(&read);
    module.section(&code);
    let mut data = DataSection::new();
    let content = [&start.to_le_bytes()[..], &length.to_le_bytes(), recording].concat();
    data.active(0, &ConstExpr::i32_const(0), content);
    module.section(&data);

    let mut bytes = module.finish();
    let mut wit = wit_parser::Resolve::default();
    let package = wit.push_str("recorded.wit", WORLD)?;
    let world = wit.select_world(&[package], None)?;
    wit_component::embed_component_metadata(&mut bytes, &wit, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&bytes)?.validate(true).encode()
}
