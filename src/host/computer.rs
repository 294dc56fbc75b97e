//! This computer.

use std::fs;

/// What names this run of the system, from its start to its end; none where the system does not say.
#[must_use]
pub fn boot() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
}

/// How people call it, as it says itself.
#[must_use]
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
