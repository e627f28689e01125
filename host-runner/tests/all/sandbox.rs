//! Failures of a component: the error names the cause, the exit code fits, and the other table is read.

use crate::server::Server;
use crate::support::{Place, Ran, component};

/// Runs `sync` with a behavior and expects the exit code, the words in the error, and the rows of the other
/// table.
pub(crate) fn misbehaves(config: &str, code: i32, words: &[&str]) -> Ran {
    let place = Place::new(config);
    let ran = place.expect(&["sync"], code);
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` is missing: {ran:#?}");
    }
    assert_eq!(place.query("SELECT count(*) || '' FROM pairs"), "3", "the other table was not read");
    ran
}

#[test]
fn a_trap_is_an_error_of_the_sandbox() {
    misbehaves(
        "behavior = \"trap\"\n[retry]\nmax_attempts = 1",
        11,
        &[
            "error: table `things`: read: the component trapped: wasm `unreachable` instruction executed",
            "hint: a defect",
        ],
    );
}

#[test]
fn a_trap_is_retried_and_then_reported() {
    misbehaves("behavior = \"trap\"\n[retry]\nmax_attempts = 2", 11, &["(attempt 2 of 2)"]);
}

#[test]
fn a_busy_loop_is_stopped_by_the_limit_of_cpu_time() {
    misbehaves(
        "behavior = \"spin\"\n[retry]\nmax_attempts = 1\n[sandbox]\ncpu_time = \"1s\"",
        11,
        &["table `things`: read: used more than 1s of CPU; stopped", "cpu_time"],
    );
}

#[test]
fn waiting_is_no_cpu_time() {
    let place = Place::new("rows = 3\nbehavior = \"naps\"\n[sandbox]\ncpu_time = \"100ms\"");
    place.expect(&["sync"], 0);
    assert_eq!(place.query("SELECT count(*) || '' FROM things"), "3");
}

#[test]
fn a_busy_loop_is_stopped_by_the_call_timeout() {
    misbehaves(
        "behavior = \"spin\"\n[retry]\nmax_attempts = 1\n[sandbox]\ncall_timeout = \"1s\"",
        11,
        &["table `things`: read: no answer within 1s; stopped", "call_timeout"],
    );
}

#[test]
fn a_component_beyond_its_memory_is_stopped() {
    misbehaves(
        "behavior = \"allocate\"\n[retry]\nmax_attempts = 1\n[sandbox]\nmemory = \"16MiB\"",
        11,
        &["table `things`: read: wanted more than 16MiB of memory; stopped", "raise memory under [sandbox]"],
    );
}

#[test]
fn a_batch_larger_than_a_call_may_pass_is_stopped() {
    misbehaves(
        "behavior = \"big-batch\"\n[retry]\nmax_attempts = 1\n[sandbox]\nmemory = \"1GiB\"",
        11,
        &["table `things`: read: handed over more than 64MiB at once; stopped"],
    );
}

#[test]
fn an_undeclared_host_is_refused_with_the_line_that_allows_it() {
    let ran = misbehaves(
        "behavior = \"forbidden-host\"",
        11,
        &[
            "egress: forbidden.example:8443: refused, the component does not declare this host",
            "allow = [\"forbidden.example:8443\"]",
        ],
    );
    assert!(!ran.stderr.contains("token"), "the URL's query was printed: {ran:#?}");
}

#[test]
fn a_cursor_that_does_not_move_is_an_error() {
    misbehaves("behavior = \"stuck-cursor\"", 9, &["did not move the cursor"]);
}

#[test]
fn a_row_that_is_not_json_is_an_error() {
    misbehaves("behavior = \"bad-json\"", 9, &["table `things`: row {\"id\":\"0\"}: is not a JSON object"]);
}

#[test]
fn a_key_that_is_not_an_object_is_an_error() {
    misbehaves("behavior = \"bad-key\"", 9, &["table `things`: key []"]);
}

#[test]
fn a_row_of_an_undiscovered_table_is_an_error() {
    misbehaves(
        "behavior = \"wrong-table\"",
        9,
        &["table `elsewhere`: was not discovered, so the sink has no place for its rows"],
    );
}

#[test]
fn a_declared_host_on_loopback_is_refused_until_it_is_allowed() {
    let server = Server::ok(b"hello");
    let config = format!("behavior = \"http\"\nurl = \"http://{}\"", server.address);
    let line = format!("allow = [\"{}\"]", server.address);
    misbehaves(&config, 11, &["http without TLS", &line]);
    let config = config.replace("http://", "https://");
    misbehaves(&format!("{config}\n[retry]\nmax_attempts = 1"), 11, &["(loopback)", &line]);
    assert_eq!(server.connections(), 0, "a refused request was sent");

    let place = Place::new(&format!(
        "rows = 90\nbehavior = \"http\"\nurl = \"http://{}\"\n[egress]\n{line}",
        server.address
    ));
    place.expect(&["sync"], 0);
    assert_eq!(place.query("SELECT name FROM things WHERE id = '0'"), "200 5");
    assert_eq!((server.requests(), server.connections()), (3, 1), "connections are not pooled");
}

#[test]
fn a_host_that_never_answers_costs_one_call() {
    let server = Server::new(None);
    misbehaves(
        &format!(
            "behavior = \"http\"\nurl = \"http://{0}\"\n[egress]\nallow = [\"{0}\"]\n\
             [retry]\nmax_attempts = 1\n[sandbox]\ncall_timeout = \"1s\"",
            server.address
        ),
        11,
        &["table `things`: read: no answer within 1s; stopped"],
    );
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_response_body_beyond_the_limit_is_an_error() {
    let server = Server::ok(&vec![b'x'; 2 << 20]);
    misbehaves(
        &format!(
            "behavior = \"http\"\nurl = \"http://{0}\"\n[egress]\nallow = [\"{0}\"]\n\
             [retry]\nmax_attempts = 1\n[sandbox]\nmax_response_bytes = \"1MiB\"",
            server.address
        ),
        8,
        &["HTTP response body size exceeds limit"],
    );
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::ok(b"secret");
    let head =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
    let server = Server::new(Some(head.into_bytes()));
    let place = Place::new(&format!(
        "behavior = \"http\"\nurl = \"http://{0}\"\n[egress]\nallow = [\"{0}\", \"{1}\"]",
        server.address, elsewhere.address
    ));
    place.expect(&["sync"], 0);
    assert_eq!(place.query("SELECT name FROM things WHERE id = '0'"), "302 0");
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_host_that_is_down_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    misbehaves(
        &format!(
            "behavior = \"http\"\nurl = \"http://{address}\"\n[egress]\nallow = [\"{address}\"]\n\
             [retry]\nmax_attempts = 1"
        ),
        8,
        &["ConnectionRefused"],
    );
}

#[test]
fn a_component_with_another_import_or_without_the_contract_is_refused() {
    let place = Place::new("");
    let import = b"wasi:filesystem/types@0.2.12";
    let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
    wasm.extend([7, 3, 1, 0x42, 0]);
    wasm.extend([10, import.len() as u8 + 5, 1, 0, import.len() as u8]);
    wasm.extend(import);
    wasm.extend([5, 0]);
    let file = place.path("greedy.wasm");
    std::fs::write(&file, wasm).expect("written");
    let greedy = file.to_str().expect("a path");
    let ran = place.expect(&["check", "--component", greedy], 11);
    assert!(
        ran.stderr.contains("imports `wasi:filesystem/types@0.2.12`, which this sandbox does not provide"),
        "{ran:#?}"
    );

    std::fs::write(&file, b"\0asm\x0d\0\x01\0").expect("written");
    let ran = place.expect(&["check", "--component", greedy], 11);
    assert!(ran.stderr.contains("does not export `connector:source/source@0.1.x`"), "{ran:#?}");
    std::fs::write(&file, b"not wasm").expect("written");
    place.expect(&["check", "--component", greedy], 2);
}

#[test]
fn compiled_code_is_loaded_from_the_cache() {
    let place = Place::new("");
    place.expect(&["inspect"], 0);
    let cached = || {
        let files = place.files().into_iter().map(|(path, _)| path);
        files.filter(|path| path.extension().is_some_and(|ext| ext == "cwasm")).collect::<Vec<_>>()
    };
    let first = cached();
    assert_eq!(first.len(), 1);
    let made = std::fs::metadata(&first[0]).expect("a file").modified().expect("a time");
    place.expect(&["inspect"], 0);
    assert_eq!(cached(), first);
    let now = std::fs::metadata(&first[0]).expect("a file").modified().expect("a time");
    assert_eq!(made, now, "compiled again");
}

#[test]
fn inspect_shows_imports_and_hosts_in_force() {
    let place = Place::new("url = \"https://api.example.com/v1\"\n[sandbox]\nmemory = \"64MiB\"");
    let shown = place.json(&["inspect"], 0);
    assert_eq!(shown["hosts"], serde_json::json!(["api.example.com:443"]));
    assert_eq!(shown["limits"]["memory_bytes"], 64 << 20);
    let imports = shown["imports"].as_array().expect("a list");
    let is_wasi = |import: &serde_json::Value| {
        let import = import.as_str().unwrap_or_default();
        ["wasi:http/", "wasi:io/", "wasi:clocks/"].iter().any(|known| import.starts_with(known))
    };
    assert!(!imports.is_empty() && imports.iter().all(is_wasi), "{imports:?}");
    let size = std::fs::metadata(component()).expect("a file").len();
    assert_eq!(shown["size"], size);
}
