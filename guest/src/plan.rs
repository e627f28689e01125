//! The plan of a first read: calls and credits of a snapshot of each table, from its declaration and the
//! sizes of the source. Pure; `reader::sizes` asks for the sizes. The time of a read is not part of it.

mod cost;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub(crate) use cost::Cost;

use crate::config::{Config, Sort};
use crate::limits;
use crate::row;
use crate::session::Credits;
use crate::table::{CREATED, Children, Incremental, List, Rows, Table};
use crate::tables;

/// Rows of a table that is planned without a source, see [`typical`].
const TYPICAL_ROWS: u64 = 1_000;

/// Departments, modules and the like, each of which has a list of another table, where they are not counted.
const UNCOUNTED_PARENTS: u64 = 10;

/// Of so many rows one was created on the last day, as in an organization that is two years old.
const ROWS_PER_NEW_ROW: u64 = 730;

/// The sizes of a source that decide the cost.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// Rows of tables, where they are known.
    pub(crate) rows: BTreeMap<&'static str, u64>,
    /// Of tables with long lists, the rows of the last day, where they are counted.
    pub(crate) newest: BTreeMap<&'static str, u64>,
    /// By table, how many of the rows of another table have a list of it, and of how many.
    pub(crate) with_list: BTreeMap<&'static str, (u64, u64)>,
    /// What the parents of tables of children have, by table.
    pub(crate) per_parent: BTreeMap<&'static str, PerParent>,
    /// Those of which only the first page was counted: there are more.
    pub(crate) least: BTreeSet<&'static str>,
    /// Tables that may not be read, with the reason.
    pub(crate) refused: BTreeMap<&'static str, String>,
}

/// Calls for the children of some parents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerParent {
    parents: u64,
    lists: u64,
    records: u64,
}

impl PerParent {
    /// Of parents as a list shows them. `together`: one list has the children of all kinds.
    pub(crate) fn of<'a>(
        children: &Children,
        together: bool,
        parents: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut sum = Self::default();
        for parent in parents {
            let kinds = || children.kinds.iter().filter(|kind| row::may_have(parent, kind.count));
            let lists = kinds().filter(|kind| kind.rows != Rows::One).count() as u64;
            let of_records = kinds().filter(|kind| !kind.list_is_complete || kind.rows == Rows::One);
            let records: usize = of_records.map(|kind| row::number(parent, kind.count).unwrap_or(1)).sum();
            sum.parents += 1;
            sum.lists += if together { lists.min(1) } else { lists };
            sum.records += records as u64;
        }
        sum
    }

    /// The cost of the children of so many parents.
    fn cost(&self, parents: u64) -> Cost {
        let part =
            |calls: u64| (u128::from(calls) * u128::from(parents) / u128::from(self.parents.max(1))) as u64;
        Cost::PAGE * part(self.lists) + Cost::RECORD * part(self.records)
    }
}

/// How a table is read, with reason and cost.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) table: &'static Table,
    /// None: the source does not count them, and the cost is that of a few.
    pub(crate) rows: Option<u64>,
    /// There are more rows, and the cost is higher.
    pub(crate) is_least: bool,
    pub(crate) cost: Cost,
    pub(crate) how: String,
    pub(crate) why: &'static str,
}

/// What the configuration decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    reads_details: bool,
    oldest_first: bool,
    /// Departments to which the table is limited; 0: it is not.
    departments: u64,
}

impl Chosen {
    pub(crate) fn of(config: &Config, table: &Table) -> Self {
        Self {
            reads_details: table.detail.is_some_and(|detail| config.reads_detail(&detail)),
            oldest_first: !table.list.configurable_sort || config.sort == Sort::OldestFirst,
            departments: table.list.departments.map_or(0, |_| config.department_ids.len() as u64),
        }
    }
}

