//! Every bound the connector sets itself, with its reason. Bounds on one batch come from the host with each
//! call.

/// Names in `custom_field_keys`: Zoho takes at most 30 in `fields` (`zoho-desk-api.md` §4.1).
pub const CUSTOM_FIELD_KEYS_MAX: usize = 30;

/// An access token is renewed when it has less than this left, so that it outlives a call that takes its full
/// timeout.
pub const TOKEN_MARGIN_MS: u64 = 120_000;

/// An access token is never trusted for longer than Zoho's documented hour, even if `expires_in` is longer
/// (§2.2: one old variant gives milliseconds where seconds are meant).
pub const TOKEN_LIFE_MAX_MS: u64 = 3_600_000;

/// A token that was issued less than this ago is not the reason for a refusal: the call is.
pub const TOKEN_YOUNG_MS: u64 = 60 * 1000;

/// The same for a refusal that may be about the call alone: a call that is refused always renews the token
/// this often, far below ten tokens in ten minutes.
pub const TOKEN_NEW_MS: u64 = 10 * 60 * 1000;

/// Young tokens in a row that are replaced when the API refuses them: Zoho gives ten in ten minutes (§2.3).
pub const TOKEN_REPLACEMENTS_MAX: u32 = 3;

/// Wait after the token endpoint answered "Access Denied": Zoho counts ten tokens in ten minutes (§2.3).
pub const TOKEN_THROTTLE_WAIT_MS: u64 = 120_000;

/// Longest `Retry-After` that is passed on: the credit window is a day (§5.2).
pub const RETRY_AFTER_MAX_MS: u64 = 86_400_000;

/// List pages in flight. Pages of 100 rows are large; four hide the latency of one.
pub const LIST_PAGES_AT_ONCE: usize = 4;

/// Stored ids of the rows before a page boundary, to find the boundary again after rows moved.
pub const LAST_IDS_MAX: usize = 12;

/// Remembered last rows of earlier pages of a list, thinned with their distance: enough for the longest list.
pub const TRAIL_MAX: usize = 40;

/// Consecutive full pages without a new row before a read fails: the server ignores `from`.
pub const STALE_PAGES_MAX: u32 = 4;

/// The body of one answer, in bytes: a page of 200 rows with long descriptions stays well below.
pub const BODY_BYTES_MAX: usize = 32 << 20;

/// Bytes read of the body of a refused file: an error's text is far shorter.
pub const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Concurrent calls, and daily credits without its users, of an edition that is not known: four calls are in
/// flight, fewer than the smallest edition allows.
pub const EDITION_UNKNOWN: (usize, u64) = (6, 0);

/// Text of the source that is quoted in an error, in characters.
pub const QUOTE_CHARS_MAX: usize = 200;

/// Rows a search can page through (`zoho-desk-api.md` §3.2); a page that reaches beyond is refused.
pub const SEARCH_ROWS_MAX: u64 = 5000;

/// A window that holds more rows is split. Below the cap, because rows may be added while the window is read.
pub const SEARCH_WINDOW_ROWS_MAX: u64 = 4500;

/// Overlap of two search windows: the search index lags behind writes (§3.5: half an hour is used in
/// practice).
pub const SEARCH_OVERLAP_MS: u64 = 30 * 60 * 1000;

/// A window of one second is not split further: times are whole seconds in most answers.
pub const SEARCH_WINDOW_MIN_MS: u64 = 1000;

/// Place in a list from which on the rest is read by search windows: a page costs 10 credits from here on,
/// and 100 at the end of a long list (`zoho-desk-api.md` §5.2), and a page of a search window 3 to 5.
pub const LIST_ROWS_MAX: u64 = 10_000;

/// Rows created or modified less than this before a snapshot are not taken from the search index, which lags.
pub const SEARCH_SETTLED_MS: u64 = 24 * 60 * 60 * 1000;

