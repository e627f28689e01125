//! A session with the server: connects, sets it up, waits for answers, keeps other writers out.
//!
//! The methods of a sink block, the client's are asynchronous. One thread of the process reads and writes the
//! sockets of all sessions; a caller waits on its own thread. Knows nothing of rows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::tls::NoTls;
use tokio_postgres::{Client, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use xxhash_rust::xxh3::xxh3_64;

use super::address::Address;
use super::errors::no_answer;
use crate::error::{Error, Kind, Origin, Result};
use crate::sinks::client_thread::ClientThread;

/// The thread of all sessions.
static SESSIONS: ClientThread = ClientThread::new("postgres", "PostgreSQL");

/// Longest time of a whole call. A statement may take five minutes; a commit has some of them.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The same for work that grows with the table. The server's end is noticed earlier, by TCP.
pub(super) const LONG_TIMEOUT: Duration = Duration::from_secs(12 * 3600);
/// Longest time of connecting, several hosts and names included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// Sessions of the process. A server takes 100 in all, unless its administrator says otherwise, and other
/// programs need some.
pub(super) const SESSIONS_MAX: usize = 64;
/// How long a connection waits for one of them; then it tries again later.
const ROOM_WAIT: Duration = Duration::from_secs(30);
/// How long a writer waits for another one's session to end. That of a process that was killed ends within
/// milliseconds, that of a machine that does not answer within a minute.
const LOCK_WAIT: &str = "1s";
/// Prepared statements of a session; eight for each table of a large connector.
const STATEMENTS_MAX: usize = 1_024;

/// The settings of every session.
///
/// Names are always written with their schema. The plans join by nested loops over the key's index, despite
/// the statistics: those of a table that is being filled are old, and a plan that was made for an empty
/// table reads all of a full one. A user's `synchronous_commit` stays, except `off`: deliveries are
/// acknowledged after their commit. The server ends the session, and with it the lock, of a machine that is
/// silent for a minute: without keepalives it would wait for two hours.
const SET_UP: &str = "\
SET search_path = pg_catalog; SET standard_conforming_strings = on; SET TimeZone = 'UTC';
SET statement_timeout = '5min'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '1min';
SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off;
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
SELECT set_config(name, 'lz4', false) FROM pg_settings
    WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals);
";

/// The server notices a process that was killed while it works for it. Servers on Windows refuse it.
const NOTICE_KILLS: &str =
    "SELECT set_config(name, '5s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'";

/// The encoding of a database that holds every text.
const ENCODING: &str = "UTF8";

/// A connected session.
pub(super) struct Session {
    pub(super) client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    backend: Backend,
    _permit: SemaphorePermit<'static>,
}

/// The sessions that this process may still open; callers get them in their order.
static ROOM: Semaphore = Semaphore::const_new(SESSIONS_MAX);

/// How many sessions this process has.
pub(super) fn open() -> usize {
    SESSIONS_MAX.saturating_sub(ROOM.available_permits())
}

/// A permit for a session.
pub(super) async fn permit(room: &Semaphore, longest: Duration) -> Result<SemaphorePermit<'_>> {
    let full = || {
        let message = format!("PostgreSQL: {SESSIONS_MAX} sessions of this process are at work");
        Error::new(Origin::Sink, Kind::Unavailable, message).hint("the connection takes its turn by itself")
    };
    match tokio::time::timeout(longest, room.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(full()),
    }
}

/// The server's process of a session.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    id: i32,
    /// Numbers of processes are used again.
    started: String,
}

impl Session {
    pub(super) async fn connect(address: &Address) -> Result<Self> {
        let permit = permit(&ROOM, ROOM_WAIT).await?;
        let connecting = async {
            let config = &address.config;
            match &address.tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    SESSIONS.runtime()?.spawn(drive(connection));
                    Ok::<_, Error>(client)
                }
                Some(tls) => {
                    let tls = MakeRustlsConnect::new(rustls::ClientConfig::clone(tls));
                    let (client, connection) = config.connect(tls).await?;
                    SESSIONS.runtime()?.spawn(drive(connection));
                    Ok(client)
                }
            }
        };
        let client = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| no_answer())??;
        client.batch_execute(SET_UP).await?;
        let _refused = client.batch_execute(NOTICE_KILLS).await;
        let sql = "SELECT pid, backend_start::text, current_setting('server_encoding') \
                   FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let row = client.query_typed_one(sql, &[]).await?;
        let encoding: String = row.try_get(2)?;
        if encoding != ENCODING {
            let message = format!("PostgreSQL: the encoding of the database is {encoding}, not {ENCODING}");
            return Err(Error::new(Origin::Sink, Kind::Config, message)
                .hint("name another one in `url` under [sink]: CREATE DATABASE … ENCODING 'UTF8'"));
        }
        let started: Option<String> = row.try_get(1)?;
        let backend = Backend { id: row.try_get(0)?, started: started.unwrap_or_default() };
        Ok(Self { client, statements: RefCell::default(), backend, _permit: permit })
    }

    pub(super) fn backend(&self) -> Backend {
        self.backend.clone()
    }

    /// Keeps other writers out of a schema for as long as the session lasts; false if there is one.
    pub(super) async fn lock(&self, schema: &str) -> Result<bool> {
        // The same in every version of the runner.
        let number = xxh3_64(format!("host-runner schema {schema}").as_bytes()).cast_signed();
        let sql = format!(
            "SET lock_timeout = '{LOCK_WAIT}'; SELECT pg_advisory_lock({number}); SET lock_timeout = '30s'"
        );
        match self.client.batch_execute(&sql).await {
            Ok(()) => Ok(true),
            Err(error) if error.code().is_some_and(|code| code.code() == "55P03") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends an earlier session of this process, whose end the server may not have noticed.
    pub(super) async fn end(&self, earlier: &Backend) -> Result<()> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE pid = $1 AND backend_start::text = $2";
        let statement = self.client.prepare(sql).await?;
        self.client.query(&statement, &[&earlier.id, &earlier.started]).await?;
        Ok(())
    }

    /// A statement, prepared once for the session.
    pub(super) async fn prepared(&self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Ends a transaction that failed. False if the session is of no more use.
    pub(super) async fn roll_back(&self) -> bool {
        !self.client.is_closed() && self.client.batch_execute("ROLLBACK").await.is_ok()
    }
}

/// Reads and writes a session's socket until it ends.
async fn drive<C>(connection: C)
where
    C: Future<Output = Result<(), tokio_postgres::Error>>,
{
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a session with PostgreSQL ended");
    }
}

/// [`wait_within`] the longest time of a call.
pub(super) fn wait<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    wait_within(CALL_TIMEOUT, call)
}

/// Waits for a call.
pub(super) fn wait_within<T>(timeout: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    SESSIONS.wait(timeout, call)?.unwrap_or_else(|| Err(no_answer()))
}

/// A statement that was sent, and the number of its rows.
pub(super) type Sent<'a> = Pin<Box<dyn Future<Output = Result<u64>> + 'a>>;

/// Sends statements in their order without waiting in between, and gives the answer of each, or the first
/// failure: in a transaction those after it fail because of it, and `COMMIT` succeeds as a rollback.
pub(super) async fn pipelined(mut statements: Vec<Sent<'_>>) -> Result<Vec<u64>> {
    let mut answers: Vec<Option<Result<u64>>> = statements.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (statement, answer) in statements.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match statement.as_mut().poll(context) {
                    Poll::Ready(result) => *answer = Some(result),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    answers.into_iter().flatten().collect()
}
