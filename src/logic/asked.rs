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

    /// These are asked for from now on.
    pub fn ask(&mut self, run: Run) {
        for part in run.parts() {
            self.0.insert(part);
        }
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
        asked.ask(run(0, 4));
        asked.ask(run(4, 4));
        assert!(asked.answer(run(2, 4)), "of two wants at once");
        assert!(!asked.answer(run(1, 2)) && !asked.answer(run(7, 2)));
        assert!(asked.answer(run(0, 2)) && asked.answer(run(6, 2)));
        assert!(!asked.answer(run(0, 2)));
    }
}
