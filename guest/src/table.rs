//! Tables as data, for the one reader, the one schema and the test of the registry. A table's file declares
//! the members that differ from `DEFAULT`. Knows no calls.
//!
//! Long because the author of a table reads these declarations from top to bottom.

/// The type of a column; decides its JSON Schema and the type in a sink.
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
    /// A UTC time, `2026-11-22T17:25:10.000Z`.
    Time,
    /// A day, `2026-11-22`.
    Date,
    Object,
    Array,
}

/// One documented member of a row. Others still reach the sink in the raw row.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Type,
    /// Of an object: its documented members, which are columns in the flat shape. None: it stays JSON.
    pub members: &'static [Column],
}

/// Shorthand for a table's `columns`.
pub const fn column(name: &'static str, kind: Type) -> Column {
    Column { name, kind, members: &[] }
}

/// Shorthand for an object with documented members; `embedded.rs` has those of more than one table.
pub const fn object(name: &'static str, members: &'static [Column]) -> Column {
    Column { name, kind: Type::Object, members }
}

/// The members of a row that describe its file.
#[derive(Clone, Copy, Debug)]
pub struct FileMembers {
    pub name: &'static str,
    /// Its bytes.
    pub size: &'static str,
    /// The URL of its bytes; its path counts, its host does not.
    pub href: &'static str,
}

/// The group by which `tables` of the configuration selects a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Read unless `tables` says otherwise.
    Core,
    People,
    /// Parts of tickets other than their conversations.
    Tickets,
    Activities,
    Knowledge,
    Settings,
}

impl Group {
    pub const ALL: [Self; 6] =
        [Self::Core, Self::People, Self::Tickets, Self::Activities, Self::Knowledge, Self::Settings];

    /// As the configuration names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::People => "people",
            Self::Tickets => "tickets+",
            Self::Activities => "activities",
            Self::Knowledge => "knowledge",
            Self::Settings => "settings",
        }
    }
}

/// The identity of the rows of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The value of this member.
    Member(&'static str),
    /// Nothing that the API names: a hash over these members, which the row gets as `id`.
    Content(&'static [&'static str]),
    /// There is one row for each parent.
    Parent,
}

/// One table.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub group: Group,
    /// The members of the primary key.
    pub key: &'static [&'static str],
    /// The name the original connector gives it, accepted wherever a name is; empty: it has no such table.
    pub alias: &'static str,
    /// For people.
    pub title: &'static str,
    /// Scopes that reading needs, all of them.
    pub scopes: &'static [&'static str],
    pub list: List,
    /// The path of one complete record, with `{id}` for its id, or with the names of members of the list row
    /// where it takes several; none where the API has no such path.
    pub record: Option<&'static str>,
    pub detail: Option<Detail>,
    /// A deleted record answers 403, as one that this user may not see does (`zoho-desk-api.md` §3.4).
    pub hides_deleted: bool,
    /// Set when the rows are the children of the rows that `list` returns.
    pub children: Option<Children>,
    /// The path that counts the rows, where there is one that needs no further parameter.
    pub count: Option<&'static str>,
    pub incremental: Incremental,
    /// Lists leave archived records out: one that is missing there may exist.
    pub has_archive: bool,
    /// The `type` of its records in the recycle bin (`zoho-desk-api.md` §7), which incremental search scans
    /// for deletes. None where the bin does not list them.
    pub recycle_bin: Option<&'static str>,
    /// Webhook events to subscribe to.
    pub events: &'static [EventFilter],
    pub touches: &'static [Touch],
    /// The module whose custom fields the rows have.
    pub fields_module: Option<&'static str>,
    pub columns: &'static [Column],
    /// Set when each row names a file whose bytes can be fetched.
    pub attachment: Option<FileMembers>,
    /// For people: cost, and what the table lacks.
    pub notes: &'static str,
}

impl Table {
    /// The values of members that a table does not declare. The registry's test refuses a table without name,
    /// path, scopes and columns.
    pub const DEFAULT: Self = Self {
        name: "",
        group: Group::Core,
        key: &["id"],
        alias: "",
        title: "",
        scopes: &[],
        list: List::DEFAULT,
        record: None,
        detail: None,
        hides_deleted: false,
        children: None,
        count: None,
        incremental: Incremental::FullRefresh { every_ms: 60 * 60 * 1000 },
        has_archive: false,
        recycle_bin: None,
        events: &[],
        touches: &[],
        fields_module: None,
        columns: &[],
        attachment: None,
        notes: "",
    };

    /// True when the list is read by `reader/lists.rs`: list after list, or with rows that only it knows.
    pub(crate) fn has_lists(&self) -> bool {
        let List { rows, identity, limit, first, partitions, each, .. } = self.list;
        let is_plain = rows == Rows::Member("data") && identity == Identity::Member("id");
        limit == 0 || first == 0 || partitions.is_some() || each.is_some() || !is_plain
    }

