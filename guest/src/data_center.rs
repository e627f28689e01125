//! Zoho's data centers and their hosts. An organization lives in exactly one; its codes and tokens work
//! nowhere else.

/// One data center: its short name, Desk API origin and accounts (OAuth) origin.
///
/// Source: `zoho-desk-api.md` §1. The token answer's `api_domain` is not used: it does not serve Desk paths.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DataCenter {
    pub(crate) name: &'static str,
    pub(crate) desk_url: &'static str,
    pub(crate) accounts_url: &'static str,
}

/// Every data center, the default first.
pub(crate) const DATA_CENTERS: [DataCenter; 11] = [
    data_center("us", "https://desk.zoho.com", "https://accounts.zoho.com"),
    data_center("eu", "https://desk.zoho.eu", "https://accounts.zoho.eu"),
    data_center("in", "https://desk.zoho.in", "https://accounts.zoho.in"),
    data_center("au", "https://desk.zoho.com.au", "https://accounts.zoho.com.au"),
    data_center("jp", "https://desk.zoho.jp", "https://accounts.zoho.jp"),
    data_center("cn", "https://desk.zoho.com.cn", "https://accounts.zoho.com.cn"),
    data_center("ca", "https://desk.zohocloud.ca", "https://accounts.zohocloud.ca"),
    data_center("sa", "https://desk.zoho.sa", "https://accounts.zoho.sa"),
    data_center("sg", "https://desk.zoho.sg", "https://accounts.zoho.sg"),
    data_center("ae", "https://desk.zoho.ae", "https://accounts.zoho.ae"),
    data_center("uk", "https://desk.zoho.uk", "https://accounts.zoho.uk"),
];

const fn data_center(name: &'static str, desk_url: &'static str, accounts_url: &'static str) -> DataCenter {
    DataCenter { name, desk_url, accounts_url }
}

/// The data center of that name.
pub(crate) fn find(name: &str) -> Option<&'static DataCenter> {
    DATA_CENTERS.iter().find(|candidate| candidate.name == name)
}
