//! What an engine does beside answering calls. Every replica does all of it; the database decides who is first, so no
//! replica owns anything that another would miss.

mod seal;
mod sweep;

pub use seal::keep_sealing;
pub use sweep::{Swept, keep_sweeping, sweep};
