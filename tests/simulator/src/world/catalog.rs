//! Products and contracts: their modules and their generated records.

use serde_json::json;

use crate::clock::DATA_START_MS;
use crate::ids::{self, Kind};
use crate::prose;
use crate::rng::Rng;
use crate::time::{DAY_MS, date, iso};
use crate::vocabulary::{PRODUCT_HEADS, PRODUCT_TAILS};
use crate::world::fields::Fields;
use crate::world::population::Population;
use crate::world::table::{Module, Row};

pub(crate) static PRODUCT: Module = Module {
    name: "products",
    event: None,
    kind: Kind::Product,
    list: &["id", "productName", "productCode", "unitPrice", "departmentIds"],
    search_adds: &["createdTime", "modifiedTime", "ownerId", "description", "productCategory", "cf"],
    title: "productName",
    trash_key: Some("productIds"),
};

pub(crate) static CONTRACT: Module = Module {
    name: "contracts",
    event: None,
    kind: Kind::Contract,
    list: &[
        "id",
        "contractName",
        "contractStatus",
        "accountId",
        "productId",
        "departmentId",
        "ownerId",
        "associatedSLAId",
        "supportPlan",
        "startDate",
        "endDate",
    ],
    search_adds: &[],
    title: "contractName",
    trash_key: Some("contractIds"),
};

/// The product at an index.
pub(crate) fn product(population: &Population, fields: &Fields, index: u32) -> Row {
    let seed = population.seed;
    let mut rng = Rng::new(seed, Kind::Product as u64, u64::from(index));
    let id = ids::id(seed, Kind::Product, u64::from(index));
    let name = format!("{} {} {}", rng.pick(PRODUCT_HEADS), rng.pick(PRODUCT_TAILS), index + 1);
    let created = DATA_START_MS - 200 * DAY_MS + rng.below(900 * 86_400) as i64 * 1000;
    let modified = created + if rng.chance(300) { 0 } else { rng.below(100 * 86_400) as i64 * 1000 };
    let departments: Vec<String> = (0..u64::from(population.departments))
        .filter(|department| {
            *department == u64::from(index) % u64::from(population.departments) || rng.chance(300)
        })
        .map(|department| ids::id(seed, Kind::Department, department).to_string())
        .collect();
    let owner = ids::id(seed, Kind::Agent, rng.below(population.agents.into())).to_string();
    let text = || prose::customer_text(&mut Rng::new(seed, 57, u64::from(index)));
    let price = format!("{}.{}", rng.below(5000), rng.below(10));
    Row::new(
        id,
        created,
        modified,
        json!({
            "id": id.to_string(), "productName": name,
            "productCode": rng.chance(800).then(|| format!("P/{index:05}")),
            "unitPrice": price, "departmentIds": departments, "createdTime": iso(created),
            "modifiedTime": iso(modified), "createdBy": owner, "modifiedBy": owner,
            "description": rng.chance(500).then(text),
            "productCategory": rng.chance(600).then_some("Hardware"), "ownerId": owner,
            "layoutId": ids::id(seed, Kind::Layout, 2).to_string(),
            "cf": fields.generate(population, "products", Kind::Product, index),
        }),
    )
}

/// The contract at an index. Its status is as of the end of the generated data.
pub(crate) fn contract(population: &Population, fields: &Fields, index: u32) -> Row {
    let seed = population.seed;
    let mut rng = Rng::new(seed, Kind::Contract as u64, u64::from(index));
    let id = ids::id(seed, Kind::Contract, u64::from(index));
    let created = DATA_START_MS - 100 * DAY_MS + rng.below(900 * 86_400) as i64 * 1000;
    let modified = created + if rng.chance(300) { 0 } else { rng.below(100 * 86_400) as i64 * 1000 };
    let (status, start, end) = match index % 5 {
        0 => ("EXPIRED", DATA_START_MS - 400 * DAY_MS, DATA_START_MS),
        1 => ("FUTURE", DATA_START_MS + 1100 * DAY_MS, DATA_START_MS + 1500 * DAY_MS),
        _ => ("ACTIVE", created, created + 1200 * DAY_MS),
    };
    let owner = ids::id(seed, Kind::Agent, rng.below(population.agents.into())).to_string();
    let account = rng.below(population.accounts.into());
    let product = (population.products > 0 && rng.chance(700)).then(|| rng.below(population.products.into()));
    let product = product.map(|at| ids::id(seed, Kind::Product, at).to_string());
    let department = ids::id(seed, Kind::Department, rng.below(population.departments.into()));
    let sla = ids::id(seed, Kind::Sla, u64::from(index % 3)).to_string();
    let plan = ids::id(seed, Kind::SupportPlan, u64::from(index % 2)).to_string();
    Row::new(
        id,
        created,
        modified,
        json!({
            "id": id.to_string(), "contractName": format!("Contract «{}»", index + 1),
            "contractStatus": status,
            "accountId": ids::id(seed, Kind::Account, account).to_string(), "productId": product,
            "departmentId": department.to_string(), "ownerId": owner, "associatedSLAId": sla,
            "supportPlan": {"id": plan, "name": "Gold ☆", "status": "ACTIVE", "supportType": "TIMEBASED"},
            "startDate": date(start), "endDate": date(end), "contractNumber": format!("CN-{:06}", index + 1),
            "description": rng.chance(300).then_some("Renews \"silently\"\nunless canceled"),
            "notifyBefore": (rng.below(30) + 1).to_string(), "notifyOn": date(end - 10 * DAY_MS),
            "notificationAgentIds": [owner], "createdTime": iso(created), "modifiedTime": iso(modified),
            "createdBy": owner, "modifiedBy": owner, "sla": {"id": sla, "name": "Standard SLA"},
            "cf": fields.generate(population, "contracts", Kind::Contract, index),
        }),
    )
}
