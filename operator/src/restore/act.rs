//! Makes the volume, the login of its owner, and the Job. The only writes beside the status.

use payplane_crds::Restore;

use super::{Answer, build, plan::Source};
use crate::{apply, context::Context, error::Error, platform::random};

/// Begins. Each of the three is made once; a crash in between finds what was made.
///
/// # Errors
/// When the API server does not accept it, or somebody else was faster.
pub async fn begin(restore: &Restore, context: &Context, source: &Source<'_>) -> Result<Answer, Error> {
    let client = &context.client;
    if let Some(into) = &restore.spec.into.platform {
        // Of two Restores into one volume the other was faster: the next look sees that.
        if source.makes_volume && !apply::create(client, &build::volume(restore, into)).await? {
            return Err(Error::Raced { operation: "create the volume of a restore" });
        }
        if source.makes_secret {
            apply::create(client, &build::owner_secret(restore, &into.name, random()?)).await?;
        }
    }
    match apply::create(client, &build::job(restore, source, &context.settings)).await? {
        true => Ok(Answer::Begun),
        false => Err(Error::Raced { operation: "create the Job of a restore" }),
    }
}
