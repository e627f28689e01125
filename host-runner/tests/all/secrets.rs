//! Secrets are planted and everything that is written is searched for them.

use crate::support::{Place, SECRET, run};

/// The code handed to `authorize`; the session then holds `token-for-<code>`.
const CODE: &str = "planted-code-51c9";

#[test]
fn no_secret_is_ever_printed_or_stored_in_the_clear() {
    let place = Place::new("rows = 5\nbehavior = \"leak-secrets\"");
    let commands: [&[&str]; 9] = [
        &["authorize", "--code", CODE],
        &["authorize", "--code", &format!("expired-{CODE}")],
        &["check"],
        &["discover"],
        &["sync"],
        &["inspect"],
        &["spec"],
        &["state", "show"],
        &["invoke", "echo", &format!("{{\"a\":\"{SECRET} token-for-{CODE}\"}}")],
    ];
    let mut masked = 0;
    for command in commands {
        for form in [&["-vvv"][..], &["-vvv", "--json", "--log-format", "json"]] {
            let ran = run(&mut place.command(&[command, form].concat()));
            let all = format!("{}{}", ran.stdout, ran.stderr);
            for secret in [SECRET, CODE] {
                assert!(!all.contains(secret), "{command:?} printed {secret}: {ran:#?}");
            }
            masked += all.matches("[secret]").count();
        }
    }
    assert!(masked >= 6, "the test did not make anything try to print a secret");
    for (path, bytes) in place.files() {
        let text = String::from_utf8_lossy(&bytes);
        for secret in [SECRET, CODE] {
            assert!(!text.contains(secret), "{} holds {secret}", path.display());
        }
    }
}

#[test]
fn a_secret_can_come_from_a_file() {
    let place = Place::new("");
    let text = std::fs::read_to_string(place.path("tiny.toml")).expect("read");
    let text = text.replace("secret = \"${TINY_SECRET}\"", "secret_file = \"secret.txt\"");
    std::fs::write(place.path("tiny.toml"), text + "behavior = \"leak-secrets\"\n").expect("written");
    std::fs::write(place.path("secret.txt"), format!("{SECRET}\n")).expect("written");
    let ran = place.expect(&["sync"], 9);
    assert!(ran.stderr.contains("secret [secret] session none"), "{ran:#?}");
}

#[test]
fn a_renewed_session_is_stored_after_the_call() {
    let place = Place::new("rows = 100\nrenew = true");
    place.expect(&["sync"], 0);
    let ran = place.run(&["state", "show", "--json"]);
    assert!(ran.stdout.contains("\"authorized\":true"), "{ran:#?}");
}
