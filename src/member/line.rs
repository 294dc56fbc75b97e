//! The line of links that wait to be sent parts, shared by their writers.
//!
//! The rules are those of `logic::turns`; this wakes a link's writer when its turn begins, by its own queue. What is in the
//! queue may be old when it is read: the line alone knows whose turn it is, and a writer asks it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use crate::host::clock;
use crate::logic::serving::Outgoing;
use crate::logic::swarm::LinkId;
use crate::logic::turns::{InVain, Supply, Turns};
use crate::part::{Layout, PartIndex, Run};

/// See the module.
#[derive(Debug)]
pub(super) struct Line(Mutex<State>);

#[derive(Debug)]
struct State {
    turns: Turns<LinkId>,
    writers: BTreeMap<LinkId, Sender<Outgoing>>,
}

impl Line {
    /// Nobody waits; `limit` is how many bytes per second the user allows to be sent.
    pub(super) fn new(layout: Layout, limit: Option<u64>) -> Line {
        let turns = Turns::new(clock::now(), layout, limit);
        Line(Mutex::new(State { turns, writers: BTreeMap::new() }))
    }

    /// A link begins; its writer hears this queue.
    pub(super) fn enter(&self, id: LinkId, writer: Sender<Outgoing>) {
        self.state().writers.insert(id, writer);
    }

    /// A link is over.
    pub(super) fn leave(&self, id: LinkId) {
        let mut state = self.state();
        state.writers.remove(&id);
        let next = state.turns.leave(id);
        state.begin(next);
    }

    /// Whether somebody waits.
    pub(super) fn is_busy(&self) -> bool {
        self.state().turns.are_short()
    }

    /// Whether it is this link's turn, to send this part and those that follow it; else it is told when it is.
    pub(super) fn take(&self, id: LinkId, part: PartIndex) -> bool {
        self.state().turns.take(clock::now(), id, part)
    }

    /// The link's turn is over, with these parts sent.
    pub(super) fn end(&self, id: LinkId, sent: Option<Run>) {
        let mut state = self.state();
        sent.into_iter().flat_map(Run::parts).for_each(|part| state.turns.sent(part));
        let next = state.turns.end(id);
        state.begin(next);
    }

    /// Tells those who wait for a part, beyond the rooms for it, that the other side should ask elsewhere.
    pub(super) fn thin_out(&self, supply: impl Fn(PartIndex) -> Supply) {
        let mut state = self.state();
        for id in state.turns.surplus(supply) {
            if let Some(writer) = state.writers.get(&id) {
                // Whoever is not woken looks after itself before long.
                drop(writer.try_send(Outgoing::Elsewhere));
            }
        }
    }

    /// Whether the link has waited for too long, and is out of the line, or others can send as well what it waits for.
    pub(super) fn give_up(&self, id: LinkId) -> Option<InVain> {
        self.state().turns.give_up(clock::now(), id)
    }

    /// So many bytes of parts were sent in all, and so many on one link.
    pub(super) fn adapt(&self, sent: u64, sent_to: impl Fn(LinkId) -> u64) {
        let mut state = self.state();
        let next = state.turns.adapt(clock::now(), sent, sent_to);
        state.begin(next);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the line as good as it was: every change of it is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Their turn begins. Whoever cannot be woken gives its turn to the next, and stands in line again when it looks.
    fn begin(&mut self, mut next: Vec<LinkId>) {
        while let Some(id) = next.pop() {
            let told = self.writers.get(&id).is_some_and(|writer| writer.try_send(Outgoing::Turn).is_ok());
            if !told {
                next.extend(self.turns.end(id));
            }
        }
    }
}
