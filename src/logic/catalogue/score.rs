//! Which source is better: `response time × 0.75^downloads × 1.25^failures`, and less is better.
//!
//! Those whom nobody measured have a response time of [`RESPONSE_UNKNOWN`]: after those that are known to be good, before
//! those that are known to be bad.

use std::time::Duration;

use crate::account::Counts;
use crate::limits::RESPONSE_UNKNOWN;

/// What a download makes of the response time.
const DOWNLOAD: f64 = 0.75;
/// What a failure makes of it.
const FAILURE: f64 = 1.25;

/// The score of a source with these counts, which have [faded](super::counts::faded) until now: a response time, as it
/// seems from how links went.
#[must_use]
pub fn score(response: Option<Duration>, counts: &Counts) -> Duration {
    let factor = DOWNLOAD.powf(counts.downloads) * FAILURE.powf(counts.failures);
    let seconds = response.unwrap_or(RESPONSE_UNKNOWN).as_secs_f64() * factor;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::COUNT_MAX;

    fn counts(downloads: f64, failures: f64) -> Counts {
        Counts { downloads, failures, at: Duration::ZERO }
    }

    const NEAR: Option<Duration> = Some(Duration::from_millis(20));

    #[test]
    fn the_formula() {
        assert_eq!(score(NEAR, &counts(0.0, 0.0)), Duration::from_millis(20));
        assert_eq!(score(NEAR, &counts(2.0, 0.0)), Duration::from_micros(11_250));
        assert_eq!(score(NEAR, &counts(0.0, 2.0)), Duration::from_micros(31_250));
    }

    #[test]
    fn strangers_come_between_good_and_bad() {
        let stranger = score(None, &counts(0.0, 0.0));
        assert!(score(NEAR, &counts(1.0, 0.0)) < stranger);
        assert!(score(None, &counts(0.0, 1.0)) > stranger);
        assert!(score(Some(Duration::from_millis(100)), &counts(0.0, COUNT_MAX)) > stranger);
    }

    #[test]
    fn nobody_is_buried_for_ever() {
        assert!(score(NEAR, &counts(0.0, COUNT_MAX)) < Duration::from_millis(200));
        assert_eq!(score(Some(Duration::MAX), &counts(0.0, f64::MAX)), Duration::MAX);
    }
}