/// The first read of a table.
pub(crate) fn first_read(chosen: Chosen, table: &'static Table, sizes: &Sizes) -> Planned {
    if let Some(reason) = sizes.refused.get(table.name) {
        let how = format!("skipped: {reason}");
        return Planned {
            table,
            rows: None,
            is_least: false,
            cost: Cost::default(),
            how,
            why: "it may not be read",
        };
    }
    match (table.has_lists(), &table.children) {
        (true, _) => lists(chosen, table, sizes),
        (false, Some(_)) => children(chosen, table, sizes),
        (false, None) => list(chosen, table, sizes),
    }
}

/// One list, of which the rest may be read by search windows.
fn list(chosen: Chosen, table: &'static Table, sizes: &Sizes) -> Planned {
    let (rows, is_least) = (sizes.rows.get(table.name).copied(), sizes.least.contains(table.name));
    let Walk { mut cost, searched } = walk(chosen, table, rows.unwrap_or_default(), sizes);
    let of_search = table.detail.is_some_and(|detail| detail.search_is_complete);
    let records = rows.unwrap_or_default() - if of_search { searched } else { 0 };
    let list = match searched {
        0 => "list",
        _ if starts_with_windows(chosen, table) => "search windows, then the newest as a list",
        _ => "list, then search windows",
    };
    let (how, why) = match (chosen.reads_details, searched > 0 && of_search) {
        (false, _) => (list.to_owned(), "list rows are all that is read"),
        (true, false) => (format!("{list}; every record"), "list rows lack members"),
        (true, true) => (
            format!("{list}; {records} records"),
            "list rows lack members, search rows do not, and a page far down a list is dear",
        ),
    };
    if chosen.reads_details {
        cost += Cost::RECORD * records;
    }
    Planned { table, rows, is_least, cost, how, why }
}

/// The walk through a list that has so many rows.
struct Walk {
    cost: Cost,
    /// Rows that are read by search windows.
    searched: u64,
}

/// Whether a long list is read by search windows from its oldest row on: their rows need no details. The
/// search ignores departments: it would show the rows of all others, too.
pub(crate) fn starts_with_windows(chosen: Chosen, table: &Table) -> bool {
    let is_complete = table.detail.is_some_and(|detail| detail.search_is_complete);
    let is_whole = chosen.reads_details && chosen.oldest_first && chosen.departments == 0;
    is_complete && is_whole && table.count.is_some()
}

fn walk(chosen: Chosen, table: &'static Table, rows: u64, sizes: &Sizes) -> Walk {
    let counted = tables::parent(table).unwrap_or(table).count;
    let is_searched = matches!(table.incremental, Incremental::Search { .. });
    let limit = table.list.limit;
    // One count for each department.
    let counts = chosen.departments.max(1);
    if rows <= limits::LIST_ROWS_MAX || !is_searched || table.list.sort_by != Some(CREATED.member) {
        // Its length is compared with the source's count.
        let checks = if is_searched || (counted.is_some() && rows == 0) { counts } else { 0 };
        return Walk {
            cost: Cost::pages(rows, limit, u64::from(rows > 0)) + Cost::PAGE * checks,
            searched: 0,
        };
    }
    let of = tables::parent(table).unwrap_or(table).name;
    let newest = sizes.newest.get(of).copied().unwrap_or(rows / ROWS_PER_NEW_ROW);
    // The first page shows that the list is long, and the count how long it is.
    let (listed, mut cost) = match starts_with_windows(chosen, table) {
        true => (0, Cost::PAGE + Cost::PAGE * counts),
        false => {
            let listed = limits::LIST_ROWS_MAX.next_multiple_of(limit - 1) + 1;
            (listed, Cost::pages(listed, limit, 0))
        }
    };
    let searched = rows.saturating_sub(listed + newest);
    cost += Cost::pages(newest + 1, limit, 0);
    let mut left = searched;
    loop {
        // A window is halved until its rows are few enough, and the rest is the next window.
        let mut window = left;
        while window > limits::SEARCH_WINDOW_ROWS_MAX {
            cost += Cost::PAGE;
            window /= 2;
        }
        cost += Cost::pages(window, 100, u64::from(window > 0));
        cost += Cost::PAGE * if counted.is_some() { counts } else { 0 };
        left -= window;
        if left == 0 {
            break;
        }
    }
    if counted.is_none() {
        cost += Cost::page(rows);
    }
    Walk { cost, searched }
}

