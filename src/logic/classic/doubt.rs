//! Whether a conductor that answers in the classic protocol is asked in our dialect as well, and how long it may take.
//!
//! An original conductor never answers in ours, so it is asked seldom and not waited for. One of ours may be slow to answer:
//! that must not look like the same for long, and one that did answer is known to be one of ours.

use std::time::Duration;

use crate::limits::{
    ANNOUNCE_RETRY_MAX, CLASSIC_NATIVE_PATIENCE, CLASSIC_NATIVE_PAUSE, CLASSIC_NATIVE_PAUSE_MIN, DESK_TIMEOUT,
};
use crate::logic::backoff::Backoff;
use crate::time::Moment;

/// See the module.
#[derive(Debug)]
pub struct Doubt {
    /// It answered in ours at least once.
    answered: bool,
    tries: Backoff,
    rng: fastrand::Rng,
}

impl Doubt {
    /// Nothing is known; `seed` varies the pauses.
    #[must_use]
    pub fn new(seed: u64) -> Doubt {
        let tries = Backoff::new(CLASSIC_NATIVE_PAUSE_MIN, CLASSIC_NATIVE_PAUSE);
        Doubt { answered: false, tries, rng: fastrand::Rng::with_seed(seed) }
    }

    /// Whether it should be asked in ours now.
    #[must_use]
    pub fn is_due(&self, now: Moment) -> bool {
        now >= self.tries.due()
    }

    /// How long its answer may take, if it has just answered in the classic protocol.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        let is_first = !self.answered && self.tries.failures() == 0;
        if is_first { CLASSIC_NATIVE_PATIENCE } else { DESK_TIMEOUT }
    }

    /// It answered in ours.
    pub fn on_answer(&mut self, now: Moment) {
        self.answered = true;
        self.tries.set_max(ANNOUNCE_RETRY_MAX);
        self.tries.succeeded(now, Duration::ZERO);
    }

    /// It answered in the classic protocol, and not in ours.
    pub fn on_silence(&mut self, now: Moment) {
        self.tries.failed(now, &mut self.rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_000_000);

    /// How long it is left alone after so many silences in a row.
    fn pauses(doubt: &mut Doubt, count: usize) -> Vec<Duration> {
        let mut pause = || {
            doubt.on_silence(NOW);
            doubt.tries.due().since(NOW)
        };
        (0..count).map(|_| pause()).collect()
    }

    #[test]
    fn an_original_is_asked_ever_more_seldom() {
        let mut doubt = Doubt::new(1);
        assert!(doubt.is_due(NOW));
        assert_eq!(doubt.patience(), CLASSIC_NATIVE_PATIENCE, "nobody waits for it for long");
        let pauses = pauses(&mut doubt, 9);
        assert!(pauses[0] <= CLASSIC_NATIVE_PAUSE_MIN && !doubt.is_due(NOW), "{pauses:?}");
        assert!(pauses[8] >= CLASSIC_NATIVE_PAUSE / 4 * 3, "{pauses:?}");
        assert!(doubt.is_due(NOW + CLASSIC_NATIVE_PAUSE));
    }

    #[test]
    fn one_that_was_slow_once_is_given_time_soon() {
        let mut doubt = Doubt::new(1);
        doubt.on_silence(NOW);
        assert!(doubt.is_due(NOW + CLASSIC_NATIVE_PAUSE_MIN));
        assert_eq!(doubt.patience(), DESK_TIMEOUT);
    }

    #[test]
    fn one_that_answered_is_never_left_alone_for_long() {
        let mut doubt = Doubt::new(1);
        doubt.on_answer(NOW);
        assert!(doubt.is_due(NOW));
        assert_eq!(doubt.patience(), DESK_TIMEOUT);
        assert!(pauses(&mut doubt, 9).into_iter().all(|pause| pause <= ANNOUNCE_RETRY_MAX));
    }
}
