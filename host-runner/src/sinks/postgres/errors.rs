//! The kinds of the database's failures, by SQLSTATE.
//!
//! Pure. Everything that passes by itself, or once a person freed a lock or a disk, is `unavailable`.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::SqlState;

use crate::error::{Error, Kind, Origin};

/// What a user who writes needs.
const RIGHTS: &str = "the role needs CREATE on the schema and owns the runner's tables; or CREATE on the \
                      database, to create the schema: see docs/sinks.md, PostgreSQL";
/// The server went away, or is not there yet.
const UNREACHABLE: &str = "start the server, or correct `url` under [sink]; the next attempt connects again";

/// With the SQLSTATE as its code.
impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        translated(&error)
    }
}

/// Puts the table in front of the message.
pub(super) fn of_table(error: Error, table: &str) -> Error {
    error.about(format_args!("table `{table}`"))
}

/// Whether a row is there already under its key.
pub(super) fn is_duplicate(error: &Error) -> bool {
    error.code.as_deref() == Some(SqlState::UNIQUE_VIOLATION.code())
}

/// Whether another session held a lock for longer than the wait for it.
pub(super) fn is_locked(error: &Error) -> bool {
    error.code.as_deref() == Some(SqlState::LOCK_NOT_AVAILABLE.code())
}

/// The wait for an answer was longer than any statement may take.
pub(super) fn no_answer() -> Error {
    Error::new(Origin::Sink, Kind::Unavailable, "PostgreSQL: the server does not answer").hint(UNREACHABLE)
}

fn translated(error: &tokio_postgres::Error) -> Error {
    let Some(database) = error.as_db_error() else { return of_the_connection(error) };
    let (kind, hint) = meaning(database.code().code());
    let mut message = format!("PostgreSQL: {}", database.message());
    if let Some(detail) = database.detail().filter(|_| kind != Kind::Unavailable) {
        // The detail of a conflict quotes rows; this runner's rows are in its own tables.
        if database.code() != &SqlState::UNIQUE_VIOLATION {
            message.push_str(&format!(" ({detail})"));
        }
    }
    let code = database.code().code().to_owned();
    message.push_str(&format!(" [{code}]"));
    let error = Error { code: Some(code), ..Error::new(Origin::Sink, kind, message) };
    match hint {
        "" => error,
        hint => error.hint(hint),
    }
}

/// A failure without an answer of the server.
fn of_the_connection(error: &tokio_postgres::Error) -> Error {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    let mut refused_certificate = false;
    while let Some(cause) = next {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        refused_certificate |= matches!(tls, Some(rustls::Error::InvalidCertificate(_)));
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.dedup();
    let message = format!("PostgreSQL: {}", causes.join(": "));
    if refused_certificate {
        return Error::new(Origin::Sink, Kind::Config, message)
            .hint("the authority that signed it: `?sslrootcert=FILE` at the end of `url`");
    }
    if message.contains("server does not support TLS") {
        return Error::new(Origin::Sink, Kind::Config, message)
            .hint("turn TLS on at the server; `?sslmode=disable` sends everything in the clear");
    }
    let kind = if message.contains("password") || message.contains("authentication") {
        Kind::Config
    } else {
        Kind::Unavailable
    };
    Error::new(Origin::Sink, kind, message).hint(UNREACHABLE)
}

/// The kind of a SQLSTATE, and what to try; the first row that matches.
fn meaning(code: &str) -> (Kind, &'static str) {
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        (_, "42501") => (Kind::Config, RIGHTS),
        ("28", _) => (Kind::Config, "correct user and password in `url` under [sink], or pg_hba.conf"),
        (_, "3D000") => (Kind::Config, "create the database, or correct its name in `url` under [sink]"),
        (_, "42P07" | "42710" | "42809") => {
            (Kind::Config, "something else has this name: choose another `schema` under [sink]")
        }
        (_, "42P01" | "42703") => (
            Kind::Config,
            "a table or a column of the runner was dropped. A table is created again, and read from its \
             start, when the connection opens next; drop the table of a column that was dropped",
        ),
        (_, "2BP01") => (Kind::Config, "drop what depends on it, for example a view of yours"),
        (_, "25006") => (
            Kind::Unavailable,
            "the server is a standby, or writing is turned off; name the primary, or several hosts with \
             `?target_session_attrs=read-write`",
        ),
        (_, "53100") => (Kind::Unavailable, "free space on the server's disk"),
        (_, "53300") => (Kind::Unavailable, "each connection needs one session: raise `max_connections`"),
        (_, "55P03") => (
            Kind::Unavailable,
            "another session holds a lock for long: find it in pg_stat_activity and end its transaction",
        ),
        (_, "57014") => (
            Kind::Unavailable,
            "a statement ended after 5 minutes: look for load and for locks in pg_stat_activity",
        ),
        (_, "54011") => (
            Kind::Config,
            "columns that were dropped count, too: drop the table; it is created again, and read from its \
             start",
        ),
        (_, "54000") => (
            Kind::Config,
            "an index takes values of 2,704 bytes at most: drop the one that the message names, or make it \
             one of `left(column, 500)`",
        ),
        (_, "57P01" | "57P02" | "57P03" | "57P05") => (Kind::Unavailable, UNREACHABLE),
        ("08", _) => (Kind::Unavailable, UNREACHABLE),
        ("40" | "53" | "55" | "57" | "58" | "25", _) => (Kind::Unavailable, ""),
        _ => (Kind::Internal, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::meaning;
    use crate::error::Kind;

    #[test]
    fn every_class_of_failure_has_one_meaning() {
        for (codes, kind) in [
            ("28P01 28000 3D000 42501 42P01 42703 42P07 2BP01 54000 54011", Kind::Config),
            ("08006 08P01 40001 40P01 53100 53200 53300 55P03 57014 57P01 57P02 57P03", Kind::Unavailable),
            ("25006 25P03 58030", Kind::Unavailable),
            ("22021 22P02 22P05 23505 42601 XX000 XX001 ?", Kind::Internal),
        ] {
            for code in codes.split(' ') {
                assert_eq!(meaning(code).0, kind, "{code}");
            }
        }
    }
}