    /// The path of one complete record; none where it takes more than the id.
    pub(crate) fn record_path(&self, id: &str) -> Option<String> {
        self.record.map(|path| path.replace("{id}", id)).filter(|path| !path.contains('{'))
    }

    /// The member of a record that identifies it.
    pub(crate) fn id_member(&self) -> &'static str {
        match self.list.identity {
            Identity::Member(name) => name,
            Identity::Content(_) | Identity::Parent => "id",
        }
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// How the rows of a table are listed.
#[derive(Clone, Copy, Debug)]
pub struct List {
    pub path: &'static str,
    pub rows: Rows,
    pub identity: Identity,
    /// Largest `limit` the endpoint takes (422 above, `zoho-desk-api.md` §3.2); 0: it is not paged.
    pub limit: u64,
    /// Smallest `limit` it takes.
    pub least: u64,
    /// Smallest `from` it takes. With 0, whether rows count from 0 or from 1 is not known: pages are asked
    /// for one row early, so that neither leaves one out.
    pub first: u64,
    /// The largest `from` that the endpoint takes, where there is one: rows behind it cannot be read.
    pub cap: Option<u64>,
    /// Parameters of every request.
    pub query: &'static [(&'static str, &'static str)],
    /// The field that orders the list and never changes for a row.
    pub sort_by: Option<&'static str>,
    /// `sort` of the configuration sets the direction; otherwise oldest first.
    pub configurable_sort: bool,
    /// Parameters that are dropped for a portal that refuses them (§9, conflict 6).
    pub optional_parameters: &'static [&'static str],
    /// The parameter that takes `department_ids` of the configuration.
    pub departments: Option<&'static str>,
    pub partitions: Option<Partitions>,
    pub each: Option<Each>,
    /// Members that are left out, because they hold secrets.
    pub secret: &'static [&'static str],
}

impl List {
    pub const DEFAULT: Self = Self {
        path: "",
        rows: Rows::Member("data"),
        identity: Identity::Member("id"),
        limit: 0,
        least: 1,
        first: 1,
        cap: None,
        query: &[],
        sort_by: None,
        configurable_sort: false,
        optional_parameters: &[],
        departments: None,
        partitions: None,
        each: None,
        secret: &[],
    };
}

/// Where an answer has its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// In the array of this member.
    Member(&'static str),
    /// The answer is the only row.
    One,
    /// In arrays of this name within each other; the answer itself is no row.
    Tree(&'static str),
}

/// One list for each value of a parameter, all of one table.
#[derive(Clone, Copy, Debug)]
pub struct Partitions {
    pub parameter: &'static str,
    pub values: &'static [&'static str],
    /// Rows get the parameter as a member, because they do not show it.
    pub is_written: bool,
}

impl Partitions {
    /// Those in use and those out of use; rows show their `status`.
    pub const ACTIVE_AND_INACTIVE: Self =
        Self { parameter: "status", values: &["ACTIVE", "INACTIVE"], is_written: false };
}

/// One list for each row of another table's list.
#[derive(Clone, Copy, Debug)]
pub struct Each {
    pub table: &'static str,
    /// Only of its rows that have this text in this member.
    pub only: Option<(&'static str, &'static str)>,
    /// The member of its rows that the list takes.
    pub id: &'static str,
    /// The parameter that takes it; none: it is `{parent}` in the path.
    pub parameter: Option<&'static str>,
    /// The member that rows get it in; none: they show it, or do not belong to one alone.
    pub key: Option<&'static str>,
    /// The counter of its rows that says how many there are; empty: they have none.
    pub count: &'static str,
    /// The lists are few and may lack rows that this user may not see, which makes their pages short
    /// (`zoho-desk-api.md` §8.15): a short page is not the end.
    pub hides_rows: bool,
}

impl Each {
    pub const DEFAULT: Self =
        Self { table: "", only: None, id: "id", parameter: None, key: None, count: "", hides_rows: false };

    /// One list for each department, by a parameter.
    pub const DEPARTMENT: Self =
        Self { table: "departments", parameter: Some("departmentId"), hides_rows: true, ..Self::DEFAULT };
}

/// The complete record, read in addition to a list row that is only a part of it.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    /// The key of the configuration that turns it off; empty: none does.
    pub key: &'static str,
    /// Without it, `custom_field_keys` names members of `cf` that are read in its place.
    pub has_custom_field_keys: bool,
    /// `include` with which the detail alone has the members of `list_only_fields`.
    pub include: Option<&'static str>,
    /// Search rows have the members of the detail.
    pub search_is_complete: bool,
    /// Members that list and search rows have and the detail lacks. Incremental reading takes these from the
    /// search row, and no others, so that a row looks the same however it was found.
    pub list_only_fields: &'static [&'static str],
}

