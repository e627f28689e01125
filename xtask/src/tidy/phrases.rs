//! The dialect that docs/STYLE.md forbids, found in lines of comments and documents.
//!
//! Pure. Matches words, not grammar: a class has exceptions for the plain uses that a neighboring word shows
//! (a question, "what to do", "users who"). Does not know files or limits.

/// What a phrase stands for. The first four classes are those that the review of issue 7 counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Clause,
    Person,
    Told,
    GoesOn,
    Word,
}

impl Class {
    pub(crate) const COUNT: usize = 5;
    pub(crate) const DIALECT: [Self; 4] = [Self::Clause, Self::Person, Self::Told, Self::GoesOn];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Clause => "what-clause as a noun",
            Self::Person => "who, somebody, nobody",
            Self::Told => "told, tells",
            Self::GoesOn => "goes on, begins, anew",
            Self::Word => "other words",
        }
    }
}

/// Words after which "what" is no noun: "what to do", "what the call costs".
const AFTER_WHAT: [&str; 4] = ["to", "the", "a", "an"];
/// Words before an indirect question: "says what", "depends on what".
const BEFORE_WHAT: &[&str] = &[
    "ask",
    "asks",
    "asked",
    "decide",
    "decides",
    "depends",
    "describe",
    "describes",
    "explain",
    "explains",
    "know",
    "knows",
    "known",
    "name",
    "names",
    "say",
    "says",
    "said",
    "saying",
    "see",
    "sees",
    "show",
    "shows",
    "state",
    "states",
];
/// Nouns for people: "a user who" is a plain relative clause.
const PEOPLE: &[&str] = &[
    "administrator",
    "administrators",
    "agent",
    "agents",
    "customer",
    "customers",
    "developer",
    "developers",
    "newcomer",
    "operator",
    "operators",
    "people",
    "person",
    "reader",
    "readers",
    "user",
    "users",
];
const PERSONS: &[&str] = &["who", "whoever", "somebody", "nobody", "anybody", "everybody"];
const BEGINNINGS: &[&str] = &["begin", "begins", "began", "begun"];

/// Phrases of [`Class::Word`]: one to three words in a row.
const WORDS: &[&[&str]] = &[
    &["beside"],
    &["looked", "after"],
    &["looks", "after"],
    &["look", "after"],
    &["put", "right"],
    &["puts", "right"],
    &["hang", "on"],
    &["hangs", "on"],
    &["let", "go"],
    &["lets", "go"],
    &["bury"],
    &["buries"],
    &["buried"],
    &["of", "its", "own"],
    &["of", "their", "own"],
    &["of", "our", "own"],
    &["at", "work"],
    &["gone"],
    &["believe"],
    &["believes"],
    &["believed"],
    &["a", "moment"],
    &["for", "ever"],
    &["forever"],
    &["learnt"],
    &["make", "a"],
    &["make", "an"],
    &["make", "one"],
    &["makes", "a"],
    &["makes", "an"],
    &["makes", "one"],
    &["made", "a"],
    &["made", "an"],
    &["made", "one"],
    &["made", "of"],
];

/// Every class that the line holds, once each, with the first phrase of that class.
pub(crate) fn phrases(line: &str) -> Vec<(Class, String)> {
    let tokens = tokens(&without_quotes(line));
    let is_question = line.contains('?');
    let mut found: Vec<(Class, String)> = Vec::new();
    for at in 0..tokens.len() {
        if let Some((class, phrase)) = phrase(&tokens, at, is_question)
            && !found.iter().any(|(other, _)| *other == class)
        {
            found.push((class, phrase));
        }
    }
    found
}

/// The phrase whose first word is this token.
fn phrase(tokens: &[String], at: usize, is_question: bool) -> Option<(Class, String)> {
    let word = tokens[at].as_str();
    let next = tokens.get(at + 1).map_or("", String::as_str);
    let previous = at.checked_sub(1).map_or("", |before| tokens[before].as_str());
    match word {
        "what" | "whatever" => {
            let is_plain =
                is_question || next == "|" || AFTER_WHAT.contains(&next) || BEFORE_WHAT.contains(&previous);
            return (!is_plain).then(|| (Class::Clause, format!("{word} {next}").trim_end().to_owned()));
        }
        "who" if is_question || PEOPLE.contains(&previous) => return None,
        _ if PERSONS.contains(&word) => return Some((Class::Person, word.to_owned())),
        "told" | "tell" | "tells" => return Some((Class::Told, word.to_owned())),
        "go" | "goes" | "going" | "went" if next == "on" => {
            return Some((Class::GoesOn, format!("{word} on")));
        }
        "anew" => return Some((Class::GoesOn, word.to_owned())),
        // "begins with" speaks of a prefix.
        _ if BEGINNINGS.contains(&word) && next != "with" => {
            return Some((Class::GoesOn, format!("{word} {next}").trim_end().to_owned()));
        }
        _ => {}
    }
    WORDS
        .iter()
        .find(|words| tokens[at..].iter().map(String::as_str).take(words.len()).eq(words.iter().copied()))
        .map(|words| (Class::Word, words.join(" ")))
}

/// The line without the text in back quotes and double quotes: names, keys and quoted messages.
fn without_quotes(line: &str) -> String {
    let mut text = line.to_owned();
    for quote in ['`', '"'] {
        let parts: Vec<&str> = text.split(quote).collect();
        // An unpaired quote hides nothing.
        let paired = parts.len() - (parts.len() + 1) % 2;
        text = parts
            .iter()
            .enumerate()
            .filter(|(index, _)| index % 2 == 0 || *index >= paired)
            .map(|(_, part)| *part)
            .collect::<Vec<_>>()
            .join(&format!(" {quote} "));
    }
    text
}

/// Words in lower case; every other character but a space is one token.
fn tokens(line: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut is_word = false;
    for character in line.chars() {
        if character.is_alphanumeric() || character == '_' || character == '\'' {
            if !is_word {
                tokens.push(String::new());
            }
            is_word = true;
            if let Some(word) = tokens.last_mut() {
                word.extend(character.to_lowercase());
            }
        } else {
            is_word = false;
            if !character.is_whitespace() {
                tokens.push(character.to_string());
            }
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(line: &str) -> Vec<Class> {
        phrases(line).into_iter().map(|(class, _)| class).collect()
    }

    #[test]
    fn each_class_is_found_once_per_line() {
        assert_eq!(classes("what arrived, and what is gone"), [Class::Clause, Class::Word]);
        assert_eq!(classes("Whoever asks is told by nobody."), [Class::Person, Class::Told]);
        assert_eq!(classes("it goes on and begins anew"), [Class::GoesOn]);
        assert_eq!(classes("a thread of its own"), [Class::Word]);
    }

    #[test]
    fn plain_uses_are_not_counted() {
        for line in [
            "What happens when a user who has no role asks?",
            "says what is missing and what to install",
            "begins with a slash",
            "| what | where |",
            "not a clause: \"what waits\" or `who`",
            "the whole beginning of it",
        ] {
            assert_eq!(classes(line), [], "{line}");
        }
    }

    #[test]
    fn a_phrase_at_the_end_of_a_line_and_after_an_unpaired_quote_is_found() {
        assert_eq!(classes("deliveries, and what"), [Class::Clause]);
        assert_eq!(classes("5\" of what lies there"), [Class::Clause]);
    }
}
