//! The texts of a ticket: as a change has set them, otherwise generated.

use crate::prose;
use crate::rng::Rng;
use crate::vocabulary::{CATEGORIES, CLASSIFICATIONS, LANGUAGES, SENTIMENTS, SUB_CATEGORIES};
use crate::world::World;
use crate::world::ticket::Ticket;
use crate::world::ticket_fields::TicketField;

impl World {
    /// The text of a field; none when it is null or not a text field.
    pub(crate) fn ticket_text(&self, ticket: &Ticket, field: TicketField) -> Option<String> {
        match ticket.extra.as_ref().and_then(|extra| extra.values.get(field.name())) {
            Some(value) => value.as_str().map(str::to_owned),
            None => self.generated_text(ticket, field),
        }
    }

    /// The generated text of a field; none when it is null or the ticket is new.
    pub(crate) fn generated_text(&self, ticket: &Ticket, field: TicketField) -> Option<String> {
        use TicketField as F;
        if ticket.is_new() {
            return None;
        }
        let mut rng = Rng::new(self.seed, 200 + field as u64, u64::from(ticket.index));
        let mut one_of =
            |permille: u64, values: &[&str]| rng.chance(permille).then(|| (*rng.pick(values)).to_owned());
        match field {
            F::Category => one_of(700, CATEGORIES),
            F::SubCategory => one_of(300, SUB_CATEGORIES),
            F::Language => one_of(600, LANGUAGES),
            F::Sentiment => one_of(500, SENTIMENTS),
            F::Classification => one_of(500, CLASSIFICATIONS),
            F::Subject => Some(prose::subject(&mut rng)),
            F::Description => (!rng.chance(50)).then(|| prose::description(&mut rng)),
            F::Resolution => rng.chance(200).then(|| prose::agent_text(&mut rng)),
            F::Email => (!rng.chance(100)).then(|| format!("customer{}@example.com", rng.below(90_000))),
            F::Phone => rng.chance(500).then(|| prose::phone(&mut rng)),
            _ => None,
        }
    }
}