/// Rows by which a list may be shorter than the source's count, as a share of the count and at least: rows
/// come and go while it is read. A list that is shorter is incomplete.
pub const LIST_SHORT_PERCENT: u64 = 1;

/// See [`LIST_SHORT_PERCENT`].
pub const LIST_SHORT_ROWS: u64 = 10;

/// Lists with a cap end at a multiple of this (`zoho-desk-api.md` §3.2: 4,999 or 5,000).
pub const LIST_CAP_STEP: u64 = 500;

/// Parents of other departments that the cursor remembers, some 40 bytes each: those that changed in a few
/// days.
pub const FOREIGN_MAX: usize = 4_000;

/// Parents that the cursor remembers with the time at which their children were read, some 40 bytes each: a
/// week of 1,400 tickets a day. Of others, children since the snapshot are read again.
pub const PARENTS_KNOWN_MAX: usize = 10_000;

/// Deleted records that the cursor remembers, some 40 bytes each, until a verification lists them: those that
/// were deleted last.
pub const DELETED_MAX: usize = 2_000;

/// Rows of the overlap that the cursor holds as seen, up to 50 bytes each: more than one macro or import
/// changes in the overlap. Beyond it the oldest are read again, which costs calls only. With all else that it
/// remembers, also while a scan of the recycle bin adds the deletes of one reading, the cursor stays a fifth
/// below the 4 MiB that a host takes.
pub const SEARCH_SEEN_MAX: usize = 45_000;

/// Shortest `wait-ms` of a caught-up table that is read by search.
pub const SEARCH_WAIT_MS: u64 = 5 * 60 * 1000;

/// Longest `wait-ms` of a caught-up table, when the day's credits come to an end.
pub const SEARCH_WAIT_MAX_MS: u64 = 60 * 60 * 1000;

/// Longest `wait-ms` of a table in which nothing changes.
pub const QUIET_WAIT_MAX_MS: u64 = 20 * 60 * 1000;

/// A table waits for this part of the time in which nothing changed: after forty quiet minutes twice as long
/// as [`SEARCH_WAIT_MS`], after eighty for [`QUIET_WAIT_MAX_MS`].
pub const QUIET_PART: u64 = 4;

/// Percent of the day's credits, above the reserve, below which snapshots wait: incremental reads are fresher
/// and cheaper, and continue.
pub const SNAPSHOT_RESERVE_PERCENT: u64 = 10;

/// A day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The time of rows in a verification, Unix milliseconds: a list row never replaces one with its details.
pub const VERIFIED_AS_OF_MS: u64 = 1;

/// How much before its modified time a row of the second search is dated: one that was read within the second
/// of its change is newer.
pub const SECOND_AS_OF_MS: u64 = 2_000;

/// How long a verification that fails is tried again: incremental reading waits for it.
pub const VERIFICATION_RETRY_MS: u64 = 60 * 60 * 1000;

/// How long a verification is suspended where a quota refuses its calls and does not say for how long:
/// incremental reading goes first.
pub const VERIFICATION_PAUSE_MS: u64 = 10 * 60 * 1000;

/// `wait-ms` of a table whose changes signed deliveries bring, while none is missing: twice that of a quiet
/// one, so that both are polled together.
pub const DELIVERED_WAIT_MS: u64 = 2 * QUIET_WAIT_MAX_MS;

/// Records of deliveries that are remembered in the session, to compare with the changes that polling finds:
/// some 36 bytes each. Where more come between two polls, those that came last are compared.
pub const DELIVERED_MAX: usize = 500;

/// How long a delivery is on its way as a rule: a change younger than this is not missing yet.
pub const DELIVERY_DELAY_MS: u64 = 5 * 1000;

/// How long a missing record makes polling usual.
pub const DELIVERED_MS: u64 = 60 * 60 * 1000;

/// How long the number of credits left is used, and how long a table waits for new ones while the time at
/// which Zoho's day starts is not known: no answer names it.
pub const CREDITS_KNOWN_MS: u64 = 30 * 60 * 1000;

