//! Tests of the module above.

use std::time::Duration;

use super::{HookSecrets, Hooks, PublicUrl, Registry, Verdict, url};

const KEY: [u8; 32] = [7; 32];
const NOW: u64 = 1_700_000_000_000;
const GRACE: Duration = Duration::from_millis(100);

fn secret(secrets: &HookSecrets) -> String {
    secrets.reveal(&KEY, "acme").expect("this key").reveal().to_owned()
}

#[test]
fn a_secret_is_256_bits_shown_again_and_not_stored() {
    let secrets = HookSecrets::generate(&KEY, "acme", NOW);
    let shown = secret(&secrets);
    assert_eq!(shown.len(), 43);
    assert_eq!(shown, secret(&secrets));
    let stored = serde_json::to_string(&secrets).expect("JSON");
    assert!(!stored.contains(&shown), "{stored}");
    assert_eq!(serde_json::from_str::<HookSecrets>(&stored).expect("read back"), secrets);
}

#[test]
fn the_derivation_never_changes() {
    // URLs at the sources depend on it. Computed apart from this code, with Python's hmac module.
    let secrets = HookSecrets::generate(&KEY, "acme", NOW);
    assert_eq!(secret(&secrets), "9mHNaL_hyBPbEAGMh-pbMZZR-GBZ_NTs1WPfRXP1CNU");
}

#[test]
fn another_key_connection_or_generation_has_another_secret() {
    let secrets = HookSecrets::generate(&KEY, "acme", NOW);
    assert!(secrets.reveal(&[8; 32], "acme").is_none());
    assert!(secrets.reveal(&KEY, "other").is_none());
    let later = HookSecrets::generate(&KEY, "acme", NOW + 1);
    assert_ne!(secret(&secrets), secret(&later), "a state made again brings the secret back");
}

#[test]
fn a_rotated_secret_works_until_its_grace_ends() {
    let mut secrets = HookSecrets::generate(&KEY, "acme", NOW);
    let first = secret(&secrets);
    assert!(secrets.matches(&first, NOW));
    assert!(!secrets.matches("", NOW));
    secrets.rotate(&KEY, "acme", NOW, GRACE);
    let second = secret(&secrets);
    assert_ne!(first, second);
    assert!(secrets.matches(&first, NOW + 99) && secrets.matches(&second, NOW + 99));
    assert_eq!(secrets.grace_until(NOW + 99), Some(NOW + 100));
    assert!(!secrets.matches(&first, NOW + 100), "the grace period does not end");
    assert!(secrets.matches(&second, NOW + 100));
    assert_eq!(secrets.grace_until(NOW + 100), None);

    secrets.rotate(&KEY, "acme", NOW, GRACE);
    assert_ne!(secret(&secrets), second, "rotated within a millisecond to the same");
    assert!(!secrets.matches(&first, NOW), "rotated twice and the first is back");
    assert!(secrets.matches(&second, NOW));
}

#[test]
fn without_grace_a_rotated_secret_stops_at_once() {
    let mut secrets = HookSecrets::generate(&KEY, "acme", NOW);
    let first = secret(&secrets);
    secrets.rotate(&KEY, "acme", NOW, Duration::ZERO);
    assert!(!secrets.matches(&first, NOW));
}

#[test]
fn the_registry_tells_valid_removed_and_unknown_apart() {
    let secrets = HookSecrets::generate(&KEY, "acme", NOW);
    let shown = secret(&secrets);
    let registry = Registry::default();
    assert_eq!(registry.judge("acme", &shown, NOW), Verdict::Unknown);
    registry.set("acme", secrets.clone());
    assert_eq!(registry.judge("acme", &shown, NOW), Verdict::Valid);
    assert_eq!(registry.judge("acme", "wrong", NOW), Verdict::Unknown);
    assert_eq!(registry.judge("other", &shown, NOW), Verdict::Unknown);
    registry.remove("acme");
    assert_eq!(registry.judge("acme", &shown, NOW), Verdict::Removed);
    assert_eq!(registry.judge("acme", "wrong", NOW), Verdict::Unknown);
    registry.set("acme", secrets);
    assert_eq!(registry.judge("acme", &shown, NOW), Verdict::Valid, "a connection that came back");
    registry.forget("acme");
    assert_eq!(registry.judge("acme", &shown, NOW), Verdict::Unknown);
    registry.set_removed("acme", HookSecrets::generate(&KEY, "acme", NOW));
    assert_eq!(registry.judge("acme", &shown, NOW), Verdict::Removed, "removed before this process began");
    registry.set("acme", HookSecrets::generate(&KEY, "acme", NOW));
    registry.clone().replace(Hooks::default());
    assert_eq!(registry.judge("acme", &shown, NOW), Verdict::Unknown, "clones share");
}

#[test]
fn a_url_has_public_name_connection_and_secret_and_none_prints_by_accident() {
    let secrets = HookSecrets::generate(&KEY, "acme", NOW);
    let shown = secrets.reveal(&KEY, "acme").expect("this key");
    let public = PublicUrl::parse("https://a.example/desk/").expect("a URL");
    assert_eq!(url(&public, "acme", &shown), format!("https://a.example/desk/hooks/acme/{}", shown.reveal()));
    assert!(!format!("{shown:?} {secrets:?}").contains(shown.reveal()));
}
