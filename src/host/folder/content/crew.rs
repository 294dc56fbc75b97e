//! The threads that read files: each has a file of its own, and those that find no more files help with long ones.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

use super::cutting::{Job, Piece, Reader};
use crate::host::{HostError, thread};
use crate::limits::CONTENT_THREADS_MAX;

/// What the threads share.
#[derive(Debug, Default)]
pub(super) struct Crew<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State<'a> {
    /// The files that others may help with.
    open: Vec<(Arc<Job<'a>>, Sender<Piece>)>,
    /// How many threads may still open one.
    owners: usize,
}

/// A thread that may have files of its own, until this is dropped.
struct Ownership<'c, 'a>(&'c Crew<'a>);

/// A file that others may help with, until this is dropped.
pub(super) struct Invitation<'c, 'a> {
    crew: &'c Crew<'a>,
    job: Arc<Job<'a>>,
}

/// How many threads read files at a time.
pub(super) fn threads() -> usize {
    thread::cores().min(CONTENT_THREADS_MAX)
}

impl<'a> Crew<'a> {
    /// Lets so many threads work on files, one of them the calling one; one that runs out of files helps the others.
    ///
    /// # Errors
    /// The system has no room for a thread; the others have worked.
    pub(super) fn all_own(
        threads: usize,
        work: impl Fn(&Crew<'a>, &mut Reader) + Sync,
    ) -> Result<(), HostError> {
        let crew = Crew::default();
        let body = |ownership: Ownership<'_, 'a>| {
            let mut reader = Reader::default();
            work(&crew, &mut reader);
            drop(ownership);
            crew.help(&mut reader);
        };
        let body = &body;
        std::thread::scope(|scope| {
            let own = crew.ownership();
            let start = |number| {
                let ownership = crew.ownership();
                thread::scoped(scope, format!("read{number}"), move || body(ownership))
            };
            let helpers: Vec<_> = (1..threads).map(start).collect();
            body(own);
            let join = |helper: Result<_, HostError>| helper.map(thread::join_scoped);
            helpers.into_iter().map(join).fold(Ok(()), Result::and)
        })
    }

    /// Lets the calling thread work on a file, and others help, as many as the system has room for.
    pub(super) fn one_owns<T>(threads: usize, work: impl FnOnce(&Crew<'a>, &mut Reader) -> T) -> T {
        let crew = Crew::default();
        std::thread::scope(|scope| {
            let own = crew.ownership();
            let crew = &crew;
            let helpers: Vec<_> = (1..threads)
                .map_while(|number| {
                    let help = || crew.help(&mut Reader::default());
                    thread::scoped(scope, format!("read{number}"), help).ok()
                })
                .collect();
            let outcome = work(crew, &mut Reader::default());
            drop(own);
            helpers.into_iter().for_each(thread::join_scoped);
            outcome
        })
    }

    /// Lets others help with a file. What they find goes to `found`.
    pub(super) fn invite(&self, job: &Arc<Job<'a>>, found: Sender<Piece>) -> Invitation<'_, 'a> {
        self.state().open.push((Arc::clone(job), found));
        self.changed.notify_all();
        Invitation { crew: self, job: Arc::clone(job) }
    }

    fn ownership(&self) -> Ownership<'_, 'a> {
        self.state().owners += 1;
        Ownership(self)
    }

    /// Helps as long as anybody may need it.
    fn help(&self, reader: &mut Reader) {
        while let Some((job, found)) = self.wait() {
            while let Some(piece) = job.help(reader) {
                if found.send(piece).is_err() {
                    // It is not wanted any more.
                    break;
                }
            }
        }
    }

    /// A file to help with; none if there will be no more.
    fn wait(&self) -> Option<(Arc<Job<'a>>, Sender<Piece>)> {
        let mut state = self.state();
        loop {
            if let Some(open) = state.open.iter().find(|(job, _)| job.has_more()) {
                return Some(open.clone());
            }
            if state.owners == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<'a>> {
        // Nothing in it is half done when a thread panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ownership<'_, '_> {
    fn drop(&mut self) {
        self.0.state().owners -= 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Invitation<'_, '_> {
    fn drop(&mut self) {
        self.job.end();
        self.crew.state().open.retain(|(job, _)| !Arc::ptr_eq(job, &self.job));
    }
}
