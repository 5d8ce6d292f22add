//! Deletes copies that CloudNativePG took, each by its own name, and the log that none of those that stay needs. Pure.
//!
//! CloudNativePG's own `retentionPolicy` is left alone: it goes by days only, and would delete what a schedule keeps. Once a copy
//! is gone, CloudNativePG takes away its Backup object after its next one. What we keep with a copy is deleted as with any.

use k8s_openapi::api::core::v1::Container;

use crate::{
    backup_schedule::plan::Doomed,
    barman,
    place::Place,
    platform::{container::variable, foreign::cloudnative_pg::Cluster},
};

/// Container that deletes them.
pub const DELETE: &str = "delete-copies";

/// The container. None as long as nobody knows the image of the servers, which has the program. What failed has no copy.
pub fn delete(doomed: &[Doomed], place: &Place<'_>, cluster: Option<&Cluster>) -> Option<Container> {
    let image =
        cluster?.status.as_ref().map(|status| status.image.as_str()).filter(|image| !image.is_empty())?;
    let copies =
        doomed.iter().filter_map(|one| one.operated.as_ref()).filter(|one| !one.backup_id.is_empty());
    let list: Vec<String> =
        copies.map(|one| format!("{} {} {}", one.destination, one.server_name, one.backup_id)).collect();
    let mut container = barman::container((DELETE, image), place, include_str!("operated.sh"));
    container.env.get_or_insert_default().push(variable("COPIES", list.join("\n")));
    Some(container)
}
