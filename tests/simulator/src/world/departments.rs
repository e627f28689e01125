//! Departments, agents and teams: their modules and their generated records.

use serde_json::json;

use crate::clock::DATA_START_MS;
use crate::ids::{self, Kind};
use crate::prose;
use crate::rng::Rng;
use crate::time::{DAY_MS, iso};
use crate::vocabulary::{DEPARTMENTS, FIRST_NAMES, LAST_NAMES};
use crate::world::population::Population;
use crate::world::table::{Module, Row};

pub(crate) static DEPARTMENT: Module = Module {
    name: "departments",
    event: Some("Department"),
    kind: Kind::Department,
    list: &[
        "id",
        "name",
        "description",
        "createdTime",
        "chatStatus",
        "nameInCustomerPortal",
        "creatorId",
        "isEnabled",
        "isDefault",
        "isAssignToTeamEnabled",
        "isVisibleInCustomerPortal",
        "hasLogo",
        "sanitizedName",
    ],
    search_adds: &[],
    title: "name",
    trash_key: None,
};

pub(crate) static AGENT: Module = Module {
    name: "agents",
    event: Some("Agent"),
    kind: Kind::Agent,
    list: &[
        "id",
        "zuid",
        "emailId",
        "firstName",
        "lastName",
        "name",
        "isConfirmed",
        "status",
        "roleId",
        "profileId",
        "phone",
        "mobile",
        "extn",
        "aboutInfo",
        "countryCode",
        "langCode",
        "timeZone",
        "photoURL",
        "rolePermissionType",
        "associatedDepartmentIds",
        "associatedChatDepartmentIds",
        "channelExpert",
        "cf",
        "isZiaAgent",
    ],
    search_adds: &[],
    title: "name",
    trash_key: None,
};

pub(crate) static TEAM: Module = Module {
    name: "teams",
    event: None,
    kind: Kind::Team,
    list: &[
        "id",
        "name",
        "description",
        "departmentId",
        "logoUrl",
        "agents",
        "roles",
        "rolesWithSubordinates",
        "subTeams",
        "derivedAgents",
    ],
    search_adds: &[],
    title: "name",
    trash_key: None,
};

/// The department at an index.
pub(crate) fn department(population: &Population, index: u32) -> Row {
    let seed = population.seed;
    let id = ids::id(seed, Kind::Department, u64::from(index));
    let (base, text) = DEPARTMENTS[index as usize % DEPARTMENTS.len()];
    let round = index as usize / DEPARTMENTS.len();
    let name = if round == 0 { base.to_owned() } else { format!("{base} {}", round + 1) };
    let created = DATA_START_MS - 400 * DAY_MS + i64::from(index) * 3 * DAY_MS;
    let members = (0..population.agents).filter(|agent| works_in(*agent, index));
    let members: Vec<String> = members.map(|agent| agent_id(seed, agent)).collect();
    let sanitized: String =
        name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    Row::new(
        id,
        created,
        created,
        json!({
            "id": id.to_string(), "name": name, "createdTime": iso(created),
            "description": (!index.is_multiple_of(3)).then_some(text), "chatStatus": "NOT_CREATED",
            "nameInCustomerPortal": name, "creatorId": agent_id(seed, 0), "isEnabled": index % 7 != 6,
            "isDefault": index == 0, "isAssignToTeamEnabled": index.is_multiple_of(2),
            "isVisibleInCustomerPortal": index != 4, "hasLogo": false, "sanitizedName": sanitized,
            "associatedAgentIds": members,
        }),
    )
}

fn agent_id(seed: u64, index: u32) -> String {
    ids::id(seed, Kind::Agent, u64::from(index)).to_string()
}

/// Whether an agent works in a department: the first in all, the others in about two.
fn works_in(agent: u32, department: u32) -> bool {
    agent == 0 || agent % 3 == department % 3 || agent % 5 == department
}

/// The agent at an index.
pub(crate) fn agent(population: &Population, index: u32) -> Row {
    let seed = population.seed;
    let mut rng = Rng::new(seed, Kind::Agent as u64, u64::from(index));
    let (first, last) = (*rng.pick(FIRST_NAMES), *rng.pick(LAST_NAMES));
    let id = ids::id(seed, Kind::Agent, u64::from(index));
    let departments = (0..population.departments).filter(|department| works_in(index, *department));
    let departments: Vec<String> = departments
        .map(|department| ids::id(seed, Kind::Department, u64::from(department)).to_string())
        .collect();
    let role = ids::id(seed, Kind::Role, u64::from(index.min(1)));
    let created = DATA_START_MS - 300 * DAY_MS;
    Row::new(
        id,
        created,
        created,
        json!({
            "id": id.to_string(), "zuid": (600_000_000 + u64::from(index) * 37).to_string(),
            "emailId": format!("agent{index}@desk.example"), "firstName": first, "lastName": last,
            "name": format!("{first} {last}"), "isConfirmed": true,
            "status": if index % 9 == 8 { "DISABLED" } else { "ACTIVE" }, "roleId": role.to_string(),
            "profileId": ids::id(seed, Kind::Profile, u64::from(index.min(1))).to_string(),
            "phone": if index.is_multiple_of(2) { prose::phone(&mut rng) } else { String::new() },
            "mobile": "", "extn": "", "aboutInfo": "", "countryCode": "en_US", "langCode": "en_US",
            "timeZone": "Europe/Lisbon", "photoURL": null,
            "rolePermissionType": if index == 0 { "Admin" } else { "AgentPublic" },
            "associatedDepartmentIds": departments, "associatedChatDepartmentIds": [],
            "channelExpert": [], "cf": {}, "isZiaAgent": false,
        }),
    )
}

/// The team at an index; one per department.
pub(crate) fn team(population: &Population, index: u32) -> Row {
    let seed = population.seed;
    let id = ids::id(seed, Kind::Team, u64::from(index));
    let members: Vec<String> = (0..population.agents)
        .filter(|agent| works_in(*agent, index))
        .map(|agent| agent_id(seed, agent))
        .collect();
    Row::new(
        id,
        DATA_START_MS,
        DATA_START_MS,
        json!({
            "id": id.to_string(), "name": format!("Team {}", index + 1), "description": null,
            "departmentId": ids::id(seed, Kind::Department, u64::from(index)).to_string(),
            "logoUrl": null, "agents": members, "roles": [], "rolesWithSubordinates": [],
            "subTeams": [], "derivedAgents": [],
        }),
    )
}
