//! Pauses between the tries of one kind of key: the first ones are free, then each pause is twice as long as the one
//! before, up to a bound.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::{ATTEMPTS_MAX, ATTEMPTS_PAUSE_MIN, ATTEMPTS_SPAN};
use crate::time::Moment;

/// The tries of everybody with a key of this kind, as a name or a source.
///
/// Invariant: `order` has exactly the entries, and there are at most [`ATTEMPTS_MAX`].
#[derive(Debug)]
pub(super) struct Pauses<K> {
    /// How many wrong ones cost nothing.
    free: u32,
    pause_max: Duration,
    entries: BTreeMap<K, Entry>,
    /// Which is forgotten first. Who tried most is remembered longest, so a flood of new keys pushes out itself.
    order: BTreeSet<(Moment, K)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tries: u32,
    /// When the next one may begin.
    due: Moment,
    /// When the latest one might, but for a source that is known.
    before: Moment,
    /// When it is forgotten.
    until: Moment,
}

impl<K: Ord + Clone> Pauses<K> {
    /// Nobody tried anything; so many tries cost nothing, and no pause is longer.
    pub(super) const fn new(free: u32, pause_max: Duration) -> Pauses<K> {
        Pauses { free, pause_max, entries: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// How long the next try has to wait.
    pub(super) fn pause<Q: Ord + ?Sized>(&self, now: Moment, key: &Q) -> Duration
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get(key).map_or(Duration::ZERO, |entry| entry.due.since(now))
    }

    /// Counts a try.
    pub(super) fn begin(&mut self, now: Moment, key: K) {
        while self.order.first().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
        let (tries, before) = self.remove(&key).map_or((0, now), |entry| (entry.tries, entry.due));
        let tries = tries.saturating_add(1);
        if self.entries.len() >= ATTEMPTS_MAX {
            self.forget_first();
        }
        let doublings = tries.checked_sub(self.free + 1);
        let pause = doublings.map_or(Duration::ZERO, |doublings| {
            ATTEMPTS_PAUSE_MIN.saturating_mul(1 << doublings.min(16)).min(self.pause_max)
        });
        let due = now + pause;
        // Twice as long for twice as many.
        let until = due + ATTEMPTS_SPAN.saturating_mul(tries.min(self.free * 4)) / self.free;
        self.insert(key, Entry { tries, due, before, until });
    }

    /// One try does not count, and the next one need not wait for it.
    pub(super) fn take_back<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        let Some((key, _)) = self.entries.get_key_value(key) else { return };
        let key = key.clone();
        let Some(entry) = self.remove(&key) else { return };
        if entry.tries > 1 {
            self.insert(key, Entry { tries: entry.tries - 1, due: entry.before, ..entry });
        }
    }

    /// No try counts.
    pub(super) fn forget<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.order.remove(&(entry.until, key));
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.order.pop_first() {
            self.entries.remove(&key);
        }
    }

    fn remove(&mut self, key: &K) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&(entry.until, key.clone()));
        Some(entry)
    }

    fn insert(&mut self, key: K, entry: Entry) {
        self.order.insert((entry.until, key.clone()));
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
        assert!(self.order.iter().all(|(until, key)| self.entries[key].until == *until));
    }
}
