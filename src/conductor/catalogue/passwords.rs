//! Threads that hash passwords, a few at a time: each takes a core and much memory for tens of milliseconds.
//!
//! They own nothing, and wait for their queue and the inbox of whom they answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::front::Heard;
use super::{Post, Ticket};
use crate::host::HostError;
use crate::host::password::{Password, PasswordHash};
use crate::host::thread::{self, Thread};
use crate::limits::{HASHINGS_MAX, HASHINGS_WAITING_MAX};

/// A password, and what to do with it.
#[derive(Debug)]
pub(super) struct Hashing {
    pub(super) ticket: Ticket,
    pub(super) password: Password,
    pub(super) purpose: Purpose,
}

/// What a password is hashed for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Is it the one of this hash? Without one it is not, and that takes as long.
    Verify(Option<PasswordHash>),
    /// To be kept.
    Keep,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::conductor) enum Hashed {
    /// Whether it was the right one.
    Verified(bool),
    /// What to keep; none if the system yields no random bytes.
    Hash(Option<PasswordHash>),
}

/// The way to the threads; they end when it is dropped.
#[derive(Debug)]
pub(super) struct Passwords {
    queue: Sender<Hashing>,
}

/// Starts the threads. `hashed` counts what they did.
pub(super) fn start(
    front: &Post<Heard>,
    hashed: &Arc<AtomicUsize>,
    panicked: impl Fn() + Clone + Send + 'static,
) -> Result<(Passwords, Vec<Thread>), HostError> {
    let (queue, waiting) = crossbeam_channel::bounded(HASHINGS_WAITING_MAX);
    let threads = (0..thread::cores().min(HASHINGS_MAX)).map(|_| {
        let (waiting, front, hashed) = (waiting.clone(), front.clone(), Arc::clone(hashed));
        thread::spawn_guarded("password", move || run(&waiting, &front, &hashed), panicked.clone())
    });
    Ok((Passwords { queue }, threads.collect::<Result<_, _>>()?))
}

fn run(waiting: &Receiver<Hashing>, front: &Post<Heard>, hashed: &AtomicUsize) {
    for Hashing { ticket, password, purpose } in waiting {
        let outcome = match purpose {
            Purpose::Verify(hash) => Hashed::Verified(PasswordHash::verify(hash.as_ref(), &password)),
            Purpose::Keep => {
                Hashed::Hash(PasswordHash::of(&password).inspect_err(|error| log::error!("{error}")).ok())
            }
        };
        hashed.fetch_add(1, Ordering::Relaxed);
        front.send(Heard::Hashed(ticket, outcome));
    }
}

impl Passwords {
    /// Has a password hashed; whether there was room for it.
    pub(super) fn hash(&self, hashing: Hashing) -> bool {
        match self.queue.try_send(hashing) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}
