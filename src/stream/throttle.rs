//! The user's rate limits, shared by all links.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::host::{clock, thread};
use crate::limits::POLL_INTERVAL;
use crate::logic::bucket::Bucket;

/// One direction's limit; without one it costs nothing.
#[derive(Debug, Default)]
pub struct Throttle {
    bucket: Option<Mutex<Bucket>>,
    /// Somebody waited since the last look.
    held_back: AtomicBool,
}

impl Throttle {
    /// A limit in bytes per second, or none.
    #[must_use]
    pub fn new(bytes_per_second: Option<u64>) -> Throttle {
        let bucket = bytes_per_second.map(|rate| Mutex::new(Bucket::new(rate)));
        Throttle { bucket, held_back: AtomicBool::new(false) }
    }

    /// Whether there is a limit.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.bucket.is_some()
    }

    /// How much to move in one go, at most `most`, so that waits stay short.
    #[must_use]
    pub fn slice(&self, most: usize) -> usize {
        match &self.bucket {
            None => most,
            Some(bucket) => bucket.lock().expect("no thread panics while it holds this lock").slice(most),
        }
    }

    /// Waits until `bytes` may be moved, or `give_up` says so.
    pub fn wait(&self, bytes: usize, give_up: impl Fn() -> bool) {
        let Some(bucket) = &self.bucket else { return };
        let span = bucket
            .lock()
            .expect("no thread panics while it holds this lock")
            .take(clock::now(), u64::try_from(bytes).unwrap_or(u64::MAX));
        if !span.is_zero() {
            self.held_back.store(true, Ordering::Relaxed);
            thread::pause(span, POLL_INTERVAL, give_up);
        }
    }

    /// Whether anybody had to wait since the last call.
    pub fn took_hold(&self) -> bool {
        self.held_back.swap(false, Ordering::Relaxed)
    }
}
