//! A segment of the log as a Parquet file.
//!
//! Pure: the same lines and columns make the same bytes. Reads and writes group by group, so that memory
//! depends on neither the segment nor the length of rows beyond one. Knows no folders and no names.

use std::io::BufRead;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use xxhash_rust::xxh3::Xxh3Default;

use super::columns::{Column, Meta, RAW, columns, schema};
use super::line::Line;
use crate::error::{Error, Result};
use crate::sinks::columns::Layout;
use crate::sinks::members::scan;
use crate::sinks::surrogates::without_halves;
use crate::sinks::value::{ColumnType, Value, convert, text};

/// Bytes of lines in a row group; about three times as many are in memory at a time.
const GROUP_BYTES: usize = 16 << 20;
/// Values in a row group: as much memory where lines are short.
const GROUP_VALUES: usize = 1 << 20;
/// Lines of a segment that a sequence number has room for.
const LINES_MAX: u64 = 1 << 32;

/// A file, and its line in the manifest.
pub(super) struct Converted {
    pub(super) bytes: Vec<u8>,
    pub(super) rows: u64,
    /// The smallest and the largest `_as_of_ms`.
    pub(super) as_of_ms: Option<(i64, i64)>,
    /// Names the lines: equal for equal ones.
    pub(super) lines: u64,
}

/// Lines that become a row group.
struct Group {
    text: Bytes,
    lines: u64,
}

/// Converts the lines of a segment; `number` is the segment's.
pub(super) fn convert_segment(mut lines: impl BufRead, number: u64, layout: &Layout) -> Result<Converted> {
    let wrong = |error: ParquetError| of_parquet(layout, &error);
    let schema = schema(layout).map_err(wrong)?;
    let properties = Arc::new(properties());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).map_err(wrong)?;
    let (mut hash, mut rows, mut as_of_ms) = (Xxh3Default::new(), 0, None);
    let group_lines = (GROUP_VALUES / columns(layout).len().max(1)).max(1);
    while let Some(group) = read_group(&mut lines, group_lines)? {
        hash.update(&group.text);
        let first = number.saturating_mul(LINES_MAX).saturating_add(rows);
        let parsed = parse(&group, layout)?;
        let times = parsed.iter().filter_map(|line| line.as_of_ms);
        as_of_ms = times.fold(as_of_ms, |range: Option<(i64, i64)>, time| {
            Some(range.map_or((time, time), |(min, max)| (min.min(time), max.max(time))))
        });
        let mut row_group = writer.next_row_group().map_err(wrong)?;
        write_group(&mut row_group, &group, &parsed, first, layout)?;
        row_group.close().map_err(wrong)?;
        rows += group.lines;
    }
    let bytes = writer.into_inner().map_err(wrong)?;
    Ok(Converted { bytes, rows, as_of_ms, lines: hash.digest() })
}

fn of_parquet(layout: &Layout, error: &ParquetError) -> Error {
    Error::sink(format!("table `{}`: Parquet: {error}", layout.table))
}

/// The document of a row is not like another: no dictionary, and no smallest or largest one.
fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_created_by(concat!("host-runner ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_column_dictionary_enabled(ColumnPath::from(RAW), false)
        .set_column_statistics_enabled(ColumnPath::from(RAW), EnabledStatistics::None)
        .build()
}

/// The next lines of a segment, at least one; none at its end.
fn read_group(lines: &mut impl BufRead, group_lines: usize) -> Result<Option<Group>> {
    let (mut text, mut count) = (Vec::new(), 0);
    while count < group_lines as u64 && text.len() < GROUP_BYTES {
        let read = lines.read_until(b'\n', &mut text);
        if read.map_err(|error| Error::sink(format!("a segment: {error}")))? == 0 {
            break;
        }
        count += 1;
    }
    Ok((count > 0).then(|| Group { text: Bytes::from(text), lines: count }))
}

fn parse<'g>(group: &'g Group, layout: &Layout) -> Result<Vec<Line<'g>>> {
    let lines = group.text.split_inclusive(|byte| *byte == b'\n').map(|line| {
        serde_json::from_slice(line)
            .map_err(|error| Error::sink(format!("table `{}`: a line of its log: {error}", layout.table)))
    });
    lines.collect()
}

