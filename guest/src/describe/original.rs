//! The columns of each table, and a comparison with the fields that the original connector declares
//! (`tapdata-connector.md` §2): the last sections of `docs/tables.md`, made here and compared. The other
//! sections are the e2e test's.

use super::generated;
use crate::flat;
use crate::table::{Column, Table, Type};
use crate::tables;

/// The first lines of the sections; they end with the page.
const BEGIN: &str = "<!-- generated: columns of zoho-desk -->\n";

/// The fields of a table as the original declares them, by its names.
const DECLARED: &[(&str, &str)] = &[
    (
        "Tickets",
        "id modifiedTime description subCategory statusType subject dueDate departmentId channel \
         onholdTime language source resolution sharedDepartments closedTime approvalCount isOverDue \
         isTrashed createdTime isResponseOverdue customerResponseTime productId contactId threadCount \
         secondaryContacts priority classification commentCount taskCount accountId phone webUrl assignee \
         isSpam status entitySkills ticketNumber sentiment customFields isArchived Textarea \
         timeEntryCount channelRelatedInfo responseDueDate isDeleted modifiedBy department followerCount \
         email layoutDetails channelCode product isFollowing cf slaId team layoutId assigneeId createdBy \
         teamId tagCount attachmentCount isEscalated category contact",
    ),
    (
        "Departments",
        "id nameInCustomerPortal createdTime name isEnabled isDefault associatedAgentIds description \
         creatorId isVisibleInCustomerPortal hasLogo chatStatus isAssignToTeamEnabled",
    ),
    (
        "Products",
        "id departments createdTime createdBy isDeleted productCode productCategory productName ownerId \
         layoutId departmentIds description cf modifiedTime unitPrice",
    ),
    (
        "OrganizationFields",
        "id displayLabel apiName showToHelpCenter isCustomField isEncryptedField maxLength type \
         isMandatory allowedValues toolTipType toolTip",
    ),
    (
        "Contracts",
        "id associatedSLAId modifiedTime product cf productId endDate departmentId notifyBefore \
         contractNumber description sla ownerId notificationAgentIds accountId createdBy notifyOn \
         createdTime contractName modifiedBy startDate account",
    ),
    ("Teams", "id rolesWithSubordinates departmentId roles name description derivedAgents subTeams agents"),
    (
        "Skills",
        "id orderId criteria description skillType agentIds departmentId skillTypeId createdBy name \
         createdTime modifiedBy modifiedTime status",
    ),
    ("TicketComments", "id contentType commenterId content mention commenter isPublic commentedTime"),
    ("TicketAttachments", "id href isPublic createdTime name creatorId size creator"),
];

/// The table that has the rows of one that the original names otherwise, or does not offer.
const TABLES: &[(&str, &str)] = &[
    ("Teams", "teams"),
    ("Skills", "skills"),
    ("TicketComments", "ticket_conversations"),
    ("TicketAttachments", "ticket_attachments"),
];

/// Declared fields that no column has, with the reason.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("Tickets", "Textarea", "no member of a ticket: the name of a type that was declared as a field"),
    ("Products", "departments", "only with `include=departments`; `departmentIds` has their ids"),
    (
        "TicketAttachments",
        "creator",
        "only with `include=creator`; `creatorId` is the `id` of a row of `agents` or `contacts`",
    ),
];

/// The columns of the original's CSV mode, with the column here.
const CSV: &[(&str, &str)] = &[
    ("id", "id"),
    ("ticketNumber", "ticketNumber"),
    ("departmentName", "department__name"),
    ("departmentId", "departmentId"),
    ("contactAccountAccountName", "contact__account__accountName"),
    ("contactAccountId", "contact__account__id"),
    ("contactLastName", "contact__lastName"),
    ("contactId", "contactId"),
    ("email", "email"),
    ("phone", "phone"),
    ("subject", "subject"),
    ("description", "description"),
    ("status", "status"),
    ("productName", "product__productName"),
    ("productId", "productId"),
    ("assigneeName", "assignee__lastName"),
    ("assigneeId", "assigneeId"),
    ("createdBy", "createdBy"),
    ("modifiedBy", "modifiedBy"),
    ("createdTime", "createdTime"),
    ("modifiedTime", "modifiedTime"),
    ("closedTime", "closedTime"),
    ("dueDate", "dueDate"),
    ("priority", "priority"),
    ("channel", "channel"),
    ("isOverDue", "isOverDue"),
    ("isEscalated", "isEscalated"),
    ("classification", "classification"),
    ("resolution", "resolution"),
    ("category", "category"),
    ("subCategory", "subCategory"),
    ("customerResponseTime", "customerResponseTime"),
    ("teamId", "teamId"),
    ("teamName", "team__name"),
    ("language", "language"),
    ("timeEntryCount", "timeEntryCount"),
];

