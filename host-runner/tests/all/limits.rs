//! Limits without a key, each crossed: the error names the limit, the other table is read, no row is lost.

use crate::sandbox::misbehaves;
use crate::server::Server;
use crate::support::Place;

/// A connection whose first row is the response of a server, with further configuration; no retries.
fn calls(server: &Server, config: &str) -> String {
    format!(
        "behavior = \"http\"\nurl = \"http://{0}\"\n{config}\n[egress]\nallow = [\"{0}\"]\n[retry]\nmax_attempts = 1",
        server.address
    )
}

/// A server whose response has this many headers of 4 KiB.
fn wordy(headers: usize) -> Server {
    let header = |number| format!("x-{number}: {}\r\n", "x".repeat(4 << 10));
    let headers: String = (0..headers).map(header).collect();
    Server::new(Some(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok").into_bytes()))
}

#[test]
fn a_component_with_too_many_handles_is_stopped() {
    misbehaves(
        "behavior = \"hoard\"\n[retry]\nmax_attempts = 1",
        11,
        &["error: table `things`: read: wanted more than 10000 handles; stopped", "hint: a defect"],
    );
}

#[test]
fn a_request_with_too_many_header_bytes_is_not_sent() {
    let server = Server::ok(b"ok");
    let place = Place::new(&calls(&server, "rows = 1\nheader_bytes = 30000"));
    place.expect(&["sync"], 0);
    assert_eq!(place.query("SELECT name FROM things"), "200 2");
    let before = server.requests();
    misbehaves(
        &calls(&server, "header_bytes = 34000"),
        11,
        &["error: table `things`: read: wanted more than 32 KiB of headers in one message; stopped"],
    );
    assert_eq!(server.requests(), before, "the request was sent");
}

#[test]
fn a_response_with_too_many_header_bytes_is_an_error() {
    let place = Place::new(&calls(&wordy(7), "rows = 1"));
    place.expect(&["sync"], 0);
    assert_eq!(place.query("SELECT name FROM things"), "200 2");
    misbehaves(&calls(&wordy(9), ""), 8, &["HttpResponseHeaderSectionSize(Some(32768))"]);
}

#[test]
fn a_stalled_response_ends_after_the_read_timeout_of_the_component() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let server = Server::new(Some(half));
    misbehaves(
        &calls(&server, "read_timeout_ms = 100"),
        8,
        &["error: table `things`: ", "connection read timeout"],
    );
    assert_eq!(server.requests(), 1);
}

#[test]
fn members_beyond_the_limit_of_columns_stay_in_the_raw_row() {
    let place = Place::new("rows = 3\ncolumns = 2500");
    let ran = place.expect(&["sync"], 0);
    assert!(ran.stderr.contains("more properties than columns"), "{ran:#?}");
    // Nine other columns come first; the key and five columns of the runner are not counted.
    let named = |name: &str| {
        place.query(&format!(
            "SELECT count(*) || '' FROM pragma_table_info('things') WHERE name LIKE '{name}'"
        ))
    };
    assert_eq!((named("more1890").as_str(), named("more1891").as_str()), ("1", "0"));
    assert_eq!(named("%"), (1_900 + 6).to_string());
    assert_eq!(place.query("SELECT more1890 || '' FROM things_live WHERE id = '2'"), "2");
    let last = "SELECT json_extract(_raw, '$.more2499') || '' FROM things_live WHERE id = '2'";
    assert_eq!(place.query(last), "2", "the raw row lacks a member without a column");
    let again = place.json(&["sync", "--full-refresh"], 0);
    assert_eq!(again["tables"][0]["rows"]["unchanged"], 3, "{again}");
}
