//! Which parts are on disk: bits that only ever turn on, shared by all threads without a lock.
//!
//! Beside the bits stands a ledger with the parts in the order in which they came, so that whoever tells
//! others what is new continues where it was instead of comparing sets.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::part::{Layout, PartIndex, Run};
use crate::part_set::PartSet;

const WORD_BITS: usize = 64;

/// The parts that are on disk and verified.
#[derive(Debug)]
pub struct Shelf {
    layout: Layout,
    /// Invariant: a bit that is set means that the part is on disk, and never turns off.
    bits: Vec<AtomicU64>,
    /// Part indices plus one, in the order of their coming; 0 where none is written yet.
    ledger: Vec<AtomicU32>,
    /// How many places of the ledger are taken.
    taken: AtomicU32,
}

impl Shelf {
    /// An empty shelf.
    #[must_use]
    pub fn new(layout: Layout) -> Shelf {
        let parts = layout.parts() as usize;
        Shelf {
            layout,
            bits: (0..parts.div_ceil(WORD_BITS)).map(|_| AtomicU64::new(0)).collect(),
            ledger: (0..parts).map(|_| AtomicU32::new(0)).collect(),
            taken: AtomicU32::new(0),
        }
    }

    /// Puts a part on the shelf, after its bytes are on disk; says whether it was new.
    pub fn put(&self, part: PartIndex) -> bool {
        let bit = 1 << (part.at() % WORD_BITS);
        // Release: who sees the bit sees everything that happened before it was set.
        let new = self.bits[part.at() / WORD_BITS].fetch_or(bit, Ordering::AcqRel) & bit == 0;
        if new {
            // Each part is new once, so there is a place for each. Release: who counts the place sees the bit.
            let place = self.taken.fetch_add(1, Ordering::AcqRel) as usize;
            self.ledger[place].store(part.get() + 1, Ordering::Release);
        }
        new
    }

    /// Whether the part is on the shelf.
    #[must_use]
    pub fn has(&self, part: PartIndex) -> bool {
        self.bits[part.at() / WORD_BITS].load(Ordering::Acquire) & (1 << (part.at() % WORD_BITS)) != 0
    }

    /// How many parts are on the shelf.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.taken.load(Ordering::Acquire)
    }

    /// Whether every part is on the shelf.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count() == self.layout.parts()
    }

    /// All parts on the shelf, and the ledger's place from which news go on. A part that comes meanwhile may
    /// be in both.
    #[must_use]
    pub fn snapshot(&self) -> (PartSet, usize) {
        let place = self.written();
        let bytes: Vec<u8> =
            self.bits.iter().flat_map(|word| word.load(Ordering::Acquire).to_le_bytes()).collect();
        let len = (self.layout.parts() as usize).div_ceil(8);
        let set = PartSet::from_bytes(self.layout, &bytes[..len]).expect("only parts that exist are put");
        (set, place)
    }

    /// The parts that came since `place` as at most `most` runs, and the place to go on from.
    #[must_use]
    pub fn news(&self, place: usize, most: usize) -> (Vec<Run>, usize) {
        let (runs, taken) = Run::gather((place..).map_while(|place| self.entry(place)), most);
        (runs, place + taken)
    }

    /// How many places of the ledger are taken, less those at its end that are not written yet.
    fn written(&self) -> usize {
        let mut place = self.count() as usize;
        // Places are taken before they are written: step back over those that are not yet.
        while place > 0 && self.entry(place - 1).is_none() {
            place -= 1;
        }
        place
    }

    fn entry(&self, place: usize) -> Option<PartIndex> {
        let entry = self.ledger.get(place)?.load(Ordering::Acquire);
        self.layout.part(entry.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_go_on_where_they_were() {
        let layout = Layout::new(100, 1).unwrap();
        let shelf = Shelf::new(layout);
        for index in [3, 4, 5, 9] {
            assert!(shelf.put(layout.part(index).unwrap()));
        }
        assert!(!shelf.put(layout.part(4).unwrap()), "it was there");
        let (runs, place) = shelf.news(0, 10);
        assert_eq!(runs, [layout.run(3, 3).unwrap(), layout.run(9, 1).unwrap()]);
        assert_eq!(shelf.news(place, 10), (vec![], place));
        shelf.put(layout.part(10).unwrap());
        assert_eq!(shelf.news(place, 10).0, [layout.run(10, 1).unwrap()]);
        let (runs, place) = shelf.news(0, 1);
        assert_eq!(runs, [layout.run(3, 3).unwrap()], "the rest comes next time");
        assert_eq!(shelf.news(place, 1).0, [layout.run(9, 2).unwrap()]);
        let (set, place) = shelf.snapshot();
        assert_eq!((set.count(), place), (5, 5));
    }

    #[test]
    fn many_threads_lose_no_part() {
        let layout = Layout::new(10_000, 1).unwrap();
        let shelf = Shelf::new(layout);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let shelf = &shelf;
                scope.spawn(move || {
                    layout.all().skip(thread).step_by(2).filter(|&part| shelf.put(part)).count()
                });
            }
        });
        assert!(shelf.is_full());
        let told: u32 = shelf.news(0, usize::MAX).0.iter().map(|run| run.count()).sum();
        assert_eq!(told, 10_000);
    }
}