/// How exactly the start of a day of credits is known: two answers, without them and with them, are this far
/// apart at most.
pub const DAY_START_MS: u64 = 60 * 60 * 1000;

/// Percent of the day's credits by which they rise at least when a day starts: the reserve may be 90 percent.
/// Answers that overtake each other differ by less.
pub const DAY_START_PERCENT: u64 = 5;

/// Credits that one round of polls of all tables costs when little changes: ten searches and lists.
pub const ROUND_CREDITS: u64 = 30;

/// Percent of the credits left that polls may use within a day; the rest is for the portal's other users.
pub const POLL_CREDITS_PERCENT: u64 = 50;

/// A full refresh may start this much before it is due, so that a host that asks exactly then never misses a
/// whole interval by a difference of clocks.
pub const FULL_REFRESH_EARLY_MS: u64 = 5 * 60 * 1000;

/// Pages of 200 departments that `list-departments` reads at most.
pub const DEPARTMENT_PAGES_MAX: u64 = 25;

/// Departments in `department_ids`: Zoho takes at most 20 (§4.1).
pub const DEPARTMENT_IDS_MAX: usize = 20;

/// How far a signature's expiry may lie before the arrival of its delivery: the two clocks differ, and a
/// delivery takes time to arrive.
pub const SIGNATURE_SKEW_MS: u64 = 5 * 60 * 1000;

/// How far an event's time may lie after the arrival of its delivery: the two clocks differ. The body is not
/// signed, and an event of the far future would make its row newer than every later change.
pub const EVENT_SKEW_MS: u64 = 60 * 1000;

/// Events of one delivery. Zoho sends one or a few; each may cost a call.
pub const EVENTS_MAX: usize = 1000;

/// Records that one call reads for deliveries, so that it ends in time: two hundred take 33 s with three
/// calls at once of half a second each. A single delivery may need more.
pub const REFETCHES_MAX: usize = 200;

/// Records that unsigned deliveries may have read in [`UNSIGNED_WINDOW_MS`]: a sender with the URL spends the
/// organization's credits with them.
pub const UNSIGNED_READS_MAX: u64 = 200;

/// Reads for unsigned deliveries that fail in [`UNSIGNED_WINDOW_MS`] without counting: a few for each.
pub const UNSIGNED_FAILED_MAX: u64 = 5 * UNSIGNED_READS_MAX;

/// See [`UNSIGNED_READS_MAX`].
pub const UNSIGNED_WINDOW_MS: u64 = 60 * 60 * 1000;

/// How long after its first delivery a token may come with another body. Tokens have times in whole seconds:
/// deliveries of the same second have the same token, and arrive within this.
pub const TOKEN_SHARED_MS: u64 = 10 * 1000;

/// Tokens that are remembered with their bodies, in the session: some 75 bytes each. There is one for each
/// second in which deliveries were sent; one that comes later than this many others may have been forgotten.
pub const TOKENS_SEEN_MAX: usize = 200;

/// Largest difference of the source's clock to ours that arrival times are corrected by. TLS fails when it is
/// larger.
pub const CLOCK_OFFSET_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// A difference of clocks that changed by less is not noted again: an answer takes time to arrive.
pub const CLOCK_OFFSET_STEP_MS: u64 = 15 * 1000;

/// Signing keys are fetched again after this long, so that a withdrawn key is not trusted any longer.
pub const SIGNING_KEYS_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// Shortest time between two fetches that unknown key ids cause: any sender with the URL can send one. A
/// delivery signed by a key newer than the known keys, and those behind it, wait this long at most.
pub const SIGNING_KEYS_INTERVAL_MS: u64 = 1000;

/// Shortest time between two fetches while they fail: each may take as long as a timeout.
pub const SIGNING_KEYS_RETRY_MS: u64 = 60 * 1000;

/// Shortest time between two fetches for an unknown key id when the known keys are newer than its delivery.
pub const SIGNING_KEYS_RECHECK_MS: u64 = 60 * 1000;

