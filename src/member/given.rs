//! The book of what was given to whom, shared by all links.
//!
//! The rules are those of `logic::giving`; this keeps one word a part, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::logic::giving::{Entry, Given};
use crate::part::{Layout, PartIndex, Run};

/// To whom each part was last given, and when: the bits of [`Entry`].
#[derive(Debug)]
pub(super) struct GivenBook(Vec<AtomicU64>);

impl GivenBook {
    pub(super) fn new(layout: Layout) -> GivenBook {
        GivenBook((0..layout.parts()).map(|_| AtomicU64::new(0)).collect())
    }

    /// What is kept of the part.
    pub(super) fn entry(&self, part: PartIndex) -> Entry {
        Entry::from_bits(self.0[part.at()].load(Ordering::Relaxed))
    }

    /// These parts are about to be given away.
    pub(super) fn promise(&self, run: Run, given: Given) {
        self.change(run, |entry| entry.promised(given));
    }

    /// The member with this tag has no link any more: what was given to it is not reserved for it.
    pub(super) fn leave(&self, to: u32) {
        for entry in &self.0 {
            let before = entry.load(Ordering::Relaxed);
            if let Some(after) = Entry::from_bits(before).left(to) {
                // Whoever was given it meanwhile stays in the book.
                let _overtaken =
                    entry.compare_exchange(before, after.bits(), Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// These parts were sent.
    pub(super) fn sent(&self, run: Run, given: Given) {
        self.change(run, |entry| entry.sent(given));
    }

    /// These parts will not be sent to the member with this tag after all.
    pub(super) fn withdraw(&self, run: Run, to: u32) {
        self.change(run, |entry| entry.withdrawn(to));
    }

    fn change(&self, run: Run, change: impl Fn(Entry) -> Option<Entry>) {
        for part in run.parts() {
            if let Some(entry) = change(self.entry(part)) {
                self.0[part.at()].store(entry.bits(), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Moment;

    #[test]
    fn what_was_given_to_somebody_who_left_is_free() {
        let layout = Layout::new(4, 1).unwrap();
        let book = GivenBook::new(layout);
        let at = Moment::from_micros(5_000_000);
        let (two, whole) = (layout.run(1, 2).unwrap(), layout.whole().unwrap());
        book.promise(two, Given { to: 7, at });
        book.promise(whole, Given { to: 8, at });
        let gives = |to| {
            [0, 1, 2, 3].map(|index| book.entry(layout.part(index).unwrap()).may_give(at, true, true, to))
        };
        assert_eq!(gives(7), [false, true, true, false], "first come, first served");
        assert_eq!(gives(9), [false; 4]);
        book.leave(7);
        assert_eq!(gives(9), [false, true, true, false]);
    }
}
