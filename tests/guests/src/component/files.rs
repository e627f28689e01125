//! Files of rows: as many bytes as the row's number says, in small pieces, with the faults of the
//! configuration.

use super::bindings::exports::connector::source::types::{Error, ErrorKind, Piece};
use crate::config::{Config, Crosses, Files};

/// Bytes of a piece.
const PIECE: u64 = 4;

/// The piece of a row's file at this offset.
pub(super) fn piece(config: &Config, row: &str, offset: u64) -> Result<Piece, Error> {
    let row: serde_json::Value = serde_json::from_str(row).unwrap_or_default();
    let number: u64 = row["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
    let attributes = vec![("credits-used".into(), "1".into())];
    if config.crosses == Some(Crosses::Piece) {
        return Ok(Piece { bytes: vec![0; (1 << 20) + 1], is_last: true, attributes });
    }
    let files = if number.is_multiple_of(2) { Files::Whole } else { config.files };
    let end = match files {
        Files::Whole => number,
        Files::Short => number / 2,
        Files::Endless => u64::MAX,
        Files::Fail => return Err(super::error(super::kind(&config.kind), "no file, as configured")),
        Files::Stuck => return Ok(Piece { bytes: Vec::new(), is_last: false, attributes }),
    };
    if offset > end {
        return Err(super::error(ErrorKind::Data, "the file ends before"));
    }
    let bytes = PIECE.min(end - offset);
    let letter = b'a' + (number % 26) as u8;
    Ok(Piece { bytes: vec![letter; bytes as usize], is_last: offset + bytes == end, attributes })
}
