//! The documented members of objects that rows embed (`zoho-desk-api.md` §4): columns in the flat shape.
//! Objects that one table alone has are in its file.

use crate::table::Type::{Boolean, Id, Integer, Text};
use crate::table::{Column, column, object};

/// An agent or another user of the portal.
pub(crate) const AGENT: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("firstName", Text),
    column("lastName", Text),
    column("email", Text),
    column("emailId", Text),
    column("photoURL", Text),
    column("zuid", Text),
    column("roleName", Text),
    column("status", Text),
    column("type", Text),
];

/// The person that wrote a thread or a comment, acted on a ticket, or approves something.
pub(crate) const PERSON: &[Column] = &[
    column("id", Id),
    column("name", Text),
    column("firstName", Text),
    column("lastName", Text),
    column("email", Text),
    column("photoURL", Text),
    column("roleName", Text),
    column("type", Text),
];

pub(crate) const ACCOUNT: &[Column] =
    &[column("id", Id), column("accountName", Text), column("website", Text)];

pub(crate) const CONTACT: &[Column] = &[
    column("id", Id),
    column("firstName", Text),
    column("lastName", Text),
    column("email", Text),
    column("phone", Text),
    column("mobile", Text),
    column("type", Text),
    object("account", ACCOUNT),
];

pub(crate) const NAMED: &[Column] = &[column("id", Id), column("name", Text)];

pub(crate) const PRODUCT: &[Column] = &[column("id", Id), column("productName", Text)];

pub(crate) const TEAM: &[Column] = &[column("id", Id), column("name", Text), column("logoUrl", Text)];

pub(crate) const LAYOUT: &[Column] = &[column("id", Id), column("layoutName", Text)];

/// A record of Zoho CRM.
pub(crate) const CRM: &[Column] = &[column("id", Id), column("type", Text)];

pub(crate) const HAPPINESS: &[Column] =
    &[column("badPercentage", Integer), column("okPercentage", Integer), column("goodPercentage", Integer)];

/// Where a ticket, a thread or a comment came from.
pub(crate) const SOURCE: &[Column] = &[
    column("type", Text),
    column("extId", Text),
    column("uuid", Text),
    column("appName", Text),
    column("appPhotoURL", Text),
    column("permalink", Text),
];

pub(crate) const LAST_THREAD: &[Column] = &[
    column("channel", Text),
    column("direction", Text),
    column("isDraft", Boolean),
    column("isForward", Boolean),
];
