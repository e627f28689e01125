//! The keys of a ticket, and the sets of them that list, detail, search and webhooks show. The sets differ
//! (reference, §4.1).

macro_rules! fields {
    ($($name:ident = $text:literal,)*) => {
        /// A key of a ticket.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum TicketField {
            $($name,)*
            /// `source` as the detail shows it, with `uuid`.
            SourceWithUuid,
        }

        impl TicketField {
            /// The key in quotation marks, with its colon.
            pub(crate) fn key(self) -> &'static [u8] {
                match self {
                    $(TicketField::$name => concat!("\"", $text, "\":").as_bytes(),)*
                    TicketField::SourceWithUuid => b"\"source\":",
                }
            }

            /// The key.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(TicketField::$name => $text,)*
                    TicketField::SourceWithUuid => "source",
                }
            }

            /// The field with this name.
            pub(crate) fn of(name: &str) -> Option<TicketField> {
                match name { $($text => Some(TicketField::$name),)* _ => None }
            }
        }
    };
}

fields! {
    Id = "id",
    TicketNumber = "ticketNumber",
    LayoutId = "layoutId",
    Email = "email",
    Phone = "phone",
    Subject = "subject",
    Status = "status",
    StatusType = "statusType",
    CreatedTime = "createdTime",
    Category = "category",
    Language = "language",
    SubCategory = "subCategory",
    Priority = "priority",
    Channel = "channel",
    DueDate = "dueDate",
    ResponseDueDate = "responseDueDate",
    CommentCount = "commentCount",
    Sentiment = "sentiment",
    ThreadCount = "threadCount",
    ClosedTime = "closedTime",
    OnholdTime = "onholdTime",
    AccountId = "accountId",
    DepartmentId = "departmentId",
    ContactId = "contactId",
    ProductId = "productId",
    AssigneeId = "assigneeId",
    TeamId = "teamId",
    RelationshipType = "relationshipType",
    LastThread = "lastThread",
    CustomerResponseTime = "customerResponseTime",
    IsArchived = "isArchived",
    Source = "source",
    ChannelCode = "channelCode",
    IsSpam = "isSpam",
    WebUrl = "webUrl",
    ModifiedTime = "modifiedTime",
    Description = "description",
    Resolution = "resolution",
    Classification = "classification",
    IsOverDue = "isOverDue",
    IsResponseOverdue = "isResponseOverdue",
    IsTrashed = "isTrashed",
    IsDeleted = "isDeleted",
    IsEscalated = "isEscalated",
    IsFollowing = "isFollowing",
    ApprovalCount = "approvalCount",
    TaskCount = "taskCount",
    TimeEntryCount = "timeEntryCount",
    FollowerCount = "followerCount",
    TagCount = "tagCount",
    AttachmentCount = "attachmentCount",
    SecondaryContacts = "secondaryContacts",
    SharedDepartments = "sharedDepartments",
    EntitySkills = "entitySkills",
    ChannelRelatedInfo = "channelRelatedInfo",
    ModifiedBy = "modifiedBy",
    CreatedBy = "createdBy",
    SlaId = "slaId",
    LayoutDetails = "layoutDetails",
    Cf = "cf",
    CustomFields = "customFields",
    ChildTicketCount = "childTicketCount",
    Contact = "contact",
    Assignee = "assignee",
    Department = "department",
    Product = "product",
    Team = "team",
    IsRead = "isRead",
    Contract = "contract",
    Skills = "skills",
}

use TicketField as F;

/// The keys of lists, details and searches.
const COMMON: &[F] = &[
    F::Id,
    F::TicketNumber,
    F::LayoutId,
    F::Email,
    F::Phone,
    F::Subject,
    F::Status,
    F::StatusType,
    F::CreatedTime,
    F::Category,
    F::Language,
    F::SubCategory,
    F::Priority,
    F::Channel,
    F::DueDate,
    F::ResponseDueDate,
    F::CommentCount,
    F::Sentiment,
    F::ThreadCount,
    F::ClosedTime,
    F::OnholdTime,
    F::AccountId,
    F::DepartmentId,
    F::ContactId,
    F::ProductId,
    F::AssigneeId,
    F::TeamId,
    F::CustomerResponseTime,
    F::IsArchived,
    F::ChannelCode,
    F::IsSpam,
    F::WebUrl,
];

