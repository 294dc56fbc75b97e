//! What a member that speaks the classic protocol as well shares among its threads.

pub(super) mod scout;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::host::clock;
use crate::limits::POLL_INTERVAL;
use crate::logic::addresses::normalised;
use crate::logic::classic::dialects::{Dialect, Dialects};
use crate::logic::classic::sets::{Sets, Written};
use crate::manifest::Manifest;
use crate::part_set::PartSet;
use crate::wire::classic::Subject;
use crate::wire::classic::mask::Mask;

/// What the classic protocol calls the composition of this manifest.
pub(super) fn subject_of(manifest: &Manifest) -> Subject {
    Subject::spelled(manifest.spelled_name(), manifest.name(), manifest.digest())
}

/// See the module. Nobody waits while holding a lock of it, but for the set that is written.
#[derive(Debug)]
pub(super) struct Classic {
    /// The composition, as it is called there.
    pub(super) subject: Subject,
    dialects: Mutex<Dialects>,
    /// Our ends of the classic links that we dialled: one that is accepted from there leads to ourselves.
    own: Mutex<BTreeSet<SocketAddr>>,
    sets: Mutex<Sets>,
    /// Nobody tells of it: those who wait for the next set wait as long as they are told to.
    next_set: Condvar,
    written: Mutex<Written>,
}

impl Classic {
    pub(super) const fn new(subject: Subject) -> Classic {
        Classic {
            subject,
            dialects: Mutex::new(Dialects::new()),
            own: Mutex::new(BTreeSet::new()),
            sets: Mutex::new(Sets::new()),
            next_set: Condvar::new(),
            written: Mutex::new(Written::new()),
        }
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

    /// Waits until the calling link may read a set of parts; false if it gives up before.
    pub(super) fn wait_to_read_set(&self, mask: &Mask, give_up: impl Fn() -> bool) -> bool {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        while let Err(wait) = sets.take(clock::now(), mask) {
            if give_up() {
                return false;
            }
            let waited = self.next_set.wait_timeout(sets, wait.min(POLL_INTERVAL));
            sets = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// How the set of what is here is told. Who asks meanwhile waits until it is written, for all of them once.
    pub(super) fn written(&self, set: &PartSet) -> Mask {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).tell(clock::now(), set)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::limits::PARTS_MAX;
    use crate::name::Name;
    use crate::part::Layout;

    #[test]
    fn one_large_set_at_a_time_is_read() {
        let classic = Classic::new(Subject::new(&Name::parse("a").unwrap(), Digest::of(b"a")));
        let layout = Layout::new(u64::from(PARTS_MAX) / 2, 1).unwrap();
        let large = Mask::of(&PartSet::full(layout));
        assert!(classic.wait_to_read_set(&large, || true), "the first one need not wait");
        assert!(!classic.wait_to_read_set(&large, || true), "the next one waits, and gives up");
        assert!(classic.wait_to_read_set(&large, || false), "or gets its turn");
    }
}
