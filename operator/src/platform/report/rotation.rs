//! What a Platform says of the database's logins. Pure.

use payplane_crds::condition::{
    CREDENTIALS_ROTATED,
    reason::{AS_SPECIFIED, PROGRESSING, RETIRE_FAILED},
};

use crate::{condition::Conditions, platform::retire::Rotation};

/// Adds the condition, once the login was ever changed.
pub fn report(conditions: Conditions<'_>, rotation: Rotation) -> Conditions<'_> {
    let (status, reason, message) = match rotation {
        Rotation::Never => return conditions,
        Rotation::Replacing => {
            ("False", PROGRESSING, "Engines with the new login take over; both logins work meanwhile.")
        }
        Rotation::Retiring => (
            "False",
            PROGRESSING,
            "Every engine uses the new login; the old one and the owner's password are being ended.",
        ),
        Rotation::Failed => {
            let message = "The old login or the owner's password could not be ended: see the logs of the Job that retires \
                           them. Deleting that Job tries again.";
            ("False", RETIRE_FAILED, message)
        }
        Rotation::Done => (
            "True",
            AS_SPECIFIED,
            "Every engine uses the new login, and the old one and the owner's old password are gone.",
        ),
    };
    conditions.set(CREDENTIALS_ROTATED, status, reason, message)
}
