//! How much may be asked of one link at a time.
//!
//! The window covers the link's rate × its round trip, so that the other side never waits for the next want,
//! and little more, so that few parts are bound to a link that turns slow.
//! It starts at [`WINDOW_BYTES_START`] and grows by what arrives (so it doubles every round trip) up to the
//! rate seen × (`ROUND_TRIPS` round trips + `SLACK`).
//! The round trip is the shortest time seen from a want to its parts on disk, so a queue that we built
//! ourselves does not widen the window further.

use std::time::Duration;

use crate::limits::{WINDOW_BYTES_MAX, WINDOW_BYTES_START};
use crate::time::Moment;

/// A rate is measured over at least this long.
const MEASURE: Duration = Duration::from_millis(20);
/// How many round trips a full window lasts.
const ROUND_TRIPS: u32 = 2;
/// What a full window lasts beyond that: covers the scheduling of threads on a busy machine.
const SLACK: Duration = Duration::from_millis(10);

/// The window of one link and what it is derived from.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    bytes: u64,
    round_trip: Option<Duration>,
    /// Bytes per second, smoothed; 0 until measured.
    rate: u64,
    measured_since: Moment,
    measured_bytes: u64,
}

impl Window {
    /// The window of a new link.
    #[must_use]
    pub const fn new(now: Moment) -> Window {
        Window {
            bytes: WINDOW_BYTES_START,
            round_trip: None,
            rate: 0,
            measured_since: now,
            measured_bytes: 0,
        }
    }

    /// How many bytes may be asked for and not yet answered.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes per second of late; 0 until measured.
    #[must_use]
    pub const fn rate(&self) -> u64 {
        self.rate
    }

    /// The first want after a pause: the pause does not count into the rate.
    pub fn resumed(&mut self, now: Moment) {
        self.measured_since = now;
        self.measured_bytes = 0;
    }

    /// `bytes` arrived in answer to a want that was sent `waited` ago.
    pub fn answered(&mut self, now: Moment, bytes: u64, waited: Duration) {
        self.round_trip = Some(self.round_trip.map_or(waited, |shortest| shortest.min(waited)));
        self.measured_bytes += bytes;
        let measured = now.since(self.measured_since);
        if measured >= MEASURE {
            let micros = u64::try_from(measured.as_micros()).unwrap_or(u64::MAX);
            let rate = self.measured_bytes.saturating_mul(1_000_000) / micros;
            self.rate = if self.rate == 0 { rate } else { self.rate / 2 + rate / 2 };
            self.resumed(now);
        }
        let target = if self.rate == 0 { WINDOW_BYTES_MAX } else { self.target() };
        self.bytes = (self.bytes + bytes).min(target).max(WINDOW_BYTES_START);
    }

    fn target(&self) -> u64 {
        let lasts = self.round_trip.unwrap_or_default() * ROUND_TRIPS + SLACK;
        let bytes = u128::from(self.rate) * lasts.as_micros() / 1_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX).min(WINDOW_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MIB;

    const PART: u64 = MIB as u64;

    /// Drives a window over a link with this round trip and rate; returns the window after `seconds`.
    fn settle(round_trip: Duration, bytes_per_second: u64, seconds: u64) -> u64 {
        let start = Moment::from_micros(1_000_000);
        let mut window = Window::new(start);
        let service = Duration::from_micros(PART * 1_000_000 / bytes_per_second);
        let (mut now, mut asked, mut link_free) = (start, std::collections::VecDeque::new(), start);
        while now.since(start) < Duration::from_secs(seconds) {
            while (asked.len() as u64) * PART < window.bytes() {
                link_free = link_free.max(now + round_trip) + service;
                asked.push_back((now, link_free));
            }
            let (sent, arrives) = asked.pop_front().unwrap();
            now = arrives;
            window.answered(now, PART, now.since(sent));
        }
        window.bytes()
    }

    #[test]
    fn covers_rate_times_round_trip() {
        let far = settle(Duration::from_millis(100), 50 * PART, 10);
        assert!(far >= 5 * PART, "a long pipe is kept full: {far}");
        let near = settle(Duration::from_micros(200), 50 * PART, 10);
        assert!(near <= 4 * PART, "a short pipe binds few parts: {near}");
        let slow = settle(Duration::from_millis(20), PART / 10, 60);
        assert!(slow <= 3 * PART, "a slow link binds few parts: {slow}");
    }

    #[test]
    fn never_leaves_its_bounds() {
        assert_eq!(settle(Duration::from_secs(2), 1_000 * PART, 60), WINDOW_BYTES_MAX);
        let now = Moment::from_micros(1);
        let mut window = Window::new(now);
        window.answered(now, u64::MAX / 4, Duration::ZERO);
        assert_eq!(window.bytes(), WINDOW_BYTES_MAX);
    }
}
