//! The standard fields of each module, and the custom fields that every module starts with.
//!
//! As in the API, types differ in their capitals, and `status` has a wrong type (reference, §4.8).

/// Module, API name, label, type, mandatory, picklist values.
type Standard = (&'static str, &'static str, &'static str, &'static str, bool, &'static [&'static str]);
/// API name, label, type, picklist values.
type Custom = (&'static str, &'static str, &'static str, &'static [&'static str]);

const PRIORITIES: &[&str] = &["Low", "Medium", "High", "Urgent"];
const NONE: &[&str] = &[];

pub(crate) const STANDARD: &[Standard] = &[
    ("tickets", "departmentId", "Department", "LookUp", true, NONE),
    ("tickets", "contactId", "Contact Name", "LookUp", true, NONE),
    ("tickets", "accountId", "Account Name", "LookUp", false, NONE),
    ("tickets", "email", "Email", "Email", false, NONE),
    ("tickets", "phone", "Phone", "Phone", false, NONE),
    ("tickets", "subject", "Subject", "Text", true, NONE),
    ("tickets", "description", "Description", "Textarea", false, NONE),
    ("tickets", "status", "Status", "Text", true, NONE),
    ("tickets", "productId", "Product Name", "LookUp", false, NONE),
    ("tickets", "assigneeId", "Ticket Owner", "LookUp", false, NONE),
    ("tickets", "dueDate", "Due Date", "DateTime", false, NONE),
    ("tickets", "priority", "Priority", "Picklist", false, PRIORITIES),
    ("tickets", "channel", "Channel", "Picklist", false, &["Email", "Web", "Phone", "Chat", "Facebook"]),
    ("tickets", "category", "Category", "Picklist", false, &["Delivery", "Defect", "Billing"]),
    (
        "tickets",
        "classification",
        "Classifications",
        "Picklist",
        false,
        &["Question", "Problem", "Feature", "Others"],
    ),
    (
        "tickets",
        "language",
        "Language",
        "Picklist",
        false,
        &["English", "German", "Arabic", "Hebrew", "Japanese"],
    ),
    ("tickets", "resolution", "Resolution", "Textarea", false, NONE),
    ("contacts", "firstName", "First Name", "Text", false, NONE),
    ("contacts", "lastName", "Last Name", "Text", true, NONE),
    ("contacts", "email", "Email", "Email", false, NONE),
    ("contacts", "phone", "Phone", "Phone", false, NONE),
    ("contacts", "mobile", "Mobile", "Phone", false, NONE),
    ("contacts", "accountId", "Account Name", "LookUp", false, NONE),
    ("contacts", "type", "Type", "Picklist", false, &["customer", "paidUser"]),
    ("contacts", "zip", "Zip", "Text", false, NONE),
    ("contacts", "description", "Description", "textarea", false, NONE),
    ("accounts", "accountName", "Account Name", "Text", true, NONE),
    ("accounts", "website", "Website", "URL", false, NONE),
    ("accounts", "phone", "Phone", "Phone", false, NONE),
    ("accounts", "code", "Code", "Text", false, NONE),
    ("accounts", "industry", "Industry", "picklist", false, &["Retail", "Healthcare", "Logistics"]),
    ("accounts", "annualrevenue", "Annual Revenue", "Currency", false, NONE),
    ("products", "productName", "Product Name", "Text", true, NONE),
    ("products", "productCode", "Product Code", "Text", false, NONE),
    ("products", "unitPrice", "Unit Price", "Currency", false, NONE),
    (
        "products",
        "productCategory",
        "Product Category",
        "Picklist",
        false,
        &["Hardware", "Software", "Service"],
    ),
    ("products", "description", "Description", "Textarea", false, NONE),
    ("contracts", "contractName", "Contract Name", "Text", true, NONE),
    ("contracts", "accountId", "Account Name", "Lookup", true, NONE),
    ("contracts", "startDate", "Start Date", "Date", true, NONE),
    ("contracts", "endDate", "End Date", "Date", true, NONE),
    ("contracts", "notifyBefore", "Notify Before", "Number", false, NONE),
    ("tasks", "subject", "Subject", "Text", true, NONE),
    ("tasks", "dueDate", "Due Date", "DateTime", false, NONE),
    ("tasks", "priority", "Priority", "Picklist", false, PRIORITIES),
    ("calls", "subject", "Subject", "Text", true, NONE),
    ("calls", "duration", "Duration", "Number", false, NONE),
    ("events", "subject", "Title", "Text", true, NONE),
    ("events", "startTime", "Start Time", "DateTime", true, NONE),
    ("timeEntry", "executedTime", "Executed Time", "DateTime", true, NONE),
    ("timeEntry", "hoursSpent", "Hours", "Number", false, NONE),
];

/// One field of every type (§4.8). The labels are not identifiers.
pub(crate) const CUSTOM: &[Custom] = &[
    ("cf_order_number", "Order Number", "Text", NONE),
    ("cf_internal_note", "Internal \"Note\"", "Textarea", NONE),
    ("cf_quantity", "Quantity", "Number", NONE),
    ("cf_discount", "Discount %", "Percent", NONE),
    ("cf_weight_kg", "Weight (kg)", "Decimal", NONE),
    ("cf_refund_amount", "Refund Amount €", "Currency", NONE),
    ("cf_purchase_date", "Purchase Date", "Date", NONE),
    ("cf_follow_up_at", "Follow-up At", "DateTime", NONE),
    ("cf_backup_email", "Backup Email", "Email", NONE),
    ("cf_call_back", "Call Back", "Phone", NONE),
    ("cf_severity", "Severity", "Picklist", &["S1", "S2 – high", "S3", "S4 😴"]),
    ("cf_regions", "Regions", "Multiselect", &["EMEA", "APAC", "Américas", "الشرق الأوسط"]),
    ("cf_reference_url", "Reference URL", "URL", NONE),
    ("cf_is_vip", "VIP?", "Boolean", NONE),
    ("cf_related_contact", "Related Contact", "LookUp", NONE),
];
