//! Attachments in pieces: one request as a rule, from a byte on after a restart; answers that are no file.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;
use zoho_desk::connection::Connection;
use zoho_desk::error::Kind;
use zoho_desk::file::Piece;
use zoho_desk::reader::Limits;
use zoho_desk::transport::{Failure, Request, Response, Transport};

use crate::desk::Desk;
use crate::setup::{LIMITS, connect_over};

const PATH: &str = "/api/v1/tickets/1/attachments/7/content";
const BYTES: &[u8] = b"0123456789";

/// A desk with one file. Clones share it.
#[derive(Clone)]
struct Files {
    desk: Desk,
    /// Ranges of the requests for the file, and how each is answered.
    asked: Rc<RefCell<Vec<Option<String>>>>,
    answer: fn(Option<usize>) -> Response,
}

impl Transport for Files {
    fn now_ms(&self) -> u64 {
        self.desk.now_ms()
    }

    fn ticks_ms(&self) -> u64 {
        0
    }

    fn send(&mut self, requests: &[Request], at_once: usize) -> Vec<Result<Response, Failure>> {
        let [request] = requests else { return self.desk.send(requests, at_once) };
        if request.path_with_query != PATH {
            return self.desk.send(requests, at_once);
        }
        let header = |wanted: &str| request.headers.iter().find(|(name, _)| *name == wanted);
        assert!(header("authorization").is_some() && header("orgid").is_some());
        let range = header("range").map(|(_, value)| value.clone());
        let start = range.as_ref().and_then(|range| range[6..range.len() - 1].parse().ok());
        self.asked.borrow_mut().push(range);
        vec![Ok((self.answer)(start))]
    }
}

fn response(status: u16, body: &[u8]) -> Response {
    Response { status, headers: vec![], body: body.to_vec() }
}

fn partial(start: Option<usize>) -> Response {
    let Some(start) = start else { return response(200, BYTES) };
    let headers = vec![("content-range".to_owned(), format!("bytes {start}-9/10"))];
    Response { headers, ..response(206, &BYTES[start..]) }
}

fn files(answer: fn(Option<usize>) -> Response) -> Files {
    Files { desk: Desk::with_tickets(1), asked: Rc::default(), answer }
}

fn fetch(connection: &mut Connection<Files>, offset: u64) -> Result<Piece, zoho_desk::error::Error> {
    let row = json!({"id": "7", "href": format!("https://desk.zoho.com{PATH}")}).to_string();
    connection.fetch("ticket_attachments", &row, offset, Limits { max_bytes: 4, ..LIMITS })
}

fn piece(bytes: &[u8], is_last: bool) -> Piece {
    Piece { bytes: bytes.to_vec(), is_last }
}

#[test]
fn a_file_costs_one_request_for_all_of_its_pieces() {
    let files = files(|_| response(200, BYTES));
    let mut connection = connect_over(files.clone(), json!({}));
    assert_eq!(fetch(&mut connection, 0), Ok(piece(b"0123", false)));
    assert_eq!(fetch(&mut connection, 4), Ok(piece(b"4567", false)));
    assert_eq!(fetch(&mut connection, 8), Ok(piece(b"89", true)));
    assert_eq!(*files.asked.borrow(), [None]);
    // The last bytes again, as after a crash.
    assert_eq!(fetch(&mut connection, 8), Ok(piece(b"89", true)));
    assert_eq!(*files.asked.borrow(), [None, Some("bytes=8-".to_owned())]);
}

#[test]
fn another_instance_continues_whether_or_not_the_server_knows_ranges() {
    for answer in [partial, |_| response(200, BYTES)] {
        let files = files(answer);
        assert_eq!(fetch(&mut connect_over(files.clone(), json!({})), 0), Ok(piece(b"0123", false)));
        assert_eq!(fetch(&mut connect_over(files.clone(), json!({})), 4), Ok(piece(b"4567", false)));
        assert_eq!(fetch(&mut connect_over(files.clone(), json!({})), 8), Ok(piece(b"89", true)));
        assert_eq!(files.asked.borrow().len(), 3);
    }
}

#[test]
fn an_empty_file_is_one_last_piece() {
    let mut connection = connect_over(files(|_| response(200, b"")), json!({}));
    assert_eq!(fetch(&mut connection, 0), Ok(piece(b"", true)));
}

#[test]
fn answers_that_are_not_the_file_are_errors() {
    let shorter = |_| response(200, b"01");
    let elsewhere = |_| {
        let headers = vec![("content-range".to_owned(), "bytes 1-9/10".to_owned())];
        Response { headers, ..response(206, &BYTES[1..]) }
    };
    type Answer = fn(Option<usize>) -> Response;
    let cases: [(Answer, Kind, &str); 5] = [
        (|_| response(403, br#"{"errorCode":"FORBIDDEN","message":"m"}"#), Kind::Permission, "HTTP 403: m"),
        (|_| response(404, b"<html>"), Kind::NotFound, "HTTP 404"),
        (|_| response(302, b""), Kind::Data, "HTTP 302"),
        (shorter, Kind::Data, "the file ends before byte 4"),
        (elsewhere, Kind::Data, "the answer does not start at byte 4"),
    ];
    for (answer, kind, message) in cases {
        let error = fetch(&mut connect_over(files(answer), json!({})), 4).unwrap_err();
        assert_eq!((error.kind, error.message.contains(message)), (kind, true), "{error}");
    }
}

#[test]
fn a_refused_token_is_renewed_once() {
    let refusal = |_| response(401, br#"{"errorCode":"INVALID_OAUTH","message":"m"}"#);
    let files = files(refusal);
    let mut connection = connect_over(files.clone(), json!({}));
    files.desk.advance_ms(120_000);
    let tokens = files.desk.tokens();
    // As for every call: a new token that is refused at once may be accepted later.
    assert_eq!(fetch(&mut connection, 0).unwrap_err().kind, Kind::Unavailable);
    assert_eq!((files.desk.tokens() - tokens, files.asked.borrow().len()), (1, 2));
}

#[test]
fn only_tables_with_attachments_have_files() {
    let mut connection = connect_over(files(partial), json!({}));
    let error = connection.fetch("tickets", "{}", 0, LIMITS).unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
}
