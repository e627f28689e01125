//! Reads the progress of a schema, which may be open elsewhere, and changes nothing.

use super::address::Address;
use super::metadata::Metadata;
use super::session::{Session, wait};
use crate::error::Result;
use crate::sinks::registry::owned_by_another;
use crate::sinks::{Location, SinkProgress, SinkSettings};

/// Whether there is a sink.
pub(super) fn exists(location: &Location) -> Result<bool> {
    let (url, schema) = location.as_schema()?;
    let address = Address::parse(url, schema)?;
    let exists = wait(async {
        let session = Session::connect(&address).await?;
        Metadata::new(schema).exists(&session).await
    });
    exists.map_err(|error| error.about(location))
}

pub(super) fn inspect(settings: &SinkSettings) -> Result<Option<SinkProgress>> {
    let (url, schema) = settings.location.as_schema()?;
    let address = Address::parse(url, &settings.owner)?;
    let metadata = Metadata::new(schema);
    let progress = wait(async {
        let session = Session::connect(&address).await?;
        // Everything as of one moment.
        session.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let owner = metadata.owner(&session, "").await?;
        Ok((owner, metadata.progress(&session).await?))
    });
    let location = &settings.location;
    let (owner, progress) = progress.map_err(|error| error.about(location))?;
    if let Some(owner) = owner {
        owner.check_version(location)?;
        if owner.connection != settings.owner {
            return Err(owned_by_another(settings, &owner.connection, &metadata.release()));
        }
    }
    Ok(Some(progress))
}
