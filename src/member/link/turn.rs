//! A link's turn to be sent parts, as its writer sees it.

use crate::logic::swarm::LinkId;
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
    /// It stands in the line, and is told when its turn begins.
    Waits,
    /// It is its turn.
    Has,
}

impl<'s> Turn<'s> {
    pub(super) const fn new(line: &'s Line, id: LinkId) -> Turn<'s> {
        Turn { line, id, state: State::Out }
    }

    /// It begins, as the line tells.
    pub(super) const fn begin(&mut self) {
        self.state = State::Has;
    }

    /// Whether the link stands in the line.
    pub(super) fn waits(&self) -> bool {
        self.state == State::Waits
    }

    /// Whether this part may be sent, and those that follow it; else the link stands in the line from now on.
    pub(super) fn take(&mut self, part: PartIndex) -> bool {
        if self.state == State::Out {
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

    /// If the link has waited for too long, or others can send what it waits for, it leaves the line, and the other side
    /// should ask elsewhere. Says whether.
    pub(super) fn give_up(&mut self) -> bool {
        let gives_up = self.waits() && self.line.give_up(self.id);
        if gives_up {
            self.state = State::Out;
        }
        gives_up
    }
}