/// The lists below the rows of another table.
fn children(chosen: Chosen, table: &'static Table, sizes: &Sizes) -> Planned {
    let parent = table.children.map_or("", |children| children.parent);
    let rows = sizes.rows.get(parent).copied().unwrap_or_default();
    let per_parent = sizes.per_parent.get(table.name).copied().unwrap_or_default();
    let cost = walk(chosen, table, rows, sizes).cost + per_parent.cost(rows);
    let how = match (per_parent.lists, per_parent.records) {
        (_, 0) => format!("a list for each of {parent}"),
        (0, _) => format!("a record for each of {parent}"),
        _ => format!("a list for each of {parent}; records"),
    };
    let why = match (1..per_parent.parents).contains(&per_parent.lists) {
        true => "there is no list of all; those without any are not asked for",
        false => "there is no list of all",
    };
    Planned { table, rows: None, is_least: false, cost, how, why }
}

/// Lists of partitions, or of the rows of another table.
fn lists(chosen: Chosen, table: &'static Table, sizes: &Sizes) -> Planned {
    let list = &table.list;
    let partitions = list.partitions.map_or(1, |partitions| partitions.values.len() as u64);
    let rows = sizes.rows.get(table.name).copied();
    let of = list.each.map_or(table.name, |each| each.table);
    // Lists of departments and modules may have any length.
    let is_open = rows.is_none() && list.limit > 0 && list.each.is_some_and(|each| each.hides_rows);
    let is_least = sizes.least.contains(of) || is_open;
    let (mut cost, lists, how) = match list.each {
        None if partitions > 1 => (Cost::default(), partitions, format!("{partitions} lists")),
        None => (Cost::default(), 1, "list".to_owned()),
        Some(each) => {
            let of = tables::find(each.table).map_or(List::DEFAULT, |of| of.list);
            // Parents that are listed by partition, too, are those of the same partition.
            let (of_partition, all) =
                if of.partitions.is_some() { (1, partitions) } else { (partitions, UNCOUNTED_PARENTS) };
            let rows = sizes.rows.get(each.table).copied().unwrap_or(all);
            let mut parents =
                sizes.with_list.get(table.name).map_or(rows, |share| rows * share.0 / share.1.max(1));
            let walk = match of.limit {
                0 => Cost::PAGE,
                limit => Cost::pages(rows, limit, u64::from(rows > 0)),
            };
            if chosen.departments > 0 {
                parents = parents.min(chosen.departments);
            }
            (walk * partitions, parents * of_partition, format!("a list for each of {}", each.table))
        }
    };
    // Of a table that is not counted, a row in each list.
    let assumed = rows.unwrap_or(lists);
    let in_each = assumed / lists.max(1);
    cost += match list.limit {
        // One object.
        0 if !matches!(list.rows, Rows::Member(_)) => Cost::RECORD,
        0 => Cost::PAGE,
        // A short page ends a list below another row, as a rule.
        limit if list.each.is_some_and(|each| !each.hides_rows) => {
            Cost::pages(in_each, limit, u64::from(in_each >= limit))
        }
        limit => Cost::pages(in_each, limit, u64::from(in_each > 0)),
    } * lists;
    if let Incremental::Search { .. } = table.incremental {
        // The length of all is compared with the source's count.
        cost += Cost::PAGE * chosen.departments.max(1);
    }
    if chosen.reads_details {
        cost += Cost::RECORD * assumed;
    }
    let how = if chosen.reads_details { format!("{how}; every record") } else { how };
    let why = match (list.each.is_some(), chosen.reads_details) {
        (true, _) => "there is no list of all",
        (false, true) => "list rows lack members",
        (false, false) => "list rows are all that is read",
    };
    Planned { table, rows, is_least, cost, how, why }
}

