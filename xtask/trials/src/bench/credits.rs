//! The credits benchmark: the price of reading, by the simulator's credit account.
//!
//! A first read, a second one, a quiet day, and a day of updates. A day is scaled down: a few rounds of five
//! minutes stand for all of them. Discovery, which each `sync` repeats, counts four times a day, as `serve`
//! makes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::json;

use super::report;
use crate::processes::{CODE, Simulator, connection_file};
use crate::tools;

/// Polls of a table in a day, as the connector asks for them (`guest/src/reader/wait.rs`): every five minutes
/// where rows change, every twenty where nothing does, every forty where webhooks bring all changes.
const ROUNDS_PER_DAY: u64 = 288;
const QUIET_ROUNDS_PER_DAY: u64 = 72;
const DELIVERED_ROUNDS_PER_DAY: u64 = 36;
/// Polls of contracts, which are followed by a sorted list.
const SORTED_ROUNDS_PER_DAY: u64 = 24;
const ROUND_MS: i64 = 300_000;
/// Rounds before the measurement, so that the overlap of half an hour is full.
const WARM_UP: u32 = 7;
/// Discoveries of `serve` in a day.
const DISCOVERIES_PER_DAY: u64 = 4;
/// Tables that are read by full refresh, and how often in a day, as their declarations say.
const REFRESHES: [(&str, u64); 2] = [("departments", 24), ("organization_fields", 4)];
const DISCOVERY: &str = "discovery";

/// Calls and credits.
type Cost = (u64, u64);
/// Costs by group of endpoints.
type Account = BTreeMap<&'static str, Cost>;

pub(crate) fn run(tickets: u32, updates: u32, rounds: u32, label: &str) -> Result<()> {
    let machine = report::machine("the simulator");
    let world = World::start(tickets)?;
    world.sync(&[])?;
    let first = world.account()?;
    world.sync(&[])?;
    let round = world.account()?;
    let mut refreshes = world.refreshes(&round)?;
    add(&mut refreshes, "verification", verification(tickets), 1);
    let quiet = day(&round, |_| QUIET_ROUNDS_PER_DAY, 1, &refreshes);
    // Products have no events, and the recycle bin is read with them.
    let times = |group: &str| match group {
        "products" | "recycle bin" => QUIET_ROUNDS_PER_DAY,
        _ => DELIVERED_ROUNDS_PER_DAY,
    };
    let delivered = day(&round, times, 1, &refreshes);
    let second = world.second(tickets)?;
    let busy = world.busy(updates, rounds)?;
    let times = |group: &str| match group {
        "accounts" | "products" => QUIET_ROUNDS_PER_DAY,
        _ => ROUNDS_PER_DAY,
    };
    let busy = day(&busy, times, u64::from(rounds), &refreshes);
    let mut text = format!(
        "## Credits ({label})\n\n\
         `cargo xtask bench credits --tickets {tickets} --updates {updates} --rounds {rounds} --label \
         {label}`; {machine}. {tickets} tickets with up to 8 threads and comments, {} contacts, {} accounts, \
         100 products and contracts. A day has {ROUNDS_PER_DAY} polls of a table whose rows change, \
         {QUIET_ROUNDS_PER_DAY} of one in which nothing changes, and {DELIVERED_ROUNDS_PER_DAY} where \
         webhooks bring every change; one of each was measured, and {rounds} of the day of {updates} \
         updates, which are spread over the time between two polls. Half of the updates change a ticket, \
         a quarter are replies or comments, a quarter change \
         contacts; no webhooks on that day. The verification is arithmetic: a seventh of the list pages.\n\n\
         | calls, credits | first read | | quiet day | | with webhooks | | {updates} updates | |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        contacts(tickets),
        accounts(tickets),
    );
    let groups: std::collections::BTreeSet<&str> =
        first.keys().chain(quiet.keys()).chain(busy.keys()).copied().collect();
    for group in groups {
        let cell = |account: &Account| account.get(group).copied().unwrap_or_default();
        let _ = writeln!(text, "| {group} |{}", row([&first, &quiet, &delivered, &busy].map(cell)));
    }
    let _ = writeln!(text, "| **sum** |{}\n", row([&first, &quiet, &delivered, &busy].map(sum)));
    let (again, all) = (sum(&second).0, sum(&first).0.max(1));
    let percent = again as f64 * 100.0 / all as f64;
    let _ = writeln!(
        text,
        "Second read, an hour later, after 1 % of the tickets, contacts and accounts changed and 0.1 % (one \
         at least) were deleted: {again} calls, {percent:.1} % of those of the first.\n"
    );
    print!("{text}");
    report::write(&format!("credits-{label}"), &text)
}

