//! Contacts and accounts: their modules and their generated records.

use serde_json::{Value, json};

use crate::clock::DATA_START_MS;
use crate::ids::{self, Kind};
use crate::prose;
use crate::rng::Rng;
use crate::time::{DAY_MS, iso};
use crate::vocabulary::{CITIES, COMPANY_HEADS, COMPANY_TAILS, FIRST_NAMES, INDUSTRIES, LAST_NAMES};
use crate::world::fields::Fields;
use crate::world::population::Population;
use crate::world::table::{Module, Row};

pub(crate) static CONTACT: Module = Module {
    name: "contacts",
    event: Some("Contact"),
    kind: Kind::Contact,
    list: &[
        "id",
        "firstName",
        "lastName",
        "accountCount",
        "email",
        "secondaryEmail",
        "mobile",
        "phone",
        "type",
        "createdTime",
        "ownerId",
        "accountId",
        "zohoCRMContact",
        "isAnonymous",
        "isEndUser",
        "photoURL",
        "isSpam",
        "webUrl",
        "customerHappiness",
    ],
    search_adds: &["modifiedTime", "owner", "account", "cf"],
    title: "lastName",
    trash_key: Some("contactIds"),
};

pub(crate) static ACCOUNT: Module = Module {
    name: "accounts",
    event: Some("Account"),
    kind: Kind::Account,
    list: &[
        "id",
        "accountName",
        "email",
        "website",
        "phone",
        "createdTime",
        "zohoCRMAccount",
        "webUrl",
        "customerHappiness",
    ],
    search_adds: &["modifiedTime", "owner", "cf"],
    title: "accountName",
    trash_key: Some("accountIds"),
};

/// The index of a contact's account; one contact in eight has none.
pub(crate) fn account_of(population: &Population, contact: u32) -> Option<u32> {
    let mut rng = Rng::new(population.seed, 51, u64::from(contact));
    (!rng.chance(125)).then(|| rng.below(u64::from(population.accounts)) as u32)
}

/// Creation and modification time. One record in ten has the creation time of a bulk import.
fn times(rng: &mut Rng) -> (i64, i64) {
    let created = if rng.chance(100) {
        DATA_START_MS - 100 * DAY_MS
    } else {
        DATA_START_MS - 300 * DAY_MS + rng.below(1200 * 86_400) as i64 * 1000
    };
    let changed = if rng.chance(400) { 0 } else { rng.below(120 * 86_400) as i64 * 1000 };
    (created, created + changed)
}

fn happiness(rng: &mut Rng) -> Value {
    let (bad, good) = (rng.below(30), rng.below(60));
    json!({
        "badPercentage": bad.to_string(), "okPercentage": (100 - bad - good).to_string(),
        "goodPercentage": good.to_string(),
    })
}

/// The contact at an index.
pub(crate) fn contact(population: &Population, fields: &Fields, index: u32) -> Row {
    let seed = population.seed;
    let mut rng = Rng::new(seed, Kind::Contact as u64, u64::from(index));
    let (first, last) = (*rng.pick(FIRST_NAMES), *rng.pick(LAST_NAMES));
    let id = ids::id(seed, Kind::Contact, u64::from(index));
    let account = account_of(population, index)
        .map(|account| ids::id(seed, Kind::Account, u64::from(account)).to_string());
    let (created, modified) = times(&mut rng);
    let (city, state, country, zip) = *rng.pick(CITIES);
    let email = (!rng.chance(60)).then(|| prose::email(first, last, u64::from(index)));
    let owner = ids::id(seed, Kind::Agent, rng.below(population.agents.into())).to_string();
    let layout = ids::id(seed, Kind::Layout, 1).to_string();
    let text = || prose::customer_text(&mut Rng::new(seed, 54, u64::from(index)));
    let crm = rng.chance(80).then(|| json!({"id": (4_000_000 + index).to_string(), "type": "contacts"}));
    Row::new(
        id,
        created,
        modified,
        json!({
            "id": id.to_string(), "firstName": (!rng.chance(100)).then_some(first), "lastName": last,
            "accountCount": u32::from(account.is_some()).to_string(), "email": email,
            "secondaryEmail": rng.chance(100).then(|| format!("second{index}@example.org")),
            "mobile": rng.chance(400).then(|| prose::phone(&mut Rng::new(seed, 52, u64::from(index)))),
            "phone": rng.chance(600).then(|| prose::phone(&mut Rng::new(seed, 53, u64::from(index)))),
            "type": rng.chance(500).then_some("customer"), "createdTime": iso(created),
            "modifiedTime": iso(modified), "ownerId": owner, "accountId": account,
            "zohoCRMContact": crm, "isAnonymous": false, "isEndUser": rng.chance(300),
            "photoURL": null, "isSpam": false,
            "webUrl": format!("https://desk.zoho.com/support/simulator/ShowHomePage.do#Contacts/dv/{id}"),
            "customerHappiness": happiness(&mut rng), "street": format!("{} Main Street", index % 200 + 1),
            "city": city, "state": state, "country": country, "zip": zip,
            "title": rng.chance(300).then_some("Dr. h. c."),
            "description": rng.chance(200).then(text),
            "facebook": null, "twitter": rng.chance(50).then(|| format!("@user{index}")),
            "language": rng.chance(500).then_some("English"), "layoutId": layout,
            "layoutDetails": {"id": layout, "layoutName": "Contact"}, "isFollowing": false,
            "cf": fields.generate(population, "contacts", Kind::Contact, index),
        }),
    )
}

/// The account at an index.
pub(crate) fn account(population: &Population, fields: &Fields, index: u32) -> Row {
    let seed = population.seed;
    let mut rng = Rng::new(seed, Kind::Account as u64, u64::from(index));
    let id = ids::id(seed, Kind::Account, u64::from(index));
    let (head, tail) = (rng.pick(COMPANY_HEADS), rng.pick(COMPANY_TAILS));
    let (created, modified) = times(&mut rng);
    let (city, state, country, code) = *rng.pick(CITIES);
    let owner = ids::id(seed, Kind::Agent, rng.below(population.agents.into()));
    Row::new(
        id,
        created,
        modified,
        json!({
            "id": id.to_string(), "accountName": format!("{head} {tail} {}", index + 1),
            "email": rng.chance(500).then(|| format!("office{index}@example.net")),
            "website": rng.chance(500).then(|| format!("https://www{index}.example.net/?a=b&c=d")),
            "phone": rng.chance(500).then(|| prose::phone(&mut Rng::new(seed, 55, u64::from(index)))),
            "createdTime": iso(created), "modifiedTime": iso(modified), "zohoCRMAccount": null,
            "webUrl": format!("https://desk.zoho.com/support/simulator/ShowHomePage.do#Accounts/dv/{id}"),
            "customerHappiness": happiness(&mut rng), "code": rng.chance(700).then_some(code),
            "street": rng.chance(500).then(|| format!("Dock \"{}\"", index % 40)), "city": city,
            "state": state, "country": country, "fax": null,
            "industry": rng.chance(600).then(|| *Rng::new(seed, 56, u64::from(index)).pick(INDUSTRIES)),
            "annualrevenue": rng.chance(300).then(|| format!("{}.0", index * 1000 + 17)),
            "description": null, "ownerId": owner.to_string(), "associatedSLAIds": [],
            "isFollowing": if rng.chance(100) { "true" } else { "false" },
            "cf": fields.generate(population, "accounts", Kind::Account, index),
        }),
    )
}
