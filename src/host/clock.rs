//! The only reader of the real clock.

use std::sync::LazyLock;
use std::time::Instant;

use crate::time::Moment;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Now, counted from the first call in this process.
#[must_use]
pub fn now() -> Moment {
    Moment::from_micros(u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX))
}
