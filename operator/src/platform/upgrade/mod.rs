//! A managed database of another major version: its server cannot read the files, so the ledger is copied into new ones, with consent that
//! names the ledger and the version.
//!
//! Order: which image serves (`image`) and whether that is the one that is asked for (`plan`); the mark on the volume's claim, by which the
//! Platform stands still, as for a Restore in place ([`super::restoring`]); one Job (`build`), which verifies the ledger, copies it into
//! a folder beside, compares, verifies, and moves both folders only at its end; one that undoes it if it failed; and one write that
//! takes the mark off and says what came of it. Each step is told from what is there, so whoever begins anew goes on. The image of
//! before is on the claim, too, and serves until that last write. What failed is tried again when the spec of the database changes.
//!
//! The ledger keeps its epoch: nothing of it is lost, and all that an engine remembers is as true as before. Bounds: the mark and the
//! Job take `deadlineSeconds` each at most.

mod act;
mod build;
mod image;
mod observe;
mod plan;
mod report;

pub use act::{act, settle};
pub use build::{COMPONENT, UNDO_COMPONENT};
pub use image::as_it_serves;
pub use observe::{Seen, observe};
pub use plan::{Held, Next, keep_image, plan};
pub use report::{Progress, condition, told, upgraded};
