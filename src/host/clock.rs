//! The only reader of the real clocks.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use crate::time::Moment;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Now, counted from the first call in this process.
#[must_use]
pub fn now() -> Moment {
    Moment::from_micros(u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// What the wall clock shows, since 1970; nothing if it shows something earlier. It may be wrong, and jump.
#[must_use]
pub fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Today, in days since 1970 as UTC counts them; 0 if the clock says that it was earlier.
#[must_use]
pub fn today() -> u64 {
    const DAY_SECS: u64 = 24 * 3_600;
    wall().as_secs() / DAY_SECS
}
