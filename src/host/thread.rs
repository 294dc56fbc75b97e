//! Named threads that are joined, and pauses that end early.

use std::panic::resume_unwind;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};
use std::time::Duration;

use super::HostError;
use super::error::SystemAction;

/// Enough for every thread of ours: buffers live on the heap.
const STACK_LEN: usize = 256 * 1024;

/// A running thread, and what it yields. Dropping this leaves the thread to itself.
#[derive(Debug)]
pub struct Thread<T = ()>(JoinHandle<T>);

/// A thread ended by a panic: a bug of ours, told on standard error by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Starts a thread whose name a debugger shows (15 letters at most).
///
/// # Errors
/// The system has no room for another thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<Thread<T>, HostError> {
    Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_LEN)
        .spawn(body)
        .map(Thread)
        .map_err(HostError::system(SystemAction::StartThread))
}

/// The same; if it panics, `panicked` is called in it, so that nobody waits for its word in vain.
///
/// # Errors
/// The system has no room for another thread.
pub fn spawn_guarded(
    name: &str,
    body: impl FnOnce() + Send + 'static,
    panicked: impl FnOnce() + Send + 'static,
) -> Result<Thread, HostError> {
    spawn(name, move || {
        let guard = Guard(Some(panicked));
        body();
        guard.dismiss();
    })
}

/// Calls its function when it is dropped, unless it was dismissed.
struct Guard<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Guard<F> {
    fn dismiss(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for Guard<F> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

/// Starts a thread that is joined before `scope` ends, and may use what lives as long.
///
/// # Errors
/// The system has no room for another thread.
pub fn scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: String,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, HostError> {
    Builder::new().name(name).spawn_scoped(scope, body).map_err(HostError::system(SystemAction::StartThread))
}

/// Waits for the end of such a thread, and yields what it did. If it panicked, so does this.
pub fn join_scoped<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// How many threads this machine runs at the same time.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Waits for `span`, or until `done` says so; it is asked every `beat`.
pub fn pause(span: Duration, beat: Duration, done: impl Fn() -> bool) {
    let mut left = span;
    while left > Duration::ZERO && !done() {
        let nap = left.min(beat);
        std::thread::sleep(nap);
        left -= nap;
    }
}

/// Waits for the thread to end, but not longer than `patience`; says whether it ended.
///
/// A thread that sits in a system call which nothing interrupts is left behind; the process ends without it.
pub fn join_within(thread: Thread, patience: Duration) -> bool {
    const BEAT: Duration = Duration::from_millis(5);
    pause(patience, BEAT, || thread.has_ended());
    let ended = thread.has_ended();
    if ended {
        // A panic was told on standard error when it happened.
        let _panicked = thread.join();
    }
    ended
}

impl<T> Thread<T> {
    /// Whether the thread has ended, so that joining does not wait.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for the thread to end, and yields what it did.
    ///
    /// # Errors
    /// It ended by a panic.
    pub fn join(self) -> Result<T, Panicked> {
        self.0.join().map_err(|_| Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_and_an_end_is_not() {
        let (tell, told) = crossbeam_channel::unbounded();
        let teller = tell.clone();
        spawn_guarded("ends", || {}, move || teller.send("ends").unwrap()).unwrap().join().unwrap();
        let panics =
            spawn_guarded("panics", || panic!("on purpose"), move || tell.send("panics").unwrap()).unwrap();
        assert_eq!(panics.join(), Err(Panicked));
        assert_eq!(told.iter().collect::<Vec<_>>(), ["panics"]);
    }
}
