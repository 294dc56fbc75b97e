//! What a member that speaks the classic protocol as well shares among its threads.

pub(super) mod scout;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::host::clock;
use crate::logic::addresses::normalised;
use crate::logic::classic::dialects::{Dialect, Dialects};
use crate::manifest::Manifest;
use crate::wire::classic::Subject;

/// What the classic protocol calls the composition of this manifest.
pub(super) fn subject_of(manifest: &Manifest) -> Subject {
    Subject::spelled(manifest.spelled_name(), manifest.name(), manifest.digest())
}

/// See the module. Nobody waits while holding a lock of it.
#[derive(Debug)]
pub(super) struct Classic {
    /// The composition, as it is called there.
    pub(super) subject: Subject,
    dialects: Mutex<Dialects>,
    /// Our ends of the classic links that we dialled: one that is accepted from there leads to ourselves.
    own: Mutex<BTreeSet<SocketAddr>>,
}

impl Classic {
    pub(super) const fn new(subject: Subject) -> Classic {
        Classic { subject, dialects: Mutex::new(Dialects::new()), own: Mutex::new(BTreeSet::new()) }
    }

    /// In which dialect to dial this address.
    pub(super) fn dialect_of(&self, address: SocketAddr) -> Dialect {
        self.dialects().of(normalised(address))
    }

    /// Members that speak our dialect are there: they did, or a conductor of ours says so.
    pub(super) fn heard_natively(&self, addresses: &[SocketAddr]) {
        let (now, mut dialects) = (clock::now(), self.dialects());
        addresses.iter().for_each(|&address| dialects.on_native(now, normalised(address)));
    }

    /// A classic conductor told of these.
    fn heard_classically(&self, addresses: &[SocketAddr]) {
        let mut dialects = self.dialects();
        addresses.iter().for_each(|&address| dialects.on_classic(normalised(address)));
    }

    /// Somebody is there, and did not understand.
    pub(super) fn misunderstood(&self, address: SocketAddr, spoken: Dialect) {
        self.dialects().on_misunderstood(clock::now(), normalised(address), spoken);
    }

    /// A classic link begins that we dialled from this address, until the guard is dropped.
    pub(super) fn dialled_from(&self, local: SocketAddr) -> OwnEnd<'_> {
        let local = normalised(local);
        self.own().insert(local);
        OwnEnd { classic: self, local }
    }

    /// Whether a connection from there comes from ourselves.
    pub(super) fn is_own(&self, remote: SocketAddr) -> bool {
        self.own().contains(&normalised(remote))
    }

    fn dialects(&self) -> MutexGuard<'_, Dialects> {
        // A panic elsewhere leaves it as good as it was: every change of it is whole.
        self.dialects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Our end of a classic link that we dialled.
pub(super) struct OwnEnd<'c> {
    classic: &'c Classic,
    local: SocketAddr,
}

impl Drop for OwnEnd<'_> {
    fn drop(&mut self) {
        self.classic.own().remove(&self.local);
    }
}
