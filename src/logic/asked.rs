//! What one link was asked for and has not answered.
//!
//! Bytes that nobody asked for are not taken from the socket: else whoever has the key could fill a link with them,
//! and what a liar costs would not be bounded by what it is asked for.
//! It does not know why parts are asked, nor whether they are still wanted.

use crate::part::{Layout, Run};
use crate::part_set::PartSet;

/// See the module.
#[derive(Debug)]
pub struct Asked(PartSet);

impl Asked {
    /// Nothing was asked yet.
    #[must_use]
    pub fn new(layout: Layout) -> Asked {
        Asked(PartSet::empty(layout))
    }

    /// These are asked for from now on; says how many of them were not before.
    pub fn ask(&mut self, run: Run) -> u32 {
        run.parts().map(|part| u32::from(self.0.insert(part))).sum()
    }

    /// These are answered; says whether all of them were asked for. If not, nothing has changed.
    pub fn answer(&mut self, run: Run) -> bool {
        let was_asked = run.parts().all(|part| self.0.contains(part));
        if was_asked {
            for part in run.parts() {
                self.0.remove(part);
            }
        }
        was_asked
    }

    /// Nothing is asked for any more; says how many parts were.
    pub fn forget(&mut self) -> u32 {
        let asked = self.0.count();
        self.0 = PartSet::empty(self.0.layout());
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_answered_once() {
        let layout = Layout::new(10, 1).unwrap();
        let run = |first, count| layout.run(first, count).unwrap();
        let mut asked = Asked::new(layout);
        assert!(!asked.answer(run(0, 1)));
        assert_eq!(asked.ask(run(0, 4)), 4);
        assert_eq!(asked.ask(run(2, 6)), 4, "two of them were asked for before");
        assert!(asked.answer(run(2, 4)), "of two wants at once");
        assert!(!asked.answer(run(1, 2)) && !asked.answer(run(7, 2)));
        assert!(asked.answer(run(0, 2)) && asked.answer(run(6, 2)));
        assert!(!asked.answer(run(0, 2)));
        asked.ask(run(1, 3));
        assert_eq!(asked.forget(), 3);
        assert!(!asked.answer(run(1, 3)));
    }
}
