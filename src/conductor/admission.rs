//! Who may hold a connection to the conductor: caps in all and per source address.
//!
//! Pure counting; the sockets are elsewhere.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::limits;
use crate::logic::addresses::source_of;

/// How many connections a conductor serves at a time before it refuses the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// In all.
    pub desks: usize,
    /// From one source address; for IPv6 that is one /64, since whoever has one address there has them all.
    pub desks_per_address: usize,
    /// In all, of those that have not asked anything yet.
    pub pending: usize,
    /// From one source address, of those that have not asked anything yet.
    pub pending_per_address: usize,
}

impl Default for Caps {
    fn default() -> Caps {
        Caps {
            desks: limits::DESKS_MAX,
            desks_per_address: limits::DESKS_PER_ADDRESS_MAX,
            pending: limits::DESKS_PENDING_MAX,
            pending_per_address: limits::DESKS_PENDING_PER_ADDRESS_MAX,
        }
    }
}

/// Connections that are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    all: usize,
    /// Invariant: at most `all`.
    pending: usize,
}

/// Whether there is room for one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Free,
    /// Its source has as many as it may have.
    NotForThem,
    /// There are as many as may be that have not asked anything yet.
    NotPending,
    /// There are as many as may be.
    Full,
}

/// The connections at hand, counted.
#[derive(Debug)]
pub(super) struct Admission {
    caps: Caps,
    total: Count,
    /// Invariant: sums up to `total`; nobody is kept with a count of nothing.
    sources: HashMap<IpAddr, Count>,
}

impl Admission {
    pub(super) fn new(caps: Caps) -> Admission {
        Admission { caps, total: Count::default(), sources: HashMap::new() }
    }

    /// Counts one more pending connection, if there is room for it.
    pub(super) fn admit(&mut self, from: IpAddr) -> bool {
        let is_free = self.room(from) == Room::Free;
        if is_free {
            self.total.open();
            self.sources.entry(source_of(from)).or_default().open();
        }
        is_free
    }

    /// Whether there is room for one more pending connection.
    pub(super) fn room(&self, from: IpAddr) -> Room {
        let count = self.sources.get(&source_of(from)).copied().unwrap_or_default();
        if count.all >= self.caps.desks_per_address || count.pending >= self.caps.pending_per_address {
            Room::NotForThem
        } else if self.total.all >= self.caps.desks {
            Room::Full
        } else if self.total.pending >= self.caps.pending {
            Room::NotPending
        } else {
            Room::Free
        }
    }

    /// A connection has asked its first question.
    pub(super) fn asked(&mut self, from: IpAddr) {
        self.total.pending -= 1;
        let count = self.sources.get_mut(&source_of(from));
        count.expect("who asks was admitted").pending -= 1;
    }

    /// A connection is gone.
    pub(super) fn leave(&mut self, from: IpAddr, was_pending: bool) {
        let source = source_of(from);
        self.total.close(was_pending);
        let count = self.sources.get_mut(&source).expect("who leaves was admitted");
        count.close(was_pending);
        if count.all == 0 {
            self.sources.remove(&source);
        }
    }

    /// Connections in all.
    pub(super) const fn desks(&self) -> usize {
        self.total.all
    }
}

impl Count {
    const fn open(&mut self) {
        self.all += 1;
        self.pending += 1;
    }

    fn close(&mut self, was_pending: bool) {
        self.all -= 1;
        self.pending -= usize::from(was_pending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const CAPS: Caps = Caps { desks: 5, desks_per_address: 3, pending: 4, pending_per_address: 2 };

    #[test]
    fn one_source_cannot_take_the_room_of_others() {
        let mut admission = Admission::new(CAPS);
        assert!(admission.admit(ip("10.0.0.1")) && admission.admit(ip("::ffff:10.0.0.1")));
        assert!(!admission.admit(ip("10.0.0.1")), "two are pending");
        admission.asked(ip("10.0.0.1"));
        assert!(admission.admit(ip("10.0.0.1")));
        admission.asked(ip("10.0.0.1"));
        assert!(!admission.admit(ip("10.0.0.1")), "three in all");
        assert!(admission.admit(ip("10.0.0.2")));
        admission.leave(ip("10.0.0.1"), false);
        assert!(admission.admit(ip("10.0.0.1")));
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_source() {
        let mut admission = Admission::new(CAPS);
        assert!(admission.admit(ip("2001:db8::1")) && admission.admit(ip("2001:db8::2:1")));
        assert!(!admission.admit(ip("2001:db8::3")));
        assert!(admission.admit(ip("2001:db8:0:1::1")));
    }

    #[test]
    fn totals_are_capped_and_nothing_is_left_behind() {
        let mut admission = Admission::new(CAPS);
        let all: Vec<IpAddr> = (1..=6).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        assert_eq!(all.iter().filter(|&&from| admission.admit(from)).count(), 4, "four may be pending");
        admission.asked(all[0]);
        assert!(admission.admit(all[4]));
        admission.asked(all[1]);
        assert!(!admission.admit(all[5]), "five in all");
        for (n, &from) in all[..5].iter().enumerate() {
            admission.leave(from, n > 1);
        }
        assert_eq!((admission.total, admission.sources.len()), (Count::default(), 0));
    }
}
