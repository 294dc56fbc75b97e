//! The slow work on the file: verifying what is there, and bringing what came to its place.
//!
//! Each has a thread of its own, so that neither the hub nor a link waits for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::context::Context;
use super::director::Event;
use crate::host::thread::Thread;
use crate::host::{HostError, hashing};
use crate::limits::{FLUSH_BYTES, FORGET_BYTES, POLL_INTERVAL};
use crate::part::Run;

/// Why a whole file does not get its name.
#[derive(Debug)]
pub(super) enum FinishError {
    /// The disk failed.
    Host(HostError),
    /// Every part is right, but not the digest of the whole.
    Contradiction,
    /// The member stopped before the digest of the whole was known.
    Stopped,
}

/// Starts to verify what is on disk; the director is told of runs that are held or missing, and of the end.
pub(super) fn start_check(context: &Arc<Context>, verified: bool) -> Result<Thread, HostError> {
    context.spawn("check", move |context| {
        let outcome = if verified { take_for_right(context) } else { check(context) };
        if !context.is_stopping() {
            context.report(Event::CheckEnded(outcome));
        }
    })
}

fn take_for_right(context: &Context) -> Result<(), HostError> {
    if let Some(whole) = context.layout.whole() {
        note(context, whole, true);
    }
    Ok(())
}

fn check(context: &Context) -> Result<(), HostError> {
    let store = &context.store;
    hashing::hash_parts(store.file(), store.path(), context.layout, &context.stopping, |run, digests| {
        let found: Vec<bool> = run
            .parts()
            .zip(digests)
            .map(|(part, &digest)| digest == context.manifest.part_digest(part))
            .collect();
        run.cut_by(&found).for_each(|(run, held)| note(context, run, held));
    })
}

/// These parts were looked at, and all of them are held or none.
fn note(context: &Context, run: Run, held: bool) {
    // A part may have come from a member meanwhile: it is counted once.
    let new = run.parts().filter(|&part| held && context.store.put(part));
    let (parts, bytes) =
        new.fold((0, 0), |(parts, bytes), part| (parts + 1, bytes + u64::from(context.layout.len_of(part))));
    context.progress.checked(run.count(), parts, bytes);
    context.report(Event::Checked { run, held });
}

/// Starts to keep the disk busy while parts come, and memory free of what nobody needs from there; ends with the last part,
/// or when the member stops.
///
/// Without it, everything that came would wait in memory for the sync at the end, and the member would stand
/// at 100 % for as long as the disk takes.
pub(super) fn start_flush(context: &Arc<Context>, heard: FlushHeard) -> Result<Thread, HostError> {
    context.spawn("flush", move |context| {
        let (mut looked, mut asked) = (0, false);
        while !context.is_stopping() && !context.store.shelf().is_full() {
            if heard.due.recv_timeout(POLL_INTERVAL).is_err() || context.is_stopping() {
                continue;
            }
            // Before the flush: all of these are on the disk after it.
            let written = context.flush.written();
            let answer = heard.spread.try_recv().ok();
            if let Err(error) = context.store.flush() {
                // The system tells of a failed write once: the sync at the end would not hear of it again.
                context.report(Event::StoreFailed(error));
                return;
            }
            asked &= answer.is_none();
            answer.into_iter().flatten().for_each(|run| context.store.forget_cached(run));
            if !asked && written - looked >= FORGET_BYTES {
                (looked, asked) = (written, true);
                context.report(Event::Flushed);
            }
        }
    })
}

/// Counts what was written, says when the disk should be told, and what memory may forget.
#[derive(Debug)]
pub(super) struct Flush {
    written: AtomicU64,
    due: Sender<()>,
    spread: Sender<Vec<Run>>,
}

/// Where the flushing thread hears of that.
#[derive(Debug)]
pub(super) struct FlushHeard {
    due: Receiver<()>,
    spread: Receiver<Vec<Run>>,
}

impl Flush {
    /// What was written is counted here, and heard there.
    pub(super) fn new() -> (Flush, FlushHeard) {
        let (due, due_heard) = crossbeam_channel::bounded(1);
        let (spread, spread_heard) = crossbeam_channel::bounded(1);
        let heard = FlushHeard { due: due_heard, spread: spread_heard };
        (Flush { written: AtomicU64::new(0), due, spread }, heard)
    }

    /// Wakes the flusher, so that it sees that the member stops.
    pub(super) fn wake(&self) {
        let _awake = self.due.try_send(());
    }

    /// So many bytes were written.
    pub(super) fn wrote(&self, bytes: u64) {
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        if before / FLUSH_BYTES != (before + bytes) / FLUSH_BYTES {
            // Full: the flusher knows already.
            let _known = self.due.try_send(());
        }
    }

    /// How many bytes were written.
    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Everybody who is here has these parts, so nobody reads them: memory may forget them after the next flush.
    pub(super) fn forget(&self, runs: Vec<Run>) {
        // Never full, for the flusher asks again only after an answer. If it has ended, the system keeps these for as long
        // as it likes.
        let _kept = self.spread.try_send(runs);
    }
}

/// Starts to bring the whole file to the disk and to its name; the director hears of the outcome.
pub(super) fn start_finish(context: &Arc<Context>, check_digest: bool) -> Result<Thread, HostError> {
    context.spawn("finish", move |context| {
        let outcome = finish(context, check_digest);
        context.report(Event::Finished(outcome));
    })
}

fn finish(context: &Context, check_digest: bool) -> Result<(), FinishError> {
    let store = &context.store;
    if check_digest {
        let digests = hashing::digest_whole_and_parts(
            store.file(),
            store.path(),
            context.layout,
            &context.stopping,
            |_| {},
        )
        .map_err(FinishError::Host)?;
        let (whole, _) = digests.ok_or(FinishError::Stopped)?;
        if whole != context.manifest.digest() {
            return Err(FinishError::Contradiction);
        }
    }
    store.finish().map_err(FinishError::Host)
}
