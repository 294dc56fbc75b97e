//! When to try again: pauses that double, with jitter, up to a bound.

use std::time::Duration;

use crate::time::Moment;

/// Failures in a row and when the next try is due.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
    due: Moment,
}

impl Backoff {
    /// Due at once; pauses grow from `min` to `max`.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max, failures: 0, due: Moment::START }
    }

    /// How many tries failed since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next try is due.
    #[must_use]
    pub const fn due(&self) -> Moment {
        self.due
    }

    /// A try failed: pauses for `min × 2^failures`, at most `max`, less up to a quarter so that many who
    /// failed together do not come back together.
    pub fn failed(&mut self, now: Moment, rng: &mut fastrand::Rng) {
        let pause = self.min.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        self.due = now + pause.mul_f64(1.0 - rng.f64() / 4.0);
    }

    /// From now on, pauses grow to `max`.
    pub const fn set_max(&mut self, max: Duration) {
        self.max = max;
    }

    /// A try succeeded: the next one is due after `pause`, and failures are forgotten.
    pub fn succeeded(&mut self, now: Moment, pause: Duration) {
        self.failures = 0;
        self.due = now + pause;
    }

    /// The next try is due at once.
    pub fn hurry(&mut self) {
        self.due = Moment::START;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
        let now = Moment::from_micros(10);
        assert!(backoff.due() <= now);
        for bound in [1, 2, 4, 8, 8, 8] {
            backoff.failed(now, &mut rng);
            let pause = backoff.due().since(now);
            assert!(pause <= Duration::from_secs(bound) && pause >= Duration::from_secs(bound) * 3 / 4);
        }
        for _ in 0..100 {
            backoff.failed(now, &mut rng);
        }
        assert!(backoff.due().since(now) <= Duration::from_secs(8));
        backoff.succeeded(now, Duration::from_secs(3));
        assert_eq!((backoff.failures(), backoff.due().since(now)), (0, Duration::from_secs(3)));
    }
}
