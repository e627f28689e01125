//! What the URL of a connection answers that is not at work. Decides, does nothing.
//!
//! Wrong here would be the worst: a source that is told 410 forgets the webhook. So a connection counts as removed
//! only when its file is known and gone, and while a file is there in which it may be, what arrives is kept.

use std::path::{Path, PathBuf};

use crate::state::StoredWebhookUrl;

/// What becomes of deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are kept until the connection's file can be used again.
    Held,
    /// The source is told that nobody is there any more.
    Removed,
}

/// A file that is there and cannot be used; absolute.
#[derive(Clone, Debug)]
pub(super) struct Unusable {
    pub(super) file: PathBuf,
    /// The name in it, as far as it can be read.
    pub(super) name: Option<String>,
}

/// The fate of a connection that is not at work; none if nothing is known of it here. `folder` is that of the
/// connection files, absolute.
pub(super) fn fate(kept: &StoredWebhookUrl, unusable: &[Unusable], folder: Option<&Path>) -> Option<Fate> {
    let may_be_it = |one: &Unusable| match &one.name {
        Some(name) => *name == kept.name,
        None => kept.file.as_ref() == Some(&one.file),
    };
    if unusable.iter().any(may_be_it) {
        return Some(Fate::Held);
    }
    if kept.is_removed {
        return Some(Fate::Removed);
    }
    // Files can be renamed: one without a name may be anybody's.
    let has_nameless = unusable.iter().any(|one| one.name.is_none());
    match &kept.file {
        None => has_nameless.then_some(Fate::Held),
        Some(file) if folder.is_none() || file.parent() != folder => None,
        Some(_) if has_nameless => Some(Fate::Held),
        // Gone, or another connection is in it now.
        Some(_) => Some(Fate::Removed),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Fate, Unusable, fate};
    use crate::hooks::HookSecrets;
    use crate::state::StoredWebhookUrl;

    const FOLDER: &str = "/etc/connections";

    fn acme(file: Option<&str>, is_removed: bool) -> StoredWebhookUrl {
        let secrets = HookSecrets::generate(&[7; 32], "acme", 1);
        StoredWebhookUrl { name: "acme".to_owned(), secrets, file: file.map(PathBuf::from), is_removed }
    }

    fn unusable(file: &str, name: Option<&str>) -> Unusable {
        Unusable { file: PathBuf::from(file), name: name.map(str::to_owned) }
    }

    #[test]
    fn a_connection_is_removed_when_its_file_has_left_the_folder() {
        let in_folder = |kept: &StoredWebhookUrl| fate(kept, &[], Some(Path::new(FOLDER)));
        let mine = Some("/etc/connections/acme.toml");
        assert_eq!(in_folder(&acme(mine, false)), Some(Fate::Removed));
        assert_eq!(in_folder(&acme(Some("/elsewhere/acme.toml"), false)), None, "another server's");
        assert_eq!(in_folder(&acme(None, false)), None, "it never was served");
        assert_eq!(fate(&acme(mine, false), &[], None), None, "without a folder nothing is inferred");
        assert_eq!(fate(&acme(mine, true), &[], None), Some(Fate::Removed), "but what is known stays known");
    }

    #[test]
    fn while_a_file_is_there_in_which_it_may_be_its_deliveries_are_kept() {
        let mine = "/etc/connections/acme.toml";
        let with = |kept: &StoredWebhookUrl, one: Unusable| fate(kept, &[one], Some(Path::new(FOLDER)));
        let kept = acme(Some(mine), false);
        assert_eq!(with(&kept, unusable(mine, None)), Some(Fate::Held));
        assert_eq!(with(&kept, unusable(mine, Some("acme"))), Some(Fate::Held));
        assert_eq!(with(&kept, unusable("/etc/connections/new.toml", Some("acme"))), Some(Fate::Held));
        assert_eq!(with(&kept, unusable("/etc/connections/new.toml", None)), Some(Fate::Held));
        assert_eq!(
            with(&kept, unusable(mine, Some("other"))),
            Some(Fate::Removed),
            "another one took its file"
        );
        assert_eq!(with(&kept, unusable("/etc/connections/new.toml", Some("other"))), Some(Fate::Removed));
        let back = acme(Some(mine), true);
        assert_eq!(with(&back, unusable(mine, Some("acme"))), Some(Fate::Held), "it comes back");
        assert_eq!(with(&back, unusable("/etc/connections/new.toml", None)), Some(Fate::Removed));
        assert_eq!(with(&acme(None, false), unusable("/etc/connections/new.toml", None)), Some(Fate::Held));
    }
}
