//! Tests of `webhook_url`.

use std::time::Duration;

use super::{Access, PublicUrl, UrlRegistry, UrlSecrets, WebhookUrls, url};

const KEY: [u8; 32] = [7; 32];
const NOW: u64 = 1_700_000_000_000;
const GRACE: Duration = Duration::from_millis(100);

fn secret(secrets: &UrlSecrets) -> String {
    secrets.reveal(&KEY, "acme").expect("this key").reveal().to_owned()
}

#[test]
fn a_secret_has_256_bits_can_be_derived_again_and_is_not_stored() {
    let secrets = UrlSecrets::generate(&KEY, "acme", NOW);
    let shown = secret(&secrets);
    assert_eq!(shown.len(), 43);
    assert_eq!(shown, secret(&secrets));
    let stored = serde_json::to_string(&secrets).expect("JSON");
    assert!(!stored.contains(&shown), "{stored}");
    assert_eq!(serde_json::from_str::<UrlSecrets>(&stored).expect("read back"), secrets);
}

#[test]
fn the_derivation_never_changes() {
    // URLs at the sources depend on it. Computed independently, with Python's hmac module.
    let secrets = UrlSecrets::generate(&KEY, "acme", NOW);
    assert_eq!(secret(&secrets), "9mHNaL_hyBPbEAGMh-pbMZZR-GBZ_NTs1WPfRXP1CNU");
}

#[test]
fn another_key_connection_or_generation_has_another_secret() {
    let secrets = UrlSecrets::generate(&KEY, "acme", NOW);
    assert!(secrets.reveal(&[8; 32], "acme").is_none());
    assert!(secrets.reveal(&KEY, "other").is_none());
    let later = UrlSecrets::generate(&KEY, "acme", NOW + 1);
    assert_ne!(secret(&secrets), secret(&later), "a state created again brings the secret back");
}

#[test]
fn a_rotated_secret_works_until_its_grace_ends() {
    let mut secrets = UrlSecrets::generate(&KEY, "acme", NOW);
    let first = secret(&secrets);
    assert!(secrets.matches(&first, NOW));
    assert!(!secrets.matches("", NOW));
    secrets.rotate(&KEY, "acme", NOW, GRACE);
    let second = secret(&secrets);
    assert_ne!(first, second);
    assert!(secrets.matches(&first, NOW + 99) && secrets.matches(&second, NOW + 99));
    assert!(!secrets.matches(&first, NOW + 100), "the grace period does not end");
    assert!(secrets.matches(&second, NOW + 100));

    secrets.rotate(&KEY, "acme", NOW, GRACE);
    assert_ne!(secret(&secrets), second, "two rotations within a millisecond derive the same secret");
    assert!(!secrets.matches(&first, NOW), "a second rotation makes the first secret valid again");
    assert!(secrets.matches(&second, NOW));
    let third = secret(&secrets);
    secrets.rotate(&KEY, "acme", NOW - 50, GRACE);
    assert_ne!(secret(&secrets), third, "a clock that was set back derives the same secret");
    assert!(secrets.matches(&third, NOW));
}

#[test]
fn without_grace_a_rotated_secret_stops_at_once() {
    let mut secrets = UrlSecrets::generate(&KEY, "acme", NOW);
    let first = secret(&secrets);
    secrets.rotate(&KEY, "acme", NOW, Duration::ZERO);
    assert!(!secrets.matches(&first, NOW));
}

#[test]
fn the_registry_distinguishes_granted_removed_and_unknown() {
    let secrets = UrlSecrets::generate(&KEY, "acme", NOW);
    let shown = secret(&secrets);
    let registry = UrlRegistry::default();
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Unknown);
    registry.set("acme", secrets.clone());
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Granted);
    assert_eq!(registry.authorize("acme", "wrong", NOW), Access::Unknown);
    assert_eq!(registry.authorize("other", &shown, NOW), Access::Unknown);
    registry.remove("acme");
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Removed);
    assert_eq!(registry.authorize("acme", "wrong", NOW), Access::Unknown);
    registry.set("acme", secrets);
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Granted, "a connection that was added again");
    registry.forget("acme");
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Unknown);
    registry.set_removed("acme", UrlSecrets::generate(&KEY, "acme", NOW));
    assert_eq!(
        registry.authorize("acme", &shown, NOW),
        Access::Removed,
        "removed before this process started"
    );
    registry.set("acme", UrlSecrets::generate(&KEY, "acme", NOW));
    registry.clone().replace(WebhookUrls::default());
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Unknown, "clones share");
}

#[test]
fn a_connection_whose_state_cannot_be_read_is_not_unknown_unless_it_is_known() {
    let secrets = UrlSecrets::generate(&KEY, "acme", NOW);
    let shown = secret(&secrets);
    let registry = UrlRegistry::default();
    registry.set_unreadable(["acme".to_owned()].into());
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Unreadable);
    assert_eq!(registry.authorize("other", &shown, NOW), Access::Unknown);
    registry.set("acme", secrets);
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Granted);
    registry.forget("acme");
    registry.set_unreadable([].into());
    assert_eq!(registry.authorize("acme", &shown, NOW), Access::Unknown);
}

#[test]
fn a_url_consists_of_public_url_connection_and_secret() {
    let shown = UrlSecrets::generate(&KEY, "acme", NOW).reveal(&KEY, "acme").expect("this key");
    let public = PublicUrl::parse("https://a.example/desk/").expect("a URL");
    assert_eq!(url(&public, "acme", &shown), format!("https://a.example/desk/hooks/acme/{}", shown.reveal()));
}

#[test]
fn debug_output_holds_no_secret() {
    let secrets = UrlSecrets::generate(&KEY, "acme", NOW);
    let shown = secrets.reveal(&KEY, "acme").expect("this key");
    assert!(!format!("{shown:?} {secrets:?}").contains(shown.reveal()));
}
