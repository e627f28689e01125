//! stub
use crate::options::Options;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::world::change::Event;
use serde_json::{Value, json};
use std::sync::Weak;
#[derive(Debug)]
pub(crate) struct Webhooks {}
impl Webhooks {
    pub(crate) fn new(_: &Options) -> Webhooks {
        Webhooks {}
    }
    pub(crate) fn attach(&self, _: tokio::runtime::Handle, _: Weak<Shared>) {}
    pub(crate) fn publish(&self, _: &Settings, _: Vec<Event>, _: Option<&str>) {}
    pub(crate) fn keys(&self) -> Value {
        json!({"keys": []})
    }
    pub(crate) fn stats(&self) -> Value {
        json!({})
    }
}