fn contacts(tickets: u32) -> u32 {
    tickets / 5
}

fn accounts(tickets: u32) -> u32 {
    tickets / 20
}

/// The cells of a row.
fn row(costs: [Cost; 4]) -> String {
    costs.iter().map(|(calls, credits)| format!(" {calls} | {credits} |")).collect()
}

/// List pages of a day: all tables once a week, contracts once a day.
fn verification(tickets: u32) -> Cost {
    let pages = |rows: u32, page: u32| u64::from(rows.div_ceil(page) + 1);
    let weekly =
        pages(tickets, 99) + pages(contacts(tickets), 98) + pages(accounts(tickets), 98) + pages(100, 99);
    let calls = weekly.div_ceil(7) + pages(100, 49);
    (calls, calls * 3)
}

/// A day with as many rounds as `times` says for each group, of which `rounds` were measured, with the full
/// refreshes of a day.
fn day(measured: &Account, times: impl Fn(&str) -> u64, rounds: u64, refreshes: &Account) -> Account {
    let mut day = refreshes.clone();
    for (group, (calls, credits)) in measured {
        let times = match *group {
            DISCOVERY => DISCOVERIES_PER_DAY,
            "contracts" => SORTED_ROUNDS_PER_DAY,
            group => times(group),
        };
        add(&mut day, group, (calls * times / rounds, credits * times / rounds), 1);
    }
    day
}

/// Adds a cost that occurs `times` times.
fn add(account: &mut Account, group: &'static str, (calls, credits): Cost, times: u64) {
    let entry = account.entry(group).or_default();
    *entry = (entry.0 + calls * times, entry.1 + credits * times);
}

fn sum(account: &Account) -> Cost {
    account.values().fold((0, 0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1))
}

/// The table, or the shared part, that an endpoint belongs to.
fn group(endpoint: &str) -> &'static str {
    let path = endpoint.split_once(" /").map_or(endpoint, |(_, path)| path);
    match path.split('/').next().unwrap_or_default() {
        "tickets" if path.contains("{id}/") => "ticket_conversations: threads, comments",
        "tickets" | "ticketsCount" => "tickets: lists, searches, details",
        "contacts" => "contacts",
        "accounts" => "accounts",
        "products" => "products",
        "contracts" => "contracts",
        "departments" => "departments",
        "recycleBin" => "recycle bin",
        _ => DISCOVERY,
    }
}

/// A simulator, and a connection that is authorized.
struct World {
    simulator: Simulator,
    folder: PathBuf,
}

impl World {
    fn start(tickets: u32) -> Result<World> {
        let folder = tools::fresh_folder("bench-credits")?;
        let number = |value: u32| value.to_string();
        let simulator = Simulator::start(&[
            "--tickets",
            &number(tickets),
            "--contacts",
            &number(contacts(tickets)),
            "--accounts",
            &number(accounts(tickets)),
            "--products",
            "100",
            "--contracts",
            "100",
            "--token-throttle",
            "0",
            "--token-life-seconds",
            "1000000",
            "--daily-credits",
            "unlimited",
            "--concurrency",
            "0",
        ])?;
        let file = connection_file(&simulator, "credits", "", "sqlite", &folder.join("rows.db"));
        std::fs::write(folder.join("credits.toml"), file)?;
        let world = World { simulator, folder };
        // The source's clock ends at ours: the connector reads no window beyond its own time.
        world.simulator.admin("POST", "clock", &json!({"offset_ms": -6 * 3_600_000}))?;
        tools::run(world.runner(&["authorize", "--code", CODE])?.stdout(Stdio::null()))?;
        world.simulator.admin("POST", "stats/reset", &json!({}))?;
        Ok(world)
    }

