//! How long parts that came should wait for others to be hashed with.
//!
//! Side by side they cost a half or less of what they cost one after the other, which matters where they come so fast
//! that the CPU is short.
//! Where they come slowly, nothing is gained: a part that waits is later for everybody who asks for it next.

use std::time::Duration;

use crate::limits::VERIFY_PATIENCE;
use crate::time::Moment;

/// How fast parts came lately, and whether waiting for them paid.
#[derive(Clone, Copy, Debug)]
pub struct Company {
    /// When the last batch was complete.
    since: Moment,
    /// The time from one part to the next; none before the first batch.
    interval: Option<Duration>,
    /// How many times in a row waiting was in vain.
    in_vain: u32,
    /// How many batches go on without waiting.
    skips: u32,
}

/// After how many doublings the batches that do not wait grow no more.
const SKIP_DOUBLINGS: u32 = 6;

impl Company {
    /// Nothing has come yet.
    #[must_use]
    pub const fn new(now: Moment) -> Company {
        Company { since: now, interval: None, in_vain: 0, skips: 0 }
    }

    /// A batch of so many parts, at least one, is complete.
    pub fn met(&mut self, now: Moment, parts: u32) {
        let interval = now.since(self.since) / parts.max(1);
        // What is known of a rest says nothing about what comes after it, nor what was known before it.
        let before = self.interval.filter(|&before| before.max(interval) <= VERIFY_PATIENCE);
        self.interval = Some(before.map_or(interval, |before| (before + interval) / 2));
        self.since = now;
        self.skips = self.skips.saturating_sub(1);
    }

    /// A batch has waited, and this says whether it was joined by anything.
    ///
    /// Where all that was asked for has come, more is asked for only after what came is verified: whoever waits then
    /// waits in vain, makes the link slow by it, and would take this for the rate of the link.
    /// So each time in vain doubles the batches that do not wait.
    pub fn waited(&mut self, joined: bool) {
        self.in_vain = if joined { 0 } else { (self.in_vain + 1).min(SKIP_DOUBLINGS) };
        self.skips = if joined { 0 } else { 1 << self.in_vain };
    }

    /// How long to wait for so many more parts: twice as long as they should take, as what comes over several links
    /// comes in bursts; not at all if they should take longer than [`VERIFY_PATIENCE`].
    #[must_use]
    pub fn patience(&self, missing: u32) -> Duration {
        let expected = self.interval.and_then(|interval| interval.checked_mul(missing));
        expected
            .filter(|&expected| expected <= VERIFY_PATIENCE && self.skips == 0)
            .map_or(Duration::ZERO, |expected| expected * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(2);

    /// After batches of eight parts that came at this interval.
    fn after(interval: Duration) -> Company {
        let mut now = Moment::START;
        let mut company = Company::new(now);
        for _ in 0..8 {
            now = now + interval * 8;
            company.met(now, 8);
        }
        company
    }

    #[test]
    fn what_comes_fast_is_waited_for() {
        let company = after(QUICK);
        assert_eq!(company.patience(3), QUICK * 6);
        assert_eq!(company.patience(0), Duration::ZERO);
    }

    #[test]
    fn what_comes_slowly_is_not() {
        let slow = after(VERIFY_PATIENCE / 4);
        assert_eq!(slow.patience(4), VERIFY_PATIENCE * 2);
        assert_eq!(slow.patience(5), Duration::ZERO);
        assert_eq!(after(VERIFY_PATIENCE * 2).patience(1), Duration::ZERO);
    }

    #[test]
    fn nothing_is_known_at_the_start_and_after_a_rest() {
        assert_eq!(Company::new(Moment::START).patience(1), Duration::ZERO);
        let mut company = after(QUICK);
        let rested = Moment::from_micros(60_000_000);
        company.met(rested, 8);
        assert_eq!(company.patience(1), Duration::ZERO, "eight parts in a minute");
        company.met(rested + QUICK * 8, 8);
        assert_eq!(company.patience(1), QUICK * 2, "the rest is over");
    }

    #[test]
    fn waiting_in_vain_becomes_rare() {
        let mut company = after(QUICK);
        let mut now = Moment::from_micros(1_000_000);
        company.met(now, 1);
        let (mut waits, batches) = (0, 1_000);
        for _ in 0..batches {
            now = now + QUICK;
            if company.patience(1) > Duration::ZERO {
                waits += 1;
                company.waited(false);
            }
            company.met(now, 1);
        }
        assert!((6..30).contains(&waits), "{waits} of {batches}");
        while company.patience(1) == Duration::ZERO {
            now = now + QUICK;
            company.met(now, 1);
        }
        company.waited(true);
        company.met(now + QUICK, 1);
        assert!(company.patience(1) > Duration::ZERO, "it pays again");
    }
}
