//! What all threads of an ensemble's member share: facts that never turn false, counters, and the way to the keeper.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;

use super::flusher::Flusher;
use super::keeper::Event;
use super::progress::Progress;
use crate::host::HostError;
use crate::host::folder::Root;
use crate::host::thread::{self, Thread};
use crate::identity::{LinkKey, MemberId};
use crate::stream::Throttle;

/// Shared by all threads of one member.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) root: Arc<Root>,
    pub(super) key: LinkKey,
    pub(super) me: MemberId,
    /// The port on which this member accepts links.
    pub(super) port: u16,
    /// How people call this computer.
    pub(super) label: String,
    pub(super) flusher: Flusher,
    pub(super) up: Throttle,
    pub(super) down: Throttle,
    pub(super) progress: Progress,
    pub(super) inbox: Sender<Event>,
    /// The member is on its way out: nobody begins anything.
    pub(super) stopping: Arc<AtomicBool>,
}

impl Context {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Starts a thread of the member. If it panics, the keeper hears of it: nobody waits for its word in vain.
    pub(super) fn spawn(
        self: &Arc<Context>,
        name: &str,
        body: impl FnOnce(&Arc<Context>) + Send + 'static,
    ) -> Result<Thread, HostError> {
        let (context, told) = (Arc::clone(self), Arc::clone(self));
        thread::spawn_guarded(name, move || body(&context), move || told.report(Event::Panicked))
    }

    /// Tells the keeper; waits if it is busy. When the keeper is gone there is nobody to tell.
    pub(super) fn report(&self, event: Event) {
        drop(self.inbox.send(event));
    }
}
