//! An event as text or JSON: time, level, message and fields.
//!
//! Each value is written without the secrets of the connection that the event is about, its field
//! `connection`; without one, without all that is configured. A secret never changes the structure of a line:
//! names, times, levels and the connection are no values.

use std::fmt::{Debug, Result, Write};
use std::sync::OnceLock;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use super::{LINE_BYTES_MAX, LISTENER, Listener, LogFormat};
use crate::secret::{CONNECTION, Redactor};

/// The text of an event, a field without a name in a line for people.
const MESSAGE: &str = "message";

/// Formats events.
pub(super) struct Format {
    format: LogFormat,
    redactor: Redactor,
    listener: &'static OnceLock<Listener>,
}

/// The values of one event.
#[derive(Default)]
struct Fields(Vec<Said>);

struct Said {
    name: &'static str,
    value: Value,
    /// Whether a line for people shows a text in quotes.
    is_quoted: bool,
}

impl Format {
    pub(super) fn new(format: LogFormat, redactor: &Redactor) -> Self {
        Self { format, redactor: redactor.clone(), listener: &LISTENER }
    }
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.redact(&self.redactor);
        let (level, target) = (event.metadata().level(), event.metadata().target());
        if let Some(listener) = self.listener.get() {
            listener(*level, fields.text().trim_start());
        }
        match self.format {
            LogFormat::Text => {
                SystemTime.format_time(&mut writer)?;
                writeln!(writer, " {level:>5}{}", fields.text())
            }
            LogFormat::Json => {
                let mut time = String::new();
                SystemTime.format_time(&mut Writer::new(&mut time))?;
                writeln!(writer, "{}", fields.json(&time, level.as_str(), target))
            }
        }
    }
}

impl Fields {
    fn redact(&mut self, redactor: &Redactor) {
        let connection = self.0.iter().find(|said| said.name == CONNECTION);
        let of = connection.and_then(|said| said.value.as_str()).map(|name| redactor.of(name));
        let redactor = of.as_ref().unwrap_or(redactor);
        for Said { name, value, .. } in &mut self.0 {
            if let Value::String(text) = value
                && *name != CONNECTION
            {
                // Masks shorten a text; of a longer one, no more is searched than a line may need.
                *text = redactor.redact_beginning(text, 2 * LINE_BYTES_MAX);
            }
        }
    }

    /// For people: the message, and each field as `name=value`.
    fn text(&self) -> String {
        let mut line = String::new();
        for Said { name, value, is_quoted } in &self.0 {
            let name = if *name == MESSAGE { String::new() } else { format!("{name}=") };
            let _infallible = match value {
                Value::String(text) if *is_quoted => write!(line, " {name}{text:?}"),
                Value::String(text) => write!(line, " {name}{text}"),
                value => write!(line, " {name}{value}"),
            };
        }
        line
    }

    fn json(self, time: &str, level: &str, target: &str) -> Value {
        let mut members = Map::from_iter([
            ("timestamp".to_owned(), Value::from(time)),
            ("level".to_owned(), Value::from(level)),
        ]);
        members.extend(self.0.into_iter().map(|said| (said.name.to_owned(), said.value)));
        members.insert("target".to_owned(), Value::from(target));
        Value::Object(members)
    }

    fn push(&mut self, field: &Field, value: Value, is_quoted: bool) {
        self.0.push(Said { name: field.name(), value, is_quoted });
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, Value::from(format!("{value:?}")), false);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, Value::from(value), field.name() != MESSAGE);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::from(value), false);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::from(value), false);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Value::from(value), false);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, Value::from(value), false);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;
    use std::sync::{Arc, Mutex, OnceLock};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::{Format, Listener};
    use crate::secret::Redactor;
    use crate::telemetry::LogFormat;

    /// What is written of the events, without their times.
    fn written(format: LogFormat, redactor: &Redactor, events: impl FnOnce()) -> Vec<String> {
        let mut file = Arc::new(tempfile::tempfile().expect("a file"));
        let layer = tracing_subscriber::fmt::layer().with_writer(Arc::clone(&file));
        let layer = layer.with_ansi(false).event_format(Format::new(format, &redactor.of_server()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        file.rewind().expect("a file");
        let written = std::io::read_to_string(&mut file).expect("text");
        written.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_listener_gets_the_message_and_the_fields_of_each_event_without_secrets() {
        static LISTENER: OnceLock<Listener> = OnceLock::new();
        static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let redactor = Redactor::default();
        redactor.learn("acme", "very-secret");
        let format = Format { listener: &LISTENER, ..Format::new(LogFormat::Text, &redactor) };
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::sink).event_format(format);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!("nobody listens yet");
            let heard = |level, text: &str| {
                HEARD.lock().expect("not poisoned").push(format!("{level} {text}"));
            };
            assert!(LISTENER.set(Box::new(heard)).is_ok());
            tracing::warn!(skew_ms = 7, source = %"very-secret", "the clocks differ");
        });
        let heard = HEARD.lock().expect("not poisoned").clone();
        assert_eq!(heard, ["WARN the clocks differ skew_ms=7 source=[secret]"]);
    }

    #[test]
    fn a_secret_masks_the_values_of_its_connection_and_no_structure_of_a_line() {
        let redactor = Redactor::default();
        redactor.learn("bank", "very secret");
        redactor.learn("evil", "connection");
        redactor.learn("evil", "running");
        redactor.learn("evil", "\"level\":\"INFO\"");
        let events = || {
            tracing::info!(connection = %"bank", table = "a \"b\"", rows = 7, "running very secret");
            tracing::info!(connection = %"evil", "running very secret");
            tracing::info!(error = "very secret", "listening");
        };
        let text = written(LogFormat::Text, &redactor, events);
        let without_time: Vec<&str> = text.iter().filter_map(|line| Some(line.split_once("Z ")?.1)).collect();
        let lines = [
            " INFO running [secret] connection=bank table=\"a \\\"b\\\"\" rows=7",
            " INFO [secret] very secret connection=evil",
            " INFO listening error=\"[secret]\"",
        ];
        assert_eq!(without_time, lines, "{text:?}");
        let json = written(LogFormat::Json, &redactor, events);
        assert!(json[0].starts_with("{\"timestamp\":\"2"), "{json:?}");
        let rest: Vec<&str> = json.iter().filter_map(|line| Some(line.split_once("Z\",")?.1)).collect();
        let target = "\"target\":\"host_runner::telemetry::format::tests\"}";
        let bank = format!(
            "\"level\":\"INFO\",\"message\":\"running [secret]\",\"connection\":\"bank\",\
             \"table\":\"a \\\"b\\\"\",\"rows\":7,{target}"
        );
        assert_eq!(rest[0], bank);
        assert_eq!(
            rest[1],
            format!(
                "\"level\":\"INFO\",\"message\":\"[secret] very secret\",\"connection\":\"evil\",{target}"
            )
        );
    }

    #[test]
    fn a_secret_that_a_long_event_is_cut_in_is_not_shown_in_part() {
        let redactor = Redactor::default();
        redactor.learn("acme", "very secret");
        let long = format!("{}very secret", "x".repeat(2 * super::LINE_BYTES_MAX - 4));
        let lines = written(LogFormat::Text, &redactor, || tracing::info!("{long}"));
        assert!(lines[0].ends_with("x[secret]"), "{}", lines[0]);
    }
}
