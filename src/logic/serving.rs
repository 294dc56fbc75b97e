//! What the writer of one link is told, what it owes, and what of that is sent next.
//!
//! Wants are answered in the order in which they came, about [`PIECE_BYTES_U32`] at a time, so that words can pass
//! between. It does not know whether the parts are there, nor what is sent of them already.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::limits::PIECE_BYTES_U32;
use crate::part::{Layout, Run};
use crate::wire::member::{Denial, Reason};

/// What a link's writer is told.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// Ask for these.
    Want(Run),
    /// These are no longer needed.
    Cancel(Run),
    /// The other side asked for these: send them.
    Serve(Run),
    /// The other side asked for these: say no.
    Refuse(Run, Denial),
    /// The other side no longer needs these.
    Withdraw(Run),
    /// It may be this link's turn to be sent parts.
    Turn,
    /// Others may be able to send what waits for its turn: the other side should ask them.
    Elsewhere,
    /// There is news on the shelf.
    Publish,
    /// Pass these on.
    Gossip(Vec<SocketAddr>),
    /// Say this and end.
    Close(Reason),
}

/// The runs that a link owes, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Serving(VecDeque<Run>);

impl Serving {
    /// Nothing is owed.
    #[must_use]
    pub const fn new() -> Serving {
        Serving(VecDeque::new())
    }

    /// Whether nothing is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many runs are owed. A withdrawn part in the middle of one leaves two.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.0.len()
    }

    /// These parts are owed from now on.
    pub fn push(&mut self, run: Run) {
        self.0.push_back(run);
    }

    /// The oldest run.
    #[must_use]
    pub fn first(&self) -> Option<Run> {
        self.0.front().copied()
    }

    /// Takes the oldest run.
    pub fn take_first(&mut self) -> Option<Run> {
        self.0.pop_front()
    }

    /// Takes all that is owed.
    pub fn take(&mut self) -> impl Iterator<Item = Run> {
        std::mem::take(&mut self.0).into_iter()
    }

    /// Takes the next parts to send: the head of the oldest run, at least one part.
    pub fn next(&mut self, layout: Layout) -> Option<Run> {
        let (head, rest) = self.0.pop_front()?.split_at(PIECE_BYTES_U32 / layout.part_len());
        if let Some(rest) = rest {
            self.0.push_front(rest);
        }
        Some(head)
    }

    /// Takes out what is still owed of these parts; each piece is to be answered with a refusal.
    pub fn withdraw(&mut self, run: Run) -> Vec<Run> {
        let mut withdrawn = Vec::new();
        let mut kept = VecDeque::with_capacity(self.0.len() + 1);
        for owed in self.0.drain(..) {
            match owed.intersect(run) {
                None => kept.push_back(owed),
                Some(common) => {
                    withdrawn.push(common);
                    kept.extend(owed.minus(common).into_iter().flatten());
                }
            }
        }
        self.0 = kept;
        withdrawn
    }

    /// What is owed, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new(100 * 65_536, 65_536).unwrap()
    }

    fn run(first: u32, count: u32) -> Run {
        layout().run(first, count).unwrap()
    }

    #[test]
    fn long_runs_are_sent_in_pieces() {
        let mut serving = Serving::new();
        serving.push(run(0, 20));
        serving.push(run(50, 1));
        let sent: Vec<Run> = std::iter::from_fn(|| serving.next(layout())).collect();
        assert_eq!(
            sent,
            [0, 4, 8, 12, 16].map(|first| run(first, 4)).into_iter().chain([run(50, 1)]).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_part_longer_than_a_piece_is_sent_alone() {
        let layout = Layout::new(8 << 20, 4 << 20).unwrap();
        let mut serving = Serving::new();
        serving.push(layout.whole().unwrap());
        assert_eq!(serving.next(layout).map(Run::count), Some(1));
    }

    #[test]
    fn what_is_withdrawn_is_not_sent() {
        let mut serving = Serving::new();
        serving.push(run(0, 10));
        serving.push(run(20, 10));
        assert_eq!(serving.withdraw(run(4, 20)), [run(4, 6), run(20, 4)]);
        assert_eq!(serving.withdraw(run(4, 20)), [], "once");
        assert_eq!(serving.iter().collect::<Vec<_>>(), [run(0, 4), run(24, 6)]);
        assert_eq!(serving.withdraw(run(1, 1)), [run(1, 1)]);
        assert_eq!(serving.runs(), 3);
    }
}
