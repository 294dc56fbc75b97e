//! Who may try a password now: back-off for each name and for each source.
//!
//! A try counts as wrong from its beginning until it is found to be right, so many at once are no way around the
//! pauses. What is refused is not counted. Names count whether or not they have an account, or the pauses would tell which
//! do.
//!
//! A name's pauses stay short, and do not hold for sources from which its account logged in before: whoever tries the names
//! of others must not keep them out. A source's pauses grow to minutes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::limits::{
    ATTEMPTS_ACCOUNT_PAUSE_MAX, ATTEMPTS_FREE_PER_ACCOUNT, ATTEMPTS_FREE_PER_SOURCE, ATTEMPTS_KNOWN_SOURCES,
    ATTEMPTS_MAX, ATTEMPTS_PAUSE_MIN, ATTEMPTS_SOURCE_PAUSE_MAX, ATTEMPTS_SPAN,
};
use crate::logic::addresses::source_of;
use crate::time::Moment;

/// See the module. Names are given [folded](crate::account::AccountName::folded).
#[derive(Debug)]
pub struct Attempts {
    names: Table<String>,
    sources: Table<IpAddr>,
    /// Invariant: at most [`ATTEMPTS_MAX`] names, each with at most [`ATTEMPTS_KNOWN_SOURCES`].
    known: BTreeMap<String, Known>,
}

/// From where an account logged in, the latest last.
#[derive(Debug)]
struct Known {
    sources: VecDeque<IpAddr>,
    last: Moment,
}

/// The tries of everybody with a name, or a source.
///
/// Invariant: `order` has exactly the entries, and there are at most [`ATTEMPTS_MAX`].
#[derive(Debug)]
struct Table<K> {
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
    /// When it is forgotten.
    until: Moment,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts {
            names: Table::new(ATTEMPTS_FREE_PER_ACCOUNT, ATTEMPTS_ACCOUNT_PAUSE_MAX),
            sources: Table::new(ATTEMPTS_FREE_PER_SOURCE, ATTEMPTS_SOURCE_PAUSE_MAX),
            known: BTreeMap::new(),
        }
    }
}

impl Attempts {
    /// Nobody tried anything.
    #[must_use]
    pub fn new() -> Attempts {
        Attempts::default()
    }

    /// Somebody wants to try a password for this name. It counts as wrong until [`right`](Attempts::right) or
    /// [`dropped`](Attempts::dropped) says otherwise.
    ///
    /// # Errors
    /// How long they have to wait before it is looked at.
    pub fn begin(&mut self, now: Moment, from: IpAddr, name: &str) -> Result<(), Duration> {
        let source = source_of(from);
        let name_pause =
            if self.is_known(source, name) { Duration::ZERO } else { self.names.pause(now, name) };
        let pause = self.sources.pause(now, &source).max(name_pause);
        if !pause.is_zero() {
            return Err(pause);
        }
        self.names.begin(now, name.to_owned());
        self.sources.begin(now, source);
        Ok(())
    }

    /// The password was right.
    pub fn right(&mut self, now: Moment, from: IpAddr, name: &str) {
        let source = source_of(from);
        self.names.forget(name);
        // Other tries from there stay wrong: whoever has an account of their own gains nothing by using it in between.
        self.sources.take_back(now, &source);
        if !self.known.contains_key(name) && self.known.len() >= ATTEMPTS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last).map(|(name, _)| name.clone());
            oldest.map(|name| self.known.remove(&name));
        }
        let fresh = || Known { sources: VecDeque::new(), last: now };
        let known = self.known.entry(name.to_owned()).or_insert_with(fresh);
        known.last = now;
        known.sources.retain(|&other| other != source);
        known.sources.push_back(source);
        if known.sources.len() > ATTEMPTS_KNOWN_SOURCES {
            known.sources.pop_front();
        }
    }

    /// The password was not looked at after all.
    pub fn dropped(&mut self, now: Moment, from: IpAddr, name: &str) {
        self.names.take_back(now, name);
        self.sources.take_back(now, &source_of(from));
    }

    fn is_known(&self, source: IpAddr, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| known.sources.contains(&source))
    }
}

impl<K: Ord + Clone> Table<K> {
    const fn new(free: u32, pause_max: Duration) -> Table<K> {
        Table { free, pause_max, entries: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// How long the next try has to wait.
    fn pause<Q: Ord + ?Sized>(&self, now: Moment, key: &Q) -> Duration
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get(key).map_or(Duration::ZERO, |entry| entry.due.since(now))
    }

    /// Counts a try.
    fn begin(&mut self, now: Moment, key: K) {
        while self.order.first().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
        let tries = self.remove(&key).map_or(0, |entry| entry.tries).saturating_add(1);
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
        self.insert(key, Entry { tries, due, until });
    }

    /// One try does not count, and the next one need not wait for it.
    fn take_back<Q: Ord + ?Sized>(&mut self, now: Moment, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        let Some((key, _)) = self.entries.get_key_value(key) else { return };
        let key = key.clone();
        let Some(entry) = self.remove(&key) else { return };
        if entry.tries > 1 {
            let due = entry.due.min(now);
            self.insert(key, Entry { tries: entry.tries - 1, due, until: entry.until });
        }
    }

    fn forget<Q: Ord + ?Sized>(&mut self, key: &Q)
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
}