impl Detail {
    pub const DEFAULT: Self = Self {
        key: "",
        has_custom_field_keys: false,
        include: None,
        search_is_complete: false,
        list_only_fields: &[],
    };
}

/// Rows that belong to the rows of `list`: they are read parent by parent.
#[derive(Clone, Copy, Debug)]
pub struct Children {
    /// The table whose rows are the parents.
    pub parent: &'static str,
    /// The member of a child that holds its parent's id.
    pub parent_key: &'static str,
    pub kinds: &'static [ChildKind],
    pub together: Option<Together>,
}

/// Events about something that belongs to a row and is none itself: the row may have changed.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    pub event_prefix: &'static str,
    /// The members of a payload that may name the row: the first one that is there does.
    pub keys: &'static [&'static str],
}

/// One list of the children of all kinds, which not every portal may have: it saves the others for a parent
/// with children of several kinds.
#[derive(Clone, Copy, Debug)]
pub struct Together {
    pub list: ChildKind,
    /// The member of its rows that has the name of the kind; the kind's own list lacks it.
    pub kind: &'static str,
    /// A row of a kind whose own list is complete has this member, or else its own list is read.
    pub whole: &'static str,
}

/// One kind of child, with a separate list under the parent.
#[derive(Clone, Copy, Debug)]
pub struct ChildKind {
    /// The value of the child's member `kind`.
    pub name: &'static str,
    /// The path of the list, with `{parent}` for the parent's id.
    pub list: &'static str,
    pub rows: Rows,
    pub identity: Identity,
    /// Largest `limit` of the list; 0: it is not paged.
    pub limit: u64,
    /// The path of the complete record, with `{parent}` and `{id}`; empty where the API has none.
    pub record: &'static str,
    /// False when the list lacks members that only the record has.
    pub list_is_complete: bool,
    /// The parent's counter of this kind; when it is zero, the list is not read. Empty: it has none.
    pub count: &'static str,
    /// The prefix of this kind's events; empty: it has none.
    pub event_prefix: &'static str,
    /// Rows never change and none is deleted, newest first: those known are not read again.
    pub append_only: Option<&'static str>,
    pub mappings: &'static [Mapping],
}

impl ChildKind {
    pub const DEFAULT: Self = Self {
        name: "",
        list: "",
        rows: Rows::Member("data"),
        identity: Identity::Member("id"),
        limit: 100,
        record: "",
        list_is_complete: false,
        count: "",
        event_prefix: "",
        append_only: None,
        mappings: &[],
    };

    /// The path of one child's record.
    pub(crate) fn record_path(&self, parent: &str, id: &str) -> String {
        self.record.replace("{parent}", parent).replace("{id}", id)
    }
}

/// A member that a row gets in addition, from one of its other members, so that all kinds have the same
/// columns.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    pub from: &'static str,
    pub to: &'static str,
    /// Raw values with their replacements; others are copied.
    pub values: &'static [(&'static str, &'static str)],
}

/// One webhook event with the filters it takes (`zoho-desk-api.md` §6.3).
#[derive(Clone, Copy, Debug)]
pub struct EventFilter {
    pub name: &'static str,
    /// Takes `departmentIds`.
    pub by_department: bool,
    /// Takes `includePrevState`.
    pub with_previous_state: bool,
}

/// Shorthand for a table's `events`.
pub const fn event(name: &'static str) -> EventFilter {
    EventFilter { name, by_department: false, with_previous_state: false }
}

impl EventFilter {
    pub const fn by_department(self) -> Self {
        Self { by_department: true, ..self }
    }

    pub const fn with_previous_state(self) -> Self {
        Self { with_previous_state: true, ..self }
    }
}

/// A time of a row that a search filters by range and sorts by.
#[derive(Clone, Copy, Debug)]
pub struct TimeField {
    /// The member of a row.
    pub member: &'static str,
    /// The search's parameter.
    pub range: &'static str,
}

/// The time field that every search takes.
pub const MODIFIED: TimeField = TimeField { member: "modifiedTime", range: "modifiedTimeRange" };

/// The time field by which a long list is read on.
pub const CREATED: TimeField = TimeField { member: "createdTime", range: "createdTimeRange" };

/// How a list shows what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first, until a record was modified before the last poll.
    Newest,
    /// Only records of a range of modified times.
    Range,
}

/// How changes after a snapshot are found by polling.
#[derive(Clone, Copy, Debug)]
pub enum Incremental {
    /// By the search at `path`, once for each of these time fields: a row changed if one of them did.
    Search { path: &'static str, cursor_fields: &'static [TimeField] },
    /// By the list, in the order of modified times: `every_ms` after the last poll. By each of them where
    /// there are several.
    Sorted { every_ms: u64, order: Order },
    /// By another snapshot after this many milliseconds.
    FullRefresh { every_ms: u64 },
}
