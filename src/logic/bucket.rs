//! A token bucket: how long to wait so that a rate is kept.

use std::time::Duration;

use crate::time::Moment;

/// How much unused rate may be saved up for a burst.
const BURST: Duration = Duration::from_millis(100);

/// Bytes per second, kept by making takers wait out the debt that they made.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    /// Everything taken so far is paid for at this moment.
    paid: Moment,
}

impl Bucket {
    /// A bucket for this rate; a rate of 0 is taken as 1.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Bucket {
        Bucket { bytes_per_second: bytes_per_second.max(1), paid: Moment::START }
    }

    /// Takes `bytes` and says how long to wait before going on.
    pub fn take(&mut self, now: Moment, bytes: u64) -> Duration {
        let earliest = Moment::from_micros(now.as_micros().saturating_sub(as_micros(BURST)));
        let micros = u128::from(bytes) * 1_000_000 / u128::from(self.bytes_per_second);
        let cost = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.paid = self.paid.max(earliest) + cost;
        self.paid.since(now)
    }

    /// A slice that takes about a tenth of a second, so that waits stay short at low rates.
    #[must_use]
    pub fn slice(&self, most: usize) -> usize {
        usize::try_from(self.bytes_per_second / 10).unwrap_or(usize::MAX).clamp(1, most)
    }
}

fn as_micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_rate_over_time() {
        let mut bucket = Bucket::new(1_000_000);
        let mut now = Moment::from_micros(50_000_000);
        let start = now;
        for _ in 0..1_000 {
            now = now + bucket.take(now, 10_000);
        }
        let taken = now.since(start) + BURST;
        assert_eq!(taken.as_millis(), 10_000);
    }

    #[test]
    fn an_idle_bucket_saves_no_more_than_a_burst() {
        let mut bucket = Bucket::new(1_000);
        let now = Moment::from_micros(3_600_000_000);
        assert_eq!(bucket.take(now, 100), Duration::ZERO);
        assert_eq!(bucket.take(now, 100), Duration::from_millis(100));
    }
}