/// What the discovery before a read costs.
fn discovery(tables: &[Planned]) -> Cost {
    Cost::PAGE
        * tables.iter().map(|planned| planned.table).filter(|table| table.fields_module.is_some()).count()
            as u64
}

/// The answer of the command `plan`. `used`: what the plan itself cost.
pub(crate) fn document(config: &Config, tables: &[Planned], used: Cost, credits: Option<Credits>) -> Value {
    let discovery = discovery(tables);
    let total = tables.iter().map(|planned| planned.cost).sum::<Cost>() + discovery;
    let entry = |planned: &Planned| {
        json!({
            "table": planned.table.name, "group": planned.table.group.name(),
            "rows": planned.rows, "is_least": planned.is_least,
            "calls": planned.cost.calls, "credits": planned.cost.credits,
            "how": planned.how, "why": planned.why,
        })
    };
    let credits = credits.map(|credits| {
        let per_day = credits.for_snapshots(credits.daily);
        json!({
            "daily": credits.daily, "left": credits.left, "reserve_percent": config.credits_reserve,
            "per_day": per_day, "today": credits.for_snapshots(credits.left),
            "days": days(total.credits, &credits),
        })
    });
    let of = |cost: Cost| json!({"calls": cost.calls, "credits": cost.credits});
    json!({
        "tables": tables.iter().map(entry).collect::<Vec<_>>(),
        "discovery": of(discovery), "total": of(total), "plan": of(used), "day": credits,
        "other_prices": other_prices(total),
    })
}

/// The total by the older prices, where it differs.
fn other_prices(total: Cost) -> Option<Value> {
    let why = "some portals have the older ones for pages behind row 2,000 of a list";
    (total.older_credits != total.credits).then(|| json!({"credits": total.older_credits, "why": why}))
}

/// Days until the last call, of which today is the first. None: no credits are left for snapshots on any day.
fn days(needed: u64, credits: &Credits) -> Option<u64> {
    let (today, per_day) = (credits.for_snapshots(credits.left), credits.for_snapshots(credits.daily));
    match needed.saturating_sub(today) {
        0 => Some(1),
        _ if per_day == 0 => None,
        later => Some(1 + later.div_ceil(per_day)),
    }
}

