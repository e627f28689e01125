//! The command line: flags, their translation into options, and the hints printed at the start.

use clap::Parser;
use desk_simulator::{
    CLIENT_ID, CLIENT_SECRET, Edition, FaultSettings, GRANT_CODE, ORGANIZATION_ID, Options, Settings,
    Simulator, Sizes,
};
use serde_json::{Value, json};

/// Simulates Zoho Desk on 127.0.0.1: accounts host (OAuth), REST API v1 and webhooks on one port
///
/// Prints `listening on http://127.0.0.1:PORT` to stdout and serves until ctrl-c or
/// POST /_admin/shutdown. Equal seeds and sizes give equal data.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, term_width = 0)]
#[command(after_help = SHORT_EXAMPLES, after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Write one line per request to stderr, without secrets
    #[arg(long, short)]
    verbose: bool,
    /// Worker threads
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,

    /// Seed of all data, tokens and webhook faults
    #[arg(long, default_value_t = 1, help_heading = "Data")]
    seed: u64,
    /// Live tickets
    #[arg(long, default_value_t = 5_000, value_name = "N", help_heading = "Data")]
    tickets: u32,
    /// Further tickets, in the recycle bin from the start
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Data")]
    trashed_tickets: u32,
    /// Further tickets, listed by /tickets/archivedTickets only
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Data")]
    archived_tickets: u32,
    /// Records of each module outside the core ones; a few of each when left out
    #[arg(long, value_name = "N", help_heading = "Data")]
    more: Option<u32>,
    /// Most threads and comments per ticket, together; 32 at most
    #[arg(long, default_value_t = 8, value_name = "N", help_heading = "Data")]
    conversations_max: u32,
    /// Departments, at least 1
    #[arg(long, default_value_t = 5, value_name = "N", help_heading = "Data")]
    departments: u32,
    /// Agents, at least 1; each raises the daily credits
    #[arg(long, default_value_t = 12, value_name = "N", help_heading = "Data")]
    agents: u32,
    /// Contacts, at least 1
    #[arg(long, default_value_t = 2_000, value_name = "N", help_heading = "Data")]
    contacts: u32,
    /// Accounts, at least 1
    #[arg(long, default_value_t = 500, value_name = "N", help_heading = "Data")]
    accounts: u32,
    /// Products
    #[arg(long, default_value_t = 300, value_name = "N", help_heading = "Data")]
    products: u32,
    /// Contracts
    #[arg(long, default_value_t = 200, value_name = "N", help_heading = "Data")]
    contracts: u32,
    /// Memory for rendered ticket rows
    #[arg(long, default_value_t = 128, value_name = "MIB", help_heading = "Data")]
    cache_mib: u64,
    /// Render all ticket list rows before listening, for benchmarks of a client
    #[arg(long, help_heading = "Data")]
    warm: bool,

    /// Organization (portal) id
    #[arg(long, default_value = ORGANIZATION_ID, value_name = "ID", help_heading = "Accounts host (OAuth)")]
    organization_id: String,
    /// Client id
    #[arg(long, default_value = CLIENT_ID, value_name = "ID", help_heading = "Accounts host (OAuth)")]
    client_id: String,
    /// Client secret
    #[arg(long, default_value = CLIENT_SECRET, value_name = "SECRET", help_heading = "Accounts host (OAuth)")]
    client_secret: String,
    /// Grant code; can be exchanged once
    #[arg(long, default_value = GRANT_CODE, value_name = "CODE", help_heading = "Accounts host (OAuth)")]
    code: String,
    /// Life of the code in seconds [default: until it is exchanged]
    #[arg(long, value_name = "SECONDS", help_heading = "Accounts host (OAuth)")]
    code_life_seconds: Option<u64>,
    /// Allow the code to be exchanged more than once
    #[arg(long, help_heading = "Accounts host (OAuth)")]
    code_reusable: bool,
    /// Scopes of the tokens, comma-separated [default: all]
    #[arg(long, value_delimiter = ',', value_name = "SCOPES", help_heading = "Accounts host (OAuth)")]
    scopes: Option<Vec<String>>,
    /// Life of an access token in seconds
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS", help_heading = "Accounts host (OAuth)")]
    token_life_seconds: u64,
    /// Access tokens per refresh token in 10 minutes; 0: no limit
    #[arg(long, default_value_t = 10, value_name = "N", help_heading = "Accounts host (OAuth)")]
    token_throttle: u32,
    /// Answer invalid_client, as the accounts host of another data center
    #[arg(long, help_heading = "Accounts host (OAuth)")]
    wrong_data_center: bool,

    /// Edition: decides credits, concurrency, webhooks and contracts
    ///
    /// FREE, TRIAL, EXPRESS, STANDARD; with contracts: PROFESSIONAL (5 webhooks), ENTERPRISE (10)
    #[arg(
        long,
        value_enum,
        default_value = "ENTERPRISE",
        ignore_case = true,
        hide_possible_values = true,
        value_name = "EDITION",
        help_heading = "Limits"
    )]
    edition: Edition,
    /// API credits per day, or "unlimited" [default: those of the edition]
    #[arg(long, value_parser = credits, value_name = "N", help_heading = "Limits")]
    daily_credits: Option<u64>,
    /// Concurrent API calls; 0 for no limit [default: those of the edition]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    concurrency: Option<u32>,

    /// Seed of a plan of 401, 429, 5xx, broken and slow answers
    #[arg(
        long,
        default_value = "off",
        value_parser = fault_seed,
        value_name = "SEED|off",
        help_heading = "Faults and delays"
    )]
    faults: FaultSeed,
    /// Shortest duration of an API call in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS", help_heading = "Faults and delays")]
    latency_ms: u64,
    /// Milliseconds before searches show a change
    #[arg(long, default_value_t = 0, value_name = "MS", help_heading = "Faults and delays")]
    search_lag_ms: u64,
    /// Ticket list pages per created or trashed ticket; 0 for never
    #[arg(long, default_value_t = 0, value_name = "PAGES", help_heading = "Faults and delays")]
    churn_every_pages: u32,
    /// Refuse calls with a body and without Content-Length (411)
    #[arg(long, help_heading = "Faults and delays")]
    require_content_length: bool,
    /// Any setting: a path with dots, `=`, JSON or text; may be repeated
    ///
    /// Applied after the flags. README.md and GET /_admin/settings list the settings
    #[arg(long, value_parser = setting, value_name = "NAME=VALUE", help_heading = "Faults and delays")]
    set: Vec<Patch>,
}

