//! Rows generated from their number: the same number is always the same row.

use serde::{Deserialize, Serialize};

use crate::config::Config;

/// Where the next `read` continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Of the format.
    pub version: u32,
    /// The id of the snapshot, 0 when it is done.
    pub generation: u64,
    /// Rows of the snapshot that were read.
    pub row: u64,
    /// Changes after the snapshot that were read.
    pub change: u64,
}

/// When row 0 last changed, Unix milliseconds.
const START_MS: u64 = 1_700_000_000_000;

/// Key of a row.
pub fn key(row: u64) -> String {
    format!("{{\"id\":\"{row}\"}}")
}

/// When a row last changed, by its own account.
pub fn source_updated_at_ms(row: u64) -> u64 {
    START_MS + row * 1000
}

/// A row: numbers as strings, a nested field, a member that is not in the schema.
pub fn document(row: u64, version: u64, config: &Config) -> String {
    let price = row as f64 / 4.0;
    let active = row.is_multiple_of(2);
    let padding = "x".repeat(config.padding);
    let more: String = (0..config.columns).map(|number| format!(",\"more{number}\":{row}")).collect();
    format!(
        "{{\"id\":\"{row}\",\"name\":\"Thing {row} \\\"é\\\" 🎉\",\"version\":{version},\"count\":\"{row}\",\
         \"price\":\"{price}\",\"active\":\"{active}\",\"changed\":\"2024-02-29T10:20:30+05:30\",\
         \"tags\":[\"a\",{row}],\"cf\":{{\"cf_size\":{row}}},\"Name\":\"other\",\
         \"unknown\":{{\"kept\":true}},\"extra\":\"late {row}\",\"padding\":\"{padding}\"{more}}}"
    )
}

/// The schema of `things`.
pub fn schema(config: &Config) -> String {
    let extra = if config.extra_column { ",\"extra\":{\"type\":\"string\"}" } else { "" };
    let more = |number| format!(",\"more{number}\":{{\"type\":\"integer\"}}");
    let more: String = (0..config.columns).map(more).collect();
    format!(
        "{{\"type\":\"object\",\"properties\":{{\"id\":{{\"type\":\"string\"}},\
         \"name\":{{\"type\":[\"string\",\"null\"]}},\"version\":{{\"type\":\"integer\"}},\
         \"count\":{{\"type\":\"integer\"}},\"price\":{{\"type\":\"number\"}},\
         \"active\":{{\"type\":\"boolean\"}},\
         \"changed\":{{\"type\":\"string\",\"format\":\"date-time\"}},\"tags\":{{\"type\":\"array\"}},\
         \"cf_size\":{{\"type\":\"integer\",\"x-path\":\"/cf/cf_size\"}},\
         \"Name\":{{\"type\":\"string\"}}{extra}{more}}}}}"
    )
}

/// Numbers of the rows of one batch, and whether it is the last.
pub fn page(cursor: Cursor, config: &Config, changes_max: u64) -> (Vec<u64>, u64, bool) {
    let end = config.rows.min(cursor.row + config.page.clamp(1, changes_max.max(1)));
    let rows = (cursor.row..end).filter(|row| !config.deleted.contains(row)).collect();
    (rows, end, end >= config.rows)
}

#[cfg(test)]
mod tests {
    use super::{Cursor, document, key, page, schema};
    use crate::config::Config;

    #[test]
    fn rows_and_schema_are_json() {
        let config = Config { extra_column: true, columns: 2, padding: 3, ..Config::default() };
        for text in [document(7, 1, &config), schema(&config), key(7)] {
            serde_json::from_str::<serde_json::Value>(&text).expect(&text);
        }
    }

    #[test]
    fn pages_skip_deleted_rows_and_the_last_one_says_so() {
        let config = Config { rows: 5, page: 3, deleted: vec![1], ..Config::default() };
        let cursor = |row| Cursor { version: 1, generation: 1, row, change: 0 };
        assert_eq!(page(cursor(0), &config, 100), (vec![0, 2], 3, false));
        assert_eq!(page(cursor(3), &config, 100), (vec![3, 4], 5, true));
        assert_eq!(page(cursor(0), &config, 1), (vec![0], 1, false));
    }
}
