//! The options of a simulator, all with defaults, and the editions of Zoho Desk. Equal options give equal
//! data.

use crate::settings::Settings;

/// The default organization (portal) id.
pub const ORGANIZATION_ID: &str = "60001280952";
/// The default client id.
pub const CLIENT_ID: &str = "1000.SIMULATORCLIENTID0000000000";
/// The default client secret.
pub const CLIENT_SECRET: &str = "simsecret0123456789abcdef0123456789abcdef01";
/// The default grant code, which can be exchanged once.
pub const GRANT_CODE: &str = "1000.simcode.demo";

/// The edition, which decides credits, concurrency, webhooks and modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Edition {
    /// Without contracts and webhooks.
    Free,
    /// As `Free`.
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

/// Most daily credits of any organization (§5.2).
const DAILY_CREDITS_MAX: u64 = 5_000_000;

impl Edition {
    /// The name in the API.
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

    /// Daily API credits for a number of users (reference, §5.2).
    pub(crate) fn daily_credits(self, users: u64) -> u64 {
        let (base, per_user) = match self {
            Edition::Free | Edition::Trial => (5_000, 0),
            Edition::Express => (25_000, 100),
            Edition::Standard => (50_000, 250),
            Edition::Professional => (75_000, 500),
            Edition::Enterprise => (100_000, 1_000),
        };
        (base + per_user * users).min(DAILY_CREDITS_MAX)
    }

    /// Concurrent API calls allowed (§5.2).
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

    /// Whether contracts are licensed. The reference does not name the editions that license them.
    pub(crate) fn has_contracts(self) -> bool {
        matches!(self, Edition::Professional | Edition::Enterprise)
    }
}

/// The number of generated records.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Live tickets in the plain list.
    pub tickets: u32,
    /// Further tickets, in the recycle bin from the start.
    pub trashed_tickets: u32,
    /// Further tickets, listed by `/tickets/archivedTickets` only.
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
    /// Records of each other module (activities, knowledge base, settings); none: a few of each.
    pub more: Option<u32>,
    /// Most threads and comments of a generated ticket, together; 32 at most.
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
            more: None,
            conversations_max: 8,
        }
    }
}

/// The options of a simulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed of all generated values and tokens. Faults have seeds in the settings.
    pub seed: u64,
    /// TCP port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The edition.
    pub edition: Edition,
    /// The number of generated records.
    pub sizes: Sizes,
    /// Organization (portal) id.
    pub organization_id: String,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: String,
    /// The grant code that the token endpoint exchanges.
    pub grant_code: String,
    /// Life of that code in milliseconds after the start; none: valid until it is used.
    pub grant_code_life_ms: Option<u64>,
    /// Whether the code can be exchanged more than once, which Zoho does not allow.
    pub grant_code_reusable: bool,
    /// Scopes of the tokens; none: all scopes.
    pub scopes: Option<Vec<String>>,
    /// Memory for rendered ticket rows, in MiB. Beyond it a row is rendered at each request.
    pub cache_mib: u64,
    /// Whether to render all ticket list rows before listening, for benchmarks.
    pub warm: bool,
    /// Worker threads of the server.
    pub threads: usize,
    /// Whether to write one line per request to stderr.
    pub verbose: bool,
    /// Behavior that can be changed while the simulator runs.
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
            cache_mib: 128,
            warm: false,
            threads: 1,
            verbose: false,
            settings: Settings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Edition;

    /// Credits for 12 users, concurrent calls and enabled webhooks, as §5.2 and §6.1 list them.
    const LIMITS: [(Edition, u64, u32, usize); 6] = [
        (Edition::Free, 5_000, 5, 0),
        (Edition::Trial, 5_000, 5, 0),
        (Edition::Express, 26_200, 10, 0),
        (Edition::Standard, 53_000, 10, 0),
        (Edition::Professional, 81_000, 15, 5),
        (Edition::Enterprise, 112_000, 25, 10),
    ];

    #[test]
    fn editions_have_the_documented_limits() {
        for (edition, credits, concurrency, webhooks) in LIMITS {
            let limits = (edition.daily_credits(12), edition.concurrency(), edition.webhooks());
            assert_eq!(limits, (credits, concurrency, webhooks), "{}", edition.name());
        }
    }

    #[test]
    fn daily_credits_never_exceed_five_million() {
        assert_eq!(Edition::Enterprise.daily_credits(4_900), 5_000_000);
        assert_eq!(Edition::Enterprise.daily_credits(4_901), 5_000_000);
    }
}
