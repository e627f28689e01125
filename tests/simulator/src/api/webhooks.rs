//! stub
use crate::api::context::Context;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
pub(crate) fn list(_: &Context<'_>) -> Result<Answer, ApiError> {
    Err(ApiError::not_found())
}
pub(crate) fn create(_: &Context<'_>) -> Result<Answer, ApiError> {
    Err(ApiError::not_found())
}
pub(crate) fn detail(_: &Context<'_>) -> Result<Answer, ApiError> {
    Err(ApiError::not_found())
}
pub(crate) fn update(_: &Context<'_>) -> Result<Answer, ApiError> {
    Err(ApiError::not_found())
}
pub(crate) fn delete(_: &Context<'_>) -> Result<Answer, ApiError> {
    Err(ApiError::not_found())
}