    fn runner(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(tools::release()?.join("host-runner"));
        command.args(words).arg("--connection").arg(self.folder.join("credits.toml"));
        command.arg("--data").arg(self.folder.join("data"));
        Ok(command)
    }

    fn sync(&self, more: &[&str]) -> Result<()> {
        let words = [&["sync"], more].concat();
        tools::run(self.runner(&words)?.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// The account since the last call of this function.
    fn account(&self) -> Result<Account> {
        let credits = self.simulator.admin("GET", "credits", &json!({}))?;
        let mut account = Account::new();
        for (endpoint, cost) in credits["endpoints"].as_object().context("no account")? {
            let number = |key: &str| cost[key].as_u64().unwrap_or_default();
            add(&mut account, group(endpoint), (number("calls"), number("credits")), 1);
        }
        self.simulator.admin("POST", "stats/reset", &json!({}))?;
        Ok(account)
    }

    /// The full refreshes of a day, without the discovery that each process makes.
    fn refreshes(&self, round: &Account) -> Result<Account> {
        let discovery = round.get(DISCOVERY).copied().unwrap_or_default();
        let mut day = Account::new();
        for (table, times) in REFRESHES {
            self.sync(&["--full-refresh", "--table", table])?;
            for (group, cost) in self.account()? {
                if group == DISCOVERY {
                    let left = (cost.0.saturating_sub(discovery.0), cost.1.saturating_sub(discovery.1));
                    add(&mut day, "organization_fields", left, times);
                } else {
                    add(&mut day, group, cost, times);
                }
            }
        }
        day.retain(|_, cost| *cost != (0, 0));
        Ok(day)
    }

    /// The read after one row in a hundred changed and one in a thousand was deleted.
    fn second(&self, tickets: u32) -> Result<Account> {
        self.simulator.admin("POST", "clock", &json!({"advance_ms": 3_600_000}))?;
        for (table, rows) in
            [("tickets", tickets), ("contacts", contacts(tickets)), ("accounts", accounts(tickets))]
        {
            for (change, from, count) in
                [("update", 0, rows.div_ceil(100)), ("moveToTrash", rows / 2, rows.div_ceil(1000))]
            {
                let bulk = json!({
                    "op": "bulk", "table": table, "change": change, "from": from, "count": count,
                    "spread_ms": 3_000_000,
                });
                self.simulator.admin("POST", "mutate", &bulk)?;
            }
        }
        self.simulator.admin("POST", "clock", &json!({"advance_ms": 60_000}))?;
        self.account()?;
        self.sync(&[])?;
        self.account()
    }

    /// Rounds of a day with this many updates; the account of all of them together.
    fn busy(&self, updates: u32, rounds: u32) -> Result<Account> {
        let each = u64::from(updates) / ROUNDS_PER_DAY;
        let tables = ["tickets", "tickets", "ticket_conversations", "contacts"];
        for round in 0..WARM_UP + rounds {
            if round == WARM_UP {
                self.account()?;
            }
            let half_ms = ROUND_MS / each.max(1) as i64 / 2;
            for update in 0..each {
                let seed = u64::from(round) * each + update;
                self.simulator.admin("POST", "clock", &json!({"advance_ms": half_ms}))?;
                let mutation = json!({"seed": seed, "count": 1, "tables": tables});
                self.simulator.admin("POST", "mutate", &mutation)?;
                self.simulator.admin("POST", "clock", &json!({"advance_ms": half_ms}))?;
            }
            self.sync(&[])?;
        }
        self.account()
    }
}
