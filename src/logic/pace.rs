//! Whether bytes that are on their way come on at all.
//!
//! Parts that hardly come hold a buffer that others wait for. This does not know who waits, nor why they are slow.

use std::time::Duration;

use crate::limits::{LANDING_BYTES_MIN, LANDING_PATIENCE};
use crate::time::Moment;

/// How what is on its way came on lately.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// When it was last looked at.
    since: Moment,
    /// How many bytes had come by then.
    bytes: u64,
}

impl Pace {
    /// Nothing has come yet.
    #[must_use]
    pub const fn new(now: Moment) -> Pace {
        Pace { since: now, bytes: 0 }
    }

    /// For so long nothing could come, by our own doing: that time does not count.
    pub fn excuse(&mut self, span: Duration) {
        self.since = self.since + span;
    }

    /// Whether less than [`LANDING_BYTES_MIN`] came within [`LANDING_PATIENCE`], now that `bytes` have come in all.
    /// It is judged once in that time; between, and before, nothing hardly comes.
    pub fn hardly_comes(&mut self, now: Moment, bytes: u64) -> bool {
        if now.since(self.since) < LANDING_PATIENCE {
            return false;
        }
        let came = bytes - self.bytes;
        *self = Pace { since: now, bytes };
        came < LANDING_BYTES_MIN as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hardly_came_is_found_once_in_a_while() {
        let start = Moment::from_micros(1_000_000);
        let enough = LANDING_BYTES_MIN as u64;
        let mut pace = Pace::new(start);
        assert!(!pace.hardly_comes(start, 0), "it has just begun");
        assert!(!pace.hardly_comes(start + LANDING_PATIENCE, enough));
        assert!(!pace.hardly_comes(start + LANDING_PATIENCE, enough), "judged already");
        assert!(pace.hardly_comes(start + LANDING_PATIENCE * 2, 2 * enough - 1));
        assert!(!pace.hardly_comes(start + LANDING_PATIENCE * 3, 3 * enough));
    }

    #[test]
    fn what_we_kept_waiting_ourselves_is_not_slow() {
        let start = Moment::from_micros(1_000_000);
        let mut pace = Pace::new(start);
        pace.excuse(LANDING_PATIENCE * 4);
        assert!(!pace.hardly_comes(start + LANDING_PATIENCE * 4, 0));
        assert!(pace.hardly_comes(start + LANDING_PATIENCE * 5, 0));
    }
}
