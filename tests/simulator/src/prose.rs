//! Generated texts: subjects, HTML descriptions, mail addresses, telephone numbers.

use crate::rng::Rng;
use crate::vocabulary::{AGENT_SENTENCES, SENTENCES, SUBJECTS};

/// Fills `{n}` in a template.
fn fill(template: &str, rng: &mut Rng) -> String {
    template.replace("{n}", &(rng.below(90_000) + 17).to_string())
}

/// A ticket's subject.
pub(crate) fn subject(rng: &mut Rng) -> String {
    let template: &&str = rng.pick(SUBJECTS);
    fill(template, rng)
}

/// Plain text of a contact, one to four sentences.
pub(crate) fn customer_text(rng: &mut Rng) -> String {
    sentences(SENTENCES, rng)
}

/// Plain text of an agent, one to four sentences.
pub(crate) fn agent_text(rng: &mut Rng) -> String {
    sentences(AGENT_SENTENCES, rng)
}

fn sentences(from: &[&str], rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..=rng.below(3) {
        if !text.is_empty() {
            text.push(' ');
        }
        let template: &&str = rng.pick(from);
        text.push_str(&fill(template, rng));
    }
    text
}

/// A description in HTML; one in 500 has tens of kilobytes.
pub(crate) fn description(rng: &mut Rng) -> String {
    let paragraphs = if rng.chance(2) { 150 } else { 1 + rng.below(3) };
    let mut html = String::from("<div style=\"font-size: 13px\">");
    for _ in 0..paragraphs {
        html.push_str("<p>");
        html.push_str(&escape_html(&customer_text(rng)));
        html.push_str("</p>");
    }
    if rng.chance(100) {
        html.push_str("<img src=\"https://example.com/s.png?a=1&amp;b=2\" alt='shot'/>");
    }
    html.push_str("<br></div>\n");
    html
}

/// Escapes text for HTML.
pub(crate) fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A mail address of the ASCII letters in a name.
pub(crate) fn email(first: &str, last: &str, number: u64) -> String {
    let clean = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect()
    };
    format!("{}.{}{number}@example.com", clean(first), clean(last))
}

/// A telephone number.
pub(crate) fn phone(rng: &mut Rng) -> String {
    format!("+{} {} {:07}", 1 + rng.below(98), 100 + rng.below(900), rng.below(10_000_000))
}
