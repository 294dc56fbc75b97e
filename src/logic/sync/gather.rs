//! One content on its way here: which of its chunks to ask of whom next.
//!
//! Whoever has all of it can be asked for any chunk; whoever is still fetching it, for those that it says it has.
//! Whoever has all of it is asked first for what nobody else has yet: so of two that fetch the same from one, each
//! fetches half of it there, and the other half from each other.
//! Whoever has nothing left to be asked for takes over what somebody else was asked for long ago.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Moment;

/// Somebody who can be asked, by a number of the caller's.
pub type Source = u64;

/// What is there of a content, and who can give the rest.
#[derive(Debug)]
pub struct Gather {
    chunks: Vec<Chunk>,
    /// Where to look for the next chunk that nobody was asked for.
    next: usize,
    missing: usize,
    /// Those with all of it; and what the others have.
    sources: BTreeMap<Source, Option<Vec<bool>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Missing,
    Asked(Source, Moment),
    Here,
}

impl Gather {
    /// A content of so many chunks of which these are there. Different members begin at different places: `seed`.
    #[must_use]
    pub fn new(count: usize, is_here: impl Fn(usize) -> bool, seed: u64) -> Gather {
        let state = |at| if is_here(at) { Chunk::Here } else { Chunk::Missing };
        let chunks: Vec<Chunk> = (0..count).map(state).collect();
        let missing = chunks.iter().filter(|&&chunk| chunk == Chunk::Missing).count();
        let begin = usize::try_from(seed % (count.max(1) as u64)).unwrap_or(0);
        Gather { chunks, next: begin, missing, sources: BTreeMap::new() }
    }

    /// How many chunks are not there yet.
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// Whether anybody can be asked.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Somebody has all of it.
    pub fn holds_all(&mut self, source: Source) {
        self.sources.insert(source, None);
    }

    /// Somebody has these chunks as well. What is beyond the end is nobody's.
    pub fn holds(&mut self, source: Source, first: usize, count: usize) {
        let len = self.chunks.len();
        let held = self.sources.entry(source).or_insert_with(|| Some(vec![false; len]));
        if let Some(held) = held {
            let end = first.saturating_add(count).min(len);
            held[first.min(end)..end].fill(true);
        }
    }

    /// Somebody cannot be asked any more; what was asked there is missing again.
    pub fn gone(&mut self, source: Source) {
        self.sources.remove(&source);
        for chunk in &mut self.chunks {
            if matches!(chunk, Chunk::Asked(asked, _) if *asked == source) {
                *chunk = Chunk::Missing;
            }
        }
    }

    /// The next chunk to ask of this one; it counts as asked.
    pub fn next(&mut self, source: Source, now: Moment) -> Option<usize> {
        let at = match self.sources.get(&source)? {
            Some(held) => self.after(|at| held[at]),
            // Others that fetch it can give what they have: who has all of it is asked for the rest first.
            None => {
                let partial: Vec<&Vec<bool>> = self.sources.values().flatten().collect();
                let is_rare = |at: usize| !partial.iter().any(|held| held[at]);
                if partial.is_empty() {
                    self.after(|_| true)
                } else {
                    self.after(is_rare).or_else(|| self.after(|_| true))
                }
            }
        }?;
        self.chunks[at] = Chunk::Asked(source, now);
        self.next = if at + 1 == self.chunks.len() { 0 } else { at + 1 };
        Some(at)
    }

    /// A chunk of this one's that somebody else was asked for at least so long ago, and that has not come; from now on it
    /// counts as asked of this one. Whoever was asked first may still be faster.
    pub fn take_over(&mut self, source: Source, now: Moment, patience: Duration) -> Option<usize> {
        let held = self.sources.get(&source)?.as_ref();
        let late = self.chunks.iter().enumerate().filter_map(|(at, chunk)| match chunk {
            Chunk::Asked(other, since) if *other != source && now.since(*since) >= patience => {
                held.is_none_or(|held| held[at]).then_some((*since, at))
            }
            _ => None,
        });
        // What was asked for last comes last.
        let (_, at) = late.max()?;
        self.chunks[at] = Chunk::Asked(source, now);
        Some(at)
    }

    /// A chunk is there.
    pub fn came(&mut self, at: usize) {
        if let Some(chunk) = self.chunks.get_mut(at)
            && *chunk != Chunk::Here
        {
            *chunk = Chunk::Here;
            self.missing -= 1;
        }
    }

