//! The description of a component in its custom section, read without running it. Pure.

use wasmparser::{Parser, Payload};

use crate::error::{Error, Kind, Result};

/// The section that holds the answer of `describe`.
const NAME: &str = "connector:describe";

/// The text of the section; none if the component has no such section. Sections of nested modules do not
/// count: an auditor's tool shows the outer ones.
pub(super) fn description(wasm: &[u8]) -> Result<Option<&str>> {
    let wrong = |what: &str| Error::sandbox(Kind::Unsupported, format!("section `{NAME}`: {what}"));
    let mut depth = 0_usize;
    let mut found = None;
    for payload in Parser::new(0).parse_all(wasm) {
        // An invalid component is refused when it is compiled.
        let Ok(payload) = payload else { break };
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == NAME => {
                if found.is_some() {
                    return Err(wrong("the component has two of them"));
                }
                found = Some(std::str::from_utf8(section.data()).map_err(|_| wrong("is not text"))?);
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::description;

    /// An empty component with these sections of the name, the length of each below 128.
    fn component(texts: &[&[u8]]) -> Vec<u8> {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        for text in texts {
            let length = |bytes: usize| u8::try_from(bytes).expect("short");
            wasm.extend([0, length(1 + super::NAME.len() + text.len()), length(super::NAME.len())]);
            wasm.extend(super::NAME.as_bytes());
            wasm.extend(*text);
        }
        wasm
    }

    #[test]
    fn the_only_section_counts() {
        assert_eq!(description(&component(&[])), Ok(None));
        assert_eq!(description(&component(&[b"{}"])), Ok(Some("{}")));
        assert!(description(&component(&[b"{}", b"{}"])).is_err());
        assert!(description(&component(&[b"\xff"])).is_err());
        assert_eq!(description(b"nonsense"), Ok(None));
    }
}
