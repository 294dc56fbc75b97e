//! Part buffers, bounded in all.
//!
//! A reader takes a buffer before it takes a part from its socket, so many links with large parts cost no
//! more memory than few; whoever finds none waits, and its socket with it.

use std::sync::{Condvar, Mutex, MutexGuard};

use crate::limits::{PART_BUFFERS_BYTES, POLL_INTERVAL};

/// All part buffers of a member; each has the same length.
#[derive(Debug)]
pub(super) struct Buffers {
    len: usize,
    /// How many there may be.
    most: usize,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug)]
struct State {
    /// Buffers that may still be made.
    unmade: usize,
    free: Vec<Vec<u8>>,
    /// How many readers wait for one.
    waiting: u32,
}

impl Buffers {
    /// As many buffers of `len` bytes as the bound allows, at least one. None is made before it is needed.
    pub(super) fn new(len: usize) -> Buffers {
        let budget = usize::try_from(PART_BUFFERS_BYTES).unwrap_or(usize::MAX);
        let most = (budget / len.max(1)).max(1);
        let state = State { unmade: most, free: Vec::new(), waiting: 0 };
        Buffers { len, most, state: Mutex::new(state), returned: Condvar::new() }
    }

    /// A buffer, if one is to be had now.
    pub(super) fn try_take(&self) -> Option<Vec<u8>> {
        self.take_from(&mut self.lock())
    }

    /// A buffer, as soon as one is to be had; none if `give_up` says so first.
    pub(super) fn take(&self, give_up: impl Fn() -> bool) -> Option<Vec<u8>> {
        let mut state = self.lock();
        state.waiting += 1;
        let buffer = loop {
            let buffer = self.take_from(&mut state);
            if buffer.is_some() || give_up() {
                break buffer;
            }
            let waited = self.returned.wait_timeout(state, POLL_INTERVAL);
            state = waited.expect("no thread panics while it holds this lock").0;
        };
        state.waiting -= 1;
        buffer
    }

    /// Whether somebody waits for a buffer.
    pub(super) fn are_short(&self) -> bool {
        self.lock().waiting > 0
    }

    /// How many buffers were taken and not given back.
    pub(super) fn taken(&self) -> usize {
        let state = self.lock();
        self.most - state.unmade - state.free.len()
    }

    /// Gives a buffer back.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        self.lock().free.push(buffer);
        self.returned.notify_one();
    }

    fn take_from(&self, state: &mut State) -> Option<Vec<u8>> {
        state.free.pop().or_else(|| {
            state.unmade = state.unmade.checked_sub(1)?;
            Some(vec![0; self.len])
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_bound() {
        let len = usize::try_from(PART_BUFFERS_BYTES).unwrap() / 2;
        let buffers = Buffers::new(len);
        let (first, second) = (buffers.try_take().unwrap(), buffers.try_take().unwrap());
        assert!(buffers.try_take().is_none());
        assert!(buffers.take(|| true).is_none());
        assert_eq!(buffers.taken(), 2);
        buffers.give_back(first);
        assert_eq!(buffers.taken(), 1);
        assert!(buffers.try_take().is_some());
        std::thread::scope(|scope| {
            assert!(!buffers.are_short());
            let waiting = scope.spawn(|| buffers.take(|| false));
            while !buffers.are_short() {
                std::thread::yield_now();
            }
            buffers.give_back(second);
            assert!(waiting.join().unwrap().is_some());
            assert!(!buffers.are_short());
            assert_eq!(buffers.taken(), 2);
        });
    }
}
