//! The book of what was given to whom, shared by all links.
//!
//! The rules are those of `logic::giving`; this keeps one word a part, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::logic::giving::{Given, may_reserve};
use crate::part::{Layout, PartIndex, Run};
use crate::time::Moment;

/// To whom each part was last given, and when.
#[derive(Debug)]
pub(super) struct GivenBook(Vec<AtomicU64>);

/// Moments are kept in units of 1.024 ms; 31 bits of them last 25 days, and then parts are not reserved any more.
const MICROS_SHIFT: u32 = 10;
const MOMENT_MASK: u64 = (1 << 31) - 1;
/// The part was sent to whom it is reserved for: its time to share it began then, and does not begin again.
const SENT: u64 = 1 << 63;

impl GivenBook {
    pub(super) fn new(layout: Layout) -> GivenBook {
        GivenBook((0..layout.parts()).map(|_| AtomicU64::new(0)).collect())
    }

    /// The last time that the part was given away.
    pub(super) fn last(&self, part: PartIndex) -> Option<Given> {
        let entry = self.0[part.at()].load(Ordering::Relaxed);
        let at = Moment::from_micros((entry >> 32 & MOMENT_MASK) << MICROS_SHIFT);
        (entry != 0).then(|| Given { to: tag_in(entry), at })
    }

    /// These parts are about to be given away.
    pub(super) fn promise(&self, run: Run, given: Given) {
        for part in run.parts().filter(|&part| may_reserve(given.at, self.last(part), given.to)) {
            self.0[part.at()].store(entry_of(given), Ordering::Relaxed);
        }
    }

    /// The member with this tag has no link any more: what was given to it is not reserved for it.
    ///
    /// It may be gone for good, and the next one must not wait for what it would have shared.
    pub(super) fn forget(&self, to: u32) {
        for entry in &self.0 {
            let promise = entry.load(Ordering::Relaxed);
            if promise != 0 && tag_in(promise) == to {
                // Whoever was given it meanwhile stays in the book.
                let _overtaken = entry.compare_exchange(promise, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// These parts are on their way.
    pub(super) fn sent(&self, run: Run, given: Given) {
        for entry in run.parts().map(|part| &self.0[part.at()]) {
            let promise = entry.load(Ordering::Relaxed);
            if promise & SENT == 0 && tag_in(promise) == given.to {
                entry.store(entry_of(given) | SENT, Ordering::Relaxed);
            }
        }
    }
}

fn entry_of(given: Given) -> u64 {
    let at = (given.at.as_micros() >> MICROS_SHIFT & MOMENT_MASK).max(1);
    at << 32 | u64::from(given.to)
}

fn tag_in(entry: u64) -> u32 {
    u32::try_from(entry & u64::from(u32::MAX)).expect("32 bits were kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_to_somebody_who_left_is_free() {
        let layout = Layout::new(4, 1).unwrap();
        let book = GivenBook::new(layout);
        let at = Moment::from_micros(5_000_000);
        let (two, whole) = (layout.run(1, 2).unwrap(), layout.whole().unwrap());
        book.promise(two, Given { to: 7, at });
        book.promise(whole, Given { to: 8, at });
        let given = |index: u32| book.last(layout.part(index).unwrap()).map(|given| given.to);
        assert_eq!([0, 1, 2, 3].map(given), [Some(8), Some(7), Some(7), Some(8)], "first come, first served");
        book.forget(7);
        assert_eq!([0, 1, 2, 3].map(given), [Some(8), None, None, Some(8)]);
    }
}
