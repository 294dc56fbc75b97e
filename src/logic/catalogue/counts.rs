//! How counts of downloads and failures grow, and fade.
//!
//! A count halves in [`COUNT_HALF_LIFE`], so what somebody was last month hardly matters, and is never more than
//! [`COUNT_MAX`].

use std::time::Duration;

use crate::account::Counts;
use crate::limits::{COUNT_HALF_LIFE, COUNT_MAX};

/// What is left of counts at a time. If the clock was set back, nothing fades.
#[must_use]
pub fn faded(counts: Counts, now: Duration) -> Counts {
    let halves = now.saturating_sub(counts.at).as_secs_f64() / COUNT_HALF_LIFE.as_secs_f64();
    let left = (-halves).exp2();
    let fade = |count: f64| if count.is_finite() { (count * left).clamp(0.0, COUNT_MAX) } else { 0.0 };
    Counts { downloads: fade(counts.downloads), failures: fade(counts.failures), at: now.max(counts.at) }
}

/// The counts after one more link, that failed or did not.
#[must_use]
pub fn counted(counts: Counts, now: Duration, has_failed: bool) -> Counts {
    let mut counts = faded(counts, now);
    let count = if has_failed { &mut counts.failures } else { &mut counts.downloads };
    *count = (*count + 1.0).min(COUNT_MAX);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn a_count_halves_in_a_week() {
        let one = counted(Counts::default(), NOW, false);
        assert_eq!((one.downloads, one.failures), (1.0, 0.0));
        let later = faded(one, NOW + COUNT_HALF_LIFE);
        assert!((later.downloads - 0.5).abs() < 1e-9);
        let failed = counted(later, NOW + COUNT_HALF_LIFE, true);
        assert_eq!((failed.failures, failed.at), (1.0, NOW + COUNT_HALF_LIFE));
        assert_eq!(faded(one, NOW - COUNT_HALF_LIFE), one, "the clock may be set back");
    }

    #[test]
    fn nobody_is_worshipped_for_ever() {
        let many = (0..1_000).fold(Counts::default(), |counts, _| counted(counts, NOW, false));
        assert_eq!(many.downloads, COUNT_MAX);
        assert!(faded(many, NOW + 10 * COUNT_HALF_LIFE).downloads < 0.01);
    }

    proptest! {
        #[test]
        fn counts_stay_within_their_bounds(
            downloads in any::<f64>(), failures in any::<f64>(), at in any::<u32>(), now in any::<u64>(), has_failed: bool,
        ) {
            let counts = Counts { downloads, failures, at: Duration::from_secs(at.into()) };
            let counts = counted(counts, Duration::from_secs(now), has_failed);
            for count in [counts.downloads, counts.failures] {
                prop_assert!((0.0..=COUNT_MAX).contains(&count));
            }
            let count = if has_failed { counts.failures } else { counts.downloads };
            prop_assert!(count >= 1.0);
        }
    }
}
