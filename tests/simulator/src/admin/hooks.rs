//! `/_admin/webhooks…`: stub.
use crate::admin::AdminError;
use crate::http::request::Call;
use crate::shared::Shared;
use serde_json::{Value, json};
use std::sync::Arc;
pub(crate) async fn answer(_shared: &Arc<Shared>, _call: &Call, _rest: &str) -> Result<Value, AdminError> {
    Ok(json!({}))
}
