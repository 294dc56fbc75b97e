//! What all threads of a member share: facts that never turn false, counters, and the way to the director.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::Sender;

use super::buffers::Buffers;
use super::director;
use super::files::FlushCounter;
use super::progress::Progress;
use super::throttle::Throttle;
use crate::host::HostError;
use crate::host::store::Store;
use crate::host::thread::{self, Thread};
use crate::identity::{MemberId, SwarmKey};
use crate::logic::giving::{Given, may_reserve};
use crate::manifest::Manifest;
use crate::part::{Layout, PartIndex, Run};
use crate::time::Moment;

/// Shared by all threads of one member.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) manifest: Arc<Manifest>,
    pub(super) layout: Layout,
    pub(super) key: SwarmKey,
    pub(super) me: MemberId,
    /// The port on which this member accepts links.
    pub(super) port: u16,
    pub(super) store: Store,
    pub(super) buffers: Buffers,
    pub(super) up: Throttle,
    pub(super) down: Throttle,
    pub(super) given: GivenBook,
    pub(super) flush: FlushCounter,
    pub(super) progress: Progress,
    pub(super) inbox: Sender<director::Event>,
    /// The member is on its way out: nobody begins anything.
    pub(super) stopping: AtomicBool,
}

impl Context {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Starts a thread of the member. If it panics, the director hears of it: nobody waits for its word in
    /// vain.
    pub(super) fn spawn(
        self: &Arc<Context>,
        name: &str,
        body: impl FnOnce(&Arc<Context>) + Send + 'static,
    ) -> Result<Thread, HostError> {
        let context = Arc::clone(self);
        thread::spawn(name, move || {
            let guard = Guard(&context);
            body(&context);
            std::mem::forget(guard);
        })
    }

    /// Tells the director; waits if it is busy. When the director is gone there is nobody to tell.
    pub(super) fn report(&self, event: director::Event) {
        drop(self.inbox.send(event));
    }
}

/// Reports a panic: it is dropped only if the body did not come to its end.
struct Guard<'c>(&'c Context);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.report(director::Event::Panicked);
    }
}

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
