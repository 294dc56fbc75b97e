//! Pauses between the tries of one kind of key: the first ones are free, then each pause is twice as long as the one
//! before, up to a bound. A try is forgotten for each such bound that passes, so however tries are spread, no more are
//! looked at than the free ones, those of the growing pauses, and one each bound.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::{ATTEMPTS_MAX, ATTEMPTS_PAUSE_MIN};
use crate::time::Moment;

/// The longest pause in doublings of the shortest one, far beyond all bounds; tries past it add nothing.
const DOUBLINGS_MAX: u32 = 16;

/// The tries of everybody with a key of this kind, as a name or a source.
///
/// Invariant: `order` has exactly the entries, and there are at most [`ATTEMPTS_MAX`].
#[derive(Debug)]
pub(super) struct Pauses<K> {
    /// How many tries cost nothing.
    free: u32,
    /// Also how long it takes until one is forgotten.
    pause_max: Duration,
    entries: BTreeMap<K, Entry>,
    /// Which is forgotten first. Who tried most is remembered longest, so a flood of new keys pushes out itself.
    order: BTreeSet<(Moment, K)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tries: u32,
    /// Since when none was forgotten.
    since: Moment,
    /// When the next one may begin.
    due: Moment,
    /// When the latest one might, but for a source that is known.
    before: Moment,
}

impl<K: Ord + Copy> Pauses<K> {
    /// Nobody tried anything; so many tries cost nothing, and no pause is longer.
    pub(super) const fn new(free: u32, pause_max: Duration) -> Pauses<K> {
        Pauses { free, pause_max, entries: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// How long the next try has to wait.
    pub(super) fn pause(&self, now: Moment, key: K) -> Duration {
        self.entries.get(&key).map_or(Duration::ZERO, |entry| entry.due.since(now))
    }

    /// Counts a try, unless it has to wait.
    ///
    /// # Errors
    /// For how long; then nothing was counted.
    pub(super) fn try_begin(&mut self, now: Moment, key: K) -> Result<(), Duration> {
        let pause = self.pause(now, key);
        if !pause.is_zero() {
            return Err(pause);
        }
        self.begin(now, key);
        Ok(())
    }

    /// Counts a try.
    pub(super) fn begin(&mut self, now: Moment, key: K) {
        while self.order.first().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
        let fresh = Entry { tries: 0, since: now, due: now, before: now };
        let Entry { tries, since, due: before, .. } =
            self.remove(key).map_or(fresh, |entry| self.faded(now, entry));
        if self.entries.len() >= ATTEMPTS_MAX {
            self.forget_first();
        }
        let tries = (tries + 1).min(self.free + 1 + DOUBLINGS_MAX);
        let doublings = tries.checked_sub(self.free + 1);
        let pause = doublings.map_or(Duration::ZERO, |doublings| {
            ATTEMPTS_PAUSE_MIN.saturating_mul(1 << doublings).min(self.pause_max)
        });
        self.insert(key, Entry { tries, since, due: now + pause, before });
    }

    /// One try does not count, and the next one need not wait for it.
    pub(super) fn take_back(&mut self, key: K) {
        if let Some(entry) = self.remove(key)
            && entry.tries > 1
        {
            self.insert(key, Entry { tries: entry.tries - 1, due: entry.before, ..entry });
        }
    }

    /// No try counts.
    pub(super) fn forget(&mut self, key: K) {
        self.remove(key);
    }

    /// What is left of an entry that is not forgotten yet.
    fn faded(&self, now: Moment, entry: Entry) -> Entry {
        let forgotten = now.since(entry.since).as_micros() / self.pause_max.as_micros();
        let forgotten = u32::try_from(forgotten).unwrap_or(u32::MAX).min(entry.tries);
        let since = entry.since + self.pause_max.saturating_mul(forgotten);
        Entry { tries: entry.tries - forgotten, since, ..entry }
    }

    /// When its last try is forgotten.
    fn until(&self, entry: &Entry) -> Moment {
        entry.since + self.pause_max.saturating_mul(entry.tries)
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.order.pop_first() {
            self.entries.remove(&key);
        }
    }

    fn remove(&mut self, key: K) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.order.remove(&(self.until(&entry), key));
        Some(entry)
    }

    fn insert(&mut self, key: K, entry: Entry) {
        self.order.insert((self.until(&entry), key));
        self.entries.insert(key, entry);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// That the invariant holds.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert!(self.entries.len() == self.order.len() && self.entries.len() <= ATTEMPTS_MAX);
        assert!(self.order.iter().all(|(until, key)| self.until(&self.entries[key]) == *until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Nobody finds a rhythm in which more is looked at.
        #[test]
        fn however_tries_are_spread(
            steps in prop::collection::vec(prop_oneof![0..2_000_u64, 0..100_000_u64, 0..2_000_000_u64], 1..600),
            free in 1..60_u32,
        ) {
            let pause_max = Duration::from_secs(900);
            let (mut pauses, mut now, mut looked_at) = (Pauses::new(free, pause_max), Moment::from_micros(7), 0);
            let start = now;
            for (index, step) in steps.iter().cycle().take(20_000).enumerate() {
                looked_at += u32::from(pauses.try_begin(now, 'x').is_ok());
                now = now + Duration::from_millis(if index % 3 == 0 { *step } else { step / 7 });
                pauses.check();
            }
            let growing = 1 + pause_max.as_secs().ilog2() + 1;
            let bounds = u32::try_from(now.since(start).as_secs() / pause_max.as_secs()).unwrap();
            prop_assert!(looked_at <= free + growing + bounds + 1, "{looked_at} in {bounds} bounds");
        }
    }

    #[test]
    fn just_slower_than_all_is_forgotten_is_no_way_around() {
        let mut pauses = Pauses::new(20, Duration::from_secs(900));
        let (mut now, mut looked_at) = (Moment::from_micros(7), 0);
        for _ in 0..7 * 86_400 / 181 {
            looked_at += u32::from(pauses.try_begin(now, 1).is_ok());
            now = now + Duration::from_secs(181);
        }
        assert!(looked_at <= 20 + 11 + 7 * 96, "{looked_at} in a week");
    }
}
