//! Parts of documents that are made from the declarations: compared with the document, or written into it.

use std::path::Path;

/// Compares the text between two marks of a page in `docs` with `made`; without an end mark, all behind the
/// first. With `UPDATE_DOCS` in the environment, writes it.
pub(super) fn compare(page: &str, begin: &str, end: Option<&str>, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(begin).unwrap();
    let (written, after) = match end {
        Some(end) => rest.split_once(end).unwrap(),
        None => (rest, ""),
    };
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, [before, begin, made, end.unwrap_or_default(), after].concat()).unwrap();
    } else {
        assert!(
            written == made,
            "docs/{page} differs from the declarations. This rewrites it: \
             UPDATE_DOCS=1 cargo test --release --workspace the_page\nIt should be:\n{made}"
        );
    }
}
