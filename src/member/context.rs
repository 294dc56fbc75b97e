//! What all threads of a member share: facts that never turn false, counters, and the way to the director.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crossbeam_channel::Sender;

use super::buffers::Buffers;
use super::classic::Classic;
use super::director;
use super::files::Flush;
use super::given::GivenBook;
use super::line::Line;
use super::progress::Progress;
use super::verifier::Verifiers;
use crate::host::HostError;
use crate::host::store::Store;
use crate::host::thread::{self, Thread};
use crate::identity::{LinkKey, MemberId, SwarmId};
use crate::manifest::Manifest;
use crate::part::Layout;
use crate::stream::Throttle;

/// Shared by all threads of one member.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) manifest: Arc<Manifest>,
    pub(super) layout: Layout,
    pub(super) swarm: SwarmId,
    pub(super) key: LinkKey,
    pub(super) me: MemberId,
    /// The port on which this member accepts links.
    pub(super) port: u16,
    /// What the classic protocol needs, if it is spoken.
    pub(super) classic: Option<Classic>,
    pub(super) store: Store,
    pub(super) buffers: Buffers,
    /// How many parts all links together were asked for and have not answered.
    pub(super) awaited: Arc<AtomicU32>,
    pub(super) verifiers: Verifiers,
    pub(super) up: Throttle,
    pub(super) down: Throttle,
    pub(super) given: GivenBook,
    pub(super) line: Line,
    pub(super) flush: Flush,
    pub(super) progress: Progress,
    pub(super) inbox: Sender<director::Event>,
    /// The member is on its way out: nobody begins anything.
    pub(super) stopping: AtomicBool,
}

impl Context {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Whether parts that were asked for have neither come whole nor been refused, beyond those in so many buffers.
    pub(super) fn expects_parts(&self, buffers: usize) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0 || self.buffers.taken() > buffers
    }

    /// Starts a thread of the member. If it panics, the director hears of it: nobody waits for its word in
    /// vain.
    pub(super) fn spawn(
        self: &Arc<Context>,
        name: &str,
        body: impl FnOnce(&Arc<Context>) + Send + 'static,
    ) -> Result<Thread, HostError> {
        let (context, told) = (Arc::clone(self), Arc::clone(self));
        thread::spawn_guarded(name, move || body(&context), move || told.report(director::Event::Panicked))
    }

    /// Tells the director; waits if it is busy. When the director is gone there is nobody to tell.
    pub(super) fn report(&self, event: director::Event) {
        drop(self.inbox.send(event));
    }
}
