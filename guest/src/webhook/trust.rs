//! How far a delivery is proved.

/// See the file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is not signed.
    Unsigned,
    /// Signed by Zoho for this organization: for which webhook, or for which body, is not certain.
    Organization,
    /// Signed by Zoho for this webhook, by a token that came with no other body before.
    Webhook,
}