fn write_group<W: std::io::Write + Send>(
    row_group: &mut SerializedRowGroupWriter<'_, W>,
    group: &Group,
    lines: &[Line<'_>],
    first: u64,
    layout: &Layout,
) -> Result<()> {
    let (key_width, width) = (layout.key.len(), layout.columns.len());
    let mut keys = vec![None; lines.len() * key_width];
    let mut values = vec![None; lines.len() * width];
    let (key_paths, paths) = (layout.key_paths(), layout.paths());
    for (at, line) in lines.iter().enumerate() {
        let wrong = |error| Error::sink(format!("table `{}`: a row of its log: {error}", layout.table));
        if let (Some(key), Some(slots)) = (line.key, keys.get_mut(at * key_width..(at + 1) * key_width)) {
            scan(key.get(), &key_paths, slots).map_err(wrong)?;
        }
        if let (Some(row), Some(slots)) = (line.after, values.get_mut(at * width..(at + 1) * width)) {
            scan(row.get(), &paths, slots).map_err(wrong)?;
        }
    }
    let wrong = |error: ParquetError| of_parquet(layout, &error);
    for column in columns(layout) {
        let Some(mut writer) = row_group.next_column().map_err(wrong)? else { break };
        let to = &mut writer;
        let written = match column {
            Column::Key(at) => {
                let keys = keys.iter().skip(at).step_by(key_width.max(1));
                write_texts(to, group, keys.map(|raw| text((*raw)?)))
            }
            Column::Typed(at, kind) => {
                let values = values.iter().skip(at).step_by(width.max(1)).copied();
                write_values(to, group, kind, values)
            }
            Column::Meta(meta) => write_meta(to, group, meta, lines, first),
            Column::Raw => {
                let rows = lines.iter().map(|line| Some(without_halves(line.after?.get().into())));
                write_texts(to, group, rows)
            }
        };
        written.and_then(|()| writer.close()).map_err(wrong)?;
    }
    Ok(())
}

type Written = std::result::Result<(), ParquetError>;
type Text<'a> = std::borrow::Cow<'a, str>;

fn write_meta(
    to: &mut SerializedColumnWriter<'_>,
    group: &Group,
    meta: Meta,
    lines: &[Line<'_>],
    first: u64,
) -> Written {
    let number = |number: u64| i64::try_from(number).ok();
    match meta {
        Meta::Sequence => write::<Int64Type>(to, (0..group.lines).map(|at| number(first + at))),
        Meta::AsOf => write::<Int64Type>(to, lines.iter().map(|line| line.as_of_ms)),
        Meta::Generation => write::<Int64Type>(to, lines.iter().map(|line| line.generation)),
        Meta::Partial => write::<BoolType>(to, lines.iter().map(|line| Some(line.partial))),
        Meta::SourceUpdatedAt => {
            write::<Int64Type>(to, lines.iter().map(|line| millis(line.source_updated_at?)))
        }
        Meta::Operation => write_texts(to, group, lines.iter().map(|line| Some(line.operation.into()))),
        Meta::ChangeSource => {
            write_texts(to, group, lines.iter().map(|line| Some(line.change_source?.into())))
        }
    }
}

/// Writes JSON values as a column of a type; those that do not fit are null.
fn write_values<'a>(
    to: &mut SerializedColumnWriter<'_>,
    group: &Group,
    kind: ColumnType,
    values: impl Iterator<Item = Option<&'a str>>,
) -> Written {
    let values = values.map(|raw| convert(kind, raw?));
    match kind {
        ColumnType::Text => write_texts(to, group, values.map(into_text)),
        ColumnType::Json => write_texts(to, group, values.map(|value| into_text(value).map(without_halves))),
        ColumnType::Time => write::<Int64Type>(to, values.map(|value| millis(&into_text(value)?))),
        ColumnType::Integer => write::<Int64Type>(
            to,
            values.map(|value| match value {
                Some(Value::Integer(value)) => Some(value),
                _ => None,
            }),
        ),
        ColumnType::Real => write::<DoubleType>(
            to,
            values.map(|value| match value {
                Some(Value::Real(value)) => Some(value),
                _ => None,
            }),
        ),
        ColumnType::Boolean => write::<BoolType>(
            to,
            values.map(|value| match value {
                Some(Value::Boolean(value)) => Some(value),
                _ => None,
            }),
        ),
    }
}

fn into_text(value: Option<Value<'_>>) -> Option<Text<'_>> {
    match value {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// Milliseconds since 1970 of a time in RFC 3339.
fn millis(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Texts of the group are not copied.
fn write_texts<'a>(
    to: &mut SerializedColumnWriter<'_>,
    group: &Group,
    texts: impl Iterator<Item = Option<Text<'a>>>,
) -> Written {
    let range = group.text.as_ptr_range();
    let bytes = |text: Text<'a>| match text {
        Text::Borrowed(text) if range.contains(&text.as_ptr()) => group.text.slice_ref(text.as_bytes()),
        Text::Borrowed(text) => Bytes::copy_from_slice(text.as_bytes()),
        Text::Owned(text) => Bytes::from(text),
    };
    write::<ByteArrayType>(to, texts.map(|text| text.map(|text| ByteArray::from(bytes(text)))))
}

fn write<T: DataType>(
    to: &mut SerializedColumnWriter<'_>,
    column: impl Iterator<Item = Option<T::T>>,
) -> Written {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for value in column {
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    to.typed::<T>().write_batch(&values, Some(&levels), None).map(drop)
}
