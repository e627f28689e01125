//! Conflicts of the reference (§9, §3.2, §8): each switch turns on the reading that is not the default.
//!
//! Further switches of the same kind are older and stay where they were: `refuse_fields`, `refuse_include`,
//! `refuse_sort_by`, `empty_list_as_200`, `tickets_sort_by_modified_time`.

use serde::{Deserialize, Serialize};

use super::Settings;

/// The other readings. All off by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Readings {
    /// The recycle bin lists the first deleted first; no order is documented (§7).
    pub recycle_bin_oldest_first: bool,
    /// The recycle bin accepts a limit of 100, as its text says, in place of 50 (conflict 4).
    pub recycle_bin_limit_100: bool,
    /// `deletedTime` is epoch milliseconds in place of ISO 8601 (§3.3).
    pub recycle_bin_epoch_times: bool,
    /// The recycle bin starts at `from=0`: `from=1` skips the first (§3.2).
    pub recycle_bin_from_zero: bool,
    /// Each `id` is a JSON number: the OAS accepts both (§3.3).
    pub ids_as_numbers: bool,
    /// Plain lists end at this row, as one connector reports: 422 beyond (§3.2). None: no cap.
    pub list_rows_max: Option<u64>,
    /// The largest `limit` of any list and search, where it is below the documented one. None: as documented.
    pub limit_max: Option<u64>,
    /// Lists without pages have some of this length, as in the newer OAS: they take `from`, which counts
    /// from 0, and `limit`. None: neither.
    pub unpaged_page: Option<u64>,
    /// A `limit` above the largest is cut to it in place of 422.
    pub limit_is_clamped: bool,
    /// Lists below a record (threads, comments, conversations) start at `from=0`: `from=1` skips a row.
    pub children_from_zero: bool,
    /// `sortBy` is 422 on lists, and searches take it (conflicts 5 and 12).
    pub lists_refuse_sort_by: bool,
    /// `modifiedTimeRange` is 422 on the list of articles (conflict 7).
    pub articles_refuse_modified_time_range: bool,
    /// `count` of a search is the number of rows on the page in place of all matches (conflict 8).
    pub search_count_of_page: bool,
    /// `count` of a search is text in place of a number (conflict 8).
    pub search_count_as_text: bool,
    /// `ticketsCount` counts archived tickets, which lists and searches leave out. Not documented either way.
    pub count_has_archived: bool,
    /// `ticketsCount` shows a change at once, while searches lag. Not documented either way.
    pub count_has_no_lag: bool,
    /// A custom field in `fields` is an unknown name: 500 (§8, gotcha 9).
    pub no_custom_fields_by_name: bool,
    /// A file is sent from the byte on that `Range` asks for; no document says so (§4.2).
    pub attachment_ranges: bool,
    /// The older prices of lists: 10 and 50 credits beyond 2,000 and 10,000 rows (conflict 10).
    pub older_prices: bool,
}

impl Settings {
    /// Chooses the other reading of every conflict in which a suite can run as a whole. Not those that take
    /// the order, the range of times or the end of a list from tables that need it, nor the forms of ids and
    /// events, which tests compare, nor the count with archived tickets, by which no first list of them is
    /// complete: they are chosen one at a time.
    pub fn choose_other_readings(&mut self) {
        self.readings = Readings {
            recycle_bin_oldest_first: true,
            recycle_bin_limit_100: true,
            recycle_bin_epoch_times: true,
            recycle_bin_from_zero: true,
            unpaged_page: Some(50),
            children_from_zero: true,
            search_count_of_page: true,
            search_count_as_text: true,
            count_has_no_lag: true,
            no_custom_fields_by_name: true,
            attachment_ranges: true,
            older_prices: true,
            ..Readings::default()
        };
        self.webhooks.timeout_ms = 10_000;
        // Conflict 2: the smallest of the numbers.
        (self.token_throttle, self.active_tokens_max) = (5, 10);
        self.empty_list_as_200 = true;
        self.refuse_include = true;
        self.refuse_fields = true;
        self.tickets_sort_by_modified_time = true;
        self.thread_moves_modified_time = false;
        self.comment_moves_modified_time = true;
    }
}
