//! The event types, and the filters that each accepts (reference, §6.3).

/// The values that `subscriptions` accepts for an event besides null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filters {
    /// None.
    Null,
    /// An object with any of these keys.
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

/// The filters of an event type; none when it does not exist.
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

/// The module of an event type. Order is kept within a module.
pub(crate) fn module(event: &str) -> &str {
    event.split('_').next().unwrap_or(event)
}

#[cfg(test)]
mod tests {
    use super::{Filters, filters};

    #[test]
    fn products_contracts_teams_and_deleted_departments_have_no_events() {
        for event in ["Product_Add", "Contract_Update", "Department_Delete", "Team_Add", "Ticket"] {
            assert_eq!(filters(event), None, "{event}");
        }
    }

    #[test]
    fn an_event_accepts_the_filters_of_its_module_and_kind() {
        let update = Filters::Keys(&["departmentIds", "departmentId", "fields", "includePrevState"]);
        assert_eq!(filters("Ticket_Update"), Some(update));
        assert_eq!(filters("Ticket_Delete"), Some(Filters::Null));
        assert_eq!(filters("Contact_Update"), Some(Filters::Keys(&["includePrevState"])));
        assert_eq!(filters("KBSection_Delete"), Some(Filters::Null));
        assert_eq!(filters("Task_Add"), Some(Filters::Keys(&["departmentIds", "departmentId"])));
    }
}
