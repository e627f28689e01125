//! The modules outside the core ones, each declared once: roles, activities, the knowledge base, settings
//! (reference, §4.3, §4.5, §4.7, §4.8 and appendix).
//!
//! A module here is a [`Module`], the number of its records and one function that generates a record. Lists,
//! details, searches, changes and the truth are those of every table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::DATA_START_MS;
use crate::ids::{self, Kind};
use crate::prose;
use crate::rng::Rng;
use crate::time::{DAY_MS, iso};
use crate::vocabulary::{PRIORITIES, SUBJECTS};
use crate::world::fields::{Fields, MODULES};
use crate::world::population::Population;
use crate::world::table::{Module, Row, Table};

/// One module.
struct More {
    module: Module,
    count: fn(&Population) -> u32,
    /// The values of a record besides `id` and times.
    values: fn(&Draw<'_>) -> Value,
}

/// What a record is generated from.
struct Draw<'a> {
    people: &'a Population,
    fields: &'a Fields,
    index: u32,
    kind: Kind,
}

impl Draw<'_> {
    fn id(&self, kind: Kind, index: u32) -> String {
        ids::id(self.people.seed, kind, u64::from(index)).to_string()
    }

    fn department(&self) -> String {
        self.id(Kind::Department, self.index % self.people.departments)
    }

    fn agent(&self) -> String {
        self.id(Kind::Agent, self.index % self.people.agents)
    }

    /// The agent as an embedded object.
    fn person(&self) -> Value {
        json!({
            "id": self.agent(), "firstName": "", "lastName": "Kyle", "photoURL": null,
            "email": "k@zylker.com",
        })
    }

    fn rng(&self) -> Rng {
        Rng::new(self.people.seed, self.kind as u64, u64::from(self.index))
    }

    fn number(&self) -> u32 {
        self.index + 1
    }
}

