//! Names that docs/GLOSSARY.md replaced and spellings that docs/STYLE.md excludes, in identifiers and in
//! text.
//!
//! Pure. Holds the words of the glossary's last column that cannot mean anything else here; ambiguous ones
//! ("page", "hold", "target") stay with the reviewer.

/// A name as its parts, and the term to use instead.
struct Name {
    parts: &'static [&'static str],
    instead: &'static str,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In identifiers, comments and documents.
    Anywhere,
    /// In identifiers of at most [`PARTS_MAX`] parts: longer ones are the sentences that name tests.
    Identifiers,
}

const PARTS_MAX: usize = 3;

const fn anywhere(parts: &'static [&'static str], instead: &'static str) -> Name {
    Name { parts, instead, place: Place::Anywhere }
}

const fn identifiers(parts: &'static [&'static str], instead: &'static str) -> Name {
    Name { parts, instead, place: Place::Identifiers }
}

const DELETE: &str = "delete (a row), dead letter (a delivery)";

const NAMES: &[Name] = &[
    anywhere(&["agenda"], "schedule"),
    anywhere(&["bookmark"], "cursor"),
    anywhere(&["buried"], DELETE),
    anywhere(&["buries"], DELETE),
    anywhere(&["bury"], DELETE),
    anywhere(&["cage"], "sandbox"),
    anywhere(&["classifier"], "policy"),
    anywhere(&["contender"], "program"),
    anywhere(&["control", "socket"], "server API"),
    anywhere(&["fate"], "disposition"),
    anywhere(&["full", "read"], "snapshot"),
    anywhere(&["grave"], "tombstone"),
    anywhere(&["harvest"], "triage"),
    anywhere(&["host", "program"], "runner"),
    anywhere(&["keeper"], "supervisor"),
    anywhere(&["let", "go"], "evict, release"),
    anywhere(&["lineage"], "change source"),
    anywhere(&["plugin"], "component"),
    anywhere(&["read", "back"], "refetch"),
    anywhere(&["readback"], "refetch"),
    anywhere(&["seat"], "permit"),
    anywhere(&["sight"], "seen"),
    anywhere(&["standing"], "status"),
    anywhere(&["tenant"], "connection"),
    anywhere(&["time", "out"], "timeout"),
    anywhere(&["way", "out"], "egress policy"),
    identifiers(&["gap"], "missed delivery"),
    identifiers(&["pass"], "snapshot, generation"),
    identifiers(&["source", "time"], "source updated at"),
    anywhere(&["afterwards"], "afterward"),
    anywhere(&["artefact"], "artifact"),
    anywhere(&["authorisation"], "authorization"),
    anywhere(&["authorise"], "authorize"),
    anywhere(&["authorised"], "authorized"),
    anywhere(&["authorising"], "authorizing"),
    anywhere(&["behaviour"], "behavior"),
    anywhere(&["cancelled"], "canceled"),
    anywhere(&["centre"], "center"),
    anywhere(&["colour"], "color"),
    anywhere(&["licence"], "license"),
    anywhere(&["neighbour"], "neighbor"),
    anywhere(&["optimised"], "optimized"),
    anywhere(&["organisation"], "organization"),
    anywhere(&["recognise"], "recognize"),
    anywhere(&["recognised"], "recognized"),
];

/// Phrases that may stay: the common word for isolation between customers, and members of other tools' files.
const ALLOWED: [&str; 4] = ["sandboxed per tenant", "\"bookmarks\"", "\"plugins\"", "plugins:"];

/// Every replaced name in the line, as written, with the term to use instead.
pub(crate) fn names(line: &str, is_code: bool) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    // Most lines hold none: a search for the letters is many times faster than splitting into parts.
    let lower = line.to_ascii_lowercase();
    if !NAMES.iter().any(|name| lower.contains(name.parts[0])) {
        return found;
    }
    let line = ALLOWED.iter().fold(line.to_owned(), |line, allowed| line.replace(allowed, ""));
    // In code, an identifier (or a name with hyphens in a string) stands alone; in text, words form phrases.
    let is_separator = |character: char| {
        if is_code { !is_identifier(character) } else { !(is_identifier(character) || character == ' ') }
    };
    for piece in line.split(is_separator) {
        let parts = parts(piece);
        let is_sentence = parts.len() > PARTS_MAX || is_in_sentence(piece, &line);
        for name in NAMES {
            if name.place == Place::Identifiers && (!is_code || is_sentence) {
                continue;
            }
            let matches =
                parts.windows(name.parts.len()).filter(|window| is_name(window, name.parts)).count();
            let written = || if is_code { piece.to_owned() } else { name.parts.join(" ") };
            found.extend((0..matches).map(|_| (written(), name.instead)));
        }
    }
    found
}

/// Whether a string literal with spaces holds the piece: a message, not a name. `piece` is a part of `line`.
fn is_in_sentence(piece: &str, line: &str) -> bool {
    let start = piece.as_ptr() as usize - line.as_ptr() as usize;
    let mut at = 0;
    for (index, part) in line.split('"').enumerate() {
        if (at..at + part.len()).contains(&start) {
            return index % 2 == 1 && part.contains(' ');
        }
        at += part.len() + 1;
    }
    false
}

fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '-'
}

/// Whether these parts are the name; its last part may be a plural.
fn is_name(window: &[String], name: &[&str]) -> bool {
    window.iter().zip(name).enumerate().all(|(index, (part, wanted))| {
        part == wanted
            || (index + 1 == name.len()
                && part.strip_prefix(wanted).is_some_and(|ending| ending == "s" || ending == "es"))
    })
}

/// The parts of identifiers and words, in lower case; the same ones for `SeatTaken`, `seat_taken`,
/// `seat-taken` and `seat taken`.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut was_lower = false;
    for character in text.chars() {
        let is_letter = character.is_alphanumeric();
        if (!is_letter || (character.is_uppercase() && was_lower))
            && parts.last().is_some_and(|part| !part.is_empty())
        {
            parts.push(String::new());
        }
        if is_letter && let Some(part) = parts.last_mut() {
            part.extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase() || character.is_numeric();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str, is_code: bool) -> Vec<String> {
        names(line, is_code).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_name_is_found_in_every_spelling() {
        let code = "let SeatTaken = tenants::read_back(KEEPER, \"pass-complete\", newest_pass);";
        assert_eq!(
            found(code, true),
            ["SeatTaken", "tenants", "read_back", "KEEPER", "pass-complete", "newest_pass"]
        );
        assert_eq!(
            found("each tenant is read back; see `lineage`", false),
            ["read back", "tenant", "lineage"]
        );
    }

    #[test]
    fn longer_words_sentences_and_the_allowed_phrase_are_not_names() {
        assert_eq!(found("fn a_batch_may_pass_its_bound_by_a_page() {}", true), [""; 0]);
        assert_eq!(found("insight, passenger, understanding", true), [""; 0]);
        assert_eq!(found("bail!(\"does not pass\")", true), [""; 0]);
        assert_eq!(found("it may pass, sandboxed per tenant", false), [""; 0]);
    }
}
