//! The events there are, and the filters each takes (reference, §6.3).

/// What may stand under an event in `subscriptions`, beside null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filters {
    /// Nothing: the value must be null.
    Null,
    /// An object with some of these keys.
    Keys(&'static [&'static str]),
}

const DEPARTMENTS: Filters = Filters::Keys(&["departmentIds", "departmentId"]);
const PREVIOUS: Filters = Filters::Keys(&["includePrevState"]);
const DEPARTMENTS_AND_PREVIOUS: Filters =
    Filters::Keys(&["departmentIds", "departmentId", "includePrevState"]);

/// Modules with `_Add`, `_Update{includePrevState}` and `_Delete`.
const PLAIN: &[&str] = &[
    "Contact",
    "Account",
    "Agent",
    "Article",
    "Article_Translation",
    "KBRootCategory",
    "KBSection",
    "TimeEntry",
];
/// Modules with `_Add{departmentIds}`, `_Update{departmentIds, includePrevState}` and `_Delete`.
const BY_DEPARTMENT: &[&str] = &["Task", "Call", "Event"];

/// The filters of an event; none when there is no such event.
pub(crate) fn filters(event: &str) -> Option<Filters> {
    let own = match event {
        "Ticket_Add" | "Ticket_Comment_Add" | "Ticket_Comment_Update" => DEPARTMENTS,
        "Ticket_Attachment_Delete" | "Ticket_Attachment_Trashed" | "Ticket_Attachment_Restored" => {
            DEPARTMENTS
        }
        "Ticket_Update" => Filters::Keys(&["departmentIds", "departmentId", "fields", "includePrevState"]),
        "Ticket_Thread_Add" => Filters::Keys(&["departmentIds", "departmentId", "direction"]),
        "Ticket_Attachment_Add" | "Ticket_Attachment_Update" => Filters::Keys(&[]),
        "Ticket_Delete" | "Ticket_Comment_Attachment_Add" | "Ticket_Comment_Attachment_Delete" => {
            Filters::Null
        }
        "Ticket_Approval_Add" | "Department_Add" => Filters::Null,
        "Ticket_Approval_Update" | "Department_Update" => PREVIOUS,
        "Agent_Presence_Update" | "Agent_Channel_Preference_Update" | "Article_Feedback_Add" => Filters::Null,
        "IM_Message_Add" | "IM_Message_Status" | "IM_Session_Status" => DEPARTMENTS,
        _ => return general(event),
    };
    Some(own)
}

fn general(event: &str) -> Option<Filters> {
    let (module, what) = event.rsplit_once('_')?;
    match (PLAIN.contains(&module), BY_DEPARTMENT.contains(&module), what) {
        (true, _, "Add" | "Delete") | (_, true, "Delete") => Some(Filters::Null),
        (true, _, "Update") => Some(PREVIOUS),
        (_, true, "Add") => Some(DEPARTMENTS),
        (_, true, "Update") => Some(DEPARTMENTS_AND_PREVIOUS),
        _ => None,
    }
}

/// The module of an event, within which order is kept.
pub(crate) fn word(event: &str) -> &str {
    event.split('_').next().unwrap_or(event)
}

#[cfg(test)]
mod tests {
    use super::{Filters, filters};

    #[test]
    fn there_are_no_events_of_products_contracts_and_deleted_departments() {
        for event in ["Product_Add", "Contract_Update", "Department_Delete", "Team_Add", "Ticket"] {
            assert_eq!(filters(event), None, "{event}");
        }
        assert_eq!(filters("Ticket_Delete"), Some(Filters::Null));
        assert!(filters("Contact_Update").is_some() && filters("KBSection_Delete").is_some());
    }
}
