//! A table's columns as a Parquet schema, and the naming that its readers need.
//!
//! Pure. Knows neither rows nor files.

use std::collections::BTreeMap;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result;
use parquet::schema::types::{Type, TypePtr};

use crate::sinks::columns::{Layout, Naming};
use crate::sinks::value::ColumnType;

/// Columns of a table; readers hold one buffer for each.
const COLUMNS_MAX: usize = 2_000;

/// Names as they are. Most engines that read Parquet take names in any case for the same, and `date` is the
/// column that they make of the folder's name.
pub(super) const NAMING: Naming = Naming {
    reserved: &["_sequence", "_operation", "_as_of_ms", "_generation", "_partial", "date"],
    fold: str::to_lowercase,
    fit: |name| name.to_owned(),
    has_room: |columns| columns.len() < COLUMNS_MAX,
};

/// The columns of a change, between those of the key and those of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meta {
    Sequence,
    Operation,
    AsOf,
    Generation,
    ChangeSource,
    Partial,
    SourceUpdatedAt,
}

/// A column of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// A member of the key, by its place.
    Key(usize),
    Meta(Meta),
    /// A typed column of the layout, by its place.
    Typed(usize, ColumnType),
    /// The row's JSON.
    Raw,
}

impl Meta {
    pub(super) const ALL: [Self; 7] = [
        Self::Sequence,
        Self::Operation,
        Self::AsOf,
        Self::Generation,
        Self::ChangeSource,
        Self::Partial,
        Self::SourceUpdatedAt,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sequence => "_sequence",
            Self::Operation => "_operation",
            Self::AsOf => "_as_of_ms",
            Self::Generation => "_generation",
            Self::ChangeSource => "_change_source",
            Self::Partial => "_partial",
            Self::SourceUpdatedAt => "_source_updated_at",
        }
    }

    const fn column_type(self) -> ColumnType {
        match self {
            Self::Sequence | Self::AsOf | Self::Generation => ColumnType::Integer,
            Self::Operation | Self::ChangeSource => ColumnType::Text,
            Self::Partial => ColumnType::Boolean,
            Self::SourceUpdatedAt => ColumnType::Time,
        }
    }
}

/// The name of the column with the row's JSON.
pub(super) const RAW: &str = "_raw";

/// The columns of a file, in their order.
pub(super) fn columns(layout: &Layout) -> Vec<Column> {
    let typed = layout.columns.iter().enumerate();
    let keys = (0..layout.key.len()).map(Column::Key);
    keys.chain(Meta::ALL.map(Column::Meta))
        .chain(typed.map(|(at, column)| Column::Typed(at, column.column_type)))
        .chain([Column::Raw])
        .collect()
}

/// The name and the type of a column.
fn described(layout: &Layout, column: Column) -> (&str, ColumnType) {
    match column {
        Column::Key(at) => (layout.key.get(at).map_or("", |key| &key.name), ColumnType::Text),
        Column::Meta(meta) => (meta.name(), meta.column_type()),
        Column::Typed(at, kind) => (layout.columns.get(at).map_or("", |column| &column.name), kind),
        Column::Raw => (RAW, ColumnType::Json),
    }
}

/// The schema of a file.
pub(super) fn schema(layout: &Layout) -> Result<TypePtr> {
    let field = |column: Column| {
        let (name, kind) = described(layout, column);
        let (physical, logical) = types(kind);
        let field = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        field.build().map(Arc::new)
    };
    let fields = columns(layout).into_iter().map(field).collect::<Result<Vec<_>>>()?;
    Type::group_type_builder("row").with_fields(fields).build().map(Arc::new)
}

fn types(kind: ColumnType) -> (Physical, Option<LogicalType>) {
    match kind {
        ColumnType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnType::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        ColumnType::Integer => (Physical::INT64, None),
        ColumnType::Real => (Physical::DOUBLE, None),
        ColumnType::Boolean => (Physical::BOOLEAN, None),
        ColumnType::Time => {
            let unit = TimeUnit::MILLIS;
            (Physical::INT64, Some(LogicalType::timestamp(true, unit)))
        }
    }
}

/// The columns for the manifest: the type of each by its name.
pub(super) fn names(layout: &Layout) -> BTreeMap<String, &'static str> {
    let named = |column| {
        let (name, kind) = described(layout, column);
        let word = match kind {
            ColumnType::Text => "string",
            ColumnType::Json => "json",
            ColumnType::Integer => "int64",
            ColumnType::Real => "double",
            ColumnType::Boolean => "boolean",
            ColumnType::Time => "timestamp",
        };
        (name.to_owned(), word)
    };
    columns(layout).into_iter().map(named).collect()
}
