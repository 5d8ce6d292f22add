//! PostgreSQL's settings that follow from its memory, whoever runs it. Pure.

use payplane_crds::platform::Resources;

use crate::platform::quantity;

const MIB: u64 = 1 << 20;

/// Names and values. `unsaid` is what the server is sized for when nobody says how much memory it has.
pub fn of_memory(resources: &Resources, unsaid: u64) -> [(&'static str, String); 3] {
    let memory = quantity::memory(resources, unsaid);
    let mib = |bytes: u64| format!("{}MB", bytes / MIB);
    [
        ("shared_buffers", mib((memory / 4).max(16 * MIB))),
        ("effective_cache_size", mib((memory / 2).max(16 * MIB))),
        ("maintenance_work_mem", mib((memory / 16).clamp(16 * MIB, 1024 * MIB))),
    ]
}