const fn module(name: &'static str, kind: Kind, list: &'static [&'static str]) -> Module {
    Module { name, event: None, kind, list, search_adds: &[], title: "name", trash_key: None }
}

/// Custom modules, by the names in their URLs.
pub(crate) const CUSTOM_MODULES: [&str; 2] = ["cm_assets", "cm_vehicles"];

/// Modules that have layouts.
const LAYOUT_MODULES: &[&str] = MODULES;

static MORE: &[More] = &[
    More {
        module: module(
            "roles",
            Kind::Role,
            &["id", "name", "description", "reportsTo", "shareDataWithPeers", "isDefault", "isVisible"],
        ),
        count: |_| 2,
        values: |draw| {
            json!({
                "name": format!("Role {}", draw.number()), "description": null, "isVisible": true,
                "reportsTo": (draw.index > 0).then(|| draw.id(Kind::Role, 0)), "shareDataWithPeers": false,
                "isDefault": draw.index == 0,
            })
        },
    },
    More {
        module: module(
            "profiles",
            Kind::Profile,
            &["id", "name", "description", "type", "isDefault", "isVisible"],
        ),
        count: |_| 2,
        values: |draw| {
            json!({
                "name": format!("Profile {}", draw.number()), "description": "Permissions", "type": "SUPPORT",
                "isDefault": draw.index == 0, "isVisible": true,
            })
        },
    },
    More {
        module: module("channels", Kind::Channel, &["code", "name", "type", "isActive", "photoURL"]),
        count: |_| 4,
        values: |draw| {
            json!({
                "code": format!("CHANNEL_{}", draw.number()),
                "name": format!("Channel {}", draw.number()), "type": "SYSTEM", "isActive": true,
                "photoURL": null,
            })
        },
    },
    More {
        module: module(
            "businessHours",
            Kind::BusinessHour,
            &["id", "name", "status", "type", "timeZoneId", "businessTimes", "createdTime", "modifiedTime"],
        ),
        count: |_| 3,
        values: |draw| {
            json!({
                "name": format!("Hours {}", draw.number()), "type": "SPECIFIC", "timeZoneId": "Europe/Lisbon",
                "status": if draw.index == 2 { "INACTIVE" } else { "ACTIVE" },
                "businessTimes": [{"day": "MONDAY", "startTime": "09:00", "endTime": "17:00"}],
                "createdTime": null, "modifiedTime": null,
            })
        },
    },
    More {
        module: module(
            "holidayList",
            Kind::HolidayList,
            &["id", "name", "status", "holidays", "associatedDepartments"],
        ),
        count: |_| 3,
        values: |draw| {
            json!({
                "name": format!("Holidays {}", draw.number()),
                "status": if draw.index == 1 { "INACTIVE" } else { "ACTIVE" },
                "holidays": [{"name": "New Year", "month": 1, "date": 1}], "associatedDepartments": [],
            })
        },
    },
    More {
        module: module(
            "skills",
            Kind::Skill,
            &[
                "id",
                "name",
                "description",
                "departmentId",
                "skillTypeId",
                "status",
                "orderId",
                "agentIds",
                "criteria",
                "createdTime",
                "modifiedTime",
            ],
        ),
        count: |people| people.departments * 2,
        values: |draw| {
            json!({
                "name": format!("Skill {}", draw.number()), "description": null,
                "departmentId": draw.department(),
                "skillTypeId": draw.id(Kind::SkillType, 0), "status": "ACTIVE", "orderId": draw.number(),
                "agentIds": [draw.agent()], "criteria": {"fieldConditions": []}, "createdTime": null,
                "modifiedTime": null,
            })
        },
    },
    More {
        module: module(
            "supportPlans",
            Kind::SupportPlan,
            &[
                "id",
                "name",
                "status",
                "supportType",
                "department",
                "sla",
                "creditDetails",
                "createdTime",
                "createdBy",
                "modifiedTime",
                "modifiedBy",
            ],
        ),
        count: |people| people.departments,
        values: |draw| {
            json!({
                "name": format!("Plan {}", draw.number()), "status": "ACTIVE", "supportType": "TIMEBASED",
                "departmentId": draw.department(), "createdTime": null, "modifiedTime": null,
                "department": {"id": draw.department(), "name": "A department"},
                "sla": {"id": draw.id(Kind::Sla, 0), "name": "SLA 0", "status": "ACTIVE"},
                "creditDetails": null, "createdBy": draw.person(), "modifiedBy": draw.person(),
            })
        },
    },
    activity("tasks", Kind::Task, "Task"),
    activity("calls", Kind::Call, "Call"),
    activity("events", Kind::Event, "Event"),
    More {
        module: Module {
            event: Some("Article"),
            search_adds: &[],
            title: "title",
            trash_key: Some("articleIds"),
            ..module(
                "articles",
                Kind::Article,
                &[
                    "id",
                    "title",
                    "summary",
                    "permalink",
                    "status",
                    "permission",
                    "locale",
                    "categoryId",
                    "rootCategoryId",
                    "departmentId",
                    "authorId",
                    "author",
                    "createdTime",
                    "modifiedTime",
                    "webUrl",
                    "viewCount",
                    "likeCount",
                    "availableLocaleTranslations",
                ],
            )
        },
        count: |people| people.products.min(70),
        values: |draw| {
            let mut rng = draw.rng();
            let section = draw.index % (2 * CATEGORIES);
            json!({
                "title": prose::subject(&mut rng), "summary": "In short", "status": "Published",
                "answer": prose::description(&mut rng), "permalink": format!("article-{}", draw.number()),
                "permission": "ALL", "locale": "en", "categoryId": draw.id(Kind::Section, section),
                "rootCategoryId": draw.id(Kind::Category, section / 2), "departmentId": draw.department(),
                "authorId": draw.agent(), "author": {"id": draw.agent(), "name": "Author"},
                "createdTime": null, "modifiedTime": null,
                "webUrl": format!("https://desk.zoho.com/portal/simulator/en/kb/{}", draw.number()),
                "viewCount": draw.index, "likeCount": draw.index % 5,
                "availableLocaleTranslations": match draw.index % 3 {
                    0 => json!([{"locale": "en", "status": "Published"}, {"locale": "fr-ca"}]),
                    _ => json!([{"locale": "en", "status": "Published"}]),
                },
            })
        },
    },
    More {
        module: Module {
            event: Some("KBRootCategory"),
            ..module(
                "kbRootCategories",
                Kind::Category,
                &[
                    "id",
                    "name",
                    "status",
                    "visibility",
                    "order",
                    "associatedDepartmentIds",
                    "translations",
                    "createdTime",
                    "modifiedTime",
                ],
            )
        },
        count: |_| CATEGORIES,
        values: |draw| {
            json!({
                "name": format!("Category {}", draw.number()), "status": "SHOW_IN_HELPCENTER",
                "visibility": "ALL_USERS", "order": draw.number().to_string(),
                "associatedDepartmentIds": [draw.department()], "translations": [], "createdTime": null,
                "modifiedTime": null,
            })
        },
    },
    More {
        module: Module {
            event: Some("KBSection"),
            ..module(
                "kbSections",
                Kind::Section,
                &[
                    "id",
                    "name",
                    "description",
                    "rootCategoryId",
                    "parentCategoryId",
                    "level",
                    "order",
                    "status",
                    "visibility",
                ],
            )
        },
        count: |_| 2 * CATEGORIES,
        // The second section of a category is below its first.
        values: |draw| {
            let root = draw.id(Kind::Category, draw.index / 2);
            let is_inner = draw.index % 2 == 1;
            json!({
                "name": format!("Section {}", draw.number()), "description": "About it",
                "level": 1 + draw.index % 2, "rootCategoryId": root, "order": "1",
                "status": "SHOW_IN_HELPCENTER", "visibility": "ALL_USERS",
                "parentCategoryId": if is_inner { draw.id(Kind::Section, draw.index - 1) } else { root },
            })
        },
    },
    More {
        module: module(
            "organizationModules",
            Kind::Module,
            &[
                "id",
                "apiName",
                "displayLabel",
                "singularLabel",
                "pluralLabel",
                "isCustomModule",
                "isDeptSpecific",
                "hasRecycleBin",
                "createdTime",
                "modifiedTime",
            ],
        ),
        count: |_| (MODULES.len() + CUSTOM_MODULES.len()) as u32,
        values: |draw| {
            let index = draw.index as usize;
            let custom = index.checked_sub(MODULES.len()).and_then(|at| CUSTOM_MODULES.get(at));
            let name = MODULES.get(index).or(custom).unwrap_or(&"cm_other");
            json!({
                "apiName": name, "displayLabel": name, "singularLabel": name, "pluralLabel": name,
                "isCustomModule": custom.is_some(), "isDeptSpecific": false, "hasRecycleBin": true,
                "createdTime": null, "modifiedTime": null,
            })
        },
    },
    custom_module(CUSTOM_MODULES[0], Kind::Asset),
    custom_module(CUSTOM_MODULES[1], Kind::Vehicle),
    More {
        module: module(
            "layouts",
            Kind::Layout,
            &["id", "layoutName", "module", "departmentId", "isDefaultLayout"],
        ),
        count: |_| LAYOUT_MODULES.len() as u32,
        values: |draw| {
            json!({
                "layoutName": format!("Layout {}", draw.number()), "departmentId": draw.department(),
                "module": LAYOUT_MODULES[draw.index as usize % LAYOUT_MODULES.len()], "isDefaultLayout": true,
                "sections": [{"name": "Information", "fields": [{"apiName": "subject"}]}],
            })
        },
    },
    More {
        module: module(
            "layoutRules",
            Kind::LayoutRule,
            &["id", "displayLabel", "layoutId", "module", "isActive", "fieldConditions"],
        ),
        count: |_| 3,
        values: |draw| {
            json!({
                "displayLabel": format!("Rule {}", draw.number()), "layoutId": draw.id(Kind::Layout, 0),
                "module": LAYOUT_MODULES[0], "isActive": true, "fieldConditions": [],
            })
        },
    },
];

/// Root categories of the knowledge base.
const CATEGORIES: u32 = 3;

const fn activity(name: &'static str, kind: Kind, event: &'static str) -> More {
    More {
        module: Module {
            event: Some(event),
            search_adds: &["modifiedTime", "description", "cf"],
            title: "subject",
            trash_key: Some("entityIds"),
            ..module(
                name,
                kind,
                &[
                    "id",
                    "subject",
                    "status",
                    "priority",
                    "category",
                    "departmentId",
                    "ownerId",
                    "creatorId",
                    "contactId",
                    "ticketId",
                    "createdTime",
                    "dueDate",
                    "isCommented",
                    "isSpam",
                    "activityType",
                    "webUrl",
                ],
            )
        },
        count: |people| people.tickets.min(130),
        values: |draw| {
            let mut rng = draw.rng();
            let contact = rng.below(draw.people.contacts.into()) as u32;
            json!({
                "subject": rng.pick(SUBJECTS),
                "status": if rng.chance(500) { "Not Started" } else { "Completed" },
                "priority": rng.pick(PRIORITIES), "category": null, "departmentId": draw.department(),
                "ownerId": draw.agent(), "creatorId": draw.agent(),
                "contactId": draw.id(Kind::Contact, contact),
                "ticketId": draw.id(Kind::Ticket, draw.index / 2), "createdTime": null,
                "dueDate": iso(DATA_START_MS + i64::from(draw.index) * DAY_MS), "isCommented": false,
                "isSpam": false, "activityType": format!("{:?}", draw.kind), "modifiedTime": null,
                "webUrl": "https://desk.zoho.com/support/simulator/ShowHomePage.do",
                "description": prose::description(&mut rng),
                "cf": draw.fields.generate(draw.people, name_of(draw.kind), draw.kind, draw.index),
            })
        },
    }
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Call => "calls",
        Kind::Event => "events",
        _ => "tasks",
    }
}

