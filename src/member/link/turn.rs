//! A link's turn to be sent parts, as its writer sees it.

use crate::logic::swarm::LinkId;
use crate::logic::turns::InVain;
use crate::member::line::Line;
use crate::part::{PartIndex, Run};

/// See the module.
pub(super) struct Turn<'s> {
    line: &'s Line,
    id: LinkId,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The link is not in the line.
    Out,
    /// It stood in the line when that was last asked; the line wakes it when its turn begins.
    Waits,
    /// It is its turn.
    Has,
}

impl<'s> Turn<'s> {
    pub(super) const fn new(line: &'s Line, id: LinkId) -> Turn<'s> {
        Turn { line, id, state: State::Out }
    }

    /// Whether the link stands in the line.
    pub(super) fn waits(&self) -> bool {
        self.state == State::Waits
    }

    /// Whether this part may be sent, and those that follow it; else the link stands in the line for it from now on.
    pub(super) fn take(&mut self, part: PartIndex) -> bool {
        if self.state != State::Has {
            let has = self.line.take(self.id, part);
            self.state = if has { State::Has } else { State::Waits };
        }
        self.state == State::Has
    }

    /// These were sent: now it is another's turn.
    pub(super) fn end(&mut self, sent: Run) {
        self.line.end(self.id, Some(sent));
        self.state = State::Out;
    }

    /// There is nothing to send: the turn, or the place in the line, is another's.
    pub(super) fn pass(&mut self) {
        if self.state != State::Out {
            self.line.end(self.id, None);
            self.state = State::Out;
        }
    }

    /// What the other side should ask for elsewhere, if the link waits in vain.
    pub(super) fn give_up(&self) -> Option<InVain> {
        self.line.give_up(self.id)
    }
}
