//! Flags as typed, what they mean, and the hints that are printed at the start.

use clap::Parser;
use desk_simulator::{
    CLIENT_ID, CLIENT_SECRET, Edition, FaultSettings, GRANT_CODE, ORGANIZATION_ID, Options, Settings,
    Simulator, Sizes,
};

/// An independent simulator of Zoho Desk: accounts (OAuth), REST API v1 and webhooks on one port.
///
/// Prints `listening on http://127.0.0.1:PORT` to stdout and serves until it is stopped
/// (ctrl-c, or POST /_admin/shutdown). Equal seeds and sizes give equal data.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Seed of all data, tokens and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Edition of the portal: credits, concurrency, webhooks, contracts
    #[arg(long, value_enum, default_value = "ENTERPRISE", ignore_case = true)]
    edition: Edition,
    /// Live tickets
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    tickets: u32,
    /// Further tickets in the recycle bin from the start
    #[arg(long, default_value_t = 0, value_name = "N")]
    trashed_tickets: u32,
    /// Further tickets that only /tickets/archivedTickets lists
    #[arg(long, default_value_t = 0, value_name = "N")]
    archived_tickets: u32,
    /// Departments
    #[arg(long, default_value_t = 5, value_name = "N")]
    departments: u32,
    /// Products
    #[arg(long, default_value_t = 300, value_name = "N")]
    products: u32,
    /// Contracts
    #[arg(long, default_value_t = 200, value_name = "N")]
    contracts: u32,
    /// Contacts
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    contacts: u32,
    /// Accounts
    #[arg(long, default_value_t = 500, value_name = "N")]
    accounts: u32,
    /// Agents; they also raise the daily credits
    #[arg(long, default_value_t = 12, value_name = "N")]
    agents: u32,
    /// Most threads and comments together per ticket
    #[arg(long, default_value_t = 8, value_name = "N")]
    conversations_max: u32,
    /// Organisation (portal) id
    #[arg(long, default_value = ORGANIZATION_ID, value_name = "ID")]
    organization_id: String,
    /// OAuth client id
    #[arg(long, default_value = CLIENT_ID, value_name = "ID")]
    client_id: String,
    /// OAuth client secret
    #[arg(long, default_value = CLIENT_SECRET, value_name = "SECRET")]
    client_secret: String,
    /// The generated code that can be exchanged once
    #[arg(long, default_value = GRANT_CODE, value_name = "CODE")]
    code: String,
    /// Lifecycle of that code in seconds [default: until it is used]
    #[arg(long, value_name = "SECONDS")]
    code_life_seconds: Option<u64>,
    /// Let the code be exchanged again and again
    #[arg(long)]
    code_reusable: bool,
    /// Scopes of the tokens, comma-separated [default: all]
    #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
    scopes: Option<Vec<String>>,
    /// Lifecycle of an access token in seconds
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    token_life_seconds: u64,
    /// Access tokens per refresh token in ten minutes; 0 for no limit
    #[arg(long, default_value_t = 10, value_name = "N")]
    token_throttle: u32,
    /// Answer like the accounts host of another data centre: invalid_client
    #[arg(long)]
    wrong_data_center: bool,
    /// API credits per day, or "unlimited" [default: what the edition gives]
    #[arg(long, value_parser = credits, value_name = "N")]
    daily_credits: Option<u64>,
    /// API calls at the same time; 0 for no limit [default: what the edition allows]
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Time each API call takes at least, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency_ms: u64,
    /// How long a change stays invisible to searches, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    search_lag_ms: u64,
    /// A seeded plan of faults (401, 429, 500, 502, dropped, truncated, malformed, slow), or "off"
    #[arg(long, default_value = "off", value_parser = fault_seed, value_name = "SEED|off")]
    faults: FaultSeed,
    /// Create or trash a ticket after every so many ticket list pages; 0 for never
    #[arg(long, default_value_t = 0, value_name = "PAGES")]
    churn_every_pages: u32,
    /// Render every ticket list row before listening, so that a benchmark measures its client only
    #[arg(long)]
    warm: bool,
    /// Worker threads
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
    /// Log every request to stderr, without secrets
    #[arg(long, short)]
    verbose: bool,
}

const EXAMPLES: &str = "\
Examples:
  desk-simulator --tickets 5000 --port 8123
  desk-simulator --tickets 1000000 --daily-credits unlimited --warm   # for benchmarks
  desk-simulator --faults 7 --churn-every-pages 3 --verbose     # a bad day, the same every time

By hand, once it listens (see README.md for the admin API):
  curl -s -X POST \"$URL/oauth/v2/token\" -d grant_type=authorization_code -d client_id=… -d client_secret=… -d code=…
  curl -s \"$URL/api/v1/tickets?limit=5\" -H \"Authorization: Zoho-oauthtoken $TOKEN\"
  curl -s \"$URL/_admin/stats\"";

/// `--faults`: a seed or none.
#[derive(Clone, Copy, Debug)]
struct FaultSeed(Option<u64>);

fn fault_seed(text: &str) -> Result<FaultSeed, String> {
    if text == "off" {
        return Ok(FaultSeed(None));
    }
    text.parse().map(|seed| FaultSeed(Some(seed))).map_err(|_| "a number or \"off\" is needed".to_owned())
}

fn credits(text: &str) -> Result<u64, String> {
    // Far beyond any day, and still a number that clients can read.
    let unlimited = 1_000_000_000_000;
    if text == "unlimited" {
        return Ok(unlimited);
    }
    text.parse().map_err(|_| "a number or \"unlimited\" is needed".to_owned())
}

impl Arguments {
    /// What the flags mean.
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
            faults,
            ..Settings::default()
        };
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
                conversations_max: self.conversations_max,
            },
            organization_id: self.organization_id,
            client_id: self.client_id,
            client_secret: self.client_secret,
            grant_code: self.code,
            grant_code_life_ms: self.code_life_seconds.map(|seconds| seconds * 1000),
            grant_code_reusable: self.code_reusable,
            scopes: self.scopes,
            warm: self.warm,
            threads: self.threads,
            verbose: self.verbose,
            settings,
        }
    }
}

/// What a person needs to use it by hand.
pub(crate) fn hints(simulator: &Simulator) -> String {
    let (url, options) = (simulator.url(), simulator.options());
    let Options { organization_id, client_id, client_secret, grant_code, seed, edition, .. } = options;
    format!(
        "\n  organization id  {organization_id}\n  client id        {client_id}\n  client secret    {client_secret}\n  \
         generated code   {grant_code}\n  edition, seed    {edition}, {seed}\n  tickets          {tickets}\n\n  \
         hint: curl -s -X POST {url}/oauth/v2/token -d grant_type=authorization_code \\\n          \
         -d client_id={client_id} -d client_secret={client_secret} -d code={grant_code}\n  \
         hint: curl -s {url}/_admin/stats\n",
        edition = edition.name(),
        tickets = options.sizes.tickets,
    )
}
