//! Rates and the time that is left, from counters that are looked at now and then.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::{LEFT_WINDOW, RATE_SAMPLES_MAX, RATE_WINDOW};
use crate::member::progress::{Phase, Snapshot};

/// How fast one counter grows, as a mean over a sliding window.
#[derive(Clone, Debug)]
pub(super) struct Rates {
    window: Duration,
    /// When, and the counter then; oldest first. At most [`RATE_SAMPLES_MAX`], the first one at or just before
    /// the beginning of the window.
    samples: VecDeque<(Duration, u64)>,
}

impl Rates {
    /// Nothing seen yet.
    #[must_use]
    pub(super) const fn new(window: Duration) -> Rates {
        Rates { window, samples: VecDeque::new() }
    }

    /// Takes in what the counter is at this time. A counter that went back starts anew.
    pub(super) fn add(&mut self, at: Duration, count: u64) {
        if self.samples.back().is_some_and(|&(last_at, last)| at < last_at || count < last) {
            self.samples.clear();
        }
        self.samples.push_back((at, count));
        let start = at.saturating_sub(self.window);
        while self.samples.len() > RATE_SAMPLES_MAX || self.samples.get(1).is_some_and(|&(at, _)| at <= start)
        {
            self.samples.pop_front();
        }
    }

    /// The mean growth a second; 0 as long as less than two moments were seen.
    #[must_use]
    pub(super) fn per_second(&self) -> u64 {
        let (Some(&(from, first)), Some(&(to, last))) = (self.samples.front(), self.samples.back()) else {
            return 0;
        };
        let micros = to.saturating_sub(from).as_micros();
        let grown = u128::from(last - first);
        (grown * 1_000_000).checked_div(micros).map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// How long `remaining` will take; none when nothing moves.
    #[must_use]
    pub(super) fn time_left(&self, remaining: u64) -> Option<Duration> {
        remaining.checked_div(self.per_second()).map(Duration::from_secs)
    }
}

/// How fast a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Bytes received a second.
    pub(super) down: u64,
    /// Bytes sent a second.
    pub(super) up: u64,
    /// Until the present phase is over, if that can be told.
    pub(super) left: Option<Duration>,
}

/// Turns snapshots into a pace.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    phase: Phase,
    down: Rates,
    up: Rates,
    done: Rates,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            phase: Phase::default(),
            down: Rates::new(RATE_WINDOW),
            up: Rates::new(RATE_WINDOW),
            done: Rates::new(LEFT_WINDOW),
        }
    }
}

impl Meter {
    /// Takes in the next snapshot and says how fast the member is now.
    pub(super) fn pace(&mut self, snapshot: &Snapshot) -> Pace {
        let (done, remaining) = match snapshot.phase {
            Phase::Checking => {
                let checked = u64::from(snapshot.checked_parts);
                (checked, u64::from(snapshot.parts_total).saturating_sub(checked))
            }
            Phase::Getting | Phase::Complete => {
                (snapshot.bytes, snapshot.bytes_total.saturating_sub(snapshot.bytes))
            }
        };
        if snapshot.phase != self.phase {
            // What was found on disk says nothing about what comes from others.
            self.done = Rates::new(LEFT_WINDOW);
            self.phase = snapshot.phase;
        }
        self.down.add(snapshot.elapsed, snapshot.down_bytes);
        self.up.add(snapshot.elapsed, snapshot.up_bytes);
        self.done.add(snapshot.elapsed, done);
        Pace {
            down: self.down.per_second(),
            up: self.up.per_second(),
            left: self.done.time_left(remaining).filter(|_| remaining > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_steady_counter_has_its_rate() {
        let mut rates = Rates::new(5 * SECOND);
        assert_eq!(rates.per_second(), 0);
        for beat in 0..100_u32 {
            rates.add(beat * SECOND / 4, u64::from(beat) * 250);
        }
        assert_eq!(rates.per_second(), 1000);
        assert_eq!(rates.time_left(80_000), Some(80 * SECOND));
        assert!(rates.samples.len() <= RATE_SAMPLES_MAX);
    }

    #[test]
    fn only_the_window_counts() {
        let mut rates = Rates::new(5 * SECOND);
        for second in 0..=10_u32 {
            rates.add(second * SECOND, u64::from(second.min(5)) * 1000);
        }
        assert_eq!(rates.per_second(), 0, "nothing came in the last five seconds");
        assert_eq!(rates.time_left(1), None);
    }

    #[test]
    fn one_burst_is_spread_over_the_window() {
        let mut rates = Rates::new(4 * SECOND);
        for second in 0..4_u32 {
            rates.add(second * SECOND, 0);
        }
        rates.add(4 * SECOND, 4000);
        assert_eq!(rates.per_second(), 1000);
    }

    #[test]
    fn a_counter_or_clock_that_goes_back_starts_anew() {
        let mut rates = Rates::new(5 * SECOND);
        rates.add(SECOND, 5000);
        rates.add(2 * SECOND, 100);
        assert_eq!(rates.per_second(), 0);
        rates.add(3 * SECOND, 300);
        assert_eq!(rates.per_second(), 200);
        rates.add(SECOND, 300);
        assert_eq!(rates.per_second(), 0);
    }

    #[test]
    fn the_same_moment_twice_is_no_division_by_zero() {
        let mut rates = Rates::new(5 * SECOND);
        rates.add(SECOND, 0);
        rates.add(SECOND, u64::MAX);
        assert_eq!(rates.per_second(), 0);
        rates.add(SECOND + Duration::from_micros(1), u64::MAX);
        assert_eq!(rates.per_second(), u64::MAX);
    }

    #[test]
    fn many_samples_take_bounded_room() {
        let mut rates = Rates::new(5 * SECOND);
        for beat in 0..10_000_u32 {
            rates.add(Duration::from_micros(beat.into()), beat.into());
        }
        assert_eq!(rates.samples.len(), RATE_SAMPLES_MAX);
        assert_eq!(rates.per_second(), 1_000_000);
    }

    #[test]
    fn checking_does_not_promise_a_fast_transfer() {
        let mut meter = Meter::default();
        let total = Snapshot { parts_total: 100, bytes_total: 1000, ..Snapshot::default() };
        meter.pace(&total);
        let checked = Snapshot { checked_parts: 50, bytes: 500, parts: 50, elapsed: SECOND, ..total };
        assert_eq!(meter.pace(&checked).left, Some(SECOND));
        let begun = Snapshot { phase: Phase::Getting, elapsed: 2 * SECOND, ..checked };
        assert_eq!(meter.pace(&begun).left, None);
        let moved = Snapshot { bytes: 510, down_bytes: 10, up_bytes: 20, elapsed: 3 * SECOND, ..begun };
        assert_eq!(meter.pace(&moved), Pace { down: 3, up: 6, left: Some(49 * SECOND) });
        let complete = Snapshot { phase: Phase::Complete, bytes: 1000, elapsed: 4 * SECOND, ..moved };
        assert_eq!(meter.pace(&complete).left, None);
    }
}