const fn custom_module(name: &'static str, kind: Kind) -> More {
    More {
        module: module(
            name,
            kind,
            &[
                "id",
                "name",
                "owner",
                "layout",
                "layoutId",
                "createdBy",
                "createdTime",
                "modifiedBy",
                "modifiedTime",
                "isPresence",
                "canEdit",
                "cf",
            ],
        ),
        count: |_| 60,
        values: |draw| {
            json!({
                "name": format!("Record {}", draw.number()), "owner": draw.person(),
                "layout": {"id": draw.id(Kind::Layout, 0), "layoutName": "Standard"},
                "layoutId": draw.id(Kind::Layout, 0), "createdBy": draw.person(), "createdTime": null,
                "modifiedBy": draw.person(), "modifiedTime": null, "isPresence": true, "canEdit": true,
                "cf": {"cf_serial": draw.index.to_string()},
            })
        },
    }
}

/// The generated tables of these modules, by their names in URLs.
pub(crate) fn tables(people: &Population, fields: &Fields) -> BTreeMap<&'static str, Table> {
    let of = |more: &'static More| {
        // There are as many modules as there are.
        let is_fixed = more.module.name == "organizationModules";
        let count = people.more.filter(|_| !is_fixed).unwrap_or_else(|| (more.count)(people));
        let rows = (0..count).map(|index| row(more, people, fields, index)).collect();
        (more.module.name, Table::new(&more.module, people.seed, rows))
    };
    MORE.iter().map(of).collect()
}

/// A further record of a module; none when it is not one of these.
pub(crate) fn generate(name: &str, people: &Population, fields: &Fields, index: u32) -> Option<Row> {
    let more = MORE.iter().find(|more| more.module.name == name)?;
    Some(row(more, people, fields, index))
}

fn row(more: &More, people: &Population, fields: &Fields, index: u32) -> Row {
    let kind = more.module.kind;
    let id = ids::id(people.seed, kind, u64::from(index));
    let created = DATA_START_MS + i64::from(index) * 3_600_000;
    let modified = created + i64::from(index % 7) * 60_000;
    let mut values = (more.values)(&Draw { people, fields, index, kind });
    if more.module.list.contains(&"id") {
        values["id"] = id.to_string().into();
    }
    for (key, at) in [("createdTime", created), ("modifiedTime", modified)] {
        if values.get(key).is_some() {
            values[key] = iso(at).into();
        }
    }
    Row::new(id, created, modified, values)
}