/// Known keys are trusted for this long while they cannot be fetched.
pub const SIGNING_KEYS_STALE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// How long a delivery signed by an unknown key waits for keys that cannot be fetched. After that it is
/// rejected, and those behind it are verified with the known keys.
pub const SIGNING_KEYS_OUTAGE_MS: u64 = 10 * 60 * 1000;

/// The wait of a table that is skipped, because it may not be read.
pub const SKIPPED_WAIT_MS: u64 = 6 * 60 * 60 * 1000;

/// Rows from which on a page that is shorter than asked for may have been cut: 10 is the least that servers
/// cut to, the default of `limit` (`zoho-desk-api.md` §3.2).
pub const CUT_PAGE_ROWS: usize = 10;

/// Lengths that pages have where no `limit` is sent (`zoho-desk-api.md` §3.2, `SupportPlan.json` and
/// `Profile.json` of zoho/zohodesk-oas): a list that is said to have no pages may have been cut to one.
pub const DEFAULT_PAGES: [usize; 3] = [50, 100, 250];

/// Pages of a list that is said to have none: two thousand plans or profiles are more than a portal has.
pub const UNPAGED_PAGES_MAX: u64 = 40;

/// Parents that `check` lists to find one with rows: as dear as one.
pub const CHECKED_PARENTS_MAX: u64 = 50;

/// Lists below other rows that `check` tries until one has a row.
pub const CHECKED_LISTS_MAX: usize = 5;

/// Parents whose children are read together: enough to use every allowed call.
pub const PARENTS_AT_ONCE: usize = 20;

/// Children, by the counters of their parents, that are read together; also the records of one parent that
/// are held at once. A hundred mails of 200 KB fit in memory several times.
pub const CHILDREN_AT_ONCE: usize = 100;

/// Children that a parent without counters is taken to have.
pub const CHILDREN_UNKNOWN: usize = 5;

/// Pages of one parent's children; the rest of a ticket with more than this many hundred replies is skipped.
pub const CHILD_PAGES_MAX: u64 = 50;

/// Bytes of one list of a parent's children, which is held as a whole; the rest of a longer one is skipped.
pub const CHILD_LIST_BYTES_MAX: usize = 32 << 20;

/// Keys of a parent's children up to which a batch says that there are no others: 200 KB. A host takes 20,000
/// in a batch, of which 10,000 are those of its changes.
pub const LISTING_KEYS_MAX: usize = 5_000;

/// A listing of a parent's children counts as this much older than its lists: the answer may come from a copy
/// of the source's data that lacks the newest rows, which a webhook or the last poll brought.
pub const LISTING_LAG_MS: u64 = 60 * 1000;

/// A row modified less than this before it was read counts as still changing: it may change again within the
/// second.
pub const SETTLED_MS: u64 = 5_000;

/// Overlap of two scans of the recycle bin: a bulk delete is carried out later than it is dated, and the
/// times are whole seconds.
pub const RECYCLE_BIN_OVERLAP_MS: u64 = 30 * 60 * 1000;

/// How much further back than its own last scan a table reads the recycle bin, for the other tables of the
/// round.
pub const RECYCLE_BIN_SHARED_HORIZON_MS: u64 = 60 * 60 * 1000;

/// Shortest and longest time that one reading of a search or of the recycle bin serves other tables. Between
/// them it is half of the time since such a table was read last: of two tables that are polled at different
/// times, one is close enough behind the other.
pub const SHARED_MS: (u64, u64) = (60 * 1000, 15 * 60 * 1000);

/// Search pages that are kept for the other tables of the round, in bytes: some thousand rows.
pub const SHARED_SEARCH_BYTES_MAX: usize = 16 << 20;

/// Parents in the recycle bin whose children one step lists at most: two calls each.
pub const RECYCLE_BIN_PARENTS_MAX: usize = 100;

