//! What a table is: data that the one reader, the one schema and the one conformance test work from. No behaviour per table.

/// The type of a column; decides its JSON Schema and what a sink converts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An identifier: digits in a string, beyond 2^53, never a number.
    Id,
    Text,
    /// HTML in a string.
    Html,
    /// A whole number, which Zoho often sends as digits in a string.
    Integer,
    /// A decimal number, often in a string.
    Number,
    /// True or false, sometimes in a string.
    Boolean,
    /// A UTC moment, `2026-11-22T17:25:10.000Z`.
    Time,
    /// A day, `2026-11-22`.
    Date,
    Object,
    Array,
}

/// One documented member of a row. Members that are not listed still reach the target in the row's document.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Type,
}

/// Shorthand for tables.
pub const fn column(name: &'static str, kind: Type) -> Column {
    Column { name, kind }
}

/// How the rows of a table are listed.
#[derive(Clone, Copy, Debug)]
pub struct List {
    pub path: &'static str,
    /// Largest `limit` the endpoint takes (422 above, `zoho-desk-api.md` §3.2); 0: it is not paged.
    pub limit: u64,
    /// Parameters that are always sent.
    pub query: &'static [(&'static str, &'static str)],
    /// The field that orders the list and never changes for a row.
    pub sort_by: Option<&'static str>,
    /// `sort` of the configuration chooses the direction; otherwise oldest first.
    pub sort_is_chosen: bool,
    /// Parameters that may be left out when a portal refuses them (§9, conflict 6).
    pub optional: &'static [&'static str],
    /// The parameter that takes `department_ids` of the configuration.
    pub departments: Option<&'static str>,
    /// One list for each value of a parameter; rows are tagged with it.
    pub slices: Option<Slices>,
}

/// A list that exists once for each value of a parameter.
#[derive(Clone, Copy, Debug)]
pub struct Slices {
    pub parameter: &'static str,
    pub values: &'static [&'static str],
}

/// What a snapshot reads of each record beside its list row, when list rows are only a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    /// `ticket_detail = false` turns it off.
    pub is_chosen: bool,
    /// `include` that gives the detail alone what the list row has beside it.
    pub include: Option<&'static str>,
    /// Members that the list row has beside the detail and a search row has too: following takes these from it, and no
    /// others, so that a row looks the same however it was found.
    pub beside: &'static [&'static str],
}

/// A table whose rows belong to the rows that its list shows: they are read parent by parent.
#[derive(Clone, Copy, Debug)]
pub struct Children {
    /// The table whose rows are the parents.
    pub parent: &'static str,
    /// The member of a row that names its parent.
    pub parent_key: &'static str,
    pub kinds: &'static [Kind],
    /// Prefixes of events about other parts of the parent, which are no rows.
    pub other_parts: &'static [&'static str],
}

/// One kind of child, with a list of its own under the parent.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Goes into the row as `kind`.
    pub name: &'static str,
    /// `{parent}` stands for the parent's id.
    pub list: &'static str,
    pub limit: u64,
    /// The whole record; `{parent}` and `{id}`.
    pub record: &'static str,
    /// False when the list lacks something that only the record has.
    pub list_is_whole: bool,
    /// The parent's member that counts them; with none of them their list is not read.
    pub count: &'static str,
    /// The prefix of this kind's events.
    pub event_prefix: &'static str,
    /// Members that other kinds call by another name.
    pub copies: &'static [Copy],
}

impl Kind {
    /// The path of one child's record.
    pub fn record_path(&self, parent: &str, id: &str) -> String {
        self.record.replace("{parent}", parent).replace("{id}", id)
    }
}

/// A member that a row gets from another of its members, so that all kinds can be asked alike.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    pub from: &'static str,
    pub to: &'static str,
    /// Raw values that are written otherwise.
    pub words: &'static [(&'static str, &'static str)],
}

/// One webhook event and the filters it takes (`zoho-desk-api.md` §6.3).
#[derive(Clone, Copy, Debug)]
pub struct EventFilter {
    pub name: &'static str,
    /// Takes `departmentIds`.
    pub by_department: bool,
    /// Takes `includePrevState`.
    pub has_previous: bool,
}

/// Shorthand for tables.
pub const fn event(name: &'static str, by_department: bool, has_previous: bool) -> EventFilter {
    EventFilter { name, by_department, has_previous }
}

/// A moment of a row that a search takes a range of and sorts by.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub member: &'static str,
    pub range: &'static str,
}

/// The moment that every search takes.
pub const MODIFIED: Moment = Moment { member: "modifiedTime", range: "modifiedTimeRange" };

/// How changes after the first snapshot are found by asking.
#[derive(Clone, Copy, Debug)]
pub enum Follow {
    /// The search at this path, by each of these moments: what changed in one of them has changed.
    Search { path: &'static str, moments: &'static [Moment] },
    /// The whole table is read again when this many milliseconds have passed.
    Compare { every_ms: u64 },
}

/// One table.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    /// The name the original connector gives it; accepted wherever a name is.
    pub alias: &'static str,
    pub title: &'static str,
    /// Scopes that reading needs, all of them.
    pub scopes: &'static [&'static str],
    pub list: List,
    /// The whole record, `{id}` standing for its id; none where the API has no such path.
    pub record: Option<&'static str>,
    pub detail: Option<Detail>,
    /// Set when the rows are the children of what `list` shows.
    pub children: Option<Children>,
    /// The path that counts the rows, where there is one that needs no further parameter.
    pub count: Option<&'static str>,
    pub follow: Follow,
    /// Webhook events to subscribe to.
    pub events: &'static [EventFilter],
    /// The module whose custom fields the rows carry.
    pub fields_module: Option<&'static str>,
    pub columns: &'static [Column],
    /// What a person should know: cost, and what is not in it.
    pub notes: &'static str,
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Table {
    /// The path of one whole record.
    pub fn detail_path(&self, id: &str) -> Option<String> {
        self.record.map(|path| path.replace("{id}", id))
    }
}
