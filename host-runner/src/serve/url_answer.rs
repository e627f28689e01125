//! Decides what the URL of a connection answers that does not run. Pure.
//!
//! A wrong 410 is the worst error: a source that gets it deletes its webhook. So a connection counts as
//! removed only when its file is known and was deleted. While a file exists that may declare the connection,
//! its URL accepts deliveries.

use std::path::{Path, PathBuf};

use crate::state::StoredWebhookUrl;

/// What the URL of a connection answers that does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UrlAnswer {
    /// 200: deliveries are journaled until the connection's file is valid again.
    Accept,
    /// 410: the connection was removed.
    Gone,
}

/// A file that exists and under which nothing runs; absolute.
#[derive(Clone, Debug)]
pub(super) struct UnservedFile {
    pub(super) file: PathBuf,
    /// The connection's name in it, as far as it can be read.
    pub(super) name: Option<String>,
}

/// The answer for a connection that does not run; none if this server does not know it. `folder` is that of
/// the connection files, absolute.
pub(super) fn answer(
    stored: &StoredWebhookUrl,
    unserved: &[UnservedFile],
    folder: Option<&Path>,
) -> Option<UrlAnswer> {
    let may_declare = |one: &UnservedFile| match &one.name {
        Some(name) => *name == stored.name,
        None => stored.file.as_ref() == Some(&one.file),
    };
    if unserved.iter().any(may_declare) {
        return Some(UrlAnswer::Accept);
    }
    if stored.is_removed {
        return Some(UrlAnswer::Gone);
    }
    // A file can be renamed: one whose name cannot be read may declare any connection.
    let has_nameless = unserved.iter().any(|one| one.name.is_none());
    match &stored.file {
        None => has_nameless.then_some(UrlAnswer::Accept),
        Some(file) if folder.is_none() || file.parent() != folder => None,
        Some(_) if has_nameless => Some(UrlAnswer::Accept),
        // Deleted, or it declares another connection now.
        Some(_) => Some(UrlAnswer::Gone),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{UnservedFile, UrlAnswer, answer};
    use crate::state::StoredWebhookUrl;
    use crate::webhook_url::UrlSecrets;

    const FOLDER: &str = "/etc/connections";

    fn acme(file: Option<&str>, is_removed: bool) -> StoredWebhookUrl {
        let secrets = UrlSecrets::generate(&[7; 32], "acme", 1);
        StoredWebhookUrl { name: "acme".to_owned(), secrets, file: file.map(PathBuf::from), is_removed }
    }

    fn unserved(file: &str, name: Option<&str>) -> UnservedFile {
        UnservedFile { file: PathBuf::from(file), name: name.map(str::to_owned) }
    }

    #[test]
    fn a_connection_is_removed_when_its_file_was_deleted_from_the_folder() {
        let in_folder = |stored: &StoredWebhookUrl| answer(stored, &[], Some(Path::new(FOLDER)));
        let own = Some("/etc/connections/acme.toml");
        assert_eq!(in_folder(&acme(own, false)), Some(UrlAnswer::Gone));
        assert_eq!(in_folder(&acme(Some("/elsewhere/acme.toml"), false)), None, "of another server");
        assert_eq!(in_folder(&acme(None, false)), None, "never served");
        assert_eq!(answer(&acme(own, false), &[], None), None, "without a folder nothing is inferred");
        assert_eq!(answer(&acme(own, true), &[], None), Some(UrlAnswer::Gone), "a stored removal stays");
    }

    #[test]
    fn while_a_file_may_declare_a_connection_its_url_accepts_deliveries() {
        let own = "/etc/connections/acme.toml";
        let other = "/etc/connections/new.toml";
        let with =
            |stored: &StoredWebhookUrl, one: UnservedFile| answer(stored, &[one], Some(Path::new(FOLDER)));
        let stored = acme(Some(own), false);
        assert_eq!(with(&stored, unserved(own, None)), Some(UrlAnswer::Accept));
        assert_eq!(with(&stored, unserved(own, Some("acme"))), Some(UrlAnswer::Accept));
        assert_eq!(with(&stored, unserved(other, Some("acme"))), Some(UrlAnswer::Accept));
        assert_eq!(with(&stored, unserved(other, None)), Some(UrlAnswer::Accept));
        assert_eq!(
            with(&stored, unserved(own, Some("other"))),
            Some(UrlAnswer::Gone),
            "its file declares another connection"
        );
        assert_eq!(with(&stored, unserved(other, Some("other"))), Some(UrlAnswer::Gone));
        let removed = acme(Some(own), true);
        assert_eq!(with(&removed, unserved(own, Some("acme"))), Some(UrlAnswer::Accept), "added again");
        assert_eq!(with(&removed, unserved(other, None)), Some(UrlAnswer::Gone));
        assert_eq!(with(&acme(None, false), unserved(other, None)), Some(UrlAnswer::Accept));
    }
}
