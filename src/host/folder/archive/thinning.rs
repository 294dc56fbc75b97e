//! Which versions of a path are worth their room: the older, the fewer.
//!
//! Everything of the last [`ARCHIVE_ALL`] stays. Before that each hour, and from [`ARCHIVE_HOURLY`] on each day, keeps
//! of each path:
//!
//! - its newest version, because that is what a deletion, or the last mistake before somebody noticed, took away;
//! - its oldest version too, if that had stood for [`ARCHIVE_STOOD`] when it was replaced. Who saves in two steps, or
//!   means harm, replaces a file twice in a row: then the newest is worth nothing, and this is what people had.
//!
//! So of a file that changes every minute one version an hour stays, and then one a day, and of any path at most two.

use std::time::Duration;

use super::DAY_SECONDS;
use crate::limits::{ARCHIVE_ALL, ARCHIVE_HOURLY, ARCHIVE_STOOD};

const HOUR_SECONDS: u64 = 3_600;

/// Of which hour or day a version is; none if it is too young to be thinned out.
fn period(at: Duration, now: Duration) -> Option<(u64, u64)> {
    // What seems to have come after now is the youngest of all.
    let age = now.saturating_sub(at);
    if age < ARCHIVE_ALL {
        return None;
    }
    let seconds = if age < ARCHIVE_HOURLY { HOUR_SECONDS } else { DAY_SECONDS };
    Some((seconds, at.as_secs() / seconds))
}

/// Which of the versions of one path go; `times` says when they came to the archive, in that order. What is not told of
/// earlier versions makes it keep more, not less.
pub(super) fn surplus(times: &[Duration], now: Duration) -> Vec<usize> {
    let is_surplus = |at: usize| {
        let Some(period_here) = period(times[at], now) else { return false };
        let same =
            |other: Option<&Duration>| other.is_some_and(|&time| period(time, now) == Some(period_here));
        let before = at.checked_sub(1).map(|before| times[before]);
        let is_newest = !same(times.get(at + 1));
        let is_oldest = !same(before.as_ref());
        let has_stood = before.is_none_or(|before| times[at].saturating_sub(before) >= ARCHIVE_STOOD);
        !(is_newest || is_oldest && has_stood)
    };
    (0..times.len()).filter(|&at| is_surplus(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const MINUTE: u64 = 60;
    const NOW: Duration = Duration::from_secs(20_778 * DAY_SECONDS + 12 * HOUR_SECONDS);

    /// What stays, in seconds before now.
    fn stay(ages: &[u64]) -> Vec<u64> {
        let mut times: Vec<Duration> = ages.iter().map(|&age| NOW - Duration::from_secs(age)).collect();
        times.sort_unstable();
        let gone = surplus(&times, NOW);
        let left = (0..times.len()).filter(|at| !gone.contains(at));
        left.map(|at| (NOW - times[at]).as_secs()).collect()
    }

    #[test]
    fn of_a_file_that_changes_every_minute_few_stay() {
        let ages: Vec<u64> = (0..29 * 24 * 60).map(|minutes| minutes * MINUTE + 30).collect();
        let left = stay(&ages);
        let young = left.iter().filter(|&&age| age < HOUR_SECONDS).count();
        let hourly = left.iter().filter(|&&age| (HOUR_SECONDS..DAY_SECONDS).contains(&age)).count();
        assert_eq!(young, 60, "all of the last hour");
        // The first one of all had stood for as long as anybody knows.
        assert_eq!((hourly, left.len() - young - hourly), (23, 29 + 1));
    }

    #[test]
    fn what_had_stood_is_not_flushed_away_by_who_replaces_it_twice() {
        let (stood, garbage) = (5 * HOUR_SECONDS + 30 * MINUTE, 5 * HOUR_SECONDS + 29 * MINUTE);
        let between = 5 * HOUR_SECONDS + 29 * MINUTE + 30;
        let before = 9 * HOUR_SECONDS;
        assert_eq!(stay(&[before, stood, between, garbage]), [before, stood, garbage]);
        // The same when it is only one a day.
        let day = |age: u64| age + 3 * DAY_SECONDS;
        let all = [before, stood, between, garbage].map(day);
        assert_eq!(stay(&all), [day(before), day(garbage)], "of one day");
        let alone = [stood, between, garbage].map(day);
        assert_eq!(stay(&alone), [day(stood), day(garbage)]);
    }

    #[test]
    fn what_was_deleted_stays() {
        let deleted = 26 * HOUR_SECONDS;
        assert_eq!(stay(&[deleted]), [deleted]);
        assert_eq!(stay(&[deleted + MINUTE, deleted]), [deleted + MINUTE, deleted]);
    }

    fn of_each_period(times: &[Duration], now: Duration) -> BTreeMap<Option<(u64, u64)>, Vec<Duration>> {
        let mut periods: BTreeMap<_, Vec<Duration>> = BTreeMap::new();
        times.iter().for_each(|&at| periods.entry(period(at, now)).or_default().push(at));
        periods
    }

    fn rest(times: &[Duration], now: Duration) -> Vec<Duration> {
        let gone = surplus(times, now);
        (0..times.len()).filter(|at| !gone.contains(at)).map(|at| times[at]).collect()
    }

    proptest! {
        #[test]
        fn the_newest_of_each_period_stays_and_few_others(
            mut seconds in prop::collection::vec(0..40 * DAY_SECONDS, 0..200),
            steps in prop::collection::vec(0..2 * DAY_SECONDS, 1..20),
        ) {
            seconds.sort_unstable();
            let mut times: Vec<Duration> = seconds.into_iter().map(Duration::from_secs).collect();
            let mut now = Duration::from_secs(31 * DAY_SECONDS);
            for step in steps {
                let left = rest(&times, now);
                let (before, after) = (of_each_period(&times, now), of_each_period(&left, now));
                for (period, versions) in &before {
                    let left = &after[period];
                    prop_assert_eq!(left.last(), versions.last(), "the newest stays");
                    match period {
                        None => prop_assert_eq!(left, versions, "the young ones stay"),
                        Some(_) => prop_assert!(left.len() <= 2),
                    }
                }
                prop_assert_eq!(&rest(&left, now), &left, "done twice is done once");
                times = left;
                now += Duration::from_secs(step);
            }
        }
    }
}
