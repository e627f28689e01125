//! The file of a component, before anything looks at its content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::COMPONENT_BYTES_MAX;
use crate::units::format_bytes;

/// The bytes of a component's file, [`COMPONENT_BYTES_MAX`] at most.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let wrong = |what: &dyn std::fmt::Display| {
        Error::usage(format!("component {}: {what}", path.display()))
            .hint("give the component's file with --component FILE")
    };
    let max = COMPONENT_BYTES_MAX;
    let too_large = |bytes: u64| {
        wrong(&format!("{}, and at most {} are accepted", format_bytes(bytes), format_bytes(max)))
    };
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let bytes = file.metadata().map_err(|error| wrong(&error))?.len();
    if bytes > max {
        return Err(too_large(bytes));
    }
    let mut wasm = Vec::new();
    file.take(max + 1).read_to_end(&mut wasm).map_err(|error| wrong(&error))?;
    if wasm.len() as u64 > max {
        return Err(too_large(wasm.len() as u64));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(wrong(&"not a WebAssembly file"));
    }
    Ok(wasm)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::{COMPONENT_BYTES_MAX, read};

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let large = folder.path().join("large.wasm");
        std::fs::write(&large, b"\0asm").expect("written");
        let file = File::options().write(true).open(&large).expect("opened");
        file.set_len(COMPONENT_BYTES_MAX + 1).expect("sparse");
        let refused = read(&large).expect_err("refused");
        assert!(
            refused.message.ends_with("large.wasm: 67108865B, and at most 64MiB are accepted"),
            "{refused}"
        );
    }
}
