//! The bytes of the file that a row names, piece by piece (`zoho-desk-api.md` §4.2).
//!
//! A piece is asked for by its offset, so that any instance can continue. The answer of the last call stays
//! open until another call, so that a file costs one request as a rule. Knows no tokens, and no folder.

use serde_json::Value;

use crate::api::Api;
use crate::error::{Error, Kind, Result};
use crate::reader::Limits;
use crate::row;
use crate::table::{FileMembers, Table};
use crate::transport::{Body, Transport};

/// The contract's `piece`.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Vec<u8>,
    pub is_last: bool,
}

/// An answer that is read up to `offset`.
pub(crate) struct OpenFile {
    path: String,
    offset: u64,
    body: Box<dyn Body>,
}

/// The bytes of a row's file from `offset` on. `kept` is the answer of the last call.
pub(crate) fn fetch<T: Transport>(
    api: &mut Api<T>,
    kept: &mut Option<OpenFile>,
    table: &Table,
    row: &str,
    offset: u64,
    limits: Limits,
) -> Result<Piece> {
    let members = table.attachment.ok_or_else(|| {
        Error::new(Kind::Unsupported, format!("table `{}`: its rows name no files", table.name))
    })?;
    let path = path(members, row)?;
    let mut file = match kept.take() {
        Some(file) if file.path == path && file.offset == offset => file,
        _ => open(api, path, offset)?,
    };
    let (most, started_ms) = (limits.max_bytes as usize, api.transport().ticks_ms());
    let mut bytes = Vec::new();
    while bytes.len() < most && api.transport().ticks_ms() - started_ms < u64::from(limits.max_ms) {
        match file.body.read(most - bytes.len()) {
            Ok(Some(more)) if bytes.is_empty() => bytes = more,
            Ok(Some(more)) => bytes.extend_from_slice(&more),
            Ok(None) => return Ok(Piece { bytes, is_last: true }),
            // These bytes count. The next call asks for the rest, and meets the failure if it persists.
            Err(_) if !bytes.is_empty() => return Ok(Piece { bytes, is_last: false }),
            Err(failure) => return Err(api.failed(failure)),
        }
    }
    file.offset += bytes.len() as u64;
    *kept = Some(file);
    Ok(Piece { bytes, is_last: false })
}

/// Asks for a file from a byte on; a server that sends all of it is read up to that byte.
fn open<T: Transport>(api: &mut Api<T>, path: String, offset: u64) -> Result<OpenFile> {
    // A backlog of files must not keep tables from being read, any more than a snapshot.
    api.allow(true)?;
    let (response, mut body) = api.open(&path, offset)?;
    let unusable = |what: &str| Error::new(Kind::Data, format!("GET {path}: {what}"));
    if response.status == 206 {
        let starts = |range: &str| range.trim().starts_with(&format!("bytes {offset}-"));
        if !response.header("content-range").is_some_and(starts) {
            return Err(unusable(&format!("the answer does not start at byte {offset}")));
        }
        return Ok(OpenFile { path, offset, body });
    }
    let mut left = offset;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        match body.read(most).map_err(|failure| api.failed(failure))? {
            Some(skipped) => left -= skipped.len() as u64,
            None => return Err(unusable(&format!("the file ends before byte {offset}"))),
        }
    }
    Ok(OpenFile { path, offset, body })
}

/// The path of a row's file. A row is data of the portal's users, and the request has the token: only the
/// content of the attachment with the row's id is asked for, and only of the API's host.
fn path(members: FileMembers, row: &str) -> Result<String> {
    let id = row::text(row, "id").unwrap_or_default();
    let row: Value = serde_json::from_str(row)
        .map_err(|error| Error::new(Kind::Data, format!("the row of a file is not JSON: {error}")))?;
    let href = row[members.href].as_str().unwrap_or_default();
    let after_host = href.split_once("://").map_or(href, |(_, rest)| rest.trim_start_matches(|c| c != '/'));
    let path = after_host.split(['?', '#']).next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    let is_content = path.starts_with("/api/v1/")
        && path.ends_with(&format!("/attachments/{id}/content"))
        && path.bytes().all(is_plain);
    if id.is_empty() || !is_content {
        let message = format!("attachment {id}: its `{}` is not the path of its content", members.href);
        return Err(Error::new(Kind::Data, message));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::path;
    use crate::table::FileMembers;

    const MEMBERS: FileMembers = FileMembers { name: "name", size: "size", href: "href" };

    fn path_of(href: &str) -> Result<String, String> {
        let row = serde_json::json!({"id": "7", "href": href}).to_string();
        path(MEMBERS, &row).map_err(|error| error.message)
    }

    #[test]
    fn the_path_is_that_of_the_content_on_any_host() {
        let content = "/api/v1/tickets/1/attachments/7/content";
        for host in ["https://desk.zoho.com", "https://evil.example", "http://u:p@h:1", ""] {
            assert_eq!(path_of(&format!("{host}{content}")).as_deref(), Ok(content));
            assert_eq!(path_of(&format!("{host}{content}?orgId=1#x")).as_deref(), Ok(content));
        }
    }

    #[test]
    fn an_id_may_be_a_number() {
        let href = "https://desk.zoho.com/api/v1/tickets/1/attachments/7/content";
        for id in [serde_json::json!("7"), serde_json::json!(7)] {
            let row = serde_json::json!({"id": id, "href": href}).to_string();
            assert!(path(MEMBERS, &row).is_ok(), "{row}");
        }
        let row = serde_json::json!({"id": 8, "href": href}).to_string();
        assert!(path(MEMBERS, &row).is_err(), "of another attachment");
    }

    #[test]
    fn a_row_cannot_ask_for_anything_else() {
        for href in [
            "",
            "https://desk.zoho.com",
            "/api/v1/tickets/1/attachments/8/content",
            "/api/v1/tickets/1",
            "/api/v1/../oauth/attachments/7/content",
            "/api/v1/%2e%2e/attachments/7/content",
            "/oauth/v2/attachments/7/content",
            "/api/v1/a b/attachments/7/content",
            "/api/v1/x?y=/attachments/7/content",
            "//evil.example/api/v1/attachments/7/content",
        ] {
            assert!(path_of(href).is_err(), "{href}");
        }
        assert!(path(MEMBERS, "{}").is_err() && path(MEMBERS, "[").is_err());
    }
}