/// `--set`: settings to merge.
#[derive(Clone, Debug)]
struct Patch(Value);

fn setting(text: &str) -> Result<Patch, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let patch = name.rsplit('.').fold(value, |value, key| json!({ key: value }));
    // Unknown names and wrong types are refused here, with the others' defaults.
    Settings::default().merged(patch.clone()).map_err(|error| error.to_string())?;
    Ok(Patch(patch))
}

const SHORT_EXAMPLES: &str = "\
Examples:
  desk-simulator --port 8123 --tickets 1000
  desk-simulator --port 8123 --faults 7 --churn-every-pages 3 --verbose

More examples, and how to call the API: --help";

const EXAMPLES: &str = r#"Examples:
  A small account on a fixed port:
    desk-simulator --port 8123 --tickets 1000
  Faults and churn, the same in every run, with a log of requests:
    desk-simulator --port 8123 --faults 7 --churn-every-pages 3 --verbose
  Limits of a small edition, with tickets in the recycle bin and in the archive:
    desk-simulator --port 8123 --edition professional --trashed-tickets 50 --archived-tickets 200
  A million tickets for a benchmark:
    desk-simulator --port 8123 --tickets 1000000 --daily-credits unlimited --concurrency 0 --warm
  A busy organization, where one ticket always fails and the recycle bin is refused:
    desk-simulator --set concurrency=4 --set others.concurrency=2 --set readings.list_rows_max=5000
    desk-simulator --set faults.rules=[{"path":"/recycleBin","answer":422}]

