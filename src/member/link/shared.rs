//! What a link's two threads and the director share: flags and counters.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::logic::asked::Asked;
use crate::logic::session::Owed;
use crate::logic::swarm::Flow;
use crate::part::{Layout, Run};
use crate::stream::Cut;

/// One link's shared facts. All orderings are relaxed: each value stands for itself.
#[derive(Debug)]
pub(in crate::member) struct Shared {
    /// Cut: nothing more may be waited for.
    socket: Cut,
    /// The last word was said or heard: what still arrives is not looked at.
    closing: AtomicBool,
    /// It brought wrong bytes, and the director was told.
    blamed: AtomicBool,
    /// The writer was told that there is news to publish and has not looked yet.
    poked: AtomicBool,
    /// The far end's tag, for the book of what was given to whom; known from its hello on.
    far: AtomicU32,
    introduced: AtomicBool,
    /// The reader waits for something of ours, not for the other side.
    waits: AtomicBool,
    received: AtomicU64,
    sent: AtomicU64,
    owed_bytes: AtomicU64,
    owed_runs: AtomicU32,
    /// Written by the writer before it asks, and by the reader when an answer comes.
    asked: Mutex<Asked>,
    /// How many parts all links together were asked for and have not answered.
    awaited: Arc<AtomicU32>,
}

impl Shared {
    pub(super) fn new(layout: Layout, awaited: Arc<AtomicU32>) -> Shared {
        Shared {
            socket: Cut::default(),
            closing: AtomicBool::new(false),
            blamed: AtomicBool::new(false),
            poked: AtomicBool::new(false),
            far: AtomicU32::new(0),
            introduced: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            owed_bytes: AtomicU64::new(0),
            owed_runs: AtomicU32::new(0),
            asked: Mutex::new(Asked::new(layout)),
            awaited,
        }
    }

    /// These parts are about to be asked for.
    pub(super) fn ask(&self, run: Run) {
        let new = self.asked().ask(run);
        self.awaited.fetch_add(new, Ordering::Relaxed);
    }

    /// These parts are answered; says whether they were asked for.
    pub(super) fn answer(&self, run: Run) -> bool {
        let was_asked = self.asked().answer(run);
        if was_asked {
            self.awaited.fetch_sub(run.count(), Ordering::Relaxed);
        }
        was_asked
    }

    /// The link has ended: what was not answered will not be.
    pub(super) fn ended(&self) {
        self.awaited.fetch_sub(self.asked().forget(), Ordering::Relaxed);
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket, and the way to end the link at once.
    pub(super) const fn socket(&self) -> &Cut {
        &self.socket
    }

    /// Ends the link at once: both threads stop waiting.
    pub(in crate::member) fn cut(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.socket.cut();
    }

    pub(in crate::member) fn is_cut(&self) -> bool {
        self.socket.is_cut()
    }

    pub(in crate::member) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(in crate::member) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// The link brought wrong bytes: nothing more is taken from it. Says whether that is new.
    pub(in crate::member) fn blame(&self) -> bool {
        self.close();
        !self.blamed.swap(true, Ordering::Relaxed)
    }

    /// Whether the writer must be told of news; until it looked, further news need no further word.
    pub(in crate::member) fn poke(&self) -> bool {
        !self.poked.swap(true, Ordering::AcqRel)
    }

    /// The writer looks for news now.
    pub(super) fn looked(&self) {
        self.poked.store(false, Ordering::Release);
    }

    /// How many bytes the system took for the other side: unlike [`Shared::flow`], within a part as well.
    pub(in crate::member) fn written(&self) -> u64 {
        self.socket.written()
    }

    /// What the link has carried: bytes of parts.
    pub(in crate::member) fn flow(&self) -> Flow {
        Flow {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            waits: self.waits.load(Ordering::Relaxed),
        }
    }

    pub(in crate::member) fn far(&self) -> u32 {
        self.far.load(Ordering::Relaxed)
    }

    /// Does something that may have to wait, and lets it be known meanwhile: the far end is not to blame.
    pub(super) fn waiting<T>(&self, work: impl FnOnce() -> T) -> T {
        self.waits.store(true, Ordering::Relaxed);
        let done = work();
        self.waits.store(false, Ordering::Relaxed);
        done
    }

    pub(super) fn introduce(&self, far: u32) {
        self.far.store(far, Ordering::Relaxed);
        self.introduced.store(true, Ordering::Relaxed);
    }

    /// Whether the far end said who it is.
    pub(super) fn is_introduced(&self) -> bool {
        self.introduced.load(Ordering::Relaxed)
    }

    /// Bytes of parts came; messages do not count, or empty ones would make a mute link look alive.
    pub(super) fn got(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn gave(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What the other side asked for and was not yet sent.
    pub(super) fn owed(&self) -> Owed {
        Owed { bytes: self.owed_bytes.load(Ordering::Relaxed), runs: self.owed_runs.load(Ordering::Relaxed) }
    }

    pub(super) fn owe(&self, bytes: u64) {
        self.owed_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.owe_run();
    }

    /// One more run stands in the queue; a withdrawn part in the middle of one leaves two.
    pub(super) fn owe_run(&self) {
        self.owed_runs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn paid_bytes(&self, bytes: u64) {
        self.owed_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn paid_run(&self) {
        self.owed_runs.fetch_sub(1, Ordering::Relaxed);
    }
}