/// Pages of the recycle bin that one step reads at most: two thousand deletes. The next step continues there.
pub const RECYCLE_BIN_PAGES_MAX: u64 = 40;

/// `wait-ms` of a batch that a failure ended, where the source does not say how long to wait. Short, because
/// the batch has moved; one that does not move is an error, and the host waits longer with each.
pub const CUT_SHORT_WAIT_MS: u64 = 250;

/// Calls after which a batch ends with the next page: a process that is killed loses those of the batch that
/// it reads and of the one that it commits.
pub const BATCH_CALLS: u64 = 400;

/// Calls of one record, list or page within one batch, the repeated ones after all others.
pub const ATTEMPTS: u32 = 3;

/// How long after the first of the calls that are handed over together the last one is started: with one that
/// hangs for the 30 s that a host waits, they end within 40 s.
pub const SEND_MS: u64 = 10 * 1000;

/// How long after a batch's time the last of a step's successive calls is started. With one that hangs for
/// 30 s they end within the two minutes that the host gives a call, of which a batch takes 20 s.
pub const STEP_MS: u64 = 60 * 1000;

/// Time that calls for one page have, also where the batch's is over: without any, a slow source would never
/// answer a parent's lists and their records in one batch.
pub const TOGETHER_MS: u64 = 10 * 1000;

/// Time of one call that reads records for deliveries: the host gives it two minutes.
pub const REFETCH_MS: u64 = 30 * 1000;

/// Calls that are handed over together for each one in flight: few enough to notice soon that the source
/// refuses them, enough to keep every allowed call busy.
pub const WAVE_CALLS: usize = 8;

/// Calls answered before one more is put in flight.
pub const PACE_CALLS: usize = 50;

/// How long a number of calls in flight that was refused is not tried again, and one that was refused when it
/// was tried again: other users come and go.
pub const PACE_RETRY_MS: (u64, u64) = (30 * 1000, 10 * 60 * 1000);

/// The organization's edition is asked for again after this long: editions are changed, and trials end.
pub const EDITION_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// Shortest time between two calls for the edition while they fail.
pub const EDITION_RETRY_MS: u64 = 60 * 1000;

/// A refused optional parameter is tried again after this long, with the next snapshot.
pub const REFUSED_PARAMETER_LIFE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// A record is given up when it fails in two calls this far apart while others can be read.
pub const FAILED_RECORD_MS: u64 = 10 * 1000;

/// Calls in which a record must fail when others can be read, and when there are no others.
pub const FAILED_RECORD_CALLS: (u32, u32) = (2, 5);

/// Failing records that may be given up although no other could be read; more are an outage.
pub const FAILED_RECORDS_ALONE: usize = 3;

/// Failing records that are counted at a time, in the session: some 70 bytes each, of the 64 KiB that a host
/// takes.
pub const FAILED_RECORDS_MAX: usize = 200;

/// How long a failing record is counted when there are too many, and how long one that was given up is given
/// up at once when it fails again: a host asks for one again within minutes.
pub const FAILED_RECORD_LIFE_MS: u64 = 60 * 60 * 1000;

/// Waits before a record that was given up is read again, the first and the second time: incidents of the
/// source last minutes or hours.
pub const AGAIN_MS: [u64; 2] = [60 * 60 * 1000, DAY_MS];

/// Wait before the next few of them, and those that there was no time for: the table is read meanwhile.
pub const AGAIN_PAUSE_MS: u64 = 10 * 60 * 1000;

/// How long a record is to be read again before it gives way to others: its table is polled far more often.
pub const AGAIN_LIFE_MS: u64 = 2 * DAY_MS;

/// Records that were given up and are to be read again, in the session: some 60 bytes each.
pub const GIVEN_UP_MAX: usize = 100;

/// Of these, those that one call reads again.
pub const AGAIN_AT_ONCE: usize = 20;

/// Most daily credits of a trial of any edition (`zoho-desk-api.md` §5.2).
pub const TRIAL_CREDITS: u64 = 5_000;
