//! Every bound the connector sets itself, with its reason. Bounds on one batch come from the host with each call.

/// Names in `custom_field_keys`: Zoho takes at most 30 in `fields` (`zoho-desk-api.md` §4.1).
pub const CUSTOM_FIELD_KEYS_MAX: usize = 30;

/// An access token is renewed when it has less than this left, so that none expires between the check and its use even
/// when a call takes its full time-out.
pub const TOKEN_MARGIN_MS: u64 = 120_000;

/// An access token is never trusted for longer than Zoho's documented hour, whatever the answer said (§2.2: one old
/// variant gives milliseconds where seconds are meant).
pub const TOKEN_LIFE_MAX_MS: u64 = 3_600_000;

/// How long to leave the token endpoint alone after it said "Access Denied": Zoho counts ten tokens in ten minutes (§2.3).
pub const TOKEN_THROTTLE_WAIT_MS: u64 = 120_000;

/// A longer `Retry-After` than a day cannot be meant: the credit window is a day (§5.2).
pub const RETRY_AFTER_MAX_MS: u64 = 86_400_000;

/// List pages asked for at once. Pages of 100 rows are large; four hide the latency of one.
pub const LIST_PAGES_AT_ONCE: usize = 4;

/// Ids kept of the rows before the boundary of two pages, to find the boundary again when rows moved.
pub const SEAM_IDS: usize = 12;

/// Full pages in a row that held nothing new before a read is given up: the server repeats itself.
pub const STALE_PAGES_MAX: u32 = 4;

/// The body of one answer, in bytes: a page of 200 rows with long descriptions stays well below.
pub const BODY_BYTES_MAX: usize = 32 << 20;

/// Calls at once when the edition is not known: what the smallest edition allows, less one for other users.
pub const CONCURRENCY_UNKNOWN: usize = 4;

/// Text of the source that is quoted in an error, in characters.
pub const QUOTE_CHARS_MAX: usize = 200;

/// Rows a search can page through (`zoho-desk-api.md` §3.2); a page that reaches beyond is refused.
pub const SEARCH_ROWS_MAX: u64 = 5000;

/// A window that holds more is split. Below the cap by what may be added while the window is read.
pub const SEARCH_WINDOW_ROWS_MAX: u64 = 4500;

/// Two search windows overlap by this much, because the search index lags behind writes (§3.5: half an hour is used in
/// practice).
pub const SEARCH_OVERLAP_MS: u64 = 30 * 60 * 1000;

/// A window of one second is not split further: times are whole seconds in most answers.
pub const SEARCH_WINDOW_MIN_MS: u64 = 1000;

/// Rows remembered of the overlap; beyond it the oldest are read again, which is only dearer.
pub const SEARCH_SEEN_MAX: usize = 2000;

/// How long to rest when a followed table is caught up.
pub const SEARCH_REST_MS: u64 = 5 * 60 * 1000;

/// A table that is read as a whole is read again this much before its time, so that a host that asks exactly when it is due
/// never comes a moment too soon and misses a whole interval.
pub const COMPARE_EARLY_MS: u64 = 5 * 60 * 1000;

/// Departments in `department_ids`: Zoho takes at most 20 (§4.1).
pub const DEPARTMENT_IDS_MAX: usize = 20;

/// How far a signature's expiry may lie behind the arrival of its delivery: the two clocks differ, and a delivery takes
/// its time to us.
pub const SIGNATURE_SKEW_MS: u64 = 5 * 60 * 1000;

/// How far an event's time may lie after the arrival of its delivery: the two clocks differ. The body is not signed, and
/// an event of the far future would make its row newer than everything that comes after.
pub const EVENT_SKEW_MS: u64 = 60 * 1000;

/// Events of one delivery. Zoho sends one or a few; each may cost a call.
pub const EVENTS_MAX: usize = 1000;

/// Signing keys are fetched again after this long, so that a withdrawn key stops being believed.
pub const SIGNING_KEYS_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// An unknown key id makes us ask for the keys again, but not more often than this: whoever knows the URL can send one.
/// A delivery by a key that is newer than ours waits this long at most, and those after it.
pub const SIGNING_KEYS_PAUSE_MS: u64 = 1000;

/// An unknown key makes us ask again at most this often when our keys are newer than its delivery.
pub const SIGNING_KEYS_RECHECK_MS: u64 = 60 * 1000;

/// When they cannot be fetched, kept ones are believed for this long.
pub const SIGNING_KEYS_STALE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// How long a delivery by an unknown key waits for keys that cannot be fetched; then it is refused, and those after it go
/// on with the keys that are kept.
pub const SIGNING_KEYS_PATIENCE_MS: u64 = 10 * 60 * 1000;

/// Parents whose children are read together: enough to keep every allowed call busy, few enough for their rows to fit in
/// memory.
pub const PARENTS_AT_ONCE: usize = 20;

/// Pages of one parent's children; a ticket with more than this many hundred replies is no ticket, and what is beyond is
/// left out.
pub const CHILD_PAGES_MAX: u64 = 50;

/// A row that was modified less than this before it was read counts as still changing.
pub const SETTLED_MS: u64 = 5_000;

/// Two sweeps of the recycle bin overlap by this much: its times are whole seconds.
pub const BIN_OVERLAP_MS: u64 = 60 * 1000;

/// Parents in the bin whose children one sweep looks for at most: two calls each.
pub const BIN_PARENTS_MAX: usize = 100;

/// Pages of the recycle bin that one sweep reads at most: two thousand deletes between two sweeps. More are found by the
/// next complete read.
pub const BIN_PAGES_MAX: u64 = 40;
