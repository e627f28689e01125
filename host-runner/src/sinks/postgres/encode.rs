//! Values in PostgreSQL's binary form: rows for `COPY`, and columns as arrays for `UNNEST`.
//!
//! Both take the same cells, row by row. Knows nothing of tables.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// The first version of a `jsonb`'s binary form.
const JSONB_VERSION: u8 = 1;
/// Bytes of one message of a `COPY`: many rows, so that messages cost little, and far less than a batch, so
/// that the server starts early.
const CHUNK_BYTES: usize = 256 * 1024;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SqlType {
    Text,
    Integer,
    Numeric,
    Boolean,
    Time,
    Json,
    Jsonb,
}

impl SqlType {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "bigint",
            Self::Numeric => "numeric",
            Self::Boolean => "boolean",
            Self::Time => "timestamptz",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
        }
    }

    const fn of_element(self) -> Type {
        match self {
            Self::Text => Type::TEXT,
            Self::Integer => Type::INT8,
            Self::Numeric => Type::NUMERIC,
            Self::Boolean => Type::BOOL,
            Self::Time => Type::TIMESTAMPTZ,
            Self::Json => Type::JSON,
            Self::Jsonb => Type::JSONB,
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Json(&'a str),
    Jsonb(Cow<'a, str>),
    Integer(i64),
    /// The bytes of [`numeric`](super::numeric::numeric).
    Numeric(Vec<u8>),
    Boolean(bool),
    /// Microseconds since 2000.
    Time(i64),
}

impl Cell<'_> {
    /// Length and bytes.
    fn put(&self, out: &mut BytesMut) {
        let mut sized = |bytes: &[u8]| {
            out.put_i32(length(bytes.len()));
            out.put_slice(bytes);
        };
        match self {
            Self::Null => out.put_i32(-1),
            Self::Text(text) => sized(text.as_bytes()),
            Self::Json(text) => sized(text.as_bytes()),
            Self::Jsonb(text) => {
                out.put_i32(length(text.len() + 1));
                out.put_u8(JSONB_VERSION);
                out.put_slice(text.as_bytes());
            }
            Self::Integer(value) | Self::Time(value) => sized(&value.to_be_bytes()),
            Self::Numeric(bytes) => sized(bytes),
            Self::Boolean(value) => sized(&[u8::from(*value)]),
        }
    }
}

/// Values are bounded by the size of a batch, far below 2 GiB.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// Takes the cells of rows, in the order of the columns.
pub(super) trait Rows {
    fn begin_row(&mut self);
    fn put(&mut self, cell: &Cell<'_>);
}

/// Rows for `COPY … FROM STDIN (FORMAT binary)`.
pub(super) struct CopyRows {
    columns: i16,
    bytes: BytesMut,
    pub(super) rows: usize,
}

impl CopyRows {
    pub(super) fn new(columns: usize) -> Self {
        let mut bytes = BytesMut::new();
        // Signature, no flags, no extension.
        bytes.put_slice(b"PGCOPY\n\xff\r\n\0");
        bytes.put_i32(0);
        bytes.put_i32(0);
        Self { columns: i16::try_from(columns).unwrap_or(i16::MAX), bytes, rows: 0 }
    }

    /// The rows so far, once they fill a message.
    pub(super) fn full(&mut self) -> Option<Bytes> {
        if self.bytes.len() < CHUNK_BYTES {
            return None;
        }
        let full = self.bytes.split().freeze();
        self.bytes.reserve(full.len());
        Some(full)
    }

    /// The last message.
    pub(super) fn end(&mut self) -> Bytes {
        self.bytes.put_i16(-1);
        self.bytes.split().freeze()
    }
}

impl Rows for CopyRows {
    fn begin_row(&mut self) {
        self.bytes.put_i16(self.columns);
        self.rows += 1;
    }

    fn put(&mut self, cell: &Cell<'_>) {
        cell.put(&mut self.bytes);
    }
}

/// Rows as one array for each column.
#[derive(Debug)]
pub(super) struct Arrays {
    pub(super) columns: Vec<Array>,
    next: usize,
    pub(super) rows: usize,
}

/// A column as an array, the parameter of a statement.
#[derive(Debug)]
pub(super) struct Array {
    element: SqlType,
    elements: i32,
    has_null: bool,
    bytes: BytesMut,
}

impl Arrays {
    pub(super) fn new(types: impl IntoIterator<Item = SqlType>) -> Self {
        let array = |element| Array { element, elements: 0, has_null: false, bytes: BytesMut::new() };
        Self { columns: types.into_iter().map(array).collect(), next: 0, rows: 0 }
    }

    /// The parameters of a statement.
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.columns.iter().map(|column| column as &(dyn ToSql + Sync)).collect()
    }
}

impl Rows for Arrays {
    fn begin_row(&mut self) {
        self.next = 0;
        self.rows += 1;
    }

    fn put(&mut self, cell: &Cell<'_>) {
        let Some(column) = self.columns.get_mut(self.next) else { return };
        column.elements = column.elements.saturating_add(1);
        column.has_null |= *cell == Cell::Null;
        cell.put(&mut column.bytes);
        self.next += 1;
    }
}

impl ToSql for Array {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // Dimensions, whether there are nulls, the element's type, and for the dimension its size and start.
        out.put_i32(1);
        out.put_i32(i32::from(self.has_null));
        out.put_u32(self.element.of_element().oid());
        out.put_i32(self.elements);
        out.put_i32(1);
        out.put_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        // The statements name the types themselves, so that the server checks them.
        true
    }

    to_sql_checked!();
}
