//! What a simulator is started with. Everything has a default; equal options give equal data.

use crate::settings::Settings;

/// The organisation id that every simulator uses unless told otherwise.
pub const ORGANIZATION_ID: &str = "60001280952";
/// The client id of the self client.
pub const CLIENT_ID: &str = "1000.SIMULATORCLIENTID0000000000";
/// The client secret of the self client.
pub const CLIENT_SECRET: &str = "simsecret0123456789abcdef0123456789abcdef01";
/// The generated code that can be exchanged once.
pub const GRANT_CODE: &str = "1000.simcode.demo";

/// The edition of the portal, which sets credits, concurrency, webhooks and modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Edition {
    /// Without contracts and webhooks.
    Free,
    /// As `Free`, for a time.
    Trial,
    /// Without contracts and webhooks.
    Express,
    /// Without contracts and webhooks.
    Standard,
    /// Five webhooks.
    Professional,
    /// Ten webhooks.
    Enterprise,
}

impl Edition {
    /// The word the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Edition::Free => "FREE",
            Edition::Trial => "TRIAL",
            Edition::Express => "EXPRESS",
            Edition::Standard => "STANDARD",
            Edition::Professional => "PROFESSIONAL",
            Edition::Enterprise => "ENTERPRISE",
        }
    }

    /// Daily API credits for a number of users (§5.2 of the reference).
    pub(crate) fn daily_credits(self, users: u64) -> u64 {
        let (base, each) = match self {
            Edition::Free | Edition::Trial => (5_000, 0),
            Edition::Express => (25_000, 100),
            Edition::Standard => (50_000, 250),
            Edition::Professional => (75_000, 500),
            Edition::Enterprise => (100_000, 1_000),
        };
        (base + each * users).min(5_000_000)
    }

    /// API calls allowed at the same time (§5.2).
    pub(crate) fn concurrency(self) -> u32 {
        match self {
            Edition::Free | Edition::Trial => 5,
            Edition::Express | Edition::Standard => 10,
            Edition::Professional => 15,
            Edition::Enterprise => 25,
        }
    }

    /// Enabled webhooks allowed (§6.1).
    pub(crate) fn webhooks(self) -> usize {
        match self {
            Edition::Free | Edition::Trial | Edition::Express | Edition::Standard => 0,
            Edition::Professional => 5,
            Edition::Enterprise => 10,
        }
    }

    /// Whether the contracts module is licensed. The reference does not say from which edition on.
    pub(crate) fn has_contracts(self) -> bool {
        matches!(self, Edition::Professional | Edition::Enterprise)
    }
}

/// How many records the portal begins with.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Live tickets in the plain list.
    pub tickets: u32,
    /// Further tickets that lie in the recycle bin from the start.
    pub trashed_tickets: u32,
    /// Further tickets that only `/tickets/archivedTickets` lists.
    pub archived_tickets: u32,
    /// Departments, at least one.
    pub departments: u32,
    /// Products.
    pub products: u32,
    /// Contracts.
    pub contracts: u32,
    /// Contacts, at least one.
    pub contacts: u32,
    /// Accounts, at least one.
    pub accounts: u32,
    /// Agents, at least one; they also raise the daily credits.
    pub agents: u32,
    /// Most threads and comments together that a ticket begins with.
    pub conversations_max: u32,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            tickets: 5_000,
            trashed_tickets: 0,
            archived_tickets: 0,
            departments: 5,
            products: 300,
            contracts: 200,
            contacts: 2_000,
            accounts: 500,
            agents: 12,
            conversations_max: 8,
        }
    }
}

/// What a simulator is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Every generated value, token and fault follows from it.
    pub seed: u64,
    /// TCP port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The portal's edition.
    pub edition: Edition,
    /// How many records the portal begins with.
    pub sizes: Sizes,
    /// Organisation (portal) id.
    pub organization_id: String,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: String,
    /// The code that the token endpoint exchanges.
    pub grant_code: String,
    /// Lifecycle of that code in milliseconds after the start; none: until it is used.
    pub grant_code_life_ms: Option<u64>,
    /// Lets the code be exchanged again and again, which the real service does not.
    pub grant_code_reusable: bool,
    /// Scopes of the tokens; none: all that the simulator knows.
    pub scopes: Option<Vec<String>>,
    /// Renders every ticket list row before listening, for benchmarks.
    pub warm: bool,
    /// Worker threads of the server.
    pub threads: usize,
    /// Writes one line per request to stderr.
    pub verbose: bool,
    /// Behaviour that can be changed while the simulator runs.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            port: 0,
            edition: Edition::Enterprise,
            sizes: Sizes::default(),
            organization_id: ORGANIZATION_ID.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            grant_code: GRANT_CODE.to_owned(),
            grant_code_life_ms: None,
            grant_code_reusable: false,
            scopes: None,
            warm: false,
            threads: 1,
            verbose: false,
            settings: Settings::default(),
        }
    }
}