    /// A chunk is not to be had there.
    pub fn lacking(&mut self, source: Source, at: usize) {
        if let Some(chunk) = self.chunks.get_mut(at)
            && matches!(chunk, Chunk::Asked(asked, _) if *asked == source)
        {
            *chunk = Chunk::Missing;
        }
        match self.sources.get_mut(&source) {
            Some(Some(held)) => {
                if let Some(held) = held.get_mut(at) {
                    *held = false;
                }
            }
            // Whoever does not have one of them has another content by now.
            Some(None) => drop(self.sources.remove(&source)),
            None => {}
        }
    }

    /// The first missing chunk from here on that fits.
    fn after(&self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let is_missing = |&at: &usize| self.chunks[at] == Chunk::Missing && fits(at);
        (self.next..self.chunks.len()).chain(0..self.next).find(is_missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(9_000_000);

    fn asked(gather: &mut Gather, source: Source) -> Vec<usize> {
        std::iter::from_fn(|| gather.next(source, NOW)).collect()
    }

    #[test]
    fn every_missing_chunk_is_asked_for_once() {
        let mut gather = Gather::new(6, |at| at == 2, 4);
        assert_eq!(gather.next(1, NOW), None, "nobody has it");
        gather.holds_all(1);
        gather.holds_all(2);
        assert_eq!(gather.next(1, NOW), Some(4));
        assert_eq!(asked(&mut gather, 2), [5, 0, 1, 3]);
        assert_eq!(gather.missing(), 5);
        (0..6).for_each(|at| gather.came(at));
        gather.came(3);
        assert_eq!(gather.missing(), 0);
    }

    #[test]
    fn what_a_link_that_is_gone_was_asked_for_is_asked_of_another() {
        let mut gather = Gather::new(3, |_| false, 0);
        gather.holds_all(1);
        gather.holds_all(2);
        assert_eq!(asked(&mut gather, 1), [0, 1, 2]);
        gather.came(1);
        gather.gone(1);
        assert_eq!(asked(&mut gather, 2), [0, 2]);
        gather.lacking(2, 0);
        assert!(!gather.has_sources(), "it has another content by now");
    }

    #[test]
    fn who_fetches_it_as_well_is_asked_for_what_it_has() {
        let mut gather = Gather::new(4, |_| false, 0);
        gather.holds_all(1);
        gather.holds(2, 0, 2);
        gather.holds(2, 3, usize::MAX);
        assert_eq!(gather.next(1, NOW), Some(2), "nobody else has it");
        assert_eq!(asked(&mut gather, 2), [3, 0, 1]);
        gather.lacking(2, 0);
        assert_eq!(gather.next(2, NOW), None);
        assert_eq!(gather.next(1, NOW), Some(0));
    }

    #[test]
    fn what_is_beyond_the_end_is_nobodys() {
        let mut gather = Gather::new(2, |_| false, 9);
        gather.holds(1, 5, 7);
        gather.holds(1, usize::MAX, usize::MAX);
        gather.came(7);
        gather.lacking(1, 7);
        assert_eq!((gather.next(1, NOW), gather.missing()), (None, 2));
        assert_eq!(Gather::new(0, |_| false, 9).missing(), 0);
    }

    #[test]
    fn what_is_late_is_taken_over_by_whoever_has_it() {
        let patience = Duration::from_secs(2);
        let mut gather = Gather::new(4, |_| false, 0);
        gather.holds_all(1);
        assert_eq!((gather.next(1, NOW), gather.next(1, NOW)), (Some(0), Some(1)));
        let later = NOW + Duration::from_secs(1);
        assert_eq!((gather.next(1, later), gather.next(1, later)), (Some(2), Some(3)));
        gather.holds(2, 0, 2);
        let late = NOW + patience;
        assert_eq!(gather.take_over(2, later, patience), None, "it may come");
        assert_eq!(gather.take_over(1, late, patience), None, "from oneself");
        gather.came(1);
        assert_eq!(gather.take_over(2, late, patience), Some(0));
        assert_eq!(gather.take_over(2, late + patience, patience), None, "it has no other");
        gather.holds_all(3);
        let later = late + Duration::from_secs(1);
        assert_eq!(gather.take_over(3, later, patience), Some(3), "what was asked for last, of what is late");
        gather.gone(1);
        assert_eq!(gather.next(3, late), Some(2), "the others are asked of somebody else by now");
        assert_eq!(gather.next(3, late), None);
    }
}