/// The further keys of details and searches.
const DETAIL_AND_SEARCH: &[F] = &[
    F::SourceWithUuid,
    F::ModifiedTime,
    F::Description,
    F::Resolution,
    F::Classification,
    F::IsOverDue,
    F::IsResponseOverdue,
    F::IsEscalated,
    F::IsFollowing,
    F::ApprovalCount,
    F::TaskCount,
    F::TimeEntryCount,
    F::FollowerCount,
    F::TagCount,
    F::AttachmentCount,
    F::SecondaryContacts,
    F::SharedDepartments,
    F::EntitySkills,
    F::ChannelRelatedInfo,
    F::ModifiedBy,
    F::CreatedBy,
    F::SlaId,
    F::LayoutDetails,
    F::Cf,
    F::CustomFields,
];

/// The keys that the `include` values of the list add.
pub(crate) const INCLUDED: &[F] = &[F::Contact, F::Product, F::Department, F::Team, F::IsRead, F::Assignee];

/// The keys that the `include` values of the detail add, those of the list first.
pub(crate) const INCLUDABLE: &[F] =
    &[F::Contact, F::Product, F::Department, F::Team, F::IsRead, F::Assignee, F::Contract, F::Skills];

/// The keys of a list row: 35, without `modifiedTime`, `description` and `cf`.
pub(crate) fn list() -> Vec<F> {
    [COMMON, &[F::RelationshipType, F::LastThread, F::Source]].concat()
}

/// The keys of a detail, without `lastThread` and `relationshipType`.
pub(crate) fn detail() -> Vec<F> {
    [COMMON, DETAIL_AND_SEARCH, &[F::IsDeleted, F::IsTrashed]].concat()
}

/// The keys of a search row, without `isDeleted` and `isTrashed`.
pub(crate) fn search() -> Vec<F> {
    [COMMON, DETAIL_AND_SEARCH, INCLUDED, &[F::ChildTicketCount, F::LastThread]].concat()
}

/// The keys of a list row with every `include`.
pub(crate) fn list_with_included() -> Vec<F> {
    [&list()[..], INCLUDED].concat()
}

/// The keys that a connector holds that reads lists with every `include`, and details.
pub(crate) fn truth_of_detail() -> Vec<F> {
    [&detail()[..], INCLUDED, &[F::LastThread, F::RelationshipType]].concat()
}

/// The keys of a webhook payload.
pub(crate) fn payload() -> Vec<F> {
    [&detail()[..], &[F::Contact, F::Assignee, F::Department]].concat()
}

/// The key that a value of `include` adds.
pub(crate) fn included(value: &str) -> Option<F> {
    Some(match value {
        "contacts" => F::Contact,
        "products" => F::Product,
        "departments" => F::Department,
        "team" => F::Team,
        "isRead" => F::IsRead,
        "assignee" => F::Assignee,
        "contract" => F::Contract,
        "skills" => F::Skills,
        _ => return None,
    })
}

/// Whether `fields=` accepts a key (§8, gotcha 9).
pub(crate) fn is_selectable(field: F) -> bool {
    !matches!(
        field,
        F::IsArchived
            | F::Contact
            | F::Assignee
            | F::Department
            | F::Product
            | F::Team
            | F::Contract
            | F::Skills
            | F::CustomFields
            | F::LastThread
    )
}

#[cfg(test)]
mod tests {
    use super::{F, detail, list, search};

    #[test]
    fn list_detail_and_search_have_the_recorded_keys() {
        assert_eq!(list().len(), 35);
        assert!(!list().contains(&F::ModifiedTime) && !list().contains(&F::Cf));
        assert!(!detail().contains(&F::LastThread) && !detail().contains(&F::RelationshipType));
        assert!(detail().contains(&F::IsTrashed) && !search().contains(&F::IsTrashed));
    }
}
