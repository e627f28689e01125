//! `sync --plan`: what a first read costs, by the component's command `plan` (`docs/CONTRACT.md`).

use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;
use crate::error::{Error, Kind, Origin, Result};
use crate::exit::Exit;
use crate::report::{columns, thousands};
use crate::request::Request;

/// The command of a component that can say what a first read costs.
const COMMAND: &str = "plan";

/// The members of its answer that people see.
#[derive(Deserialize)]
struct Plan {
    tables: Vec<Planned>,
    /// The cost before the tables.
    discovery: Cost,
    total: Cost,
    /// The cost of the plan itself.
    plan: Cost,
    /// None: the source did not say how many credits there are.
    #[serde(default)]
    day: Option<Day>,
    /// The total by other prices that the source may have.
    #[serde(default)]
    other_prices: Option<OtherPrices>,
}

#[derive(Deserialize)]
struct OtherPrices {
    credits: u64,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
struct Planned {
    table: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    rows: Option<u64>,
    #[serde(default)]
    is_least: bool,
    #[serde(flatten)]
    cost: Cost,
    #[serde(default)]
    how: String,
    #[serde(default)]
    why: String,
}

#[derive(Clone, Copy, Deserialize)]
struct Cost {
    calls: u64,
    credits: u64,
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self { calls: 0, credits: 0 }, |sum, cost| Self {
            calls: sum.calls.saturating_add(cost.calls),
            credits: sum.credits.saturating_add(cost.credits),
        })
    }
}

/// The credits of a day.
#[derive(Deserialize)]
struct Day {
    daily: u64,
    left: u64,
    /// Those that first reads may use: of a whole day, and of today.
    per_day: u64,
    today: u64,
    /// None: no day has any for them.
    #[serde(default)]
    days: Option<u64>,
}

pub(super) async fn run(tables: &[String], context: &Context) -> Result<Exit> {
    let connection = context.connection()?;
    let arguments = json!({ "tables": tables }).to_string();
    let request = Request::Invoke { name: COMMAND.to_owned(), arguments };
    let answer: Value = context.request(&connection, request).await.map_err(explain)?;
    let plan = Plan::deserialize(&answer).map_err(|error| {
        Error::new(
            Origin::Component,
            Kind::Data,
            format!("its command `{COMMAND}` answered no plan: {error}"),
        )
    })?;
    if context.printer.json {
        context.printer.value(&answer);
    } else {
        context.printer.text(&text(&plan));
    }
    Ok(Exit::Success)
}

fn explain(error: Error) -> Error {
    match error.kind {
        Kind::Unsupported => error.hint("this component cannot plan a first read"),
        _ => error,
    }
}

/// The plan as people read it.
fn text(plan: &Plan) -> String {
    let header = ["table", "rows", "calls", "credits", "how, and why"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let of = |name: &str, cost: Cost, is_least: bool| {
        vec![name.to_owned(), String::new(), number(cost.calls, is_least), number(cost.credits, is_least)]
    };
    for tables in plan.tables.chunk_by(|one, next| one.group == next.group) {
        let group = &tables[0].group;
        if !group.is_empty() {
            let is_least = tables.iter().any(|table| table.is_least);
            rows.push(of(&format!("{group}:"), tables.iter().map(|table| table.cost).sum(), is_least));
        }
        rows.extend(tables.iter().map(row));
    }
    let is_least = plan.tables.iter().any(|table| table.is_least);
    rows.push(of("discovery", plan.discovery, false));
    rows.push(of("total", plan.total, is_least));
    let Cost { calls, credits } = plan.plan;
    let mut text = columns(&rows, &[1, 2, 3]);
    text.push_str(&format!(
        "\nNothing was read; the plan took {} calls and {} credits.\n",
        thousands(calls),
        thousands(credits)
    ));
    if let Some(day) = &plan.day {
        text.push_str(&credits_of(day, is_least));
    }
    if let Some(OtherPrices { credits, why }) = &plan.other_prices {
        let reason = if why.is_empty() { String::new() } else { format!(": {why}") };
        text.push_str(&format!(
            "By other prices the total is {} credits{reason}.\n",
            number(*credits, is_least)
        ));
    }
    text
}

/// A number for people; of more than was counted, with a sign.
fn number(number: u64, is_least: bool) -> String {
    let sign = if is_least { "> " } else { "" };
    format!("{sign}{}", thousands(number))
}

fn row(planned: &Planned) -> Vec<String> {
    let number = |of: u64| number(of, planned.is_least);
    let why = if planned.why.is_empty() { String::new() } else { format!(" ({})", planned.why) };
    vec![
        format!("  {}", planned.table),
        planned.rows.map_or_else(|| "–".to_owned(), number),
        number(planned.cost.calls),
        number(planned.cost.credits),
        format!("{}{why}", planned.how),
    ]
}

fn credits_of(day: &Day, is_least: bool) -> String {
    let days = match (day.days, is_least) {
        (None, _) => "no day has credits for it: lower the reserve".to_owned(),
        (Some(1), false) => "it ends today".to_owned(),
        (Some(1), true) => "it ends today at the earliest: tables with > have more rows".to_owned(),
        (Some(days), false) => format!("it ends on day {days}, today being the first"),
        (Some(days), true) => {
            format!(
                "it ends on day {days} at the earliest, today being the first: tables with > have more rows"
            )
        }
    };
    format!(
        "Of {} credits a day {} are left. A first read may use {} today and {} on other days: {days}.\n",
        thousands(day.daily),
        thousands(day.left),
        thousands(day.today),
        thousands(day.per_day)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_table_by_group_with_its_days() {
        let plan = json!({
            "tables": [
                {"table": "orders", "group": "core", "rows": 1_000_000, "is_least": false, "calls": 20_000,
                    "credits": 60_000, "how": "list", "why": "it is short"},
                {"table": "notes", "group": "more", "rows": 50, "is_least": true, "calls": 2, "credits": 6},
                {"table": "tags", "group": "more", "rows": null, "calls": 1, "credits": 3, "how": "list"},
            ],
            "discovery": {"calls": 1, "credits": 3},
            "total": {"calls": 20_004, "credits": 60_012},
            "plan": {"calls": 3, "credits": 9},
            "day": {"daily": 50_000, "left": 20_000, "per_day": 35_000, "today": 5_000, "days": 3},
            "other_prices": {"credits": 90_000, "why": "some shops have older ones"},
        });
        let text = text(&serde_json::from_value(plan).unwrap());
        assert_eq!(
            text,
            "table           rows     calls   credits  how, and why\n\
             core:                   20,000    60,000\n\
             \u{20} orders   1,000,000    20,000    60,000  list (it is short)\n\
             more:                      > 3       > 9\n\
             \u{20} notes         > 50       > 2       > 6\n\
             \u{20} tags             –         1         3  list\n\
             discovery                    1         3\n\
             total                 > 20,004  > 60,012\n\
             \n\
             Nothing was read; the plan took 3 calls and 9 credits.\n\
             Of 50,000 credits a day 20,000 are left. A first read may use 5,000 today and 35,000 on other \
             days: it ends on day 3 at the earliest, today being the first: tables with > have more rows.\n\
             By other prices the total is > 90,000 credits: some shops have older ones.\n"
        );
    }
}
