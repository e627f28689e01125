//! The ticket statuses of each department. A status name is free text; its type is one of three.

/// One status: its display name and its type.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) name: String,
    /// `Open`, `On Hold` or `Closed`.
    pub(crate) kind: &'static str,
}

/// The statuses of a department: four that all departments share, then the department's own.
pub(crate) fn statuses(department: u32) -> Vec<Status> {
    let own: &[(&str, &str)] = match department % 4 {
        0 => &[("Waiting on Customer", "On Hold"), ("Resolved ✅", "Closed")],
        1 => &[("Refund \"pending\"", "On Hold"), ("In Prüfung", "Open"), ("Duplicate", "Closed")],
        2 => &[("Ersatzteil bestellt", "On Hold")],
        _ => &[("قيد المراجعة", "Open"), ("مغلق نهائياً", "Closed")],
    };
    let shared = [("Open", "Open"), ("On Hold", "On Hold"), ("Escalated", "Open"), ("Closed", "Closed")];
    let all = shared.iter().chain(own);
    all.map(|(name, kind)| Status { name: (*name).to_owned(), kind }).collect()
}

/// Every status of every department with its type, each name once.
pub(crate) fn distinct(statuses: &[Vec<Status>]) -> Vec<(String, String)> {
    let mut distinct: Vec<(String, String)> = Vec::new();
    for status in statuses.iter().flatten() {
        if distinct.iter().all(|(name, _)| *name != status.name) {
            distinct.push((status.name.clone(), status.kind.to_owned()));
        }
    }
    distinct
}
