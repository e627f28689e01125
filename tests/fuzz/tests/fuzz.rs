//! Every target with its corpus and a fixed number of mutations of each input. A failure writes the input to
//! a file, which belongs into the corpus once the defect is mended.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz::{SEPARATOR, Target, corpus, target};

/// xorshift64*: equal seeds give equal inputs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0) % bound.max(1)
    }

    /// A range of at most 16 bytes.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        start..(start + self.below(16)).min(length)
    }
}

/// Bytes on which parsers decide.
const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"null",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"\\ud800",
    b"%2e",
    b"../",
    b"@",
    b"?",
    b"&",
    b"\n",
    b"\x00",
    "\u{10ffff}".as_bytes(),
    &[SEPARATOR],
];

/// One to four changes: a bit, a piece removed, repeated, or taken from another input, or a token.
fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let range = random.range(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(range)),
            1 => {
                let piece = bytes[range].repeat(1 + random.below(50));
                drop(bytes.splice(at..at, piece));
            }
            2 => drop(bytes.splice(range, other[random.range(other.len())].iter().copied())),
            3 => drop(bytes.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
            4 => bytes.truncate(at),
            _ => {
                let bit = 1 << random.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bit;
                }
            }
        }
    }
    bytes
}

fn run(target: &Target, input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.input", target.name));
        std::fs::write(&file, input).expect("written");
        panic!("{}: {origin}; the input is in {}", target.name, file.display());
    }
}

fn corpus_and_mutations_return(name: &str) {
    let target = target(name).expect("a target");
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name}: no corpus");
    for (index, (path, input)) in corpus.iter().enumerate() {
        run(target, input, &path.display().to_string());
        for number in 0..target.mutations {
            let seed = ((index as u64) << 32) + u64::from(number) + 1;
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let other = &corpus[random.below(corpus.len())].1;
            run(target, &mutate(input, other, &mut random), &format!("{} with seed {seed}", path.display()));
        }
    }
}

#[test]
fn the_page_of_security_names_every_target_and_no_other() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/SECURITY.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let section = page.split("\n## ").find(|section| section.starts_with("Fuzzing")).expect("the section");
    let rows: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let unknown: Vec<_> = rows.iter().filter(|row| target(row).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let names = fuzz::TARGETS.iter().map(|target| target.name);
    let missing: Vec<&str> = names.filter(|name| !section.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}: run them with cargo xtask fuzz");
}

macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                corpus_and_mutations_return($name);
            }
        )*

        #[test]
        fn every_target_has_a_test() {
            let tested = [$($name),*];
            assert!(fuzz::TARGETS.iter().map(|target| target.name).eq(tested));
        }
    };
}

targets! {
    webhook_bodies_and_headers_return: "guest-webhook",
    tokens_and_key_sets_return: "guest-jwt",
    answers_of_the_api_return: "guest-answers",
    cursors_return: "guest-cursor",
    configurations_and_sessions_return: "guest-session",
    subscriptions_return: "guest-subscription",
    connection_files_return: "host-connection-file",
    connection_files_stay_within_a_policy: "host-policy-file",
    sinks_use_the_url_that_is_compared: "host-sink-url",
    descriptions_return: "host-describe",
    requests_of_the_server_api_return: "host-server-api",
    schemas_and_rows_return: "host-schema",
    logs_of_json_lines_return: "host-jsonl",
    damaged_journals_return: "host-journal",
}
