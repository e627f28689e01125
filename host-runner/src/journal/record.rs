//! A delivery as it is on disk: encoded headers, size, checksum.
//!
//! Headers: for each, name length (u16), name, value length (u32), value; numbers little-endian.
//! Checksum: XXH3-64 over the time, then the connection's name and every field, each after its length.

use xxhash_rust::xxh3::Xxh3;

use crate::delivery::Delivery;

/// Bytes of a record besides its content: the row, its index entry, half-filled pages.
const OVERHEAD_BYTES: usize = 64;

/// A delivery ready to be written.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) delivery: Delivery,
    pub(super) headers: Vec<u8>,
    pub(super) checksum: i64,
    pub(super) bytes: usize,
}

impl Record {
    pub(super) fn new(connection: &str, delivery: Delivery) -> Self {
        let headers = encode(&delivery.headers);
        let checksum = checksum(connection, &delivery, &headers);
        let bytes = OVERHEAD_BYTES
            + headers.len()
            + delivery.body.len()
            + delivery.method.len()
            + delivery.path_with_query.len();
        Self { delivery, headers, checksum, bytes }
    }
}

/// The columns of a record, headers still encoded.
pub(super) struct Raw {
    pub(super) received_at_ms: u64,
    pub(super) method: String,
    pub(super) path_with_query: String,
    pub(super) headers: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) checksum: i64,
}

impl Raw {
    /// The delivery, and its damage if the checksum does not match.
    pub(super) fn decode(self, connection: &str) -> (Delivery, Option<String>) {
        let Self { received_at_ms, method, path_with_query, headers: encoded, body, checksum: expected } =
            self;
        let headers = decode(&encoded);
        let readable = headers.is_some();
        let headers = headers.unwrap_or_default();
        let delivery = Delivery { received_at_ms, method, path_with_query, headers, body };
        let actual = checksum(connection, &delivery, &encoded);
        let wrong = if actual != expected {
            Some(format!("checksum {actual:016x}, written with {expected:016x}"))
        } else if readable {
            None
        } else {
            Some("its headers cannot be decoded".to_owned())
        };
        (delivery, wrong)
    }
}

fn encode(headers: &[(String, Vec<u8>)]) -> Vec<u8> {
    let bytes = headers.iter().map(|(name, value)| 6 + name.len() + value.len()).sum();
    let mut encoded = Vec::with_capacity(bytes);
    for (name, value) in headers {
        // Longer ones do not occur: the ingress limits the bytes of all headers together.
        let (Ok(name_bytes), Ok(value_bytes)) = (u16::try_from(name.len()), u32::try_from(value.len()))
        else {
            continue;
        };
        encoded.extend_from_slice(&name_bytes.to_le_bytes());
        encoded.extend_from_slice(name.as_bytes());
        encoded.extend_from_slice(&value_bytes.to_le_bytes());
        encoded.extend_from_slice(value);
    }
    encoded
}

fn decode(mut encoded: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    fn take<'a>(from: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = from.split_at_checked(bytes)?;
        *from = rest;
        Some(taken)
    }
    let mut headers = Vec::new();
    while !encoded.is_empty() {
        let bytes = u16::from_le_bytes(take(&mut encoded, 2)?.try_into().ok()?);
        let name = String::from_utf8(take(&mut encoded, usize::from(bytes))?.to_vec()).ok()?;
        let bytes = u32::from_le_bytes(take(&mut encoded, 4)?.try_into().ok()?);
        let value = take(&mut encoded, usize::try_from(bytes).ok()?)?.to_vec();
        headers.push((name, value));
    }
    Some(headers)
}

fn checksum(connection: &str, delivery: &Delivery, headers: &[u8]) -> i64 {
    let mut hash = Xxh3::new();
    hash.update(&delivery.received_at_ms.to_le_bytes());
    let path = delivery.path_with_query.as_bytes();
    for field in [connection.as_bytes(), delivery.method.as_bytes(), path, headers, &delivery.body] {
        hash.update(&(field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    hash.digest().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::{Raw, Record};
    use crate::delivery::Delivery;

    fn delivery() -> Delivery {
        Delivery {
            received_at_ms: 1_700_000_000_000,
            method: "POST".to_owned(),
            path_with_query: "/hooks/acme?x=1".to_owned(),
            headers: vec![("a".to_owned(), b"1".to_vec()), ("binary".to_owned(), vec![0, 255, 10])],
            body: b"[{}]".to_vec(),
        }
    }

    fn raw(record: Record) -> Raw {
        Raw {
            received_at_ms: record.delivery.received_at_ms,
            method: record.delivery.method,
            path_with_query: record.delivery.path_with_query,
            headers: record.headers,
            body: record.delivery.body,
            checksum: record.checksum,
        }
    }

    #[test]
    fn a_decoded_record_equals_the_delivery() {
        let (back, wrong) = raw(Record::new("acme", delivery())).decode("acme");
        assert_eq!((back, wrong), (delivery(), None));
    }

    #[test]
    fn the_checksum_covers_every_field_and_the_connection() {
        type Spoil = fn(&mut Raw);
        let spoils: [Spoil; 6] = [
            |raw| raw.received_at_ms += 1,
            |raw| raw.method.push('X'),
            |raw| raw.path_with_query.push('X'),
            |raw| raw.headers[0] ^= 1,
            |raw| raw.body[2] ^= 1,
            |raw| raw.checksum ^= 1,
        ];
        for (index, spoil) in spoils.into_iter().enumerate() {
            let mut spoilt = raw(Record::new("acme", delivery()));
            spoil(&mut spoilt);
            assert!(spoilt.decode("acme").1.is_some(), "field {index}");
        }
        assert!(raw(Record::new("acme", delivery())).decode("other").1.is_some());
    }

    #[test]
    fn the_checksum_covers_the_borders_of_fields() {
        let mut moved = raw(Record::new("acme", delivery()));
        moved.method.push(moved.path_with_query.remove(0));
        assert!(moved.decode("acme").1.is_some());
    }
}
