//! Zoho's data centres and their hosts. An organisation lives in exactly one; its codes and tokens work nowhere else.

/// One data centre: its short name, Desk API origin and accounts (OAuth) origin, and the console for creating clients.
///
/// Source: `zoho-desk-api.md` §1. The token answer's `api_domain` is deliberately not used: it does not serve Desk paths.
#[derive(Debug, PartialEq, Eq)]
pub struct DataCenter {
    pub name: &'static str,
    pub place: &'static str,
    pub desk_url: &'static str,
    pub accounts_url: &'static str,
}

/// Every data centre, the default first.
pub const DATA_CENTERS: [DataCenter; 11] = [
    data_center("us", "United States", "https://desk.zoho.com", "https://accounts.zoho.com"),
    data_center("eu", "Europe", "https://desk.zoho.eu", "https://accounts.zoho.eu"),
    data_center("in", "India", "https://desk.zoho.in", "https://accounts.zoho.in"),
    data_center("au", "Australia", "https://desk.zoho.com.au", "https://accounts.zoho.com.au"),
    data_center("jp", "Japan", "https://desk.zoho.jp", "https://accounts.zoho.jp"),
    data_center("cn", "China", "https://desk.zoho.com.cn", "https://accounts.zoho.com.cn"),
    data_center("ca", "Canada", "https://desk.zohocloud.ca", "https://accounts.zohocloud.ca"),
    data_center("sa", "Saudi Arabia", "https://desk.zoho.sa", "https://accounts.zoho.sa"),
    data_center("sg", "Singapore", "https://desk.zoho.sg", "https://accounts.zoho.sg"),
    data_center("ae", "United Arab Emirates", "https://desk.zoho.ae", "https://accounts.zoho.ae"),
    data_center("uk", "United Kingdom", "https://desk.zoho.uk", "https://accounts.zoho.uk"),
];

const fn data_center(
    name: &'static str,
    place: &'static str,
    desk_url: &'static str,
    accounts_url: &'static str,
) -> DataCenter {
    DataCenter { name, place, desk_url, accounts_url }
}

/// The data centre of that name, if there is one.
pub fn find(name: &str) -> Option<&'static DataCenter> {
    DATA_CENTERS.iter().find(|candidate| candidate.name == name)
}
