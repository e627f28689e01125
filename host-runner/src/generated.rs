//! Parts of documents that tests generate and compare.
//!
//! `UPDATE_DOCS=1 cargo test --release --workspace the_page` rewrites all of them.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Tests run in parallel, and a page may have several parts.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const END: &str = "<!-- end generated -->\n";

/// Compares the generated part of a page under `docs/` with `made`, or rewrites it. The part lies
/// between `<!-- generated: PART -->` and the next `<!-- end generated -->`.
#[track_caller]
pub(crate) fn compare(page: &str, part: &str, made: &str) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&path).expect("a page");
    let begin = format!("<!-- generated: {part} -->\n");
    let (before, rest) = text.split_once(&begin).expect("the first marker");
    let (written, after) = rest.split_once(END).expect("the last marker");
    let made = format!("\n{made}\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, [before, &begin, &made, END, after].concat()).expect("written");
    } else {
        assert!(
            written == made,
            "docs/{page} differs. This rewrites it: UPDATE_DOCS=1 cargo test --release --workspace the_page\n\
             It should be:\n{made}"
        );
    }
}