/// Columns of the CSV mode that no ticket has, with the reason.
const CSV_EXPLAINED: &[(&str, &str)] = &[
    ("createdByName", "a ticket has the id alone; the name is in `agents`"),
    ("modifiedByName", "a ticket has the id alone; the name is in `agents`"),
    ("tags", "a ticket has `tagCount` alone; the tags are in `ticket_tags`"),
    ("CustomField_…", "a custom field has its API name, such as `cf_severity`, and its own type"),
];

fn sections() -> String {
    let mut text = String::from(
        "\n## Columns\n\nMembers in braces are columns with `shape = \"flat\"`, named by their path: \
         `contact {account {id}}` is\n`contact__account__id`. Custom fields are columns in both shapes. Each \
         object has a column `__other` for\nmembers that Zoho adds.\n\n\
         | table | columns |\n|---|---|\n",
    );
    for table in tables::ALL {
        let columns: Vec<String> = table.columns.iter().map(shown).collect();
        text.push_str(&format!("| `{}` | {} |\n", table.name, columns.join(", ")));
    }
    text.push_str(
        "\n## Compared with the original connector\n\nThe fields that TapData's connector declares, and \
         the columns here. Types differ where the original's do\nnot hold the values: ids are text here and \
         `Long` there, times are times here and text there, and\nnumbers that Zoho sends as text are \
         numbers.\n\n\
         | its table | here | fields | not a column here |\n|---|---|---|---|\n",
    );
    for (original, fields) in DECLARED {
        let table = table_of(original);
        let missing: Vec<String> = EXPLAINED
            .iter()
            .filter(|(of, ..)| of == original)
            .map(|(_, field, reason)| format!("`{field}`: {reason}"))
            .collect();
        let missing = if missing.is_empty() { "–".to_owned() } else { missing.join("; ") };
        let count = fields.split_whitespace().count();
        text.push_str(&format!("| `{original}` | `{}` | {count} | {missing} |\n", table.name));
    }
    text.push_str(
        "\nOf these the original reads the first five only. Its CSV mode for tickets has these columns, \
         which\n`shape = \"flat\"` names otherwise; the others have the same name in both.\n\n\
         | CSV mode | here |\n|---|---|\n",
    );
    let renamed = CSV.iter().filter(|(csv, column)| csv != column);
    renamed.for_each(|(csv, column)| text.push_str(&format!("| `{csv}` | `{column}` |\n")));
    CSV_EXPLAINED.iter().for_each(|(csv, reason)| text.push_str(&format!("| `{csv}` | {reason} |\n")));
    text
}

/// A column with its documented members.
fn shown(column: &Column) -> String {
    if column.members.is_empty() {
        return column.name.to_owned();
    }
    let members: Vec<String> = column.members.iter().map(shown).collect();
    format!("{} {{{}}}", column.name, members.join(", "))
}

fn table_of(original: &str) -> &'static Table {
    let name = TABLES.iter().find(|(known, _)| *known == original).map_or(original, |(_, name)| name);
    tables::find(name).unwrap_or_else(|| panic!("no table for {original}"))
}

#[test]
fn every_field_that_the_original_declares_is_a_column_or_explained() {
    let mut explained: Vec<(&str, &str)> =
        EXPLAINED.iter().map(|(table, field, _)| (*table, *field)).collect();
    for (original, fields) in DECLARED {
        let table = table_of(original);
        for field in fields.split_whitespace() {
            let is_column = table.columns.iter().any(|column| column.name == field);
            let reason = explained.iter().position(|known| *known == (*original, field));
            assert!(is_column != reason.is_some(), "{original}: {field}: column {is_column}, {reason:?}");
            reason.map(|index| explained.remove(index));
        }
    }
    assert!(explained.is_empty(), "fields that the original does not declare: {explained:?}");
}

#[test]
fn every_column_of_the_originals_csv_mode_is_one_of_the_flat_shape_or_explained() {
    let columns = flat::columns(tables::find("tickets").unwrap());
    for (csv, column) in CSV {
        let found = columns.iter().find(|(name, _)| name == column);
        assert!(found.is_some_and(|(_, kind)| *kind != Type::Object), "{csv}: {column}");
    }
    // Its 39 columns, and custom fields.
    assert_eq!(CSV.len() + CSV_EXPLAINED.len(), 39 + 1);
}

#[test]
fn the_page_of_tables_has_every_column_and_the_comparison() {
    generated::compare("tables.md", BEGIN, None, &sections());
}