Call it by hand, in another terminal:
  URL=http://127.0.0.1:8123
  TOKEN=$(curl -s $URL/oauth/v2/token -d grant_type=authorization_code -d code=1000.simcode.demo \
    -d client_id=1000.SIMULATORCLIENTID0000000000 \
    -d client_secret=simsecret0123456789abcdef0123456789abcdef01 | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s -H "Authorization: Zoho-oauthtoken $TOKEN" "$URL/api/v1/tickets?limit=5"
The code works once: add --code-reusable, or request another with
  curl -s -X POST $URL/_admin/codes

Change and observe it while it runs (tests/simulator/README.md documents every call of the admin API):
  curl -s $URL/_admin/mutate -d '{"seed":5,"count":100}'            # make 100 random changes
  curl -s -X PATCH $URL/_admin/settings -d '{"search_lag_ms":5000}' # any setting; GET lists them
  curl -s $URL/_admin/truth/tickets                                 # what a perfect connector holds
  curl -s $URL/_admin/stats                                         # requests, faults, credits, deliveries

Exit codes: 0 stopped by POST /_admin/shutdown, 1 cannot listen, 2 wrong flags"#;

/// More than any day can use, and still within the range of clients.
const UNLIMITED_CREDITS: u64 = 1_000_000_000_000;

/// Holds the list rows of a million tickets with every `include`.
const WARM_CACHE_MIB: u64 = 1_900;

/// `--faults`: a seed, or none for `off`.
#[derive(Clone, Copy, Debug)]
struct FaultSeed(Option<u64>);

fn fault_seed(text: &str) -> Result<FaultSeed, String> {
    if text == "off" {
        return Ok(FaultSeed(None));
    }
    text.parse().map(|seed| FaultSeed(Some(seed))).map_err(|_| "expected a number or \"off\"".to_owned())
}

fn credits(text: &str) -> Result<u64, String> {
    if text == "unlimited" {
        return Ok(UNLIMITED_CREDITS);
    }
    text.parse().map_err(|_| "expected a number or \"unlimited\"".to_owned())
}

impl Arguments {
    /// The options that the flags stand for.
    pub(crate) fn into_options(self) -> Options {
        let faults = self.faults.0.map_or_else(FaultSettings::default, FaultSettings::seeded);
        let mut settings = Settings {
            token_life_seconds: self.token_life_seconds,
            token_throttle: self.token_throttle,
            wrong_data_center: self.wrong_data_center,
            daily_credits: self.daily_credits,
            concurrency: self.concurrency,
            latency_ms: self.latency_ms,
            search_lag_ms: self.search_lag_ms,
            churn_every_pages: self.churn_every_pages,
            require_content_length: self.require_content_length,
            faults,
            ..Settings::default()
        };
        for Patch(patch) in self.set {
            // Each patch was checked when it was parsed.
            settings = settings.merged(patch).unwrap_or_default();
        }
        settings.webhooks.seed = self.seed;
        Options {
            seed: self.seed,
            port: self.port,
            edition: self.edition,
            sizes: Sizes {
                tickets: self.tickets,
                trashed_tickets: self.trashed_tickets,
                archived_tickets: self.archived_tickets,
                departments: self.departments,
                products: self.products,
                contracts: self.contracts,
                contacts: self.contacts,
                accounts: self.accounts,
                agents: self.agents,
                more: self.more,
                conversations_max: self.conversations_max,
            },
            organization_id: self.organization_id,
            client_id: self.client_id,
            client_secret: self.client_secret,
            grant_code: self.code,
            grant_code_life_ms: self.code_life_seconds.map(|seconds| seconds * 1000),
            grant_code_reusable: self.code_reusable,
            scopes: self.scopes,
            cache_mib: if self.warm { self.cache_mib.max(WARM_CACHE_MIB) } else { self.cache_mib },
            warm: self.warm,
            threads: self.threads,
            verbose: self.verbose,
            settings,
        }
    }
}

/// The credentials and two calls to start with, for a person.
pub(crate) fn hints(simulator: &Simulator) -> String {
    let (url, options) = (simulator.url(), simulator.options());
    let Options { organization_id, client_id, client_secret, grant_code, seed, edition, .. } = options;
    let (edition, tickets) = (edition.name(), options.sizes.tickets);
    format!(
        "
  organization id  {organization_id}
  client id        {client_id}
  client secret    {client_secret}
  grant code       {grant_code}
  edition, seed    {edition}, {seed}
  tickets          {tickets}

hint: curl -s {url}/oauth/v2/token -d grant_type=authorization_code \\
        -d client_id={client_id} -d client_secret={client_secret} -d code={grant_code}
hint: curl -s {url}/_admin/stats
"
    )
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Arguments, CLIENT_ID, CLIENT_SECRET, EXAMPLES, GRANT_CODE, SHORT_EXAMPLES};

    #[test]
    fn every_example_in_the_help_is_accepted() {
        let examples = EXAMPLES.lines().chain(SHORT_EXAMPLES.lines()).map(str::trim);
        let examples: Vec<&str> = examples.filter(|line| line.starts_with("desk-simulator ")).collect();
        assert_eq!(examples.len(), 8);
        for example in examples {
            let parsed = Arguments::try_parse_from(example.split(' '));
            assert!(parsed.is_ok(), "{example}: {parsed:?}");
        }
    }

    #[test]
    fn the_examples_use_the_default_credentials() {
        for value in [CLIENT_ID, CLIENT_SECRET, GRANT_CODE] {
            assert!(EXAMPLES.contains(value), "{value}");
        }
    }

    #[test]
    fn the_flags_have_the_defaults_of_the_options() {
        let parsed = Arguments::parse_from(["desk-simulator"]).into_options();
        let mut expected = desk_simulator::Options::default();
        expected.settings.webhooks.seed = expected.seed;
        assert_eq!(format!("{parsed:?}"), format!("{expected:?}"));
    }

    #[test]
    fn no_line_of_the_help_is_longer_than_110_characters() {
        for help in [Arguments::command().render_long_help(), Arguments::command().render_help()] {
            let help = help.to_string();
            let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 110).collect();
            assert!(long.is_empty(), "{long:#?}");
        }
    }
}
