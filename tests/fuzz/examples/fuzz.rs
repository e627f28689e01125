//! libFuzzer on the target that `FUZZ_TARGET` names. `cargo xtask fuzz` compiles, links and runs it.
#![no_main]

use std::sync::OnceLock;

/// Called by libFuzzer's `main` for each input. A panic aborts, because it cannot leave this function.
#[allow(unsafe_code, reason = "the interface of libFuzzer")]
#[unsafe(no_mangle)]
extern "C" fn LLVMFuzzerTestOneInput(bytes: *const u8, length: usize) -> i32 {
    static RUN: OnceLock<fn(&[u8])> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let names: Vec<&str> = fuzz::TARGETS.iter().map(|target| target.name).collect();
        fuzz::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET is none of {}", names.join(", "))).run
    });
    // SAFETY: libFuzzer's pointer has so many bytes, which live during the call; for none it may be null.
    let input = if length == 0 { &[] } else { unsafe { std::slice::from_raw_parts(bytes, length) } };
    run(input);
    0
}