/// The expected credits of a first read of 1,000 rows; for children of tickets, of 1,000 tickets with four
/// threads each, of which two in five have a comment; for lists below accounts or contacts, of 1,000 of
/// those, and below other rows, of ten.
pub(crate) fn typical(table: &'static Table) -> u64 {
    const PARENTS: [&str; 5] = [
        r#"{"threadCount":"4","commentCount":"1"}"#,
        r#"{"threadCount":"4","commentCount":"1"}"#,
        r#"{"threadCount":"4","commentCount":"0"}"#,
        r#"{"threadCount":"4","commentCount":"0"}"#,
        r#"{"threadCount":"4","commentCount":"0"}"#,
    ];
    let mut sizes = Sizes::default();
    sizes.rows.insert(table.name, TYPICAL_ROWS);
    if let Some(children) = &table.children {
        sizes.rows.insert(children.parent, TYPICAL_ROWS);
        let per_parent = PerParent::of(children, children.together.is_some(), PARENTS.into_iter());
        sizes.per_parent.insert(table.name, per_parent);
    }
    let parents = table.list.each.and_then(|each| tables::find(each.table));
    if let Some(parents) = parents.filter(|of| matches!(of.incremental, Incremental::Search { .. })) {
        sizes.rows.insert(parents.name, TYPICAL_ROWS);
    }
    let chosen = Chosen { reads_details: table.detail.is_some(), oldest_first: true, departments: 0 };
    first_read(chosen, table, &sizes).cost.credits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let json = format!(r#"{{"organization_id":"1","client_id":"a","client_secret":"s"{more}}}"#);
        Config::parse(&json).unwrap()
    }

    fn planned(more: &str, table: &str, sizes: &[(&'static str, u64)]) -> Planned {
        let sizes = Sizes { rows: sizes.iter().copied().collect(), ..Sizes::default() };
        let table = tables::find(table).unwrap();
        first_read(Chosen::of(&config(more), table), table, &sizes)
    }

    #[test]
    fn a_list_costs_its_pages_and_a_record_for_each_row_that_lacks_members() {
        let cost = |more: &str, rows| planned(more, "tickets", &[("tickets", rows)]).cost;
        // 101 pages, of which 21 are among the first 2,000 rows, and one that shows the end; a count.
        let lists = Cost { calls: 103, credits: 21 * 3 + 81 * 5 + 3, older_credits: 21 * 3 + 81 * 10 + 3 };
        assert_eq!(cost(r#","ticket_detail":false"#, 10_000), lists);
        assert_eq!(cost("", 10_000), lists + Cost::RECORD * 10_000);
        assert_eq!(cost("", 0), Cost { calls: 2, credits: 6, older_credits: 6 });
    }

    #[test]
    fn a_million_tickets_and_contacts_cost_what_the_windows_of_their_searches_cost() {
        let tickets = planned("", "tickets", &[("tickets", 1_000_000)]);
        assert_eq!(tickets.how, "search windows, then the newest as a list; 1369 records");
        let newest_first = planned(r#","sort":"newest""#, "tickets", &[("tickets", 1_000_000)]);
        assert_eq!(newest_first.how, "list, then search windows; 11468 records");
        assert_eq!(newest_first.cost.credits / 10_000, tickets.cost.credits / 10_000 + 1);
        let contacts = |more: &str| planned(more, "contacts", &[("contacts", 200_000)]).cost.credits;
        assert_eq!(contacts("") - contacts(r#","contact_detail":false"#), 200_000);
        let all = tickets.cost.credits + contacts(r#","contact_detail":false"#);
        assert!(all < 60_000, "{all}: issue 9's aim for both");
    }

    #[test]
    fn other_prices_are_named_where_the_total_depends_on_them() {
        let other = |rows| {
            let tables = [planned("", "tickets", &[("tickets", rows)])];
            let document = document(&config(""), &tables, Cost::default(), None);
            (document["total"]["credits"].clone(), document["other_prices"].clone())
        };
        assert_eq!(other(2_000).1, Value::Null);
        let (credits, prices) = other(10_000);
        assert_eq!(prices["credits"].as_u64().unwrap(), credits.as_u64().unwrap() + 81 * 5);
        assert!(prices["why"].as_str().unwrap().contains("older"), "{prices}");
    }

    #[test]
    fn days_count_what_the_reserve_leaves_and_today_is_the_first() {
        let credits = |left| Credits { left, daily: 100_000, reserve_percent: 20, next_day_ms: None };
        // 70,000 a day: 20 % are kept for others, 10 % for incremental reads.
        assert_eq!(days(70_000, &credits(100_000)), Some(1));
        assert_eq!(days(70_001, &credits(100_000)), Some(2));
        assert_eq!(days(280_000, &credits(30_000)), Some(5));
        let most_reserved = Credits { left: 0, daily: 100_000, reserve_percent: 90, next_day_ms: None };
        assert_eq!(days(5_000, &most_reserved), Some(2), "half of what is above the reserve");
        assert_eq!(days(1, &Credits { daily: 0, ..most_reserved }), None);
    }

    #[test]
    fn every_table_has_its_expected_credits() {
        for table in tables::ALL {
            assert!(typical(table) > 0, "{}", table.name);
        }
        // A list each at 3, and four threads at 1, and 1,000 rows of the list of tickets.
        assert_eq!(typical(tables::find("ticket_conversations").unwrap()), 7_039);
        // A list for each of 1,000 contacts, or accounts, and the pages of their list.
        for name in ["contact_account_mapping", "slas"] {
            assert!((3_000..3_100).contains(&typical(tables::find(name).unwrap())), "{name}");
        }
    }
}
